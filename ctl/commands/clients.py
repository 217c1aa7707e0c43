"""``clients add``: name a confidential client, that is a web application's server that signs people in.

Auth keeps the SHA-256 of its secret only, which is enough for 256 random bits (services/auth/http/clients.py).
"""

import argparse
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.installation import NoInstallationError, find_secrets
from ctl.output import complain, say, say_json
from shared.ids import Ids, SystemIds
from shared.secrets import SecretsError, read_private, write_private

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)  # no colon: HTTP Basic ends there


def register(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add ``clients``."""
    parser = add_command(commands, "clients", "confidential clients: servers that sign people in")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    add = add_command(actions, "add", "name a client; its secret is printed once and not kept")
    add.add_argument("name", help="what it calls itself: web_app")
    add.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when it is written: the secret is all of standard output."""
    if not _NAME.fullmatch(arguments.name):
        complain("a client's name has letters, digits, _ . and -, at most 64")
        return exits.USAGE
    try:
        path = find_secrets(arguments.context) / "clients.json"
        secret = add_client(path, arguments.name, SystemIds())
    except (NoInstallationError, SecretsError) as error:
        complain(str(error))
        return exits.FAILED
    complain(f"{arguments.name} is in {path}; this is its secret, which is not shown again:")
    if arguments.json:
        say_json({"client_id": arguments.name, "client_secret": secret})
    else:
        say(secret)
    complain("restart auth: it reads the list when it starts (docker compose restart auth)")
    return exits.DONE


def add_client(path: Path, name: str, ids: Ids) -> str:
    """Write the client *name* with a fresh secret into the file *path*; the secret.

    Raises:
        SecretsError: it is there already, or the file or its directory is not usable.
    """
    if not path.parent.is_dir():
        raise SecretsError(f"{path.parent} is not there: run `make up` or `latchwire init` first")
    clients = _read(path)
    if name in clients:
        raise SecretsError(f"{name} is in {path} already: for a new secret take it out first")
    secret = ids.secret()
    clients[name] = {"secret_sha256": hashlib.sha256(secret.encode()).hexdigest()}
    owner = (path if path.exists() else path.parent).stat()
    write_private(path, json.dumps(clients, indent=2))
    if os.getuid() == 0:  # a production's secrets belong to the user who runs the containers
        os.chown(path, owner.st_uid, owner.st_gid)
    return secret


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        clients = json.loads(read_private(path))
    except ValueError as error:
        raise SecretsError(f"{path} is not JSON: mend it first") from error
    if not isinstance(clients, dict):
        raise SecretsError(f'{path} must be {{"id": {{"secret_sha256": "..."}}}}')
    return clients
