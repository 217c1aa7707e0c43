"""`latchwire up` as people meet it: ready or a reason, together or not at all, nothing left behind."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctl.up import ports
from tests.support.stack import Up, is_alive, start_stack
from tests.support.waiting import eventually

PARTS = {
    "nats", "redis", "mailbox", "demo", "auth", "edge", "mailer", "revocation", "traefik",
}  # fmt: skip


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One state directory for this file: all but the first start are second starts."""
    return tmp_path_factory.mktemp("up") / "state"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def free() -> str:
    """A free port."""
    return str(ports.choose(("any",), {})["any"])


def test_a_taken_port_is_named_with_its_cure_before_anything_starts(
    state: Path, taken: int
) -> None:
    """Both doors are looked at; no process was started for it."""
    up = Up.start(state, PORT=str(taken), MAIL_PORT=str(taken))

    assert up.wait() == 1
    assert f"Port {taken} (front door) is taken" in up.text
    assert "make up PORT=" in up.text
    assert "make up MAIL_PORT=" in up.text
    assert not (state / "logs").exists()
    up.kill()


def test_every_part_is_shown_ready_and_ctrl_c_ends_them_all(state: Path) -> None:
    """Each with its time and address; run.json names processes that live, and none does afterwards."""
    stack = start_stack(state)
    pids = stack.run["pids"]

    shown = {line.split()[0] for line in stack.up.output if " ready " in line}
    assert shown == PARTS | {"streams"}
    assert set(pids) == PARTS
    assert all(is_alive(pid) for pid in pids.values())

    assert stack.up.end(signal.SIGINT, within=12) == 0, stack.up.text
    assert not [name for name, pid in pids.items() if is_alive(pid)]
    assert "was killed" not in stack.up.text
    assert not (state / "run.json").exists()
    stack.up.kill()


def test_the_second_start_takes_less_than_ten_seconds(state: Path) -> None:
    """Keys, streams and catalogue are there already; the catalogue is the very same file."""
    (state / "services.yaml").write_text((state / "services.yaml").read_text() + "# mine\n")
    began = time.monotonic()
    stack = start_stack(state)
    seconds = time.monotonic() - began
    stack.up.end(signal.SIGTERM)

    assert seconds < 10
    assert "as they should be" in stack.up.text
    assert (state / "services.yaml").read_text().endswith("# mine\n")
    stack.up.kill()


@pytest.mark.parametrize("part", ["edge", "redis"])
def test_the_death_of_any_part_ends_all_and_says_which(state: Path, part: str) -> None:
    """With the last lines of its log; the exit code is 1."""
    stack = start_stack(state)
    pids = stack.run["pids"]

    os.kill(pids[part], signal.SIGKILL)

    assert stack.up.wait() == 1
    assert f"{part} was ended by signal 9; the end of " in stack.up.text
    assert "  | " in stack.up.text
    assert not [name for name, pid in pids.items() if is_alive(pid)]
    stack.up.kill()


async def test_kill_9_of_up_leaves_no_orphan(state: Path) -> None:
    """The kernel ends the parts when whoever started them is gone."""
    stack = start_stack(state)
    pids = stack.run["pids"]

    stack.up.process.kill()

    await eventually(lambda: not [n for n, pid in pids.items() if is_alive(pid)], within=5)
    stack.up.kill()


def test_a_second_up_on_the_same_state_is_refused(state: Path) -> None:
    """Two would write into the same stores."""
    stack = start_stack(state)
    second = Up.start(state, PORT=free(), MAIL_PORT=free())

    assert second.wait() == 1
    assert "already running" in second.text
    assert stack.up.end() == 0
    stack.up.kill()
    second.kill()


def test_an_application_is_put_behind_it_and_its_stanza_printed(state: Path, taken: int) -> None:
    """The developer's own services.yaml stays as it is."""
    before = (state / "services.yaml").read_text()
    stack = start_stack(state, APP=f"http://localhost:{taken}")
    stack.up.wait_for("Ctrl-C")

    assert f"    upstream: http://localhost:{taken}" in stack.up.output
    assert "    paths: [/]" in stack.up.output
    assert stack.up.end() == 0
    assert (state / "services.yaml").read_text() == before
    stack.up.kill()


def test_a_mistake_in_the_catalogue_is_named_before_anything_starts(state: Path) -> None:
    """With its line; what is wrong is not guessed at."""
    services = state / "services.yaml"
    before = services.read_text()
    services.write_text(before.replace("require_auth: true", "require_aut: true"))
    up = Up.start(state, PORT=free(), MAIL_PORT=free())

    assert up.wait() == 1
    assert "services.yaml" in up.text
    assert "require_auth" in up.text
    services.write_text(before)
    up.kill()
