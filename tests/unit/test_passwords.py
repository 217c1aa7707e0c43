"""Passwords: one answer for whatever is wrong, a new one ends everything, and nothing is lost on the way."""

import asyncio
import contextlib
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from latchwire.claims import Claims
from latchwire.records import Record
from services.auth.adapters.argon2_hasher import Argon2Hasher, Argon2Parameters
from services.auth.adapters.sql_deletions import SQLDeletions
from services.auth.domain.account import Account
from services.auth.domain.deletion import Deletion
from services.auth.domain.limits import Rate
from services.auth.domain.link import CodeProof, LinkAsk, LinkSent, LinkSpent, TooManyRequests
from services.auth.domain.outcomes import SessionOpened
from services.auth.domain.password_use import (
    CurrentMissing,
    InvalidCredentials,
    NobodyAnyMore,
    PasswordChange,
    PasswordRefused,
    PasswordSet,
    SignInAgain,
)
from services.auth.ports import NotAnnouncedError
from services.auth.ports.deletions import Deleted
from shared.allow import parse_allow
from shared.contract import (
    LOGIN_FAILED,
    TOKEN_REVOKED,
    USER_PASSWORD_CHANGED,
    USER_REGISTERED,
    USER_VERIFIED,
)
from tests.support.accounts_world import (
    ADA,
    AWAY,
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


async def claims_of(world: World, opened: SessionOpened) -> Claims:
    """What the access token of a session says."""
    claims = world.passwords.opening.issuer.access_tokens.read_expired(opened.tokens.access)
    assert claims is not None
    return claims


async def signed_in(world: World, password: str = GOOD) -> Claims:
    """Somebody who has just logged in."""
    opened = await world.log_in(password)
    assert isinstance(opened, SessionOpened)
    return await claims_of(world, opened)


# Each makes the address what its name says; the password given everywhere is GOOD.


async def _unknown(world: World) -> None:
    """Nobody."""


async def _unverified(world: World) -> None:
    await world.register()


async def _blocked(world: World) -> None:
    account = await world.person()
    await world.accounts.block(account.sub, world.clock.now_ms())


async def _social_only(world: World) -> None:
    await world.click(await world.ask())


async def _wrong(world: World) -> None:
    await world.person(password=OTHER)


async def _throttled(world: World) -> None:
    await world.person()
    for _ in range(3):
        assert not await world.gets_in(THIRD, browser=ELSEWHERE)


async def _imported(world: World) -> None:
    """With a password, and an address that nobody has proven yet."""
    stored = await world.hasher.hash(GOOD)
    sub, now_ms = world.ids.ulid(world.clock.now_ms()), world.clock.now_ms()
    await world.accounts.adopt(Account(sub, ADA, now_ms, password_hash=stored), [])


async def _not_allowed(world: World) -> None:
    allow = parse_allow("@other.test")
    asking = replace(world.asking, policy=replace(world.asking.policy, allow=allow))
    world.passwords = replace(world.passwords, allow=allow)
    world.registering = replace(world.registering, asking=asking)
    world.resetting = replace(world.resetting, asking=asking)


async def _not_allowed_any_more(world: World) -> None:
    await world.person()
    await _not_allowed(world)


async def _deleted(world: World) -> None:
    account = await world.person()
    now_ms = world.clock.now_ms()
    deletion = Deletion(world.ids.ulid(now_ms), account.sub, ADA, now_ms, now_ms + 1)
    ledger = SQLDeletions(world.database, world.keys.index)
    assert isinstance(await ledger.delete(deletion, ["shop"], []), Deleted)


KINDS: dict[str, Callable[[World], Awaitable[None]]] = {
    "unknown": _unknown,
    "deleted": _deleted,
    "unverified": _unverified,
    "blocked": _blocked,
    "without a password": _social_only,
    "wrong": _wrong,
    "throttled": _throttled,
    "imported and unproven": _imported,
    "not allowed": _not_allowed,
    "not allowed any more": _not_allowed_any_more,
}


@pytest.mark.parametrize("kind", KINDS)
async def test_every_failure_is_the_same_answer_for_the_same_work(
    tmp_path: Path, kind: str
) -> None:
    """One hash is compared, one failure is said without a name, whatever is wrong (M-13, P-04)."""
    async with open_world(tmp_path, wrong=Rate(3, 3_600_000)) as world:
        await KINDS[kind](world)
        failures = len(world.said(LOGIN_FAILED))
        world.faults.arm(0)

        result = await world.log_in(GOOD, browser=ELSEWHERE)

        assert result == InvalidCredentials()
        assert world.faults.calls == [
            "FakeTries.begin",
            "SQLAccounts.by_email",
            "Argon2Hasher.verify",
            "FakeEvents.publish",
        ]
        failed = world.said(LOGIN_FAILED)
        assert len(failed) == failures + 1
        assert (failed[-1].reason, failed[-1].sub) == ("invalid_credentials", None)


# What is asked of the ports for every address, in this order.
LOOKED = ["SQLAccounts.by_email", "FakeAttempts.open"]
# Where nobody has proven the address yet, the password has to wait (ADR 0019): between the hash and the mail.
# That much more time is hidden by the floor alone (`services.auth.http.pacing`).
NEW, UNPROVEN = {"unknown", "deleted"}, {"unverified", "imported and unproven"}
KEPT = ["FakeAttempts.remembers", "SQLAccounts.was_deleted", "SQLAccounts.register"]
ANNOUNCED = ["FakeEvents.publish", "SQLOutbox.done"]


async def _calls(
    world: World, ask: Callable[[LinkAsk], Awaitable[LinkSent | TooManyRequests | PasswordRefused]]
) -> list[str]:
    """All that a request of another browser, for that address, asks of the ports."""
    world.faults.arm(0)
    assert isinstance(await ask(LinkAsk(ADA, FIREFOX, ELSEWHERE)), LinkSent)
    return list(world.faults.calls)


@pytest.mark.parametrize("kind", [*KINDS, "mailed too often"])
async def test_asking_for_a_mail_is_the_same_work_for_every_address(
    tmp_path: Path, kind: str
) -> None:
    """Forgot, resend: the very same calls. Register: the same, with the hash, up to what has to be kept."""
    mails = Rate(1, 3_600_000) if kind == "mailed too often" else Rate(100, 3_600_000)
    async with open_world(tmp_path, wrong=Rate(3, 3_600_000), mails=mails) as world:
        await KINDS.get(kind, _unverified)(world)
        register = partial(world.registering.register, password=THIRD)

        forgotten = await _calls(world, world.resetting.forgot)
        sent_again = await _calls(world, world.registering.resend)
        registered = await _calls(world, register)

        assert forgotten == sent_again == [*LOOKED, "FakeEvents.publish"]
        kept = KEPT if kind in NEW | UNPROVEN else []
        announced = ANNOUNCED if kind in NEW else []
        hashed = [*LOOKED, "Argon2Hasher.hash"]
        assert registered == [*hashed, *kept, *announced, "FakeEvents.publish"]


async def test_a_right_password_while_throttled_is_told_from_wrong_by_nobody(
    tmp_path: Path,
) -> None:
    """And the browser that the person has signed in with goes on as ever: nobody can lock anybody out."""
    async with open_world(tmp_path, wrong=Rate(3, 3_600_000)) as world:
        await _throttled(world)

        assert not await world.gets_in(GOOD, browser=ELSEWHERE)
        assert await world.gets_in(GOOD, browser=HERE)
        assert isinstance(await world.click(await world.ask(browser=ELSEWHERE)), SessionOpened)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"throttled"}))
