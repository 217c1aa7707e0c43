"""Revocation workers as processes of their own, and a look into what was written."""

import os
import sys
from pathlib import Path

import aiohttp

from latchwire.records import Record, record_key
from shared.bus import Bus
from shared.secrets import load_blocklist_key
from tests.support.servers import ROOT, NatsServer, Server, free_port

URL = "http://localhost:8080"


class Worker(Server):
    """``python -m services.revocation``; `start` returns when its admin door is open."""

    async def is_ready(self) -> bool:
        """What it says of itself at ``/ready``."""
        url = f"http://127.0.0.1:{self.port}/ready"
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


def make_worker(nats: NatsServer, redis_url: str, directory: Path, **more: str) -> Worker:
    """A revocation worker (not started) on these servers; its log is in *directory*."""
    port = free_port()
    settings = {"REDIS_URL": redis_url, "REVOCATION_ADMIN": f"127.0.0.1:{port}", **more}
    variables = environment(nats, **settings) | {"PYTHONPATH": f"{ROOT}:{ROOT / 'sdk' / 'src'}"}
    command = ["env", "-i", *(f"{n}={v}" for n, v in variables.items()), sys.executable]
    log = directory / f"revocation-{port}.log"
    return Worker([*command, "-m", "services.revocation"], port, log)


def environment(nats: NatsServer, **more: str) -> dict[str, str]:
    """Where this installation is, and nothing of the machine's own settings."""
    settings = {"URL": URL, "NATS_URL": nats.url, "SECRETS_DIR": str(nats.secrets_dir), **more}
    return {"PATH": os.defpath} | {f"LATCHWIRE_{name}": v for name, v in settings.items()}


class Ledger:
    """BLOCKLIST as a test reads it, over any bus that may."""

    def __init__(self, bus: Bus, secrets_dir: Path) -> None:
        self._bus = bus
        self.hash_key = load_blocklist_key(secrets_dir)

    def key(self, scope: str, identifier: str) -> str:
        """The record's key."""
        return record_key(self.hash_key, scope, identifier)

    async def record(self, scope: str, identifier: str) -> Record | None:
        """The record about *identifier*, or None."""
        found = await self._bus.get_state(self.key(scope, identifier))
        return Record.unpack(found[0]) if found else None
