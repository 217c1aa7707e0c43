"""The plan: every part with its command line, environment, address and readiness, in the order of starting."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctl.access_log import traefik_access_log
from ctl.up import layout as files
from ctl.up import probes
from ctl.up.layout import ROOT, Layout
from ctl.up.named import named_files
from ctl.up.ports import LOOPBACK
from ctl.up.process import Program
from ctl.up.traefik import ENTRY_POINT, INTERNAL, traefik_static

INSIDE = (
    "nats", "redis", "smtp", "demo",
    "auth", "auth-admin", "edge", "edge-admin", "mailer-admin", "revocation-admin", "gateway-internal",
)  # fmt: skip
WORKERS = ("revocation", "auth", "edge", "mailer")
EDGE = "edge-1"

# What a developer's environment may change; everything else here follows from the ports.
_DEFAULTS = {
    "LATCHWIRE_ALLOW": "*",
    "LATCHWIRE_SITE_NAME": "Demo",
    "LATCHWIRE_MAIL_FROM": "login@demo.localhost",
    "LATCHWIRE_LOG_LEVEL": "info",
    "LATCHWIRE_DRAIN_TIMEOUT": "3",
}


@dataclass(frozen=True)
class Part:
    """One process: *address* is where to find it, *stop_within* the seconds it may take to end."""

    name: str
    program: Program
    address: str
    probe: probes.Probe
    stop_within: float = 6.0


@dataclass(frozen=True)
class Plan:
    """Waves of parts: a wave starts when the one before is ready, and ends before it.

    *text* is the catalogue that all starts with, *saved* the stamp of services.yaml when it was read; *roles*
    is the table of roles that was named, "" for the one in the state directory.
    """

    layout: Layout
    stores: tuple[Part, ...]
    workers: tuple[Part, ...]
    url: str
    mail_url: str
    nats_url: str
    redis_url: str
    catalogue: Path
    app: str | None
    inside: Mapping[str, int]
    text: str
    saved: files.Stamp | None
    accounts_url: str = ""
    roles: str = ""

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts in the order of starting."""
        return self.stores + self.workers

    def run_file(self, pids: Mapping[str, int]) -> dict[str, Any]:
        """What run.json says."""
        return {
            "url": self.url,
            "mail_url": self.mail_url,
            "nats_url": self.nats_url,
            "redis_url": self.redis_url,
            "secrets_dir": str(self.layout.secrets),
            "catalogue": str(self.catalogue),
            "logs": str(self.layout.root / "logs"),
            "app": self.app,
            "accounts": bool(self.accounts_url),
            "roles": self.roles,
            "pid": os.getpid(),
            "addresses": {part.name: part.address for part in self.parts},
            "ports": dict(self.inside),
            "pids": dict(pids),
        }


def make_plan(
    layout: Layout,
    *,
    port: int,
    mail_port: int,
    inside: Mapping[str, int],
    app: str | None,
    environ: Mapping[str, str],
    accounts: bool = False,
) -> Plan:
    """Write every configuration and say what to start. *inside*: a port for each name of `INSIDE`.

    *accounts*: people have some, kept in a file of the state directory.

    Raises:
        CatalogueError: services.yaml is not usable.
        NamedFileError: the table of roles or of providers that was named is missing.
    """
    url = f"http://{front_host(environ)}:{port}"
    files.settle_catalogue(layout, inside["demo"])
    saved = files.stamp_of(layout)  # before it is read: what is saved from here on is a change
    catalogue = files.write_catalogue(layout, inside["demo"], app)
    nats_url = f"nats://{LOOPBACK}:{inside['nats']}"
    redis_url = f"redis://{LOOPBACK}:{inside['redis']}/0"
    settings = _settings(layout, url, nats_url, redis_url, catalogue, inside)
    accounts_url = f"sqlite:///{layout.accounts}" if accounts else ""
    if accounts:
        settings |= {"LATCHWIRE_ACCOUNTS_URL": accounts_url, **named_files(environ, Path.cwd())}
    build = _Builder(layout, dict(inside), environ, {**_DEFAULTS, **_own(environ), **settings})
    return Plan(
        layout=layout,
        stores=(build.nats(), build.redis(), build.mailbox(mail_port), build.demo()),
        workers=(*(build.worker(name) for name in WORKERS), build.traefik(port, url)),
        url=url,
        mail_url=f"http://localhost:{mail_port}",
        nats_url=nats_url,
        redis_url=redis_url,
        catalogue=catalogue,
        app=app,
        inside=inside,
        text=files.read_usable(catalogue),
        saved=saved,
        accounts_url=accounts_url,
        roles=settings.get("LATCHWIRE_ROLES", ""),
    )


def front_host(environ: Mapping[str, str]) -> str:
    """The host of the front door: ``localhost``, or ``auth.`` in a cookie domain below it.

    With ``LATCHWIRE_COOKIE_DOMAIN=house.localhost`` people log in at auth.house.localhost for every service
    that has a host in house.localhost; browsers take all of these for this machine.
    """
    domain = environ.get("LATCHWIRE_COOKIE_DOMAIN", "")
    return f"auth.{domain}" if domain.endswith(".localhost") else "localhost"


