"""A service that keeps notes of people, and erases them when their account is deleted."""

import asyncio
import logging
import os
import signal
from pathlib import Path

from latchwire.connect import connect
from latchwire.deletions import Erasure, Outcome, UserFact, hear_users, serve_deletions

log = logging.getLogger("notes")


class Notes:
    """A file for each person, named by the ``sub`` of their tokens; your database, in a real service."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def path(self, sub: str) -> Path:
        """Hexadecimal, because a ``sub`` may be an address."""
        return self._folder / sub.encode().hex()

    async def erase(self, erasure: Erasure) -> Outcome:
        """Asked until it says done, perhaps more than once: what is gone already is no error."""
        self.path(erasure.sub).unlink(missing_ok=True)
        log.info("erased %s", erasure.deletion_id)
        return "done"

    async def hear(self, fact: UserFact) -> None:
        """Who signed in before there were accounts may have another ``sub`` now: the notes are still theirs."""
        log.info("heard %s", fact.fact)
        if (
            fact.fact == "registered"
            and fact.previous_sub
            and self.path(fact.previous_sub).exists()
        ):
            self.path(fact.previous_sub).rename(self.path(fact.sub))


async def main() -> None:
    """Until it is told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    secrets, name = Path(os.environ.get("SECRETS", "secrets")), os.environ.get("NAME", "shop")
    seed = (secrets / "nats" / f"service-{name}.seed").read_text().strip()
    servers = os.environ.get("NATS_URL", "nats://127.0.0.1:4222")
    notes, stop = Notes(Path(os.environ.get("NOTES", "notes"))), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with (
        connect(servers, name=f"service-{name}", nkey_seed=seed) as client,
        hear_users(client, notes.hear),
        serve_deletions(client, name, notes.erase),
    ):
        log.info("ready")
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
