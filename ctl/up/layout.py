"""The state directory: what lies where, and what `up` writes into it before anything starts.

services.yaml      the catalogue; yours from the first change on
revokers.yaml      which services may revoke what, once `services add` has made it
providers.yaml     with `up --accounts`, yours: docs/providers.md; their secrets in secrets/providers/
roles.yaml         the same: deploy/roles.yaml
secrets/           see shared/secrets.py
accounts.db        people's accounts, with `up --accounts`
nats/ redis/       configuration and data          traefik/   configuration
logs/PART.log      one per part, the previous run's as PART.log.1
run.json           addresses and process ids while it runs          lock   held while it runs
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from shared import secrets as keys
from shared.bus.permissions import render_accounts
from shared.catalogue import Catalogue, load_catalogue, parse_catalogue, read_text
from shared.clock import Clock
from shared.edge_keys import make_edge_keys

ROOT = Path(__file__).resolve().parents[2]
Stamp = tuple[int, int, int]
EDGES = ("edge-1", "edge-2")
CREDENTIALS = ("auth", "mailer", "revocation", *EDGES, "operator", "provisioner")

_CATALOGUE = """\
# The catalogue: which service is reached where, and who may call it. Yours: what you change is kept.
# A request no service matches is refused. While `up` runs, a change is in force as soon as it is saved.
services:
  demo:
    paths: [/demo]
    upstream: http://127.0.0.1:{demo}
    require_auth: true
    public_paths: [/demo/public]
"""
APP_STANZA = """\
  app:
    paths: [/]
    upstream: {upstream}
    require_auth: true
    content_security_policy: upstream  # your application's own, if it sends one (docs/gateway.md)
"""


@dataclass(frozen=True)
class Layout:
    """Paths below the state directory *root* (absolute)."""

    root: Path

    @property
    def secrets(self) -> Path:
        """Keys and nkeys."""
        return self.root / "secrets"

    @property
    def services(self) -> Path:
        """The developer's catalogue."""
        return self.root / "services.yaml"

    @property
    def revokers(self) -> Path:
        """Which services may revoke; missing until `services add` writes it."""
        return self.root / "revokers.yaml"

    @property
    def services_with_app(self) -> Path:
        """The catalogue plus the application of ``--app``, written at each start."""
        return self.root / "services.with-app.yaml"

    @property
    def accounts(self) -> Path:
        """The people's accounts, once they were switched on."""
        return self.root / "accounts.db"

    @property
    def run(self) -> Path:
        """Addresses and process ids of what runs."""
        return self.root / "run.json"

    def data(self, part: str) -> Path:
        """A directory of *part*, made when missing."""
        path = self.root / part
        path.mkdir(parents=True, exist_ok=True)
        return path

    def log(self, part: str) -> Path:
        """The log of *part*."""
        return self.data("logs") / f"{part}.log"


def make_secrets(layout: Layout, clock: Clock) -> None:
    """Make what is missing, and render the permissions for the credentials that are there."""
    layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    date = datetime.fromtimestamp(clock.now_ms() / 1000, UTC).strftime("%Y%m%d")
    keys.create_secrets(layout.secrets, date=date, credentials=CREDENTIALS)
    make_edge_keys(layout.secrets, EDGES)
    write_accounts(layout.secrets)


def accounts_file(secrets: Path) -> Path:
    """What NATS reads its accounts from."""
    return secrets / "nats" / "accounts.conf"


def write_accounts(secrets: Path) -> None:
    """Render nats/accounts.conf from the contract and the seeds beside it; it holds public keys only."""
    seeds = sorted((secrets / "nats").glob("*.seed"))
    public = {p.stem: keys.public_key(keys.load_seed(secrets, p.stem)) for p in seeds}
    accounts_file(secrets).write_text(render_accounts(public), "ascii")


def write_nats(layout: Layout) -> Path:
    """Copy the server's configuration beside its include, because includes are relative."""
    directory = layout.data("nats")
    accounts = directory / "accounts.conf"
    accounts.unlink(missing_ok=True)
    accounts.symlink_to(layout.secrets / "nats" / "accounts.conf")
    configuration = directory / "nats-server.conf"
    configuration.write_text((ROOT / "nats" / "nats-server.conf").read_text("utf-8"), "utf-8")
    return configuration


