"""Revocation workers as processes of their own, and a look into what they wrote."""

import os
import sys
from pathlib import Path

from latchwire.records import Record, record_key
from shared.bus import Bus
from shared.secrets import load_blocklist_key
from tests.support.servers import ROOT, NatsServer, Server, free_port


class RevocationWorker(Server):
    """``python -m services.revocation``; `start` returns when its admin door is open."""


def make_worker(nats: NatsServer, redis_url: str, directory: Path) -> RevocationWorker:
    """A worker (not started) on these servers; its log is in *directory*."""
    port = free_port()
    settings = {
        "LATCHWIRE_URL": "http://localhost:8080",
        "LATCHWIRE_NATS_URL": nats.url,
        "LATCHWIRE_REDIS_URL": redis_url,
        "LATCHWIRE_SECRETS_DIR": str(nats.secrets_dir),
        "LATCHWIRE_REVOCATION_ADMIN": f"127.0.0.1:{port}",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'sdk' / 'src'}",
    }
    # `env` rather than our own environment: a setting of the machine must not leak in.
    variables = [f"{name}={value}" for name, value in settings.items()]
    command = ["env", "-i", *variables, f"PATH={os.defpath}", sys.executable, "-m"]
    log = directory / f"revocation-{port}.log"
    return RevocationWorker([*command, "services.revocation"], port, log)


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
