"""The command ``init``: writes what a production needs beside compose.yaml, and never overwrites.

``.env`` (settings), ``secrets/`` (keys), ``services.yaml`` (the catalogue), ``revokers.yaml`` (who else may
revoke), ``accounts/`` (for roles.yaml and providers.yaml), ``gateway/`` (middlewares of your own), ``data/``
(what the stores keep).
"""

import argparse
import os
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ctl.commands.services import COMPOSE_RELOAD
from ctl.guests import HEADING
from ctl.up.layout import accounts_file, write_accounts
from shared.accounts_url import PASSWORD_FILE, SQLiteStore, parse_accounts_url
from shared.clock import Clock, SystemClock
from shared.edge_keys import make_edge_keys
from shared.ids import SystemIds
from shared.secrets import create_secrets, write_private
from shared.setting_types import AccountsURL, Allow, PublicURL, Sender, SiteName, SmtpURL

IMAGE_USER = 10001  # the user of the image (Dockerfile)
DATA = ("nats", "redis", "acme", "postgres")
EDGES = 2  # that many are in compose.yaml, by name
COMPOSE_ACCOUNTS = "postgresql://latchwire@postgres/latchwire"  # the database of compose.yaml

CATALOGUE = """\
# The catalogue: which service is reached where, and who may call it. A request no service matches is refused.
# After a change: docker compose run --rm ctl catalogue apply
# Every key with an explanation: deploy/proxies/services.yaml
services:
  app:
    # Paths of LATCHWIRE_URL itself: people come back to the page they wanted, and its cookies reach it.
    paths: [/]
    upstream: http://app:3000      # a container in compose's network "apps"
    require_auth: true
    # emails: ["@acme.com"]        only these people
    # public_paths: [/assets]      open to everybody

  # A host of its own needs LATCHWIRE_COOKIE_DOMAIN in .env, the domain that it shares with LATCHWIRE_URL:
  # without it the cookies of the login never reach that host. With LATCHWIRE_URL=https://auth.acme.com and
  # LATCHWIRE_COOKIE_DOMAIN=acme.com people log in once for both, and come back to the page they wanted:
  # reports:
  #   host: reports.acme.com
  #   upstream: http://reports:8080
"""

# Which option of `init` gives a setting.
OPTIONS = {
    "LATCHWIRE_URL": "--url",
    "LATCHWIRE_ALLOW": "--allow",
    "LATCHWIRE_SITE_NAME": "--site-name",
    "LATCHWIRE_SMTP_URL": "--smtp",
    "LATCHWIRE_MAIL_FROM": "--mail-from",
    "LATCHWIRE_ACCOUNTS_URL": "--accounts",
}

_FIRST = "Next: name your services in services.yaml, then: docker compose up --build --detach"
_AGAIN = f"""\
Next, where it runs already (the whole order of an upgrade: CHANGELOG.md, "Upgrading"):
  {COMPOSE_RELOAD}   # accounts.conf, which it reads again only when told
  docker compose up --build --detach"""


