"""The five proxies, real, each with the configuration that this project ships for it."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from shared.catalogue import parse_catalogue
from shared.traefik import Gateway, render
from tests.support.servers import ROOT, Server, free_port

SHIPPED: Final = ROOT / "deploy" / "proxies"
CATALOGUE: Final = """\
services:
  app:
    paths: [/]
    upstream: http://127.0.0.1:{app}
    public_paths: [/public]
    emails: ["@example.com"]
    token_types: [user, service]
    callers: [till]
    allowed_origins: ["https://dashboard.example.com"]
    headers: {{X-Client-Id: client_id}}
  status:
    paths: [/status]
    upstream: http://127.0.0.1:{status}
    require_auth: false
"""


def _program(name: str) -> str:
    found = find_proxy(name)
    assert found is not None, name
    return found


_SHIPPED: Final = {"9000": "edge", "8000": "auth", "3000": "app", "3001": "status"}
# At once, and whole: a port of this test may begin with the digits of a shipped one (30004).
_ADDRESS: Final = re.compile(rf"(127\.0\.0\.1:|port_value: )({'|'.join(_SHIPPED)})(?!\d)")


class Ports(dict[str, int]):
    """Ports by the names edge, auth, app, status."""

    def put_into(self, text: str) -> str:
        """*text* with each shipped address replaced by the one of this test."""
        return _ADDRESS.sub(lambda found: found[1] + str(self[_SHIPPED[found[2]]]), text)


# What an operator writes for the key `headers`, beside the lines of the nine (docs/proxies.md).
OWN_LINES: Final = {
    "nginx": (
        "auth_request_set $latchwire_client_id $upstream_http_x_client_id;\n"
        "proxy_set_header X-Client-Id $latchwire_client_id;\n"
    ),
    "caddy": "request_header X-Client-Id {http.reverse_proxy.header.X-Client-Id}\n",
    "envoy": "- { exact: x-client-id }\n",
}
_BESIDE: Final = {
    "nginx": "proxy_set_header X-User-Id",
    "caddy": "request_header X-User-Id ",
    "envoy": "- { exact: x-user-id }",
}


def _with_own_header(proxy: str, text: str) -> str:
    """*text* with the lines for ``X-Client-Id`` of `CATALOGUE`."""
    beside = _BESIDE[proxy]
    before, found, after = text.partition(beside)
    indent = before[before.rfind("\n") + 1 :]
    return before + OWN_LINES[proxy] + indent + found + after if found else text


def nginx(directory: Path, ports: Ports, door: int) -> list[str]:
    """nginx with example.conf and the three files it includes."""
    for part in (SHIPPED / "nginx").glob("latchwire*.conf"):
        text = _with_own_header("nginx", part.read_text())
        (directory / part.name).write_text(ports.put_into(text))
    example = ports.put_into((SHIPPED / "nginx" / "example.conf").read_text())
    example = example.replace("443 ssl", f"127.0.0.1:{door}").replace(
        "/etc/nginx/latchwire", str(directory)
    )
    example = "\n".join(line for line in example.splitlines() if "ssl_" not in line)
    (directory / "example.conf").write_text(example)
    stores = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    (directory / "nginx.conf").write_text(
        f"daemon off; master_process off; worker_processes 1; pid {directory}/pid;\n"
        f"error_log {directory}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n"
        + "".join(f"{store}_temp_path {directory}/{store};\n" for store in stores)
        + f"include {directory}/latchwire.conf;\ninclude {directory}/example.conf;\n}}\n"
    )
    return [_program("nginx"), "-p", str(directory), "-c", str(directory / "nginx.conf")]


def caddy(directory: Path, ports: Ports, door: int) -> list[str]:
    """Caddy with the Caddyfile."""
    text = ports.put_into((SHIPPED / "caddy" / "Caddyfile").read_text())
    text = _with_own_header("caddy", text)
    text = text.replace("app.example.com {", f"http://:{door} {{")
    path = directory / "Caddyfile"
    path.write_text(text.replace("{\n", f"{{\n\tadmin off\n\tstorage file_system {directory}\n", 1))
    home = [f"HOME={directory}", f"XDG_DATA_HOME={directory}", f"XDG_CONFIG_HOME={directory}"]
    run = ["run", "--adapter", "caddyfile", "--config", str(path)]
    return ["env", *home, _program("caddy"), *run]


def haproxy(directory: Path, ports: Ports, door: int) -> list[str]:
    """HAProxy with haproxy.cfg and latchwire.lua."""
    shutil.copy(SHIPPED / "haproxy" / "latchwire.lua", directory)
    text = ports.put_into((SHIPPED / "haproxy" / "haproxy.cfg").read_text())
    text = text.replace("/etc/haproxy", str(directory))
    text = text.replace("bind :443 ssl crt /etc/ssl/app.example.com.pem", f"bind 127.0.0.1:{door}")
    path = directory / "haproxy.cfg"
    path.write_text(text)
    return [_program("haproxy"), "-db", "-f", str(path)]


def envoy(directory: Path, ports: Ports, door: int) -> list[str]:
    """Envoy with envoy.yaml."""
    text = ports.put_into((SHIPPED / "envoy" / "envoy.yaml").read_text())
    text = _with_own_header("envoy", text)
    text = text.replace(
        "address: 0.0.0.0, port_value: 8443", f"address: 127.0.0.1, port_value: {door}"
    )
    path = directory / "envoy.yaml"
    path.write_text(text)
    options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
    return [_program("envoy"), "-c", str(path), *options]


def traefik(directory: Path, ports: Ports, door: int) -> list[str]:
    """Traefik with what the catalogue renders to."""
    gateway = Gateway(
        auth=f"http://127.0.0.1:{ports['auth']}", edge=f"http://127.0.0.1:{ports['edge']}"
    )
    rendered = render(parse_catalogue(CATALOGUE.format(**ports)), gateway)
    (directory / "dynamic.yml").write_text(yaml.safe_dump(rendered))
    shipped = yaml.safe_load((SHIPPED / "traefik" / "traefik.yml").read_text())
    shipped["entryPoints"] = {"web": _as_shipped(shipped["entryPoints"]["websecure"], door)}
    # What auth would serve, as a file: there is no auth here.
    shipped["providers"] = {"file": {"filename": str(directory / "dynamic.yml")}}
    del shipped["certificatesResolvers"]
    path = directory / "traefik.yml"
    path.write_text(yaml.safe_dump({**shipped, "log": {"level": "ERROR"}}))
    return [_program("traefik"), "--configFile", str(path)]


def _as_shipped(entry_point: dict[str, Any], door: int) -> dict[str, Any]:
    return {**entry_point, "address": f"127.0.0.1:{door}"}


PROXIES: Final[dict[str, Callable[[Path, Ports, int], list[str]]]] = {
    "traefik": traefik,
    "nginx": nginx,
    "caddy": caddy,
    "haproxy": haproxy,
    "envoy": envoy,
}


# Beside the PATH of somebody who is not root.
_FOLDERS: Final = ("/usr/sbin", "/usr/local/sbin")


def find_proxy(name: str) -> str | None:
    """The program of the proxy *name*."""
    folders = (str(Path(sys.executable).parent), os.environ.get("PATH", ""), *_FOLDERS)
    return shutil.which(name, path=os.pathsep.join(folders))


def proxy_missing(environ: Mapping[str, str], name: str, found: str | None) -> str | None:
    """Why the proxy *name* cannot be tested here, or None.

    Raises:
        RuntimeError: in CI (any value of ``CI``), where a test that was skipped proves nothing.
    """
    if found is not None:
        return None
    if environ.get("CI"):
        raise RuntimeError(f"CI is set and {name} is missing: its tests have to run here")
    return (
        f"MISSING: {name}. It is not tested. On Debian: apt-get install nginx-light haproxy caddy"
    )


def proxy_or_skip(name: str) -> str:
    """*name*; without its program the test is skipped with a warning, never in CI."""
    missing = proxy_missing(os.environ, name, find_proxy(name))
    if missing:
        print(f"\n{missing}", file=sys.__stderr__)
        pytest.skip(missing)
    return name


def make_proxy(name: str, directory: Path, ports: Ports, door: int | None = None) -> Server:
    """The proxy *name* (not started) in front of *ports*; it listens at *door*, or where nobody does."""
    directory.mkdir(parents=True, exist_ok=True)
    door = door or free_port()
    return Server(PROXIES[name](directory, ports, door), door, directory / f"{name}.log")
