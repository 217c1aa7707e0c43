"""The doctor at what ``up`` starts: nothing leaks through real Traefik, on the real bus, in the real stores."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ctl import exits
from tests.support.command_forks import forked_words
from tests.support.servers import free_port
from tests.support.stack import Stack
from tests.support.visitor import log_in, open_client

pytestmark = pytest.mark.timeout(300)  # some hundred attempts, and the waits between them


def test_nothing_leaks_from_a_fresh_installation(stack: Stack) -> None:
    """Every attempt was made: through the door, as each credential, and each worker told what it sees."""
    answer = stack.command("doctor", "--json", "--through", stack.url)
    told: dict[str, Any] = json.loads(answer.stdout)

    assert [f for f in told["findings"] if f["severity"] == "leak"] == []
    assert answer.returncode == exits.DONE, answer.stderr
    assert told["looked_at"]["workers"] == 4
    assert told["looked_at"]["attempts through the door"] > 100
    assert {f["check"] for f in told["findings"]} <= {"catalogue.no_limit"}


async def test_nothing_leaks_with_real_tokens_and_an_echo(stack: Stack, tmp_path: Path) -> None:
    """A person's token and one of the doctor's own, with its own echo, whose lines it asks for itself."""
    file, services = tmp_path / "token", stack.up.state / "services.yaml"
    async with open_client(stack.url) as client:
        tokens = await log_in(client, stack.inbox, "doctor@example.com")
    file.write_text(tokens["access_token"])
    before, port = services.read_text(), str(free_port())
    words = ["--through", stack.url, "--own-token", "--token-file", str(file), "--echo", port]
    doctor = subprocess.Popen(
        [*forked_words(), "--context", stack.up.state, "doctor", "--json", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = await asyncio.to_thread(_lines_it_asks_for, doctor)
        services.write_text(before + lines)
        out, err = await asyncio.to_thread(doctor.communicate, timeout=200)
    finally:
        doctor.kill()
        services.write_text(before)
    told: dict[str, Any] = json.loads(out)

    assert [f for f in told["findings"] if f["severity"] == "leak"] == []
    assert {f["check"] for f in told["findings"]} <= {"catalogue.no_limit", "door.revoked_late"}
    assert doctor.returncode == exits.DONE, err
    assert told["looked_at"]["ms from a revocation to its refusal at the door"] >= 0
    assert tokens["access_token"] not in out + err
    listed = stack.command("tokens", "list", "--json", "--service", "latchwire-doctor")
    assert json.loads(listed.stdout)["tokens"] == []


def _lines_it_asks_for(doctor: "subprocess.Popen[str]") -> str:
    assert doctor.stderr is not None
    lines: list[str] = []
    for line in doctor.stderr:
        lines += [line] if line.startswith("  ") else []
        if "callers" in line:
            break
    return "".join(lines)
