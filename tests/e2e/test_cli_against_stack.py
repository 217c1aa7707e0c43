"""The operator's word against the running product: what `latchwire revoke` says is over is over."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import nats
from nats.aio.client import Client as NatsClient

from tests.support.stack import Stack
from tests.support.visitor import Client, code_in, log_in, open_client, token_in
from tests.support.waiting import eventually

STOLEN = ("--reason", "laptop stolen")


async def reason_of(client: Client, token: str) -> tuple[int, str]:
    """One check through Traefik: the status, and why it was refused."""
    status, seen = await client.get("/demo", token)
    return status, str(seen.get("X-Latchwire-Reason", ""))


async def renewal(client: Client, tokens: dict[str, Any]) -> int:
    """What a refresh token gets."""
    status, _ = await client.post("/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    return status


async def renewals_end(client: Client, tokens: dict[str, Any]) -> None:
    """Return when auth has heard of it too; the command waits for the edges, which refuse what it renewed."""

    async def refused() -> bool:
        return await renewal(client, tokens) == 401

    await eventually(refused)


def claims_of(tokens: dict[str, Any]) -> dict[str, Any]:
    """What an access token says."""
    claims: dict[str, Any] = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    return claims


async def test_revoking_a_person_kills_stolen_tokens_and_the_unopened_link(stack: Stack) -> None:
    """When the command returns 0, nothing the thief holds opens anything: no waiting, no 15 minutes."""
    address = "stolen-laptop@example.com"
    async with open_client(stack.url) as client:
        tokens = await log_in(client, stack.inbox, address)
        _, asked = await client.post("/auth/login", {"email": address})
        unopened = await stack.mail_to(address, count=2)
        assert await reason_of(client, tokens["access_token"]) == (200, "")

        done = stack.command("--json", "revoke", "person", "Stolen-Laptop@EXAMPLE.com", *STOLEN)

        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert said["complete"]
        assert [edge["edge_id"] for edge in said["edges"] if edge["confirmed"]] == ["edge-1"]
        assert await reason_of(client, tokens["access_token"]) == (401, "token_revoked")
        await renewals_end(client, tokens)
        by_code = {"login_id": asked["login_id"], "code": code_in(unopened)}
        for proof in ({"token": token_in(unopened)}, by_code):
            assert (await client.post("/auth/link", proof))[0] == 410


async def test_a_revoked_person_may_sign_in_anew_and_nobody_else_notices(stack: Stack) -> None:
    """It ends what was, it does not lock out; for that there is `users block`."""
    async with open_client(stack.url) as client:
        bystander = await log_in(client, stack.inbox, "bystander@example.com")
        await log_in(client, stack.inbox, "comes-back@example.com")
        assert stack.command("revoke", "person", "comes-back@example.com", *STOLEN).returncode == 0

        anew = await log_in(client, stack.inbox, "comes-back@example.com")

        assert await reason_of(client, anew["access_token"]) == (200, "")
        assert await renewal(client, anew) == 200
        assert await reason_of(client, bystander["access_token"]) == (200, "")


async def test_revoking_a_session_leaves_the_persons_other_one(stack: Stack) -> None:
    """The laptop is out, the telephone is not."""
    async with open_client(stack.url) as client:
        laptop = await log_in(client, stack.inbox, "two-devices@example.com")
        phone = await log_in(client, stack.inbox, "two-devices@example.com")

        done = stack.command("revoke", "session", claims_of(laptop)["sid"], *STOLEN)

        assert done.returncode == 0, done.stderr
        assert await reason_of(client, laptop["access_token"]) == (401, "token_revoked")
        await renewals_end(client, laptop)
        assert await reason_of(client, phone["access_token"]) == (200, "")
        assert await renewal(client, phone) == 200


async def test_revoking_a_token_ends_it_and_its_session_goes_on(stack: Stack) -> None:
    """One access token leaked into a log, say; `explain` says why it is refused."""
    async with open_client(stack.url) as client:
        tokens = await log_in(client, stack.inbox, "leaked-token@example.com")

        done = stack.command("revoke", "token", claims_of(tokens)["jti"], *STOLEN)

        assert done.returncode == 0, done.stderr
        assert await reason_of(client, tokens["access_token"]) == (401, "token_revoked")
        why = stack.command("explain", "--token-stdin", stdin=tokens["access_token"])
        assert "token_revoked" in why.stdout
        assert await renewal(client, tokens) == 200


async def test_a_blocked_person_is_out_and_stays_out_until_unblocked(stack: Stack) -> None:
    """Sessions end, links die, the answer to a new request is the same 202 and no mail comes."""
    address = "blocked@example.com"
    async with open_client(stack.url) as client:
        tokens = await log_in(client, stack.inbox, address)
        assert stack.command("users", "block", address, "--reason", "test").returncode == 0

        status, _ = await client.post("/auth/login", {"email": address})

        assert status == 202
        assert await renewal(client, tokens) == 401
        assert stack.command("users", "unblock", address).returncode == 0
        await log_in(client, stack.inbox, address)
        assert len(await stack.inbox.mails_to(address)) == 2


async def test_a_service_that_was_just_added_revokes_a_session_and_nothing_more(
    stack: Stack,
) -> None:
    """No restart of anything: let in by NATS, allowed by the table, and out again when it is removed."""
    async with open_client(stack.url) as client:
        tokens = await log_in(client, stack.inbox, "ordered-too-much@example.com")
        other = await log_in(client, stack.inbox, "ordered-too-much@example.com")
        added = stack.command("--json", "services", "add", "shop", "--may-revoke", "session")
        assert added.returncode == 0, added.stderr
        told = json.loads(added.stdout)
        body = {"scope": "session", "sid": claims_of(tokens)["sid"], "reason": "order cancelled"}
        person = {"scope": "subject", "sub": "ordered-too-much@example.com", "reason": "because"}

        async with as_service(told) as nc:
            ack = await nc.jetstream().publish(told["says"], json.dumps(body).encode(), timeout=5)
            await nc.jetstream().publish(told["says"], json.dumps(person).encode(), timeout=5)

            assert ack.stream == "TOKEN_BY"
            await eventually(lambda: refused(client, tokens))
            await eventually(lambda: "deadletter.token.revoked-by-shop" in status_of(stack))
            assert await reason_of(client, other["access_token"]) == (200, ""), "the person is not"

            assert stack.command("services", "remove", "shop").returncode == 0
            await eventually(lambda: not nc.is_connected)


def status_of(stack: Stack) -> str:
    """What `status` prints; dead letters by name among it."""
    return stack.command("status").stdout


async def refused(client: Client, tokens: dict[str, Any]) -> bool:
    """Whether the edge knows that it was revoked."""
    return await reason_of(client, tokens["access_token"]) == (401, "token_revoked")


@asynccontextmanager
async def as_service(told: dict[str, Any]) -> AsyncIterator[NatsClient]:
    """A plain NATS client with what `services add` told."""

    async def ignored(_error: Exception) -> None:
        return

    client = await nats.connect(
        told["nats_url"],
        nkeys_seed_str=Path(told["seed"]).read_text().strip(),
        inbox_prefix=told["inbox_prefix"],
        error_cb=ignored,
    )
    try:
        yield client
    finally:
        await client.close()


async def test_explain_tells_the_rule_the_session_and_the_place_in_blocklist(stack: Stack) -> None:
    """Through the running product: what an operator reads when somebody calls."""
    async with open_client(stack.url) as client:
        tokens = await log_in(client, stack.inbox, "calls-support@example.com")
        sid = claims_of(tokens)["sid"]
        dry = stack.command("--json", "revoke", "session", sid, *STOLEN, "--dry-run")
        assert await reason_of(client, tokens["access_token"]) == (200, "")
        done = stack.command("revoke", "session", sid, *STOLEN)
        request = ("--request", f"GET {stack.url}/demo")

        why = stack.command("explain", "--token-stdin", *request, stdin=tokens["access_token"])

    assert json.loads(dry.stdout)["event"]["sid"] == sid
    assert json.loads(dry.stdout)["matched"] == {"sessions": 1, "links": 0}
    assert "matches     1 session, 0 unopened links" in done.stdout
    assert why.stdout.startswith("refused: token_revoked (401)")
    assert f"Session {sid} was revoked " in why.stdout
    assert "(BLOCKLIST " in why.stdout
    assert "Rule demo: /demo is for everybody signed in." in why.stdout
    assert tokens["access_token"] not in why.stdout + why.stderr