async def test_guesses_wait_longer_and_longer_for_whatever_address(world: World, kind: str) -> None:
    """After five failures a second, after ten two: the tarpit knows of no accounts."""
    await KINDS[kind](world)

    for _ in range(12):
        await world.gets_in(THIRD, browser=ELSEWHERE)
    assert world.pauses == [0.0] * 5 + [1.0] * 5 + [2.0] * 2


async def test_the_persons_own_browser_has_a_tarpit_of_its_own(world: World) -> None:
    """Whatever strangers guess, it does not wait."""
    await world.person()
    for _ in range(6):
        await world.gets_in(THIRD, browser=ELSEWHERE)
    assert world.pauses[-1] == 1.0
    await world.gets_in(GOOD, browser=HERE)
    assert world.pauses[-1] == 0.0


async def test_a_login_that_read_a_password_before_its_reset_opens_nothing(world: World) -> None:
    """The instant is taken before anything is read; the reset ends what began up to its own."""
    await world.person()
    login_id = await world.forgot()
    verify = world.hasher.verify

    async def reset_meanwhile(password_hash: str, password: str) -> Any:
        verdict = await verify(password_hash, password)
        world.clock.advance(5)
        assert await world.reset(login_id) == PasswordSet()
        return verdict

    world.hasher.verify = reset_meanwhile

    assert await world.log_in(GOOD) == InvalidCredentials()


