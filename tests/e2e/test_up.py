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

from tests.support.servers import free_port
from tests.support.stack import Stack, Up, is_alive
from tests.support.waiting import eventually

PARTS = {
    "nats", "redis", "mailbox", "demo", "auth", "edge", "mailer", "revocation", "traefik",
}  # fmt: skip

# Past any proxy that the environment names.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


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

    def end(self) -> None:
        """Kill whatever is left."""
        for up in self.started:
            up.kill()


@pytest.fixture
def house(state: Path) -> Iterator[House]:
    """The state directory of this file."""
    house = House(state)
    yield house
    house.end()


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
    return str(free_port())


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

    assert stack.up.end(signal.SIGINT) == 0, stack.up.text
    assert not [name for name, pid in pids.items() if is_alive(pid)]
    assert "was killed" not in stack.up.text
    assert not (house.state / "run.json").exists()


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

    await eventually(lambda: not [n for n, pid in pids.items() if is_alive(pid)])


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


# From here on one `up` runs: the second start, with an application behind it and an allow list.


@dataclass(frozen=True)
class Mine:
    """What a developer has in the state directory before a start."""

    secrets: dict[str, bytes]
    catalogue: str


@pytest.fixture(scope="module")
def mine(state: Path) -> Mine:
    """The keys, and a catalogue that was written into."""
    services = state / "services.yaml"
    services.write_text(services.read_text() + "# mine\n")
    return Mine(contents(state / "secrets"), services.read_text())


@pytest.fixture(scope="module")
def application() -> Iterator[int]:
    """A port an application listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def again(state: Path, mine: Mine, application: int) -> Iterator[Stack]:
    """Started once more on the state directory of this file."""
    assert mine.secrets
    house = House(state)
    try:
        stack = house.ready(APP=f"http://localhost:{application}", LATCHWIRE_ALLOW="@acme.com")
        yield stack
        assert stack.up.end(signal.SIGTERM) == 0, stack.up.text
    finally:
        house.end()


def test_the_second_start_makes_nothing_anew(again: Stack, mine: Mine) -> None:
    """Keys, streams and catalogue are there already; each secret and the catalogue are the same."""
    assert contents(again.up.state / "secrets") == mine.secrets
    assert "as they should be" in again.up.text
    assert (again.up.state / "services.yaml").read_text() == mine.catalogue


def test_a_second_up_on_the_same_state_is_refused(again: Stack, house: House) -> None:
    """Two would write into the same stores."""
    second = house.up()

    assert second.wait() == 1
    assert "already running" in second.text
    assert all(is_alive(pid) for pid in again.run["pids"].values())


def test_an_application_is_put_behind_it_and_its_stanza_printed(
    again: Stack, mine: Mine, application: int
) -> None:
    """The developer's own services.yaml stays as it is."""
    again.up.wait_for("Ctrl-C")

    assert f"    upstream: http://localhost:{application}" in again.up.output
    assert "    paths: [/]" in again.up.output
    assert (again.up.state / "services.yaml").read_text() == mine.catalogue


def test_who_gets_no_mail_is_told_in_the_terminal_and_who_is_refused_too(again: Stack) -> None:
    """The page says the same to everybody; the developer reads why."""
    body = json.dumps({"email": "eve@elsewhere.example"}).encode()
    ask = urllib.request.Request(
        f"{again.url}/auth/login", body, {"Content-Type": "application/json"}
    )
    with DIRECT.open(ask, timeout=60) as answer:
        assert answer.status == 202
    with pytest.raises(urllib.error.HTTPError, match="401"):
        DIRECT.open(f"{again.url}/demo", timeout=60)

    muted = again.up.wait_for("no mail  login  not_allowed")
    again.up.wait_for("refused  demo  no_credentials")

    assert "LATCHWIRE_ALLOW" in muted
    assert "eve@" not in again.up.text


async def test_an_application_that_is_not_started_is_named_in_the_terminal(again: Stack) -> None:
    """Its visitors hear "Bad Gateway", and nobody else would say where it was looked for."""
    services, upstream = again.up.state / "services.yaml", f"http://127.0.0.1:{free()}"
    entry = f"  shop:\n    paths: [/shop]\n    upstream: {upstream}\n    require_auth: false\n"
    services.write_text(services.read_text() + entry)

    def unanswered() -> bool:
        with pytest.raises(urllib.error.HTTPError) as heard:
            DIRECT.open(f"{again.url}/shop", timeout=60)
        return heard.value.code == 502

    assert await eventually(unanswered)
    again.up.wait_for(f"no answer  shop  does not answer at {upstream}")
