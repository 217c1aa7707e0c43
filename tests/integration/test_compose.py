"""compose.yaml: what an engine would enforce, read as text; everything else run and logged in through.

See tests/support/compose.py for what is remapped.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ctl import init
from ctl.main import main
from ctl.up import ports, probes, process
from ctl.up.process import Program
from shared.clock import SystemClock
from tests.support.compose import ROOT, Installation, load_compose, read_env
from tests.support.servers import binary
from tests.support.stack import Inbox
from tests.support.visitor import code_in, log_in, open_browser, open_client, path_of
from tests.support.waiting import eventually

SETTINGS = {
    "LATCHWIRE_URL": "https://auth.acme.com",
    "LATCHWIRE_ALLOW": "@acme.com",
    "LATCHWIRE_SITE_NAME": "Acme",
    "LATCHWIRE_SMTP_URL": "smtp://mail.acme.com",
    "LATCHWIRE_MAIL_FROM": "Acme <login@acme.com>",
}
# Which secrets each service may hold: nothing else of secrets/ is mounted there.
SECRETS = {
    "nats": {"nats/accounts.conf"},
    "redis": set(),
    "traefik": set(),
    "routes": set(),
    "streams": {"nats/provisioner.seed"},
    "auth": {
        "signing", "link", "refresh", "csrf", "blocklist.key", "clients.json", "jwks.json",
        "nats/auth.seed",
    },
    "mailer": {"link", "smtp.password", "nats/mailer.seed"},
    "revocation": {"blocklist.key", "nats/revocation.seed"},
    "edge-1": {"jwks.json", "blocklist.key", "nats/edge-1.seed"},
    "edge-2": {"jwks.json", "blocklist.key", "nats/edge-2.seed"},
}  # fmt: skip


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """compose.yaml of a usual production."""
    return load_compose({**SETTINGS, "ACME_EMAIL": "login@acme.com"})


def test_every_service_is_confined(document: dict[str, Any]) -> None:
    """Not root, read-only, no capability, no new privileges, and checked unless it ends by itself."""
    for name, service in document["services"].items():
        assert service["user"] == "10001:10001", name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "healthcheck" in service or service["restart"] == "no", name


def test_each_service_holds_only_the_secrets_it_needs(document: dict[str, Any]) -> None:
    """And holds them read-only; nobody holds the operator's seed."""
    for name, service in document["services"].items():
        volumes = [v for v in service.get("volumes", []) if v.startswith("./secrets/")]

        assert {v.split(":")[0].removeprefix("./secrets/") for v in volumes} == SECRETS[name], name
        assert all(v.endswith(":ro") for v in volumes), name


def test_only_the_front_door_is_published(document: dict[str, Any]) -> None:
    """Stores and workers meet on networks without a way out."""
    published = {n: s["ports"] for n, s in document["services"].items() if "ports" in s}

    assert published == {"traefik": ["80:8080", "443:8443"]}
    assert all(document["networks"][n]["internal"] for n in ("gateway", "bus", "store"))
    assert set(document["services"]["redis"]["networks"]) == {"store"}
    assert not {"store", "bus"} & set(document["services"]["traefik"]["networks"])


def test_no_development_part_is_in_production(document: dict[str, Any]) -> None:
    """No mailbox and no demo, not even in the image."""
    ignored = (ROOT / ".dockerignore").read_text().split()

    assert set(document["services"]) == set(SECRETS)
    assert {"ctl/up/mailbox", "ctl/up/demo.py"} <= set(ignored)
    assert not {"!.env", "!secrets", "!.latchwire"} & set(ignored)