async def test_a_hash_of_yesterday_is_made_anew_by_the_next_login(world: World) -> None:
    """P-01: with today's parameters; the same password goes on, and no session ends."""
    account = await world.person()
    weak = Argon2Hasher(1, parameters=Argon2Parameters(memory=16, passes=1))
    old = await weak.hash(GOOD)
    weak.close()
    assert await world.accounts.set_password(account.sub, old, [])

    assert await world.gets_in(GOOD)
    renewed = await world.accounts.by_email(ADA)
    assert renewed is not None
    assert renewed.password_hash not in {old, account.password_hash}
    assert await world.gets_in(GOOD)
    assert len(world.living(account.sub)) == 3
    assert world.said(USER_PASSWORD_CHANGED) == []


async def test_a_network_that_tries_too_often_hears_so(tmp_path: Path) -> None:
    """429, before anything is hashed."""
    async with open_world(tmp_path, requests=Rate(2, 60_000)) as world:
        for _ in range(2):
            await world.log_in(GOOD)
        assert isinstance(await world.log_in(GOOD), TooManyRequests)


@pytest.mark.parametrize("by", ["link", "code"])
async def test_a_reset_ends_every_session_and_tells_the_stored_address(
    world: World, by: str
) -> None:
    """It opens none itself; the old password and every older link are worth nothing (M-27)."""
    account = await world.person()
    older, login_id = await world.ask(), await world.forgot(browser=ELSEWHERE)
    world.clock.advance(10)
    proof = world.link(login_id) if by == "link" else CodeProof(login_id, world.code(login_id))

    assert await world.resetting.reset(proof, OTHER) == PasswordSet()

    assert world.living(account.sub) == []
    assert [e.sub for e in world.said(USER_PASSWORD_CHANGED)] == [account.sub]
    assert [(e.scope, e.reason) for e in world.said(TOKEN_REVOKED)] == [
        ("subject", "password_reset")
    ]
    notice = world.mails_sent()[-1]
    assert (notice.email, notice.purpose, notice.notice) == (ADA, "notice", "password_changed")
    assert isinstance(await world.click(older), LinkSpent)
    assert not await world.gets_in(GOOD)
    assert await world.gets_in(OTHER)


async def test_a_reset_link_sets_one_password(world: World) -> None:
    """The same again is told the same; another one hears that the link is spent."""
    account = await world.person()
    login_id = await world.forgot()
    assert await world.reset(login_id, OTHER) == PasswordSet()
    await signed_in(world, OTHER)

    assert isinstance(await world.reset(login_id, THIRD), LinkSpent)
    assert await world.reset(login_id, OTHER) == PasswordSet()

    assert not await world.gets_in(THIRD)
    assert len(world.living(account.sub)) == 1  # what began after the reset outlives its repetition
    assert len(world.said(USER_PASSWORD_CHANGED)) == 1


