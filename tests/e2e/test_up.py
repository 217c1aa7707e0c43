"""`latchwire up` as people meet it: ready or a reason, together or not at all, nothing left behind."""

import json
import os
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ctl.up import ports
from tests.support.stack import Stack, Up, is_alive
from tests.support.waiting import eventually

PARTS = {
    "nats", "redis", "mailbox", "demo", "auth", "edge", "mailer", "revocation", "traefik",
}  # fmt: skip


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One state directory for this file: all but the first start are second starts."""
    return tmp_path_factory.mktemp("up") / "state"


@dataclass
class House:
    """What a test starts on one state directory; whatever is left is killed at its end."""

    state: Path
    started: list[Up] = field(default_factory=list)

    def up(self, **environment: str) -> Up:
        """Start `up`, on free ports where *environment* names none."""
        up = Up.start(self.state, **{"PORT": free(), "MAIL_PORT": free(), **environment})
        self.started.append(up)
        return up

    def ready(self, **environment: str) -> Stack:
        """The same, ready."""
        up = self.up(**environment)
        up.wait_for("Ready after")
        return Stack(up, up.run())


@pytest.fixture
def house(state: Path) -> Iterator[House]:
    """The state directory of this file."""
    house = House(state)
    yield house
    for up in house.started:
        up.kill()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def contents(folder: Path) -> dict[str, bytes]:
    """What is in each file of *folder*."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def free() -> str:
    """A free port."""
    return str(ports.choose(("any",), {})["any"])


def test_a_taken_port_is_named_with_its_cure_before_anything_starts(
    house: House, taken: int
) -> None:
    """Both doors are looked at; no process was started for it."""
    up = house.up(PORT=str(taken), MAIL_PORT=str(taken))

    assert up.wait() == 1
    assert f"Port {taken} (front door) is taken" in up.text
    assert "make up PORT=" in up.text
    assert "make up MAIL_PORT=" in up.text
    assert not (house.state / "logs").exists()


def test_every_part_is_shown_ready_and_ctrl_c_ends_them_all(house: House) -> None:
    """Each with its time and address; run.json names processes that live, and none does afterwards."""
    stack = house.ready()
    pids = stack.run["pids"]

    shown = {line.split()[0] for line in stack.up.output if " ready " in line}
    assert shown == PARTS | {"streams"}
    assert set(pids) == PARTS
    assert all(is_alive(pid) for pid in pids.values())

    assert stack.up.end(signal.SIGINT, within=12) == 0, stack.up.text
    assert not [name for name, pid in pids.items() if is_alive(pid)]
    assert "was killed" not in stack.up.text
    assert not (house.state / "run.json").exists()


def test_the_second_start_makes_nothing_anew(house: House) -> None:
    """Keys, streams and catalogue are there already; each secret and the catalogue are the same."""
    (house.state / "services.yaml").write_text(
        (house.state / "services.yaml").read_text() + "# mine\n"
    )
    before = contents(house.state / "secrets")
    stack = house.ready()
    stack.up.end(signal.SIGTERM)

    assert before
    assert contents(house.state / "secrets") == before
    assert "as they should be" in stack.up.text
    assert (house.state / "services.yaml").read_text().endswith("# mine\n")


@pytest.mark.parametrize("part", ["edge", "redis"])
def test_the_death_of_any_part_ends_all_and_says_which(house: House, part: str) -> None:
    """With the last lines of its log; the exit code is 1."""
    stack = house.ready()
    pids = stack.run["pids"]

    os.kill(pids[part], signal.SIGKILL)

    assert stack.up.wait() == 1
    assert f"{part} was ended by signal 9; the end of " in stack.up.text
    assert "  | " in stack.up.text
    assert not [name for name, pid in pids.items() if is_alive(pid)]


async def test_kill_9_of_up_leaves_no_orphan(house: House) -> None:
    """The kernel ends the parts when whoever started them is gone."""
    stack = house.ready()
    pids = stack.run["pids"]

    stack.up.process.kill()

    await eventually(lambda: not [n for n, pid in pids.items() if is_alive(pid)], within=5)


def test_a_second_up_on_the_same_state_is_refused(house: House) -> None:
    """Two would write into the same stores."""
    stack = house.ready()
    second = house.up()

    assert second.wait() == 1
    assert "already running" in second.text
    assert stack.up.end() == 0


def test_an_application_is_put_behind_it_and_its_stanza_printed(house: House, taken: int) -> None:
    """The developer's own services.yaml stays as it is."""
    before = (house.state / "services.yaml").read_text()
    stack = house.ready(APP=f"http://localhost:{taken}")
    stack.up.wait_for("Ctrl-C")

    assert f"    upstream: http://localhost:{taken}" in stack.up.output
    assert "    paths: [/]" in stack.up.output
    assert stack.up.end() == 0
    assert (house.state / "services.yaml").read_text() == before


def test_who_gets_no_mail_is_told_in_the_terminal_and_who_is_refused_too(house: House) -> None:
    """The page says the same to everybody; the developer reads why."""
    stack = house.ready(LATCHWIRE_ALLOW="@acme.com")
    body = json.dumps({"email": "eve@elsewhere.example"}).encode()
    ask = urllib.request.Request(
        f"{stack.url}/auth/login", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(ask, timeout=10) as answer:
        assert answer.status == 202
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{stack.url}/demo", timeout=10)

    muted = stack.up.wait_for("no mail  login  not_allowed", within=10)
    stack.up.wait_for("refused  demo  no_credentials", within=10)

    assert "LATCHWIRE_ALLOW" in muted
    assert "eve@" not in stack.up.text
    assert stack.up.end() == 0


def test_a_mistake_in_the_catalogue_is_named_before_anything_starts(house: House) -> None:
    """With its line; what is wrong is not guessed at."""
    services = house.state / "services.yaml"
    before = services.read_text()
    services.write_text(before.replace("require_auth: true", "require_aut: true"))
    up = house.up()

    assert up.wait() == 1
    assert "services.yaml" in up.text
    assert "require_auth" in up.text
    services.write_text(before)
