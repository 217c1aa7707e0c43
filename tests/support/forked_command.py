"""``./latchwire WORDS`` for a shell, run by the server of `tests.support.command_forks`.

``python -I -S forked_command.py SOCKET WORDS``: the command gets this process' own streams, folder and
environment, and this one ends as it ends. Nothing of the product is imported here: that is what is saved.
"""

import json
import os
import socket
import sys


def run(path: str, words: list[str]) -> int:
    """The exit code as a shell has it: 128 and the signal's number for who was ended by one."""
    command = {
        "words": words,
        "variables": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109 - importing pathlib takes longer than all this
        "streams": [],
    }
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        socket.send_fds(server, [json.dumps(command).encode() + b"\n"], [0, 1, 2])
        code = int(server.makefile().read())
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