def write_redis(layout: Layout, port: int) -> Path:
    """Redis as a store of sessions, not as a cache: on disk before the answer, never evicting.

    Full, it refuses writes, long before the machine has to end somebody for memory.
    """
    directory = layout.data("redis")
    configuration = directory / "redis.conf"
    configuration.write_text(
        f"bind 127.0.0.1\nport {port}\nprotected-mode yes\ndaemonize no\n"
        f"dir {json.dumps(str(directory))}\n"
        'appendonly yes\nappendfsync always\nsave ""\nmaxmemory 256mb\nmaxmemory-policy noeviction\n',
        "utf-8",
    )
    return configuration


def write_catalogue(layout: Layout, demo_port: int, app: str | None) -> Path:
    """The catalogue to run with: the developer's own, or the one we wrote for the demo, plus *app*.

    An *app* that it names already counts as it is written there. A service ``app`` of another address gets that
    of *app*, and keeps its rules.

    Raises:
        CatalogueError: it is not usable; the message names the place and the cure.
    """
    settle_catalogue(layout, demo_port)
    own = load_catalogue(layout.services)
    if app is None or names_app(own, app):
        return layout.services
    document = yaml.safe_load(layout.services.read_text("utf-8"))
    stanza = yaml.safe_load(APP_STANZA.format(upstream=json.dumps(app)))["app"]
    before = document["services"].get("app")
    document["services"]["app"] = stanza if before is None else before | {"upstream": app}
    layout.services_with_app.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    load_catalogue(layout.services_with_app)
    return layout.services_with_app


def names_app(catalogue: Catalogue, app: str) -> bool:
    """Whether a service of *catalogue* is the application at *app*."""
    return any(service.upstream == app for service in catalogue.services)


def settle_catalogue(layout: Layout, demo_port: int) -> None:
    """Where nobody has changed the one we wrote, have it say *demo_port*; it is left alone where it does."""
    text = _CATALOGUE.format(demo=demo_port)
    ours = _is_ours(layout)
    if ours and not (layout.services.exists() and layout.services.read_text("utf-8") == text):
        layout.services.write_text(text, "utf-8")


def read_usable(path: Path) -> str:
    """The text, checked as it was read: whoever edits the file may have saved it again since anybody looked.

    Raises:
        CatalogueError: it is not usable.
    """
    text = read_text(path)
    parse_catalogue(text, path.name)
    return text


def stamp_of(layout: Layout) -> Stamp | None:
    """Another one after services.yaml was saved; None while there is no file, as an editor may leave it."""
    try:
        found = layout.services.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def demo_port_of(layout: Layout) -> int | None:
    """Where a catalogue that was changed by hand expects the demo; None leaves the port open.

    Raises:
        CatalogueError: it is not usable.
    """
    if _is_ours(layout):
        return None
    demo = next((s for s in load_catalogue(layout.services).services if s.name == "demo"), None)
    address = urlsplit(demo.upstream) if demo else None
    return address.port if address and address.hostname == "127.0.0.1" else None


def _is_ours(layout: Layout) -> bool:
    """Whether the catalogue is missing, or nobody has changed it: then it follows the demo's port."""
    if not layout.services.exists():
        return True
    text = layout.services.read_text("utf-8")
    ports = re.findall(r"127\.0\.0\.1:(\d+)", text)
    return len(ports) == 1 and text == _CATALOGUE.format(demo=ports[0])


def write_traefik(layout: Layout, static: dict[str, Any]) -> Path:
    """Traefik's file; JSON is YAML, but Traefik goes by the name. Its routes it asks auth for."""
    directory = layout.data("traefik")
    (directory / "traefik.yml").write_text(json.dumps(static, indent=2), "utf-8")
    return directory / "traefik.yml"


def write_run(layout: Layout, content: dict[str, Any]) -> None:
    """Write run.json, whole or not at all."""
    temporary = layout.run.with_suffix(".new")
    temporary.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    temporary.replace(layout.run)


def rotate_logs(layout: Layout) -> None:
    """Each start writes logs of its own; those of the start before stay beside them."""
    for log in layout.data("logs").glob("*.log"):
        log.replace(log.with_suffix(".log.1"))
