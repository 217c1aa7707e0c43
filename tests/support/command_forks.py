"""Commands in processes that are forked from one which has imported everything, not started from nothing.

A second of processor for each command is saved. It still is a process with an environment, a folder and streams
of its own; `CommandLine.process` shows the wrapper ``./latchwire`` and the start.

As a program: takes connections on the Unix socket it is given, one for each command, until its standard input
ends. It hears a line of JSON (`Command`), with open streams or the names of files, and says the exit code once
the command has ended; who hangs up before kills it.
"""

import asyncio
import atexit
import contextlib
import functools
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

from ctl.main import main
from tests.support.servers import ROOT, START_DEADLINE

LOOK_SECONDS = 0.005  # between two looks whether a command has ended
HEARD_BYTES = 1 << 16
_STARTING = threading.Lock()


@dataclass(frozen=True)
class Command:
    """*streams*: the files that are its standard input, output and error; none where it is sent those open."""

    words: list[str]
    variables: dict[str, str]
    folder: str
    streams: list[str]


async def run_forked(command: Command) -> int:
    """Its exit code; negative: the signal that ended it."""
    reader, writer = await asyncio.open_unix_connection(await ready_for_commands())
    try:
        writer.write(json.dumps(asdict(command)).encode() + b"\n")
        return int(await reader.read())
    finally:
        writer.close()
        await writer.wait_closed()


async def ready_for_commands() -> Path:
    """The socket, once there is one; the loop goes on: in some tests all of NATS passes through it."""
    return await asyncio.to_thread(_started)


def forked_words() -> tuple[str, ...]:
    """What stands for ``./latchwire`` where a program starts commands: they have that program's streams."""
    client = ROOT / "tests" / "support" / "forked_command.py"
    return sys.executable, "-I", "-S", str(client), str(_started())


def _started() -> Path:
    """The socket of this test process' own server, started on first use and ended with it."""
    with _STARTING:
        return _start()


@functools.cache
def _start() -> Path:
    path = Path(tempfile.mkdtemp(prefix="latchwire-commands-")) / "socket"
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.command_forks", path],
        cwd=ROOT,
        env={"PATH": os.defpath, "PYTHONPATH": f"{ROOT}:{ROOT / 'sdk' / 'src'}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert server.stdout is not None
    assert server.stdin is not None
    assert select.select([server.stdout], [], [], START_DEADLINE)[0], "it does not start"
    assert server.stdout.readline() == b"ready\n"

    def end() -> None:
        with server:
            server.communicate(timeout=10)

    atexit.register(end)
    return path


def serve(path: Path) -> None:
    """Until standard input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who answer
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    _answer(connection)
                    os._exit(0)
    shutil.rmtree(path.parent)


def _answer(connection: socket.socket) -> None:
    """One command, in a child of this process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    command, opened = _heard(connection)
    child = os.fork()
    if child == 0:
        connection.close()
        _become(command, opened)
    for descriptor in opened:
        os.close(descriptor)
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if select.select([connection], [], [], LOOK_SECONDS)[0]:  # nobody waits for it any more
            os.kill(child, signal.SIGKILL)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(str(os.waitstatus_to_exitcode(ended[1])).encode())


def _heard(connection: socket.socket) -> tuple[Command, list[int]]:
    """The command, and its streams where they came with it."""
    line, opened, _, _ = socket.recv_fds(connection, HEARD_BYTES, 3)
    while not line.endswith(b"\n") and (more := connection.recv(HEARD_BYTES)):
        line += more
    return Command(**json.loads(line)), opened


def _become(command: Command, opened: list[int]) -> None:
    """Run it as ``python -m ctl`` does, in this process, to its end."""
    for number, descriptor in enumerate(opened):
        os.dup2(descriptor, number)
        os.close(descriptor)
    for number, name in enumerate(command.streams):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(name, flags, 0o600), number)
    os.chdir(command.folder)
    os.environ.clear()
    os.environ.update(command.variables)
    sys.argv = ["latchwire", *command.words]
    random.seed()
    try:
        code = main(command.words)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does with what nobody caught
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
