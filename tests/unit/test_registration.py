"""Registration: whoever registers a stranger's address gains nothing, and nothing opens before the proof."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.auth.domain.limits import Rate
from services.auth.domain.link import LinkAsk, LinkSent, LinkSpent, TooManyRequests, WrongPassword
from services.auth.domain.outcomes import SessionOpened
from services.auth.domain.password_use import PasswordRefused
from shared.contract import LOGIN_FAILED, USER_REGISTERED, USER_VERIFIED
from tests.support.accounts_world import (
    ADA,
    ELSEWHERE,
    FIREFOX,
    GOOD,
    HERE,
    OTHER,
    THIRD,
    World,
    open_world,
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Nobody has an account."""
    async with open_world(tmp_path) as world:
        yield world


async def test_who_registers_and_opens_the_mail_in_the_same_browser_has_the_password(
    world: World,
) -> None:
    """The mail proves the address, opens a session, and from then on the password does."""
    login_id = await world.register()

    assert not await world.gets_in(GOOD)
    assert world.mail(login_id).purpose == "verify_email"
    assert isinstance(await world.click(login_id), SessionOpened)
    assert await world.gets_in(GOOD)
    assert [e.previous_sub for e in world.said(USER_REGISTERED)] == [ADA]
    assert len(world.said(USER_VERIFIED)) == 1


async def test_in_another_browser_the_password_counts_only_when_it_is_typed_again(
    world: World,
) -> None:
    """A wrong one uses nothing up."""
    login_id = await world.register()

    assert isinstance(await world.click(login_id, ELSEWHERE, OTHER), WrongPassword)
    assert isinstance(await world.click(login_id, ELSEWHERE, GOOD), SessionOpened)
    assert await world.gets_in(GOOD, browser=ELSEWHERE)


@pytest.mark.parametrize("typed", [None, ""])
async def test_in_another_browser_a_password_that_is_not_typed_is_thrown_away(
    world: World, typed: str | None
) -> None:
    """An attacker's registration, proven by the owner, leaves the owner an account without a password."""
    login_id = await world.register(browser=HERE)

    assert isinstance(await world.click(login_id, ELSEWHERE, typed), SessionOpened)

    assert not await world.gets_in(GOOD)
    account = await world.accounts.by_email(ADA)
    assert account is not None
    assert account.password_hash == ""


async def test_without_a_browsers_value_there_is_no_same_browser(world: World) -> None:
    """Two requests that both carry nothing are not the same browser."""
    login_id = await world.register(browser="")

    assert isinstance(await world.click(login_id, browser=""), SessionOpened)
    assert not await world.gets_in(GOOD)


ORDERS = ["attacker, owner", "owner, attacker", "owner, attacker, owner again"]
PROOFS = ["verify", "link", "reset", "provider", "verify of attacker's mail"]


@pytest.mark.parametrize("proof", PROOFS)
@pytest.mark.parametrize("order", ORDERS)
async def test_an_attackers_password_never_opens_the_owners_account(
    world: World, order: str, proof: str
) -> None:
    """Whoever registered first, whichever mail the owner opens: only the owner's own password ever works."""
    ids: dict[str, str] = {}
    for who in order.split(", "):
        browser, password = (HERE, OTHER) if who == "attacker" else (ELSEWHERE, GOOD)
        ids[who.split(" ", maxsplit=1)[0]] = await world.register(
            password=password, browser=browser
        )
    attack = ids["attacker"]

    if proof == "verify":
        result = await world.click(ids["owner"], ELSEWHERE)
    elif proof == "link":
        result = await world.click(await world.ask(browser=ELSEWHERE), ELSEWHERE)
    elif proof == "reset":
        await world.reset(await world.forgot(browser=ELSEWHERE), THIRD)
        result = await world.log_in(THIRD, browser=ELSEWHERE)
    elif proof == "provider":  # it proves the address; then a session opens as after any proof
        assert await world.subjects.prove(ADA, remembered=False) is not None
        result = await world.click(await world.ask(browser=ELSEWHERE), ELSEWHERE)
    else:
        result = await world.click(attack, ELSEWHERE)

    assert isinstance(result, SessionOpened), result
    assert not await world.gets_in(OTHER, browser=HERE)
    assert await world.gets_in(GOOD, browser=ELSEWHERE) == (proof == "verify")
    account = await world.accounts.by_email(ADA)
    assert account is not None
    # What the attacker still holds is worth nothing: not his own mail's login_id, nor one he asks for anew.
    await world.registering.resend(LinkAsk(ADA, FIREFOX, HERE), attack)
    assert not await world.gets_in(OTHER, browser=HERE)
    assert len(world.living(account.sub)) == 1 + (proof == "verify")
    assert len(world.said(USER_REGISTERED)) == 1