class Production(BaseModel):
    """What `init` is told, checked by the types that the workers read it with."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: PublicURL = Field(alias="LATCHWIRE_URL")
    allow: Allow = Field(alias="LATCHWIRE_ALLOW")
    site_name: SiteName = Field(alias="LATCHWIRE_SITE_NAME")
    smtp_url: SmtpURL = Field(alias="LATCHWIRE_SMTP_URL")
    mail_from: Sender = Field(alias="LATCHWIRE_MAIL_FROM")
    accounts_url: AccountsURL = Field(alias="LATCHWIRE_ACCOUNTS_URL", default=None)

    @field_validator("accounts_url")
    @classmethod
    def _database(cls, value: str | None) -> str | None:
        if value is not None and isinstance(parse_accounts_url(value), SQLiteStore):
            raise ValueError("must be postgresql://user@host/name: containers share no file")
        return value


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``init`` to the command line."""
    parser = commands.add_parser("init", help="write .env and secrets/ for a production")
    parser.add_argument("--url", required=True, help="public address: https://auth.acme.com")
    parser.add_argument("--allow", required=True, help="who may log in: @acme.com,sam@partner.org")
    parser.add_argument(
        "--smtp", required=True, help="smtp://user:password@host:587, or - to read it from stdin"
    )
    parser.add_argument("--mail-from", required=True, help="the sender: login@acme.com")
    parser.add_argument("--site-name", required=True, help="what people see: Acme")
    parser.add_argument(
        "--accounts",
        nargs="?",
        const=COMPOSE_ACCOUNTS,
        help="people have accounts, in compose's PostgreSQL or in postgresql://user@host/name",
    )
    parser.add_argument("--edges", type=int, default=EDGES, help="credentials for so many edges")
    parser.add_argument("--dir", type=Path, default=Path(), help="where to write (default: here)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write what is missing; the exit code."""
    smtp = sys.stdin.readline().strip() if arguments.smtp == "-" else arguments.smtp
    settings = {
        "LATCHWIRE_URL": arguments.url,
        "LATCHWIRE_ALLOW": arguments.allow,
        "LATCHWIRE_SITE_NAME": arguments.site_name,
        "LATCHWIRE_SMTP_URL": smtp,
        "LATCHWIRE_MAIL_FROM": arguments.mail_from,
        "LATCHWIRE_SECRETS_DIR": "secrets",
    }
    if arguments.accounts is not None:
        settings["LATCHWIRE_ACCOUNTS_URL"] = arguments.accounts
    if arguments.edges != EDGES:
        settings["LATCHWIRE_EDGES"] = ",".join(_names(arguments.edges))
    if found := problems(settings, arguments.edges):
        sys.stderr.write("".join(f"latchwire init: {line}\n" for line in found))
        return 2
    there = accounts_file(arguments.dir / "secrets").exists()
    for line in initialise(arguments.dir, settings, arguments.edges, SystemClock()):
        print(line)
    print(f"\n{_AGAIN if there else _FIRST}")
    return 0


def problems(settings: dict[str, str], edges: int) -> list[str]:
    """What does not fit, one line each, without passwords."""
    found = []
    try:
        Production.model_validate(settings)
    except ValidationError as error:
        told = ((str(e["loc"][0]), e["msg"].removeprefix("Value error, ")) for e in error.errors())
        found = [f"{OPTIONS[name]} {message}" for name, message in told]
    else:
        if not _password(urlsplit(settings["LATCHWIRE_SMTP_URL"])).isascii():
            found.append("--smtp: a password must be ASCII")
    for name, option in OPTIONS.items():
        if name in settings and not _can_be_quoted(_stored(name, settings[name])):
            found.append(
                f"{option} cannot have a line break, a backslash, or ' together with \" or $"
            )
    return found if 1 <= edges <= 64 else [*found, "--edges must be between 1 and 64"]


def initialise(directory: Path, settings: dict[str, str], edges: int, clock: Clock) -> list[str]:
    """Write what is missing below *directory*; one line for each thing made or kept."""
    directory.mkdir(parents=True, exist_ok=True)
    owner, named = _owner(), settings.get("LATCHWIRE_EDGES")
    server = urlsplit(settings["LATCHWIRE_SMTP_URL"])
    settings = {name: _stored(name, value) for name, value in settings.items()}
    told = [
        _write_once(directory / ".env", _env_file(settings, owner), 0o600),
        _write_once(directory / "services.yaml", CATALOGUE, 0o644),
        _write_once(directory / "revokers.yaml", HEADING, 0o644),
    ]
    if named and told[0].endswith("kept"):
        told.append(f"its line for all edges, if it has another: LATCHWIRE_EDGES={named}")
    secrets = directory / "secrets"
    kept = secrets.exists()
    date = datetime.fromtimestamp(clock.now_ms() / 1000, UTC).strftime("%Y%m%d")
    for name in ("accounts", "gateway"):
        (directory / name).mkdir(exist_ok=True)  # world-readable: no secret belongs into them
    names = _names(edges)
    others = ("auth", "mailer", "revocation", "operator", "provisioner")
    create_secrets(secrets, date=date, credentials=(*others, *names))
    make_edge_keys(secrets, names)
    write_accounts(secrets)
    if not (secrets / "smtp.password").exists():
        write_private(secrets / "smtp.password", _password(server))
    if not (secrets / PASSWORD_FILE).exists():
        write_private(secrets / PASSWORD_FILE, SystemIds().secret())
    (secrets / "providers").mkdir(exist_ok=True, mode=0o700)
    told.append(f"{secrets}/  {'kept; what was missing is made' if kept else 'made'}")
    for name in DATA:
        (directory / "data" / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    told.append(f"{directory / 'data'}/  ready")
    if os.getuid() == 0:
        _give(secrets, directory / "data")
        told.append(f"secrets/ and data/ belong to user {IMAGE_USER}, who runs the containers")
    return told


def _names(edges: int) -> tuple[str, ...]:
    return tuple(f"edge-{number}" for number in range(1, edges + 1))


def _owner() -> str:
    """Who runs the containers: whoever may read the secrets; for root the image's own user."""
    uid, gid = os.getuid(), os.getgid()
    return f"{uid}:{gid}" if uid else f"{IMAGE_USER}:{IMAGE_USER}"


def _env_file(settings: dict[str, str], owner: str) -> str:
    lines = [f"{name}={_quoted(value)}" for name, value in settings.items()]
    contact = settings["LATCHWIRE_MAIL_FROM"].rpartition("<")[2].rstrip("> ")
    return "\n".join(
        [
            "# One file for all workers and for compose. A LATCHWIRE_ name that no worker knows is refused.",
            *lines,
            "# For compose: who owns secrets/ and data/, and the contact of the TLS certificates.",
            f"RUN_AS={owner}",
            f"ACME_EMAIL={_quoted(contact)}",
            *_profile(settings.get("LATCHWIRE_ACCOUNTS_URL")),
            "",
        ]
    )


def _profile(accounts_url: str | None) -> list[str]:
    """What compose needs to know of where the accounts are."""
    if accounts_url is None:
        return []
    if accounts_url == COMPOSE_ACCOUNTS:
        return ["# Compose's own PostgreSQL runs as well.", "COMPOSE_PROFILES=accounts"]
    return ["# Auth may reach a database elsewhere.", "AUTH_STAYS_INSIDE=false"]


def _password(server: SplitResult) -> str:
    return unquote(server.password or "")


def _without_password(server: SplitResult) -> str:
    """The URL for .env; the password goes into a file that only the mailer gets."""
    user, _, host = server.netloc.rpartition("@")
    name = user.partition(":")[0]
    return server._replace(netloc=f"{name}@{host}" if name else host).geturl()


def _stored(name: str, value: str) -> str:
    """What .env says for *name*: without the password of the mail server."""
    return _without_password(urlsplit(value)) if name == "LATCHWIRE_SMTP_URL" else value


def _can_be_quoted(value: str) -> bool:
    """Whether compose and our own reader take the same text out of the quotes, escapes aside."""
    return not ("\n" in value or "\r" in value or "\\" in value) and (
        "'" not in value or not set(value) & set('"$')
    )


def _quoted(value: str) -> str:
    """Single quotes: neither compose nor a shell looks for variables inside."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def _write_once(path: Path, text: str, mode: int) -> str:
    if path.exists():
        return f"{path}  kept"
    path.touch(mode=mode)
    path.write_text(text, "utf-8")
    return f"{path}  written"


def _give(*roots: Path) -> None:
    """Hand the trees to the image's user; accounts.conf holds public keys and is read by NATS."""
    for root in roots:
        for path in (root, *root.rglob("*")):
            if not stat.S_ISLNK(path.lstat().st_mode):
                os.chown(path, IMAGE_USER, IMAGE_USER)