def _settings(
    layout: Layout,
    url: str,
    nats_url: str,
    redis_url: str,
    catalogue: Path,
    inside: Mapping[str, int],
) -> dict[str, str]:
    doors = ("auth", "edge")
    admins = {f"{w.upper()}_ADMIN": inside[f"{w}-admin"] for w in WORKERS}
    listens = {f"{d.upper()}_LISTEN": inside[d] for d in doors} | admins
    values = {
        "URL": url,
        "SMTP_URL": f"smtp://{LOOPBACK}:{inside['smtp']}",
        "SECRETS_DIR": str(layout.secrets),
        "NATS_URL": nats_url,
        "REDIS_URL": redis_url,
        "CATALOGUE": str(catalogue),
        "REVOKERS": str(layout.revokers),
        "EDGE_ID": EDGE,
        "EDGES": EDGE,  # all there are, so that nobody waits for others
        "LOG_FORMAT": "json",
        "GATEWAY_AUTH": f"http://{LOOPBACK}:{inside['auth']}",
        "GATEWAY_EDGE": f"http://{LOOPBACK}:{inside['edge']}",
        "GATEWAY_ENTRY_POINT": ENTRY_POINT,
        "GATEWAY_INTERNAL": INTERNAL,
        **{name: f"{LOOPBACK}:{port}" for name, port in listens.items()},
    }
    return {f"LATCHWIRE_{name}": value for name, value in values.items()}


@dataclass(frozen=True)
class _Builder:
    layout: Layout
    inside: dict[str, int]
    environ: Mapping[str, str]
    settings: dict[str, str]

    def nats(self) -> Part:
        port = self.inside["nats"]
        store = str(self.layout.data("nats") / "store")
        configuration = str(files.write_nats(self.layout))
        argv = ("-c", configuration, "-a", LOOPBACK, "-p", str(port), "-sd", store)
        program = self._server((_own_binary("nats-server"), *argv), "nats")
        return Part("nats", program, f"nats://{LOOPBACK}:{port}", probes.nats(port))

    def redis(self) -> Part:
        port = self.inside["redis"]
        configuration = str(files.write_redis(self.layout, port))
        program = self._server((redis_binary(), configuration), "redis")
        return Part("redis", program, f"redis://{LOOPBACK}:{port}", probes.redis(port))

    def mailbox(self, web_port: int) -> Part:
        smtp_port = self.inside["smtp"]
        program = self._python("mailbox", "ctl.up.mailbox", str(smtp_port), str(web_port))
        address = f"http://localhost:{web_port}  smtp://{LOOPBACK}:{smtp_port}"
        return Part("mailbox", program, address, probes.smtp(smtp_port))

    def demo(self) -> Part:
        port = self.inside["demo"]
        program = self._python("demo", "ctl.up.demo", str(port))
        url = f"http://{LOOPBACK}:{port}"
        return Part("demo", program, url, probes.http(f"{url}/demo/public"))

    def worker(self, name: str) -> Part:
        program = self._python(name, f"services.{name}")
        door = self.inside.get(name, self.inside[f"{name}-admin"])
        ready = f"http://{LOOPBACK}:{self.inside[f'{name}-admin']}/ready"
        return Part(name, program, f"http://{LOOPBACK}:{door}", probes.http(ready), 9.0)

    def traefik(self, port: int, url: str) -> Part:
        doors = {ENTRY_POINT: port, INTERNAL: self.inside["gateway-internal"]}
        static = traefik_static(doors, f"http://{LOOPBACK}:{self.inside['auth']}/gateway/traefik")
        static["accessLog"] = traefik_access_log(self.layout.log("access"))
        configuration = str(files.write_traefik(self.layout, static))
        argv = (_own_binary("traefik"), f"--configFile={configuration}")
        program = self._server(argv, "traefik")
        # Through the front door to auth: only then routes are loaded and people can log in.
        ready = probes.http(f"http://localhost:{port}/.well-known/jwks.json")
        return Part("traefik", program, url, ready)

    def _server(self, argv: tuple[str, ...], name: str) -> Program:
        """A server of somebody else's: it gets its configuration file and none of our environment."""
        kept = {n: self.environ[n] for n in ("PATH", "HOME", "LANG", "TMPDIR") if n in self.environ}
        return Program(argv, kept, self.layout.root, self.layout.log(name))

    def _python(self, name: str, module: str, *arguments: str) -> Program:
        """A module of ours, run in the state directory: a production's .env elsewhere is not read."""
        others = {n: v for n, v in self.environ.items() if not n.startswith("LATCHWIRE_")}
        path = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'sdk' / 'src'}"}
        env = {**others, **self.settings, **path, "PYTHONUNBUFFERED": "1"}
        argv = (sys.executable, "-m", module, *arguments)
        return Program(argv, env, self.layout.root, self.layout.log(name))


def redis_binary() -> str:
    """The machine's own Redis or Valkey when it is as new as the one from the wheel, else that."""
    own = _own_binary("redis-server")
    found = [shutil.which("valkey-server"), shutil.which("redis-server")]
    newest = max([own, *filter(None, found)], key=_redis_version)
    return own if _redis_version(newest) == _redis_version(own) else newest


def redis_version(text: str) -> tuple[int, ...]:
    """The version in what ``redis-server --version`` says; () when it says none."""
    found = re.search(r"\bv=(\d+(?:\.\d+)*)", text)
    return tuple(map(int, found[1].split("."))) if found else ()


def _redis_version(binary: str) -> tuple[int, ...]:
    try:
        told = subprocess.run([binary, "--version"], capture_output=True, check=False, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return ()
    return redis_version(told.stdout.decode("utf-8", "replace"))


def _own_binary(name: str) -> str:
    """A server installed beside the interpreter by requirements/embedded.txt."""
    return str(Path(sys.executable).parent / name)


def _own(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith("LATCHWIRE_")}