def test_the_image_is_made_of_what_is_there_and_runs_as_nobody() -> None:
    """Every COPY has its source, every requirement its hash; the user is not root."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    sources = re.findall(r"^COPY (?!--)(\S+) ", dockerfile, re.MULTILINE)

    assert all((ROOT / source).exists() for source in sources)
    assert "--require-hashes" in dockerfile
    assert "USER 10001:10001" in dockerfile
    requirements = (ROOT / "requirements" / "runtime.txt").read_text()
    pinned = re.findall(r"^[a-z][\w.\[\]-]*==", requirements, re.MULTILINE)
    assert len(re.findall(r"--hash=sha256:", requirements)) >= len(pinned) > 10


def test_init_writes_once_and_keeps_what_is_there(tmp_path: Path) -> None:
    """A second run changes nothing, whatever it is told; the password is in no settings file."""
    arguments = ["init", "--dir", str(tmp_path), "--allow", "@acme.com", "--site-name", "Acme"]
    mail = ["--smtp", "smtp://u:s3cr%2Ft@mail.acme.com:587", "--mail-from", "login@acme.com"]
    assert main([*arguments, *mail, "--url", "https://auth.acme.com"]) == 0
    before = {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()}

    assert main([*arguments, *mail, "--url", "https://other.acme.com"]) == 0

    assert {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()} == before
    assert "s3cr" not in (tmp_path / ".env").read_text()
    assert (tmp_path / "secrets" / "smtp.password").read_text() == "s3cr/t\n"
    private = [p for p in tmp_path.rglob("*") if p.suffix in {".seed", ".key", ".pem"}]
    assert len(private) > 8
    assert all(p.stat().st_mode & 0o077 == 0 for p in [*private, tmp_path / ".env"])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"LATCHWIRE_URL": "http://auth.acme.com"}, "--url must be https"),
        ({"LATCHWIRE_ALLOW": "acme.com"}, "--allow"),
        ({"LATCHWIRE_SMTP_URL": "mail.acme.com"}, "--smtp"),
        ({"LATCHWIRE_MAIL_FROM": "acme"}, "--mail-from"),
        ({"LATCHWIRE_SITE_NAME": "A\nB"}, "line break"),
    ],
)
def test_init_says_what_does_not_fit(changed: dict[str, str], said: str) -> None:
    """Before it writes anything."""
    found = init.problems({**SETTINGS, **changed}, edges=2)

    assert len(found) == 1
    assert said in found[0]


@pytest.fixture
def doors() -> dict[str, int]:
    """Ports of what is seen from outside, and of the mail server and the service beside it."""
    return ports.choose(("http", "https", "smtp", "mailbox", "demo"), {})


@pytest.fixture
def installation(tmp_path: Path, doors: dict[str, int]) -> Iterator[Installation]:
    """What `init` writes for this machine; not started."""
    settings = {
        **SETTINGS,
        "LATCHWIRE_URL": f"https://localhost:{doors['https']}",
        "LATCHWIRE_ALLOW": "*",
        "LATCHWIRE_SMTP_URL": f"smtp://localhost:{doors['smtp']}",
    }
    directory = tmp_path / "production"
    init.initialise(directory, settings, 2, SystemClock())
    (directory / "nats").mkdir()
    (directory / "nats" / "nats-server.conf").write_bytes(
        (ROOT / "nats" / "nats-server.conf").read_bytes()
    )
    catalogue = {"demo": {"paths": ["/demo"], "upstream": f"http://127.0.0.1:{doors['demo']}"}}
    (directory / "services.yaml").write_text(yaml.safe_dump({"services": catalogue}))
    published = {80: doors["http"], 443: doors["https"]}
    production = Installation(directory, load_compose(read_env(directory)), published)
    yield production
    production.down()


async def test_the_loop_through_every_service_of_compose(
    installation: Installation, doors: dict[str, int]
) -> None:
    """Their exact commands, environments, mounts and health checks: log in over TLS, and out again."""
    mailbox = await _beside(
        installation, "ctl.up.mailbox", doors["smtp"], doors["mailbox"], ready=doors["smtp"]
    )
    demo = await _beside(installation, "ctl.up.demo", doors["demo"])
    try:
        installation.up()
        expected = set(SECRETS) - {"streams", "routes"} | {"revocation.2"}
        assert installation.instances == expected
        await _go_round(f"https://localhost:{doors['https']}", doors)
    finally:
        await process.stop(mailbox, 5)
        await process.stop(demo, 5)


async def _go_round(url: str, doors: dict[str, int]) -> None:
    inbox = Inbox(f"http://localhost:{doors['mailbox']}")
    async with open_client(url) as client:

        async def routed() -> bool:
            """Traefik is alive before it has read its dynamic configuration."""
            return (await client.get("/.well-known/jwks.json"))[0] == 200

        await eventually(routed, within=10)
        tokens = await log_in(client, inbox, "prod@example.com")
        access = tokens["access_token"]
        status, seen = await client.get("/demo", access)
        assert (status, seen["X-User-Email"]) == (200, "prod@example.com")
        status, _ = await client.post("/auth/logout", token=access)
        assert status == 204

        async def refused() -> bool:
            return (await client.get("/demo", access))[0] == 401

        assert await eventually(refused, within=3)
    async with open_browser(url) as browser:
        page = await browser.open("/demo")
        sent = await browser.submit(page, "/auth/form/login", email="page@example.com")
        code = code_in(await inbox.mail_to("page@example.com"))
        demo = await browser.submit(sent, "/auth/form/code", code=code)
        assert path_of(demo) == "/demo"
        assert {"__Host-latchwire", "__Secure-latchwire-refresh"} <= set(browser.cookies())
    async with open_client(f"http://localhost:{doors['http']}") as client:
        status, headers = await client.get("/demo")
        assert (status, headers["Location"]) == (301, f"{url}/demo")


async def _beside(
    installation: Installation, module: str, *arguments: int, ready: int | None = None
) -> Any:
    """A part that is not of compose: the mail server and the service a production brings itself."""
    log = installation.directory / f"{module}.log"
    argv = (binary("python"), "-m", module, *map(str, arguments))
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{ROOT / 'sdk' / 'src'}"}
    running = await process.start(Program(argv, env, installation.directory, log))
    probe = (
        probes.smtp(ready) if ready else probes.http(f"http://127.0.0.1:{arguments[0]}/demo/public")
    )
    assert await probes.until_ready(probe, 20) is None
    return running
