"""The commands in the README of each example that stands beside `make up`, run as written."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.servers import free_port
from tests.support.stack import ROOT, Stack
from tests.support.waiting import eventually


def commands(example: str) -> str:
    """The one block of its page."""
    page = (ROOT / "examples" / example / "README.md").read_text()
    (block,) = re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return str(block)


def as_written(stack: Stack, script: str) -> str:
    """Only the state directory and the address of NATS are this stack's."""
    script = script.replace("./latchwire ", f"./latchwire --context {stack.up.state} ")
    script = script.replace(".latchwire/", f"{stack.up.state}/")
    return script.replace("nats://127.0.0.1:4222", stack.run["nats_url"])


def is_ready(error: str) -> bool:
    """What examples/erasing_service says once it can be asked."""
    return "ready\n" in error


def listens(error: str) -> bool:
    """What the server of examples/websocket says."""
    return "Running on" in error


@pytest.mark.parametrize(("example", "up"), [("erasing_service", is_ready), ("websocket", listens)])
async def test_an_example_starts_as_its_page_says(
    stack: Stack, tmp_path: Path, example: str, up: Callable[[str], bool]
) -> None:
    """In the checkout, with nothing installed and nothing in the environment but what the page sets."""
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    own = {"NOTES": str(tmp_path / "notes"), "PORT": str(free_port())}
    log = tmp_path / "said"
    with log.open("wb") as said:
        running = subprocess.Popen(
            ["bash", "-ec", as_written(stack, commands(example).rstrip())],
            cwd=ROOT,
            env={**bare, **own},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        await eventually(lambda: running.poll() is not None or up(log.read_text()), within=60)
        assert running.poll() is None, log.read_text()
    finally:
        stack.command("services", "remove", "shop")
        os.killpg(running.pid, 9)
        running.wait()
