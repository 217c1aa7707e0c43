"""compose.yaml as processes, because no Docker engine is here: every service's exact command, environment,
mounts and health check. What is remapped, and nothing else:

- a mounted path of the container lies in a folder of the service's own, linked to what compose mounts there;
- ``service:port``, ``0.0.0.0:port`` and ``127.0.0.1:port`` become a loopback port of that service's own;
- the subnets of the networks ``gateway`` and ``edges`` become 127.0.0.0/8;
- an image becomes the program it would run: our own by the Dockerfile's entry point in this checkout, the
  servers by their wheels, PostgreSQL by Debian's; ``wget`` by Python where it is not installed;
- Traefik's certificate authority becomes a closed loopback port (it then serves its own certificate).

Not shown here: user, capabilities, read-only root and networks, which only an engine enforces; they are
checked as text.
"""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

from tests.support.servers import binary, free_port

ROOT = Path(__file__).resolve().parents[2]
NO_CA = "--certificatesresolvers.letsencrypt.acme.caserver=http://127.0.0.1:9/directory"
HEALTHY_WITHIN = 60.0  # seconds
LOOK_SECONDS = 0.1  # between two health checks: each is a process

_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
_ADDRESS = re.compile(r"(?<![\w.])([a-z][a-z0-9-]*|0\.0\.0\.0|127\.0\.0\.1|):(\d{2,5})(?!\d)")
_WGET = "import sys, urllib.request as u; u.urlopen(sys.argv[-1], timeout=3)"


def load_compose(environment: Mapping[str, str]) -> dict[str, Any]:
    """compose.yaml with its variables filled in from *environment*, as compose does."""

    def fill(match: re.Match[str]) -> str:
        name, operator, rest = match.groups()
        value = environment.get(name, "")
        if not value and operator == "?":
            raise KeyError(f"{name}: {rest}")
        return value or (rest if operator == "-" else "")

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: walk(value) for key, value in node.items()}
        if isinstance(node, list):
            return [walk(value) for value in node]
        return _VARIABLE.sub(fill, node) if isinstance(node, str) else node

    document: dict[str, Any] = walk(yaml.safe_load((ROOT / "compose.yaml").read_text()))
    return document


def read_env(directory: Path) -> dict[str, str]:
    """The .env beside compose.yaml."""
    return {n: v for n, v in dotenv_values(directory / ".env").items() if v is not None}


