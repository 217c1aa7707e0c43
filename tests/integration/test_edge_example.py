"""The ten services of deploy/proxies/services.yaml at an edge's door: who gets in where, and who hears what."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.edge import make_desk, token
from tests.support.edge_http import Door, Reply, open_door
from tests.support.service_tokens import made_token
from tests.support.tokens import NOW_MS

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "proxies" / "services.yaml"
ACME_ORG = "01J8ZC3M5N7P9Q1R3S5T7V9WXY"  # the organisation of the example
LONG_AGO = NOW_MS // 1000 - 3_600
ACME = "ada@acme.com"
METRICS_BOT = made_token("discord-bot", scopes=("metrics.read",))
POOR_BOT = made_token("discord-bot", id="01J0000000000000000000B0T2")
LEDGER_JOB = made_token("payroll", scopes=("ledger.write",))
SHOP = made_token("shop", scopes=("orders.read",))
CALLERS = {
    "nobody": b"",
    "ada": token(),
    "auditor": token(roles=["auditor"], email=ACME),
    "auditor elsewhere": token(roles=["auditor"]),
    "colleague": token(email=ACME),
    "member": token(org="01ORG", roles=["org:member"]),
    "owner": token(org=ACME_ORG, roles=["org:owner"]),
    "owner since an hour": token(org=ACME_ORG, roles=["org:owner"], auth_time=LONG_AGO),
    "owner elsewhere": token(org="01ORG", roles=["org:owner"]),
    "biller elsewhere": token(org="01ORG", roles=["org:billing"], email=ACME),
    "clerk": token(permissions=["orders.read"]),
    "discord-bot": METRICS_BOT.raw,
    "discord-bot without scope": POOR_BOT.raw,
    "payroll": LEDGER_JOB.raw,
    "shop": SHOP.raw,
}
OK = "allow"
EVERYBODY = dict.fromkeys(CALLERS, OK)
PEOPLE = (
    "ada",
    "auditor",
    "auditor elsewhere",
    "colleague",
    "member",
    "owner",
    "owner since an hour",
    "owner elsewhere",
    "biller elsewhere",
    "clerk",
)
MEMBERS = PEOPLE[4:9]
SERVICES = ("discord-bot", "discord-bot without scope", "payroll", "shop")


def only(allowed: tuple[str, ...], people: str, services: str, **others: str) -> dict[str, str]:
    """*allowed* get in; what *people* and *services* hear otherwise; *others* by name, with _ for a space."""
    told = {
        "nobody": "no_credentials",
        **dict.fromkeys(PEOPLE, people),
        **dict.fromkeys(SERVICES, services),
    }
    return {
        **told,
        **dict.fromkeys(allowed, OK),
        **{k.replace("_", " "): v for k, v in others.items()},
    }


WRONG, NOT = "wrong_token_type", "not_allowed"
TABLE = {
    ("auth.acme.com", "/shop/basket", ""): only(PEOPLE, NOT, WRONG),
    ("auth.acme.com", "/shop/prices", ""): EVERYBODY,
    ("auth.acme.com", "/shopping", ""): dict.fromkeys(CALLERS, "no_route"),
    ("auth.acme.com", "/billing", ""): only(("auditor",), NOT, WRONG),
    ("reports.acme.com", "/any", ""): only(PEOPLE, NOT, WRONG),
    ("auth.acme.com", "/status", ""): EVERYBODY,
    ("auth.acme.com", "/api/internal/metrics", ""): only(("discord-bot",), WRONG, NOT),
    ("api.acme.com", "/orders/7", ""): only(("clerk", "shop"), NOT, NOT),
    ("app.acme.com", "/", ""): only(MEMBERS, NOT, WRONG),
    ("app.acme.com", "/assets/a.css", ""): EVERYBODY,
    ("app.acme.com", "/payouts", ""): only(("owner",), NOT, WRONG, owner_since_an_hour="login_too_old"),
    ("ledger.acme.com", "/", ""): dict.fromkeys(CALLERS, "not_exposed"),
    ("ledger.acme.com", "/", "/ledger"): only(("payroll",), WRONG, NOT),
    ("wiki.acme.com", "/Main", ""): only(PEOPLE, NOT, WRONG),
    ("evil.acme.com", "/", ""): dict.fromkeys(CALLERS, "no_route"),
}  # fmt: skip


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """An edge that goes by the example."""
    desk = make_desk(EXAMPLE.read_text("utf-8"))
    rows = tuple(made.row for made in (METRICS_BOT, POOR_BOT, LEDGER_JOB, SHOP))
    desk.tokens.use_service_tokens(rows)
    async with open_door(desk) as door:
        yield door


async def ask(
    door: Door, place: tuple[str, str, str], credential: bytes, extra: bytes = b""
) -> Reply:
    """A check for *place* (host, path, and the service that it names behind a slash)."""
    host, path, chosen = place
    head = (
        b"X-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\n"
        + f"X-Forwarded-Host: {host}\r\nX-Forwarded-Uri: {path}\r\n".encode()
    )
    bearer = b"Authorization: Bearer " + credential + b"\r\n" if credential else b""
    line = f"GET /check/traefik{chosen} HTTP/1.1".encode()
    return await door.check(bearer + extra, head=head, line=line)


@pytest.mark.parametrize("place", TABLE, ids=lambda place: "".join(place))
async def test_each_service_lets_in_whom_its_entry_says(
    door: Door, place: tuple[str, str, str]
) -> None:
    """Fifteen callers at each place; whoever is refused hears why, as far as a stranger may."""
    heard = {}
    for name, credential in CALLERS.items():
        reply = await ask(door, place, credential)
        heard[name] = OK if reply.status == 200 else reply.get("x-latchwire-reason")

    assert heard == TABLE[place]


async def test_an_old_login_is_challenged_with_the_age_that_it_may_have(door: Door) -> None:
    """RFC 9470 §3: a client knows that another login helps, and how recent it has to be."""
    payouts = ("app.acme.com", "/payouts", "")
    reply = await ask(door, payouts, CALLERS["owner since an hour"])

    challenge = reply.get("www-authenticate")
    assert reply.status == 401
    assert challenge.startswith("Bearer ")
    assert 'error="insufficient_user_authentication"' in challenge
    assert 'max_age="900"' in challenge


async def test_a_refusal_does_not_tell_a_stranger_which_rule_to_work_on(door: Door) -> None:
    """Roles, addresses and organisations look alike from outside."""
    answers = [
        await ask(door, ("auth.acme.com", "/billing", ""), CALLERS["auditor elsewhere"]),
        await ask(door, ("auth.acme.com", "/billing", ""), CALLERS["colleague"]),
        await ask(door, ("app.acme.com", "/", ""), CALLERS["ada"]),
    ]

    told = [
        {k: v for k, v in a.headers.items() if k not in {"x-request-id", "date"}} for a in answers
    ]
    assert told[0] == told[1] == told[2]
    assert all(answer.rest == b"" for answer in answers)


async def test_a_service_hears_its_own_headers_for_everybody_and_empty_ones_for_nobody(
    door: Door,
) -> None:
    """`orders` wants permissions and the client; a service that calls has no person's headers."""
    orders = ("api.acme.com", "/orders", "")
    spoofed = b"X-User-Permissions: all\r\nX-Client-Id: me\r\n"

    clerk = await ask(door, orders, CALLERS["clerk"], spoofed)
    shop = await ask(door, orders, CALLERS["shop"], spoofed)

    assert (clerk.get("x-user-permissions"), clerk.get("x-client-id")) == ("orders.read", "browser")
    assert (clerk.get("x-token-type"), clerk.get("x-service-name")) == ("user", "")
    assert (shop.get("x-user-permissions"), shop.get("x-client-id")) == ("orders.read", "shop")
    assert (shop.get("x-token-type"), shop.get("x-service-name")) == ("service", "shop")
    assert (shop.get("x-user-id"), shop.get("x-user-email")) == ("", "")
