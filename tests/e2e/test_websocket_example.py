"""examples/websocket as a process, with real NATS, a real revocation worker and a real revocation."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from shared.clock import SystemClock
from tests.support.revocation import make_worker
from tests.support.servers import ROOT, NatsServer, Server, free_port, start_in_thread
from tests.support.tokens import ISSUER, jwks, make_claims, sign
from tests.support.waiting import eventually

NO_REDIS = "redis://127.0.0.1:1/0"  # nothing listens there: the feed does not need it


@dataclass(frozen=True)
class Chat:
    """The running example at *url*."""

    url: str
    http: aiohttp.ClientSession
    nats: NatsServer

    async def join(self, name: str, sid: str) -> ClientWebSocketResponse:
        """A socket of session *sid*, as a browser opens it."""
        claims = make_claims(now_ms=SystemClock().now_ms(), email=f"{name}@example.com", sid=sid)
        protocols = ["chat", "latchwire.bearer." + sign(claims).decode("ascii")]
        return await self.http.ws_connect(f"{self.url}/chat", protocols=protocols)

    async def revoke(self, sid: str) -> None:
        """As ``latchwire revoke session`` does; returns with the PubAck."""
        body = json.dumps({"scope": "session", "sid": sid, "reason": "stolen"}).encode()
        async with self.nats.connect("operator") as operator:
            await operator.client.request("token.revoked", body, timeout=5)


@pytest.fixture
async def chat(nats_server: NatsServer, secrets_dir: Path, tmp_path: Path) -> AsyncIterator[Chat]:
    """The example, ready; all it was given is what a service is handed."""
    handed = tmp_path / "handed"
    (handed / "nats").mkdir(parents=True)
    shutil.copy(secrets_dir / "blocklist.key", handed)
    shutil.copy(secrets_dir / "operator.jwks.json", handed)
    shutil.copy(secrets_dir / "nats" / "service-shop.seed", handed / "nats")
    (handed / "jwks.json").write_text(json.dumps(jwks()), "ascii")
    worker = make_worker(nats_server, NO_REDIS, tmp_path)
    example = _example(nats_server, handed, tmp_path)
    try:
        await start_in_thread(worker)
        await start_in_thread(example)
        async with aiohttp.ClientSession() as http:
            chat = Chat(f"http://127.0.0.1:{example.port}", http, nats_server)
            await eventually(lambda: _is_ready(chat), within=15)
            yield chat
    finally:
        for part in (example, worker):
            await asyncio.to_thread(part.kill)


def _example(nats: NatsServer, handed: Path, tmp_path: Path) -> Server:
    port = free_port()
    variables = {
        "PATH": os.defpath,
        "PYTHONPATH": str(ROOT / "sdk" / "src"),
        "NATS_URL": nats.url,
        "SECRETS": str(handed),
        "ISSUER": ISSUER,
        "PORT": str(port),
    }
    given = [f"{name}={value}" for name, value in variables.items()]
    app = ROOT / "examples" / "websocket" / "app.py"
    return Server(["env", "-i", *given, sys.executable, str(app)], port, tmp_path / "chat.log")


async def _is_ready(chat: Chat) -> bool:
    async with chat.http.get(f"{chat.url}/health") as answer:
        return answer.status == 200


async def test_only_the_socket_whose_session_is_revoked_closes_and_it_does_at_once(
    chat: Chat,
) -> None:
    """By the revocation itself: nobody has sent or asked anything in between."""
    ada, eve = await chat.join("ada", "ada-1"), await chat.join("eve", "eve-1")
    await ada.send_str("hello")
    assert {"from": "ada@example.com", "text": "hello"} == await eve.receive_json(timeout=5)

    await chat.revoke("eve-1")
    end = await eve.receive(timeout=5)

    assert (WSMsgType.CLOSE, 4401, "token_revoked") == (end.type, end.data, end.extra)
    await ada.receive_json(timeout=5)
    await ada.send_str("is anybody there?")
    assert {"from": "ada@example.com", "text": "is anybody there?"} == (
        await ada.receive_json(timeout=5)
    )
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await chat.join("eve", "eve-1")
    assert 401 == refused.value.status
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await chat.http.ws_connect(f"{chat.url}/chat")
    await (await chat.join("eve", "eve-2")).close()
    await ada.close()