async def test_of_many_resets_by_one_link_at_once_one_counts(world: World) -> None:
    """Twenty passwords for one link: one is set, and its sender alone is told so."""
    account = await world.person()
    login_id = await world.forgot()
    world.clock.advance(10)
    wanted = [f"{OTHER} number {n}" for n in range(20)]

    results = await asyncio.gather(*(world.reset(login_id, password) for password in wanted))

    told = [
        password
        for password, result in zip(wanted, results, strict=True)
        if result == PasswordSet()
    ]
    works = [password for password in wanted if await world.gets_in(password)]
    assert len(told) == 1
    assert works == told
    assert len(world.said(USER_PASSWORD_CHANGED)) == 1
    assert len(world.living(account.sub)) == 1


async def test_a_link_that_was_interrupted_is_void_with_everything_else_of_the_person(
    world: World,
) -> None:
    """Used up for a reset that never came to be, then an operator ends all: the link does nothing any more."""
    account = await world.person()
    login_id = await world.forgot()
    await _lose_sql_before_the_password_is_written(world, login_id)
    world.clock.advance(10)
    await _is_revoked(world, account.sub)

    assert isinstance(await world.reset(login_id), LinkSpent)
    assert await world.accounts.by_email(ADA) == account


async def _lose_sql_before_the_password_is_written(world: World, login_id: str) -> None:
    """By then the link is used up."""
    for at in range(1, 20):
        world.faults.arm(at)
        with contextlib.suppress(*AWAY):
            await world.reset(login_id)
        if world.faults.failed == "SQLAccounts.set_password":
            break
    world.faults.arm(0)
    assert world.store.attempts[login_id].state == "used"


async def _runs_out(world: World, _sub: str) -> None:
    world.clock.advance(600_000)


async def _is_blocked(world: World, sub: str) -> None:
    await world.accounts.block(sub, world.clock.now_ms())


async def _is_deleted(world: World, sub: str) -> None:
    async with world.database.writing() as connection:
        await connection.exec_driver_sql(f"DELETE FROM accounts WHERE sub = '{sub}'")


async def _is_changed(world: World, _sub: str) -> None:
    change = PasswordChange(THIRD, GOOD, FIREFOX, HERE)
    assert isinstance(await world.passwords.change(await signed_in(world), change), SessionOpened)


async def _is_revoked(world: World, _sub: str) -> None:
    now_ms = world.clock.now_ms()
    record = Record(until_ms=now_ms + 900_000, sessions_before=now_ms)
    world.revocations.revoke("subject", ADA, record)


SPENT = {
    "run out": _runs_out,
    "blocked": _is_blocked,
    "deleted": _is_deleted,
    "changed since": _is_changed,
    "revoked since": _is_revoked,
}


@pytest.mark.parametrize("case", SPENT)
async def test_a_reset_link_that_counts_no_more_changes_nothing(world: World, case: str) -> None:
    """One answer for all of them."""
    account = await world.person()
    login_id = await world.forgot()
    world.clock.advance(10)
    await SPENT[case](world, account.sub)
    before = await world.accounts.by_email(ADA)

    assert isinstance(await world.reset(login_id), LinkSpent)

    assert await world.accounts.by_email(ADA) == before


async def test_a_link_is_for_what_it_was_asked_for(world: World) -> None:
    """One that signs in sets no password, one that sets one opens no session, a cancelled one does nothing."""
    await world.person()
    signs_in, sets = await world.ask(), await world.forgot()

    assert isinstance(await world.reset(signs_in), LinkSpent)
    assert isinstance(await world.click(sets), LinkSpent)
    await world.links.cancel_link(world.link(sets).token)  # type: ignore[union-attr]
    assert isinstance(await world.reset(sets), LinkSpent)
    assert await world.gets_in(GOOD)


async def test_codes_of_a_reset_are_guessed_five_times_at_most(world: World) -> None:
    """Then the code is dead, and the link still works."""
    await world.person()
    login_id = await world.forgot()
    for _ in range(5):
        assert isinstance(
            await world.resetting.reset(CodeProof(login_id, "00000000"), OTHER), LinkSpent
        )

    right = CodeProof(login_id, world.code(login_id))
    assert isinstance(await world.resetting.reset(right, OTHER), LinkSpent)
    assert await world.reset(login_id) == PasswordSet()