@dataclass
class Installation:
    """A directory that `latchwire init` has filled, run as compose would."""

    directory: Path
    document: dict[str, Any]
    published: dict[int, int]
    _ports: dict[tuple[str, int], int] = field(default_factory=dict)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def up(self, *only: str) -> None:
        """Start the services whose profile is on (or *only* these) once what they depend on is ready."""
        services = self.document["services"]
        on = set(read_env(self.directory).get("COMPOSE_PROFILES", "").split(","))
        active = {n: s for n, s in services.items() if set(s.get("profiles", on)) & on}
        waiting = {n: s for n, s in active.items() if not only or n in only}
        while waiting:
            wave = {n: s for n, s in waiting.items() if not self._needs(s) & waiting.keys()}
            started = [(n, i, s) for n, s in wave.items() for i in self._start_service(n, s)]
            for name, instance, service in started:
                self._wait_healthy(name, instance, service)
            waiting = {n: s for n, s in waiting.items() if n not in wave}

    def down(self) -> None:
        """End all."""
        for running in reversed(self._running.values()):
            running.terminate()
        for running in self._running.values():
            try:
                running.wait(10)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()

    def run(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """``docker compose run --rm NAME COMMAND…``: a fresh container of that service, to its end."""
        instance = f"{name}-run-{len(list((self.directory / 'containers').glob('*')))}"
        service = self.document["services"][name]
        changed = {**service, "command": [*command]} if command else service
        argv, env = self.process_of(name, instance, changed)
        return subprocess.run(
            argv,
            env=env,
            cwd=self._work(instance),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def address(self, instance: str, port: int) -> str:
        """Where the container's *port* is on this machine."""
        return f"127.0.0.1:{self._port(instance, port)}"

    def environment_of(self, service: dict[str, Any]) -> dict[str, str]:
        """What compose puts into the container: the env_file, then `environment` over it."""
        files = service.get("env_file", [])
        names = [files] if isinstance(files, str) else files
        merged: dict[str, str] = {}
        for name in names:
            values = dotenv_values(self.directory / name)
            merged |= {n: v for n, v in values.items() if v is not None}
        return merged | {n: str(v) for n, v in service.get("environment", {}).items()}

    def logs(self, instance: str) -> str:
        """What an instance has written."""
        return (self.directory / "logs" / f"{instance}.log").read_text()

    @property
    def instances(self) -> set[str]:
        """What runs now."""
        return {name for name, running in self._running.items() if running.poll() is None}

    def _needs(self, service: dict[str, Any]) -> set[str]:
        return set(service.get("depends_on", {}))

    def _start_service(self, name: str, service: dict[str, Any]) -> list[str]:
        count = int(service.get("deploy", {}).get("replicas", 1))
        instances = [name, *(f"{name}.{number}" for number in range(2, count + 1))]
        for instance in instances:
            self._start_instance(name, instance, service)
        return instances

    def _start_instance(self, name: str, instance: str, service: dict[str, Any]) -> None:
        argv, env = self.process_of(name, instance, service)
        log = self.directory / "logs" / f"{instance}.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as out:
            where = self._work(instance) / service.get("working_dir", "/").lstrip("/")
            running = subprocess.Popen(argv, env=env, cwd=where, stdout=out, stderr=out)
        self._running[instance] = running

    def process_of(
        self, name: str, instance: str, service: dict[str, Any]
    ) -> tuple[list[str], dict[str, str]]:
        """The command and the whole environment of one instance."""
        targets = self._mount(instance, service)
        command = [*_program(service["image"], service["command"])]
        if name == "traefik":
            command.append(NO_CA)
        argv = [self._remap(word, name, instance, targets) for word in command]
        ours = service.get("environment", {})
        env = {
            key: self._remap(value, name, instance, targets) if key in ours else self._hosts(value)
            for key, value in self.environment_of(service).items()
        }
        return argv, {**env, "PATH": "/usr/bin:/bin"}

    def _wait_healthy(self, name: str, instance: str, service: dict[str, Any]) -> None:
        """Until its health check passes; a job that runs once, until it has ended well."""
        if service.get("restart") == "no":
            code = self._running[instance].wait(HEALTHY_WITHIN)
            assert code == 0, f"{name}:\n{self.logs(instance)}"
            return
        kind, *test = service["healthcheck"]["test"]
        assert kind == "CMD"
        words = [self._remap(word, name, instance, {}) for word in test]
        command = [*_tool(words[0]), *words[1:]]
        deadline = time.monotonic() + HEALTHY_WITHIN
        # With a container's environment: a proxy of this machine would be asked for 127.0.0.1.
        clean = {"PATH": "/usr/bin:/bin"}
        while subprocess.run(
            command, env=clean, capture_output=True, check=False, timeout=HEALTHY_WITHIN
        ).returncode:
            alive = self._running[instance].poll() is None
            if not alive or time.monotonic() > deadline:
                raise AssertionError(f"{instance} is not healthy:\n{self.logs(instance)}")
            time.sleep(LOOK_SECONDS)

    def _work(self, instance: str) -> Path:
        path = self.directory / "containers" / instance
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _mount(self, instance: str, service: dict[str, Any]) -> dict[str, str]:
        """Link what compose mounts into the instance's own folder; container path -> path here."""
        root = self._work(instance)
        tops = {}
        for volume in service.get("volumes", []):
            source, target, *_ = volume.split(":")
            link = root / target.lstrip("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to((self.directory / source).resolve(strict=True))
            top = "/" + target.split("/")[1]
            tops[top] = str(root / top.lstrip("/"))
        return tops

    def _remap(self, word: str, name: str, instance: str, targets: Mapping[str, str]) -> str:
        for container, here in targets.items():
            word = re.sub(rf"(?<![\w/.]){re.escape(container)}(?=/|$)", here, word)
        for subnet in self._subnets():
            word = word.replace(subnet, "127.0.0.0/8")
        if word.isdigit() and int(word) > 1023:
            return str(self._port(instance, int(word)))
        if word == "0.0.0.0":
            return "127.0.0.1"
        return _ADDRESS.sub(lambda m: self._address(m, instance), word)

    def _address(self, match: re.Match[str], instance: str) -> str:
        host, port = match[1], int(match[2])
        if host == "" and port in self.published:  # the redirect to the published port
            return f":{self.published[port]}"
        owner = self._owner(host)
        if owner is None and host not in {"", "0.0.0.0", "127.0.0.1"}:
            return match[0]
        if owner is None and (host, port) == ("127.0.0.1", 9):
            return match[0]
        return f"127.0.0.1:{self._port(owner or instance, port)}"

    def _hosts(self, value: str) -> str:
        """The database of .env, which names a service and its usual port."""
        return value.replace("@postgres/", f"@{self.address('postgres', 5432)}/")

    def _owner(self, host: str) -> str | None:
        services = self.document["services"]
        if host in services:
            return host
        for name, service in services.items():
            networks = service.get("networks", [])
            if isinstance(networks, dict) and any(
                host in (network or {}).get("aliases", []) for network in networks.values()
            ):
                return str(name)
        return None

    def _port(self, instance: str, port: int) -> int:
        for outside, inside in self._publications(instance):
            if inside == port and outside in self.published:
                return self.published[outside]
        key = (instance, port)
        if key not in self._ports:
            self._ports[key] = free_port()
        return self._ports[key]

    def _publications(self, instance: str) -> list[tuple[int, int]]:
        service = self.document["services"].get(instance, {})
        pairs = (text.split(":") for text in service.get("ports", []))
        return [(int(outside), int(inside)) for outside, inside in pairs]

    def _subnets(self) -> list[str]:
        ipams = (network.get("ipam", {}) for network in self.document["networks"].values())
        return [part["subnet"] for ipam in ipams for part in ipam.get("config", [])]


def _program(image: str, command: list[str]) -> list[str]:
    """What the image's entry point makes of the command."""
    if image.startswith("latchwire"):
        assert 'ENTRYPOINT ["/app/latchwire"]' in (ROOT / "Dockerfile").read_text()
        return [str(ROOT / "latchwire"), *command]
    if image.startswith("postgres"):
        return ["/bin/sh", str(ROOT / "tests" / "support" / "postgres_image.sh"), *command]
    if image.startswith("traefik"):  # its entry point puts the name before options
        return [binary("traefik"), *command]
    return [binary(command[0], "valkey-server"), *command[1:]]


def _tool(name: str) -> list[str]:
    if name == "python":
        return [sys.executable]
    if name == "wget" and not shutil.which("wget"):
        return [sys.executable, "-c", _WGET]
    return [binary(name)]
