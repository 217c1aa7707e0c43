"""The doctor with a real token, at a gateway that makes every mistake with it."""

from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ctl.doctor import credentials
from ctl.doctor.credentials import Credential, Trial, Wait, watch_revocation
from ctl.doctor.door import Door
from ctl.doctor.findings import Examination, Finding
from ctl.doctor.routes import Route, routes_of
from ctl.doctor.through import Ground, attack_with
from ctl.doctor.wire import Front, front_of
from shared.clock import SystemClock
from shared.ids import SystemIds
from tests.support.leaky_door import HOST, PERSONS, TOKEN, leaky_catalogue, leaky_door
from tests.support.smtp import make_certificate

ISSUER = f"https://{HOST}"
ROUTES = routes_of(leaky_catalogue())
SERVICES = Credential("the service's token", TOKEN, disposable=True)
# `believing` lets in whoever sends any header, which is why the real token tells something there too.
LEAKS = {
    "door.token_misplaced": {"careless", "believing", "guarded"},
    "door.token_altered": {"gullible", "believing"},
    "door.identity_passes": {"careless"},
    "door.alias_passes": {"careless"},
    "door.trailer_passes": {"careless"},
    "door.upgrade_passes": {"careless"},
}


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """Through the leaky gateway, over plain http."""
    async with leaky_door() as port:
        yield Door(Front("127.0.0.1", port, None), ISSUER, HOST, SystemIds())


def by_check(findings: list[Finding]) -> dict[str, set[str]]:
    """The services where each check failed."""
    found: dict[str, set[str]] = defaultdict(set)
    for finding in findings:
        found[finding.check].add(finding.where.split(" ")[0])
    return dict(found)


async def test_each_mistake_with_a_services_token_is_found_where_it_is_made(door: Door) -> None:
    """Out of place, changed, beside made-up identities: and the service that makes none is not accused."""
    trial = Trial(door, SERVICES)

    await trial.run(ROUTES)

    assert by_check(door.findings) == LEAKS
    assert {route.name for route in trial.counted} == {
        "careless", "gullible", "strict", "believing", "guarded",
    }  # fmt: skip


async def test_each_place_a_token_was_taken_from_is_named_and_the_token_is_not(door: Door) -> None:
    """What an operator has to send to see it too, with a token of their own."""
    await Trial(door, SERVICES).run([route for route in ROUTES if route.name == "careless"])
    seen = [f.seen for f in door.findings if f.check == "door.token_misplaced"]

    for place in (
        "the token in X-Access-Token", "the token in a cookie (access_token)", "the token twice",
        "the token in the address (access_token=)", "the token as the name of Basic",
        "another Authorization, and the token", "the token under the scheme Token",
    ):  # fmt: skip
        assert f"the service's token, {place}: 200" in seen
    assert TOKEN not in f"{door.findings}"


async def test_a_persons_token_is_changed_in_every_way_and_none_counts_where_tokens_are_read(
    door: Door,
) -> None:
    """A gateway that reads the payload alone is found out; one that reads the signature is not accused."""
    made = [("signed, for another audience", "e30.e30.e30")]
    await Trial(door, Credential("your token", PERSONS), made).run(ROUTES)
    seen = {f.seen for f in door.findings if f.where.startswith("gullible")}

    assert by_check(door.findings)["door.token_altered"] == {"gullible", "believing"}
    assert seen == {
        "your token, with other claims: 200",
        "your token, without its signature: 200",
        "your token, with alg none: 200",
        "your token, with alg None: 200",
        "your token, signed by a stranger: 200",
        "your token, signed by a key of its own header: 200",
        "your token, signed, for another audience: 200",
    }


async def test_a_token_that_counts_nowhere_is_told_and_why(door: Door) -> None:
    """It ran out, or is somebody else's: then nothing is known, and that is no good news."""
    strict = [route for route in ROUTES if route.name == "strict"]
    await Trial(door, Credential("your token", "lws_dev_unknown")).run(strict)

    assert [(f.check, f.seen) for f in door.findings] == [
        ("door.untried", "it counts at no route: 401 no_credentials")
    ]


async def test_a_proxy_that_hides_the_edges_reasons_is_not_accused(door: Door) -> None:
    """Of two equal refusals nobody knows whether the token was read: that is said instead."""
    await Trial(door, SERVICES).run([route for route in ROUTES if route.name == "mute"])

    assert [(f.check, f.seen) for f in door.findings] == [
        ("door.untried", "it counts at no route: 403 without X-Latchwire-Reason")
    ]


async def test_no_service_that_shows_what_came_with_the_token_is_said(door: Door) -> None:
    """Whether a made-up identity passes beside a real one is then not known."""
    await Trial(door, SERVICES).run([route for route in ROUTES if route.name == "strict"])

    assert by_check(door.findings).keys() == {"door.no_echo"}


async def test_a_door_that_lets_in_a_revoked_token_is_found(door: Door) -> None:
    """It remembers its answers, or hears of no revocation."""
    revoked: list[bool] = []

    async def revoke() -> None:
        revoked.append(True)

    after = await watch_revocation(
        Wait(door, _route("strict"), SERVICES, SystemClock()), revoke, 0.1
    )

    assert after is None
    assert revoked
    assert [(f.check, f.seen) for f in door.findings] == [
        ("door.revoked_passes", "the service's token still counts 0.1 s after it was revoked")
    ]


async def test_a_revocation_counts_from_when_every_edge_refuses(door: Door) -> None:
    """A door that refuses at once gives a time, and no finding."""
    unknown = Credential("your token", "lws_dev_unknown")

    async def revoke() -> None:
        """It was never known."""

    wait = Wait(door, _route("strict"), unknown, SystemClock())
    after = await watch_revocation(wait, revoke, 5.0)

    assert after is not None
    assert door.findings == []
    assert door.attempts == credentials.IN_A_ROW


async def test_a_real_token_is_sent_to_nobody_who_has_not_proved_the_name(tmp_path: Path) -> None:
    """Whoever shows a certificate of nobody's gets the harmless attempts, and no token."""
    server, trusting = make_certificate(tmp_path, HOST)
    async with leaky_door(server) as port:
        stranger = front_of(f"https://127.0.0.1:{port}", 5.0)
        unproved, proved = Examination(), Examination()
        await attack_with(_ground(stranger), SERVICES, None, unproved)
        counted = await attack_with(
            _ground(Front("127.0.0.1", port, trusting)), SERVICES, None, proved
        )

    assert {f.seen for f in unproved.findings} >= {
        "it counts at no route: no answer over a connection that proves its name"
    }
    assert by_check(unproved.findings).keys() == {"door.untried"}
    assert counted
    assert by_check(proved.findings).keys() >= {"door.token_misplaced"}


async def test_a_real_token_does_not_go_to_another_machine_in_the_clear() -> None:
    """Nothing is sent at all."""
    examination = Examination()

    await attack_with(_ground(Front("10.255.255.1", 80, None)), SERVICES, None, examination)

    assert [f.check for f in examination.findings] == ["door.untried"]
    assert not examination.looked_at


def _route(name: str) -> Route:
    return next(route for route in ROUTES if route.name == name)


def _ground(front: Front) -> Ground:
    return Ground(front, ISSUER, leaky_catalogue(), SystemClock(), SystemIds())