async def test_a_refused_password_says_nothing_of_the_proof(world: World) -> None:
    """A guesser of codes hears of his password, not of his code, and the code is not used up."""
    await world.person()
    login_id = await world.forgot()
    right, wrong = world.code(login_id), "00000000"

    answers = {
        code: await world.resetting.reset(CodeProof(login_id, code), "short")
        for code in (right, wrong)
    }

    assert set(map(repr, answers.values())) == {repr(PasswordRefused("password_too_short"))}
    assert await world.resetting.reset(CodeProof(login_id, right), OTHER) == PasswordSet()


@pytest.mark.parametrize(
    "kind", ["unknown", "unverified", "blocked", "without a password", "wrong"]
)
async def test_only_who_has_an_account_and_may_come_in_is_sent_a_reset(
    world: World, kind: str
) -> None:
    """The answer is the same for all."""
    await KINDS[kind](world)
    mails = len(world.mails_sent())

    sent = await world.resetting.forgot(LinkAsk(ADA, FIREFOX, HERE))

    assert isinstance(sent, LinkSent)
    assert len(world.mails_sent()) - mails == (kind not in {"unknown", "blocked"})
    if kind in {"unverified", "without a password"}:
        assert await world.reset(sent.login_id) == PasswordSet()
        assert await world.gets_in(OTHER)
        assert not await world.gets_in(GOOD)


async def test_a_changed_password_ends_all_but_the_session_it_opens(world: World) -> None:
    """P-05: the current one is needed; the address is told; the new session is told of nothing."""
    account = await world.person()
    claims = await signed_in(world)
    world.clock.advance(10)

    opened = await world.passwords.change(claims, PasswordChange(OTHER, GOOD, FIREFOX, HERE))

    assert isinstance(opened, SessionOpened)
    assert [session.sid for session in world.living(account.sub)] == [opened.tokens.sid]
    assert [e.reason for e in world.said(TOKEN_REVOKED)] == ["password_changed"]
    assert world.mails_sent()[-1].notice == "password_changed"
    assert not await world.gets_in(GOOD)
    assert await world.gets_in(OTHER)


async def test_without_the_current_password_nothing_changes(world: World) -> None:
    """Missing, wrong, refused as new, account gone: each says what it is, and no session ends."""
    account = await world.person()
    claims = await signed_in(world)

    async def change(new: str, current: str | None) -> Any:
        return await world.passwords.change(claims, PasswordChange(new, current, FIREFOX, HERE))

    assert await change(OTHER, None) == CurrentMissing()
    assert await change(OTHER, THIRD) == InvalidCredentials()
    assert await change("short", GOOD) == PasswordRefused("password_too_short")
    assert len(world.living(account.sub)) == 2
    assert await world.gets_in(GOOD)
    await world.accounts.block(account.sub, 1)
    assert await change(OTHER, GOOD) == NobodyAnyMore()


async def test_a_first_password_needs_a_fresh_sign_in(world: World) -> None:
    """Who has none proves who he is by having signed in within ten minutes."""
    opened = await world.click(await world.ask())
    claims = await claims_of(world, opened)
    change = PasswordChange(OTHER, None, FIREFOX, HERE)
    world.clock.advance(601_000)

    assert await world.passwords.change(claims, change) == SignInAgain()
    opened = await world.click(await world.ask())
    world.clock.advance(10)
    assert isinstance(
        await world.passwords.change(await claims_of(world, opened), change), SessionOpened
    )
    assert await world.gets_in(OTHER)


