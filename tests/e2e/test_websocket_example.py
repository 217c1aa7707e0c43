"""examples/websocket beside the whole product: people log in, chat, log out, and are out of it at once."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from tests.support.servers import ROOT, Server, free_port
from tests.support.stack import Stack
from tests.support.visitor import log_in, open_client
from tests.support.waiting import eventually

RECEIVED = 30.0  # seconds of patience


@dataclass(frozen=True)
class Chat:
    """The running example at *url*."""

    url: str
    http: aiohttp.ClientSession

    async def join(self, tokens: dict[str, Any]) -> ClientWebSocketResponse:
        """A socket, as a browser opens it."""
        protocols = ["chat", f"latchwire.bearer.{tokens['access_token']}"]
        return await self.http.ws_connect(f"{self.url}/chat", protocols=protocols)

    async def is_ready(self) -> bool:
        """What its health check says."""
        async with self.http.get(f"{self.url}/health") as answer:
            return answer.status == 200


@pytest.fixture(scope="module")
def example(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The example as a process, with the credential that `services add` made."""
    added = stack.command("--json", "services", "add", "chat")
    assert added.returncode == 0, added.stderr
    example = _example(stack, json.loads(added.stdout), tmp_path_factory.mktemp("chat"))
    try:
        example.start()
        yield example
    finally:
        example.kill()
        stack.command("services", "remove", "chat")


@pytest.fixture
async def chat(example: Server) -> AsyncIterator[Chat]:
    """The example, ready."""
    async with aiohttp.ClientSession() as http:
        chat = Chat(f"http://127.0.0.1:{example.port}", http)
        await eventually(chat.is_ready, within=60)
        yield chat


def _example(stack: Stack, told: dict[str, Any], tmp_path: Path) -> Server:
    port = free_port()
    variables = {
        "PATH": os.defpath,
        "SECRETS": str(stack.run["secrets_dir"]),
        "NAME": told["credential"],
        "NATS_URL": told["nats_url"],
        "ISSUER": stack.url,
        "PORT": str(port),
    }
    given = [f"{name}={value}" for name, value in variables.items()]
    app = ROOT / "examples" / "websocket" / "app.py"
    return Server(["env", "-i", *given, sys.executable, str(app)], port, tmp_path / "chat.log")


async def test_a_socket_closes_when_its_session_is_ended_and_the_others_stay(
    stack: Stack, chat: Chat
) -> None:
    """By the logout itself: nobody has sent or asked anything in between."""
    async with open_client(stack.url) as client:
        here = await log_in(client, stack.inbox, "chat-ada@example.com")
        there = await log_in(client, stack.inbox, "chat-ada@example.com")
        ada, phone = await chat.join(here), await chat.join(there)
        await ada.send_str("hello")
        said = {"from": "chat-ada@example.com", "text": "hello"}
        assert said == await ada.receive_json(timeout=RECEIVED)
        assert said == await phone.receive_json(timeout=RECEIVED)

        status, _ = await client.post("/auth/logout", token=there["access_token"])
        end = await phone.receive(timeout=RECEIVED)

        assert status in {200, 204}
        assert (WSMsgType.CLOSE, 4401, "token_revoked") == (end.type, end.data, end.extra)
        await ada.send_str("still here")
        assert "still here" == (await ada.receive_json(timeout=RECEIVED))["text"]
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await chat.join(there)
        assert 401 == refused.value.status
        for socket in (ada, phone):
            await socket.close()


async def test_a_person_whom_an_operator_puts_out_is_out_of_every_socket(
    stack: Stack, chat: Chat
) -> None:
    """`latchwire revoke person`; who signs in again comes back in."""
    async with open_client(stack.url) as client:
        tokens = await log_in(client, stack.inbox, "chat-eve@example.com")
        socket = await chat.join(tokens)

        done = await asyncio.to_thread(
            stack.command, "revoke", "person", "chat-eve@example.com", "--reason", "stolen"
        )
        end = await socket.receive(timeout=RECEIVED)

        assert done.returncode == 0, done.stderr
        assert (4401, "token_revoked") == (end.data, end.extra)
        await socket.close()
        anew = await log_in(client, stack.inbox, "chat-eve@example.com")
        await (await chat.join(anew)).close()