async def test_a_registered_address_is_told_so_and_nothing_is_written(world: World) -> None:
    """The owner gets a mail that signs in; the registered password stays what it was."""
    await world.person()

    login_id = await world.register(password=OTHER, browser=ELSEWHERE)

    assert (world.mail(login_id).purpose, world.mail(login_id).notice) == (
        "sign_in",
        "already_registered",
    )
    assert isinstance(await world.click(login_id, ELSEWHERE), SessionOpened)
    assert not await world.gets_in(OTHER, browser=ELSEWHERE)
    assert await world.gets_in(GOOD)


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("elevenchars", "password_too_short"),
        ("x" * 1025, "password_too_long"),
        ("\u00fc" * 513, "password_too_long"),
        ("passwordpassword", "password_common"),
        ("ada@acme.com", "password_common"),
    ],
)
async def test_a_password_that_nobody_may_have_is_refused_whoever_asks(
    world: World, password: str, code: str
) -> None:
    """P-03: the same for a known and an unknown address, and nothing is counted, written or sent."""
    await world.person("eve@acme.com")
    before = len(world.store.attempts)

    for email in (ADA, "eve@acme.com", "ada@elsewhere.test"):
        result = await world.registering.register(LinkAsk(email, FIREFOX, HERE), password)
        expected = PasswordRefused(code)  # type: ignore[arg-type]
        if password == ADA and email != ADA:
            continue
        assert result == expected
    assert await world.accounts.by_email(ADA) is None or password == ADA
    assert len(world.store.attempts) <= before + 2 * (password == ADA)


async def test_nobody_may_be_registered_who_may_not_sign_in(world: World) -> None:
    """The same answer, and neither a row, an event nor a mail."""
    login_id = await world.register("eve@evil.test")

    assert await world.accounts.by_email("eve@evil.test") is None
    assert world.said(USER_REGISTERED) == world.mails_sent() == []
    assert [event.reason for event in world.said(LOGIN_FAILED)] == ["not_allowed"]
    assert isinstance(await world.click(login_id), LinkSpent)


async def test_strangers_cannot_fill_the_store_with_an_address(tmp_path: Path) -> None:
    """What is over the address's limit of mails writes no password that waits either."""
    async with open_world(tmp_path, mails=Rate(3, 3_600_000)) as world:
        ids = [await world.register(browser=f"{n:064x}") for n in range(10)]

        waiting = [await world.accounts.registration(login_id) for login_id in ids]

        assert sum(registration is not None for registration in waiting) == 3
        assert len(world.mails_sent()) == 3


async def test_a_network_that_registers_too_often_hears_so_before_any_work(tmp_path: Path) -> None:
    """429 comes before the hash, for every address alike."""
    async with open_world(tmp_path, requests=Rate(2, 60_000)) as world:
        for n in range(2):
            await world.register(f"n{n}@acme.com")
        world.faults.arm(0)
        result = await world.registering.register(LinkAsk(ADA, FIREFOX, HERE), GOOD)

        assert isinstance(result, TooManyRequests)
        assert "Argon2Hasher.hash" not in world.faults.calls


@pytest.mark.parametrize("browser", [HERE, ELSEWHERE])
async def test_a_mail_sent_again_carries_the_password_along_in_its_own_browser_only(
    world: World, browser: str
) -> None:
    """Asked for from another browser it proves the address and nothing more."""
    first = await world.register(browser=HERE)

    sent = await world.registering.resend(LinkAsk(ADA, FIREFOX, browser), first)

    assert isinstance(sent, LinkSent)
    assert world.mail(sent.login_id).purpose == "verify_email"
    assert isinstance(await world.click(sent.login_id, browser), SessionOpened)
    assert await world.gets_in(GOOD) == (browser == HERE)


@pytest.mark.parametrize("case", ["unknown", "cancelled", "run out", "another's"])
async def test_a_mail_sent_again_for_nothing_carries_nothing(world: World, case: str) -> None:
    """ "This was not me" and time both take the waiting password away, and nobody takes somebody else's."""
    first = await world.register("eve@acme.com" if case == "another's" else ADA)
    if case == "another's":
        await world.register(ADA, OTHER)
    if case == "cancelled":
        await world.links.cancel_link(world.link(first).token)  # type: ignore[union-attr]
    if case == "run out":
        world.clock.advance(600_001)
    login_id = first if case != "unknown" else world.ids.ulid(world.clock.now_ms())

    sent = await world.registering.resend(LinkAsk(ADA, FIREFOX, HERE), login_id)

    assert isinstance(sent, LinkSent)
    assert isinstance(await world.click(sent.login_id), SessionOpened)
    assert not await world.gets_in(GOOD)


async def test_nothing_is_sent_again_to_an_address_that_never_registered(world: World) -> None:
    """The same answer, no mail, no row."""
    sent = await world.registering.resend(LinkAsk(ADA, FIREFOX, HERE))

    assert isinstance(sent, LinkSent)
    assert world.mails_sent() == []
    assert await world.accounts.by_email(ADA) is None


async def test_an_address_from_before_accounts_keeps_being_its_own_sub(world: World) -> None:
    """Registered by whomever: the sub is the one that its living sessions say."""
    world.store.browsers[ADA]["b"] = 1

    await world.register()
    account = await world.accounts.by_email(ADA)

    assert account is not None
    assert account.sub == ADA
    assert [e.previous_sub for e in world.said(USER_REGISTERED)] == [None]


async def test_a_new_address_is_told_like_a_known_one_when_its_event_has_to_wait(
    world: World,
) -> None:
    """A full stream of events must not say which addresses are new; the relay tells it later."""
    world.events.refused = USER_REGISTERED.name
    login_id = await world.register()
    assert world.mail(login_id).purpose == "verify_email"
    assert world.said(USER_REGISTERED) == []

    world.events.refused = ""
    await world.settle()

    assert len(world.said(USER_REGISTERED)) == 1