async def test_a_session_opened_by_a_change_is_over_with_a_reset_that_came_meanwhile(
    world: World,
) -> None:
    """Whoever changes the password with a stolen one gets no session past the owner's reset."""
    account = await world.person()
    claims, login_id = await signed_in(world), await world.forgot()
    world.clock.advance(10)
    instant = world.sessions.port.instant
    seen: list[str] = []

    async def reset_meanwhile(entry_id: str) -> int:
        answer: int = await instant(entry_id)
        seen.append(entry_id)
        if len(seen) == 2:  # the first is the relay's, the second asks when that was
            world.clock.advance(5)
            other = await world.forgot(browser=ELSEWHERE)
            world.clock.advance(5)
            assert await world.reset(other, THIRD) == PasswordSet()
        return answer

    world.sessions.port.instant = reset_meanwhile
    result = await world.passwords.change(claims, PasswordChange(OTHER, GOOD, FIREFOX, HERE))

    assert result == NobodyAnyMore()
    assert world.living(account.sub) == []
    assert isinstance(await world.reset(login_id), LinkSpent)
    assert await world.gets_in(THIRD)


# What is away at any one call: 503 (or an answer), nothing half done, and the same request works the next time.


@dataclass(frozen=True)
class Case:
    """*prepare* gives what *act* needs; *works* is what act must answer when it is repeated."""

    prepare: Callable[[World], Awaitable[Any]]
    act: Callable[[World, Any], Awaitable[Any]]
    works: type[object] | tuple[type[object], ...]
    after: Callable[[World, Any], Awaitable[None]]


async def _registered_once(world: World, answer: LinkSent) -> None:
    assert world.mail(answer.login_id) is not None
    assert isinstance(await world.click(answer.login_id), SessionOpened)
    await world.settle()
    assert len(world.said(USER_REGISTERED)) == len(world.said(USER_VERIFIED)) == 1
    assert await world.gets_in(GOOD)


async def _verified_once(world: World, answer: Any) -> None:
    if isinstance(answer, LinkSpent):  # M-03: used up, and the answer was lost; the password counts
        assert world.faults.failed == "FakeAttempts.exchange"
    await world.settle()
    assert len(world.said(USER_REGISTERED)) == len(world.said(USER_VERIFIED)) == 1
    assert await world.gets_in(GOOD, browser=ELSEWHERE)


async def _prepare_reset(world: World) -> str:
    await world.person()
    world.clock.advance(10)
    login_id = await world.forgot()
    world.clock.advance(10)
    return login_id


async def _reset_once(world: World, _answer: Any) -> None:
    await world.settle()
    account = await world.accounts.by_email(ADA)
    assert account is not None
    assert world.living(account.sub) == []
    assert len(world.said(USER_PASSWORD_CHANGED)) == 1
    assert sum(mail.notice == "password_changed" for mail in world.mails_sent()) == 1
    assert len(world.said(TOKEN_REVOKED)) == 1
    assert await world.outbox.pending(10) == []
    assert not await world.gets_in(GOOD)
    assert await world.gets_in(OTHER)


async def _logged_in(world: World, _answer: Any) -> None:
    limits = world.store.limits.items()
    counted = {tried for name, taken in limits if name.startswith("password|") for tried in taken}
    # What Redis did and could not say, nobody can take back: one try, for an hour.
    assert len(counted) <= (world.faults.failed in {"FakeTries.begin", "FakeTries.passed"})


