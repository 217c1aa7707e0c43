"""What the runbook uses of the `nats` command: `req` with `-s`, `--inbox-prefix` and `--nkey`, and no more."""

import argparse
import asyncio
import sys
from pathlib import Path

import nats


def read_arguments() -> argparse.Namespace:
    """Anything else than the documented options is a usage error, as with the real one."""
    parser = argparse.ArgumentParser(prog="nats", allow_abbrev=False)
    parser.add_argument("-s", "--server", default="nats://127.0.0.1:4222")
    parser.add_argument("--inbox-prefix", default="_INBOX")
    parser.add_argument("--nkey", type=Path)
    parser.add_argument("command", choices=["req"])
    parser.add_argument("subject")
    parser.add_argument("body")
    return parser.parse_args()


async def request(arguments: argparse.Namespace) -> str:
    """The reply to one question."""
    client = await nats.connect(
        arguments.server,
        nkeys_seed=str(arguments.nkey) if arguments.nkey else None,
        inbox_prefix=arguments.inbox_prefix,
        allow_reconnect=False,
        connect_timeout=5,
    )
    try:
        reply = await client.request(arguments.subject, arguments.body.encode(), timeout=5)
        return reply.data.decode()
    finally:
        await client.close()


def install(folder: Path) -> Path:
    """Make *folder* hold an executable `nats`; to be put in front of PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / "nats"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "$@"\n')
    command.chmod(0o755)
    return folder


if __name__ == "__main__":
    print(asyncio.run(request(read_arguments())))
