"""The operator's word against the running product: what `latchwire revoke` says is over is over."""

import json
from typing import Any

import jwt

from tests.support.stack import Stack
from tests.support.visitor import Client, code_in, log_in, open_client, token_in

STOLEN = ("--reason", "laptop stolen")


async def reason_of(client: Client, token: str) -> tuple[int, str]:
    """One check through Traefik: the status, and why it was refused."""
    status, seen = await client.get("/demo", token)
    return status, str(seen.get("X-Latchwire-Reason", ""))


async def renewal(client: Client, tokens: dict[str, Any]) -> int:
    """What a refresh token gets."""
    status, _ = await client.post("/auth/refresh", {"refresh_token": tokens["refresh_token"]})
    return status


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
        assert await renewal(client, tokens) == 401
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
        assert await renewal(client, laptop) == 401
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