CASES = {
    "verify": Case(
        lambda world: world.register(),
        lambda world, login_id: world.click(login_id),
        (SessionOpened, LinkSpent),
        _verified_once,
    ),
    "verify elsewhere": Case(
        lambda world: world.register(),
        lambda world, login_id: world.click(login_id, ELSEWHERE, GOOD),
        (SessionOpened, LinkSpent),
        _verified_once,
    ),
    "register": Case(
        lambda world: world.ask("eve@acme.com"),
        lambda world, _: world.registering.register(LinkAsk(ADA, FIREFOX, HERE), GOOD),
        LinkSent,
        _registered_once,
    ),
    "resend": Case(
        lambda world: world.register(),
        lambda world, first: world.registering.resend(LinkAsk(ADA, FIREFOX, HERE), first),
        LinkSent,
        _registered_once,
    ),
    "reset": Case(
        _prepare_reset, lambda world, login_id: world.reset(login_id), PasswordSet, _reset_once
    ),
    "log in": Case(
        lambda world: world.person(),
        lambda world, _: world.log_in(GOOD),
        SessionOpened,
        _logged_in,
    ),
}


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", CASES)
async def test_whatever_fails_at_any_call_the_same_request_works_the_next_time(
    tmp_path: Path, name: str, late: bool
) -> None:
    """SQL, Redis, the bus, the pool of hashes, away at each call of each: refused or answered, never half."""
    case, at, refused = CASES[name], 0, 0
    while True:
        at += 1
        directory = tmp_path / str(at)
        directory.mkdir()
        async with open_world(directory) as world:
            prepared = await case.prepare(world)
            world.faults.arm(at, late=late)
            try:
                answer = await case.act(world, prepared)
            except AWAY:
                refused += 1
                world.faults.at = 0
                world.clock.advance(20)
                answer = await case.act(world, prepared)
            reached = len(world.faults.calls)
            world.faults.arm(0)
            assert isinstance(answer, case.works), (at, answer)
            await case.after(world, answer)
        if reached < at:
            break
    assert refused >= 4


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
async def test_a_change_that_fails_at_any_call_leaves_one_password_and_no_old_session(
    tmp_path: Path, late: bool
) -> None:
    """Either nothing has happened, or it has happened: then the sessions end, if need be by the relay."""
    at, reached = 0, 1
    while reached >= at:
        at += 1
        directory = tmp_path / str(at)
        directory.mkdir()
        async with open_world(directory) as world:
            account = await world.person()
            claims = await signed_in(world)
            world.clock.advance(10)
            old = {session.sid for session in world.living(account.sub)}
            world.faults.arm(at, late=late)
            with contextlib.suppress(*AWAY):
                await world.passwords.change(claims, PasswordChange(OTHER, GOOD, FIREFOX, HERE))
            reached = len(world.faults.calls)
            await world.settle()
            living = {session.sid for session in world.living(account.sub)}
            changed = await world.gets_in(OTHER)
            assert await world.gets_in(GOOD) != changed
            assert (old & living == set()) == changed
            assert len(world.said(USER_PASSWORD_CHANGED)) == changed
            assert sum(mail.notice == "password_changed" for mail in world.mails_sent()) == changed


@pytest.mark.parametrize("by", ["the person", "the relay"])
async def test_a_reset_that_could_not_be_announced_is_done_all_the_same(
    world: World, by: str
) -> None:
    """503 with what is true; whoever comes first, the person again or the relay, tells everybody else."""
    account = await world.person()
    login_id = await world.forgot()
    world.clock.advance(10)
    world.events.away = True

    with pytest.raises(NotAnnouncedError):
        await world.reset(login_id)
    assert world.living(account.sub) == []
    world.events.away = False
    if by == "the relay":
        await world.settle()
    else:
        assert await world.reset(login_id) == PasswordSet()

    assert len(world.said(TOKEN_REVOKED)) == 1
    await world.settle()
    assert len(world.said(USER_PASSWORD_CHANGED)) == 1
    assert await world.gets_in(OTHER)


EXACT = [
    "  spaces before and after  ",
    "x" * 72 + " and what bcrypt never saw",
    "\U0001f40e\U0001f50b correct horse battery \U0001f9f7",
    "caf\u00e9 with one e, three words",
    "tab\tnewline\nand\x00nothing",
    "\u00fc" * 512,
]


@pytest.mark.parametrize("password", EXACT, ids=range(len(EXACT)))
async def test_a_password_is_compared_exactly_as_it_was_typed(world: World, password: str) -> None:
    """P-02: nothing is trimmed, cut off, folded or normalised, up to 1 KiB."""
    await world.person(password=password)
    others = {
        password.strip(),
        password[:-1],
        password[:72],
        password.upper(),
        unicodedata.normalize("NFD", password),
        password.partition("\x00")[0],
    } - {password}

    assert await world.gets_in(password)
    for other in others:
        assert not await world.gets_in(other), repr(other)
