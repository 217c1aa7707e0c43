"""compose.yaml: what an engine would enforce, read as text; everything else run and logged in through.

See tests/support/compose.py for what is remapped.
"""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
import yaml

from ctl import init
from ctl.commands.services import COMPOSE_RELOAD
from ctl.main import main
from ctl.up import probes, process
from ctl.up.process import Program
from services.auth.adapters.sql_migrations import read_schema
from services.auth.settings import AuthSettings
from services.auth.wiring.accounts_schema import make_database
from services.edge.settings import EdgeSettings
from services.mailer.settings import MailerSettings
from services.revocation.settings import RevocationSettings
from shared.catalogue import parse_catalogue
from shared.clock import SystemClock
from shared.settings import KNOWN_NAMES, WorkerSettings
from tests.support.compose import ROOT, Installation, load_compose, read_env
from tests.support.postgresql import postgresql_or_skip
from tests.support.servers import NatsServer, Server, binary, free_port, start_in_thread
from tests.support.stack import Inbox
from tests.support.visitor import (
    Browser,
    Client,
    code_in,
    log_in,
    open_browser,
    open_client,
    path_of,
)
from tests.support.waiting import eventually

Install = Callable[..., Installation]
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
    "streams": {"nats/provisioner.seed"},
    "auth": {
        "signing", "link", "refresh", "csrf", "blocklist.key", "clients.json", "jwks.json",
        "operator.jwks.json", "nats/auth.seed", "accounts.password",
        "providers", "edges.jwks.json",
    },
    "postgres": {"accounts.password"},
    "accounts": {"accounts.password"},
    "mailer": {"link", "smtp.password", "nats/mailer.seed"},
    "revocation": {"blocklist.key", "nats/revocation.seed"},
    "edge-1": {
        "jwks.json", "operator.jwks.json", "blocklist.key", "nats/edge-1.seed",
        "edges/edge-1.key", "edges.jwks.json",
    },
    "edge-2": {
        "jwks.json", "operator.jwks.json", "blocklist.key", "nats/edge-2.seed",
        "edges/edge-2.key", "edges.jwks.json",
    },
    "ctl": {
        "nats/operator.seed", "operator", "operator.jwks.json", "signing", "jwks.json",
        "edges", "edges.jwks.json",
    },
}  # fmt: skip
# `keys rotate` makes a signing key, `edges certify` an edge's; nobody else writes any.
WRITABLE = {"ctl": {"signing", "jwks.json", "edges", "edges.jwks.json"}}
ONCE = {"streams", "ctl", "accounts"}  # these end by themselves
PROFILE = {"postgres", "accounts"}  # only where people have accounts
MODELS: dict[str, type[WorkerSettings]] = {
    "auth": AuthSettings,
    "mailer": MailerSettings,
    "revocation": RevocationSettings,
    "edge-1": EdgeSettings,
}
# What compose.yaml says itself, because it follows from the mounts and the doors of a container.
OF_THE_CONTAINER = {
    "SECRETS_DIR", "CATALOGUE", "REVOKERS", "EDGE_ID", "ROLES", "PROVIDERS",
    "AUTH_LISTEN", "AUTH_ADMIN", "EDGE_LISTEN", "EDGE_ADMIN", "MAILER_ADMIN", "REVOCATION_ADMIN",
    "GATEWAY_AUTH", "GATEWAY_EDGE", "GATEWAY_ENTRY_POINT", "GATEWAY_INTERNAL", "GATEWAY_CERT_RESOLVER",
}  # fmt: skip
# Another value than the default for everything else.
OTHER = {
    "URL": "https://other.acme.com", "ALLOW": "@other.com", "SITE_NAME": "Other",
    "SMTP_URL": "smtps://canary@other.acme.com", "MAIL_FROM": "other@acme.com",
    "NATS_URL": "nats://other:4222", "REDIS_URL": "rediss://canary@other/1",
    "TRUSTED_PROXIES": "10.1.2.0/24", "LINK_URL": "https://other.acme.com/#{token}",
    "COOKIE_DOMAIN": "acme.com", "AUDIENCE": "other", "MAX_STALENESS": "20", "LOG_LEVEL": "debug",
    "EDGE_FAST_PATH": "off",
    "LOG_FORMAT": "console", "LIMIT_ADDRESS": "7/h", "LIMIT_NETWORK": "8/h", "LIMIT_GLOBAL": "9/h",
    "DRAIN_TIMEOUT": "3", "ACCOUNTS_URL": "postgresql://other@other/other",
    "PASSWORD_LENGTH": "14", "HASH_WORKERS": "3", "LIMIT_PASSWORD": "9/h",
    "DELETION_SERVICES": "other", "DELETION_DEADLINE": "3d", "EDGES": "edge-8,edge-9",
}  # fmt: skip
_HOST_PORT = re.compile(r"(?<![\w.])([a-z][a-z0-9-]*):(\d{2,5})(?!\d)")


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
    """And holds them read-only; only the operator's own command holds the operator's seed and key."""
    for name, service in document["services"].items():
        volumes = [v for v in service.get("volumes", []) if v.startswith("./secrets/")]

        assert {v.split(":")[0].removeprefix("./secrets/") for v in volumes} == SECRETS[name], name
        writable = {v.split(":")[0].removeprefix("./secrets/") for v in volumes if v[-3:] != ":ro"}
        assert writable == WRITABLE.get(name, set()), name


def test_only_the_front_door_is_published(document: dict[str, Any]) -> None:
    """Stores and workers meet on networks without a way out."""
    published = {n: s["ports"] for n, s in document["services"].items() if "ports" in s}

    assert published == {"traefik": ["80:8080", "443:8443"]}
    inside = ("gateway", "edges", "bus", "edge-bus", "store", "accounts", "abroad")
    assert all(document["networks"][n]["internal"] for n in inside)
    assert set(document["services"]["redis"]["networks"]) == {"store"}
    assert set(document["services"]["postgres"]["networks"]) == {"accounts"}
    assert not {"store", "bus", "edge-bus"} & set(document["services"]["traefik"]["networks"])


def test_an_edge_meets_nobody_but_the_bus_and_the_gateway(document: dict[str, Any]) -> None:
    """Who breaks into an edge stands before no admin port, no store and no other worker."""
    services = document["services"]
    for edge in ("edge-1", "edge-2"):
        mine = networks_of(services[edge])
        met = {name for name, service in services.items() if networks_of(service) & mine}

        assert met == {"edge-1", "edge-2", "nats", "traefik"}
    subnet = document["networks"]["edges"]["ipam"]["config"][0]["subnet"]
    assert services["edge-1"]["environment"]["LATCHWIRE_TRUSTED_PROXIES"] == subnet
    subnet = document["networks"]["gateway"]["ipam"]["config"][0]["subnet"]
    assert services["auth"]["environment"]["LATCHWIRE_TRUSTED_PROXIES"] == subnet


def test_another_gateway_finds_auth_and_every_edge_where_the_page_says(
    document: dict[str, Any],
) -> None:
    """At an address in a network that they are in and believe already; our Traefik is not in the way."""
    override = yaml.safe_load((ROOT / "deploy/proxies/compose.override.yaml").read_text())
    moved = override.pop("services")
    page = (ROOT / "docs/proxies.md").read_text()
    services, networks = document["services"], document["networks"]
    edges = {name for name in services if name.startswith("edge-")}
    on = {name for service in services.values() for name in service.get("profiles", [])}

    assert override == {}
    assert not on & set(moved["traefik"]["profiles"])
    assert set(moved) == {"traefik", "auth"} | edges
    given = {}
    for name in {"auth"} | edges:
        ((network, details),) = moved[name]["networks"].items()
        given[name] = details.pop("ipv4_address")
        subnet = networks[network]["ipam"]["config"][0]["subnet"]

        assert details == {}
        assert network in networks_of(services[name])
        assert ip_address(given[name]) in ip_network(subnet)
        assert services[name]["environment"]["LATCHWIRE_TRUSTED_PROXIES"] == subnet
        port = "8000" if name == "auth" else "9000"
        assert f"{name} `{given[name]}:{port}`" in page
        assert subnet in page
    assert len(set(given.values())) == len(given)


def test_all_edges_of_compose_are_named_to_the_revocation_workers(
    document: dict[str, Any],
) -> None:
    """A name without an edge would be waited for after each start, and an edge without one as well."""
    services = document["services"].values()
    there = {s["environment"].get("LATCHWIRE_EDGE_ID") for s in services if "environment" in s}
    named = document["services"]["revocation"]["environment"]["LATCHWIRE_EDGES"].split(",")

    assert set(named) == there - {None}


async def test_the_bus_shows_its_connections_to_its_own_container_only(
    document: dict[str, Any], nats_server: NatsServer, tmp_path: Path
) -> None:
    """/connz?subs=1 lists everybody's inboxes: it is on loopback even where the bus itself is not."""
    words = document["services"]["nats"]["command"]
    here = {
        "nats-server": binary("nats-server"),
        "/etc/nats/nats-server.conf": nats_server.command[nats_server.command.index("-c") + 1],
        "0.0.0.0": "127.0.0.2",  # an address of this machine that is not the container's loopback
        "4222": str(free_port()),
        "8222": str(free_port()),
        "/data": str(tmp_path / "store"),
    }
    server = Server([here.get(word, word) for word in words], int(here["8222"]), tmp_path / "log")
    await start_in_thread(server)
    try:
        async with aiohttp.ClientSession() as http:

            async def healthy() -> bool:
                async with http.get(f"http://127.0.0.1:{here['8222']}/healthz") as answer:
                    return answer.status == 200

            assert await eventually(healthy)
            with pytest.raises(aiohttp.ClientConnectorError):
                await http.get(f"http://127.0.0.2:{here['8222']}/connz?subs=1")
    finally:
        server.kill()


def test_redis_is_full_before_the_machine_is(document: dict[str, Any]) -> None:
    """Without a bound "noeviction" means nothing, and the kernel ends whom it likes."""
    words = document["services"]["redis"]["command"]
    settings = dict(zip(words[1::2], words[2::2], strict=True))

    assert settings["--maxmemory"] == "256mb"
    assert settings["--maxmemory-policy"] == "noeviction"


def networks_of(service: dict[str, Any]) -> set[str]:
    """The networks a service is on."""
    return set(service.get("networks", []))


def owners_of(document: dict[str, Any], host: str) -> list[str]:
    """The services that answer to *host* on some network."""
    found = []
    for name, service in document["services"].items():
        networks = service.get("networks", {})
        details = networks.values() if isinstance(networks, dict) else ()
        aliases = {alias for one in details for alias in (one or {}).get("aliases", [])}
        if host in {name} | aliases:
            found.append(name)
    return found


def test_each_part_shares_a_network_with_whom_it_talks_to(document: dict[str, Any]) -> None:
    """Every host:port in a command or a setting is a service there, which listens on that port."""
    services, seen = document["services"], set()
    for name, service in services.items():
        told = service.get("environment", {})
        # What auth tells Traefik is for Traefik.
        passed_on = [text for setting, text in told.items() if "_GATEWAY_" in setting]
        own = [*service["command"], *(text for text in told.values() if text not in passed_on)]
        calls = [(name, text) for text in own] + [("traefik", text) for text in passed_on]
        pairs = {(user, *pair) for user, text in calls for pair in _HOST_PORT.findall(str(text))}
        for user, host, port in pairs:
            owners = owners_of(document, host)
            assert owners, f"{name}: nobody is called {host}"
            for owner in owners:
                assert networks_of(services[user]) & networks_of(services[owner]), (
                    f"{user} -> {owner}"
                )
                its = services[owner]
                said = [*its["command"], *its.get("environment", {}).values()]
                assert any(port in str(text) for text in said), f"{owner}: no port {port}"
                seen.add((user, owner))

    expected = {("auth", "redis"), ("ctl", "nats"), ("edge-2", "nats"), ("traefik", "edge-2")}
    assert expected <= seen


def test_the_starters_upstream_is_on_traefiks_network_for_applications(
    document: dict[str, Any],
) -> None:
    """It is the developer's own container, in the network that compose.yaml names for it."""
    assert [s.upstream for s in parse_catalogue(init.CATALOGUE).services] == ["http://app:3000"]
    assert "app" not in document["services"]
    assert "apps" in networks_of(document["services"]["traefik"])
    assert not (document["networks"]["apps"] or {}).get("internal")


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


def test_init_writes_once_and_keeps_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second run changes nothing, whatever it is told; the password is in no settings file.

    Only that one says how NATS, which reads a file that compose mounts only when told, reads accounts.conf.
    """
    arguments = ["init", "--dir", str(tmp_path), "--allow", "@acme.com", "--site-name", "Acme"]
    mail = ["--smtp", "smtp://u:s3cr%2Ft@mail.acme.com:587", "--mail-from", "login@acme.com"]
    assert main([*arguments, *mail, "--url", "https://auth.acme.com"]) == 0
    before = {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()}
    first = capsys.readouterr().out

    assert main([*arguments, *mail, "--url", "https://other.acme.com"]) == 0

    assert [COMPOSE_RELOAD in out for out in (first, capsys.readouterr().out)] == [False, True]
    assert {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()} == before
    assert "s3cr" not in (tmp_path / ".env").read_text()
    assert (tmp_path / "secrets" / "smtp.password").read_text() == "s3cr/t\n"
    private = [p for p in tmp_path.rglob("*") if p.suffix in {".seed", ".key", ".pem"}]
    assert len(private) > 8
    assert all(p.stat().st_mode & 0o077 == 0 for p in [*private, tmp_path / ".env"])


@pytest.mark.parametrize(
    ("words", "url", "line"),
    [
        (["--accounts"], "postgresql://latchwire@postgres/latchwire", "COMPOSE_PROFILES=accounts"),
        (["--accounts", "postgresql://u@db/n"], "postgresql://u@db/n", "AUTH_STAYS_INSIDE=false"),
        ([], None, ""),
    ],
)
def test_init_switches_accounts_on_with_a_password_of_its_own(
    tmp_path: Path, words: list[str], url: str | None, line: str
) -> None:
    """It is in a file and in no setting; compose runs PostgreSQL, or lets auth out to one elsewhere."""
    arguments = ["init", "--dir", str(tmp_path), "--allow", "@acme.com", "--site-name", "Acme"]
    more = [
        "--smtp",
        "smtp://mail.acme.com",
        "--mail-from",
        "login@acme.com",
        "--url",
        "https://a.b",
    ]

    assert main([*arguments, *more, *words]) == 0

    env, password = read_env(tmp_path), tmp_path / "secrets" / "accounts.password"
    assert env.get("LATCHWIRE_ACCOUNTS_URL") == url
    added = set(env) - set(SETTINGS) - {"LATCHWIRE_SECRETS_DIR", "LATCHWIRE_ACCOUNTS_URL"}
    assert added - {"RUN_AS", "ACME_EMAIL"} == ({line.partition("=")[0]} if line else set())
    assert not line or line in (tmp_path / ".env").read_text().splitlines()
    assert len(password.read_text().strip()) == 43
    assert password.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"LATCHWIRE_URL": "http://auth.acme.com"}, "--url must be https"),
        ({"LATCHWIRE_ALLOW": "acme.com"}, "--allow"),
        ({"LATCHWIRE_SMTP_URL": "mail.acme.com"}, "--smtp"),
        ({"LATCHWIRE_MAIL_FROM": "acme"}, "--mail-from"),
        ({"LATCHWIRE_SITE_NAME": "A\\B"}, "--site-name cannot have a line break"),
        ({"LATCHWIRE_ACCOUNTS_URL": "sqlite:///accounts.db"}, "--accounts must be postgresql://"),
        ({"LATCHWIRE_ACCOUNTS_URL": "postgresql://u:p@db/n"}, "--accounts the password belongs"),
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
    return {name: free_port() for name in ("http", "https", "smtp", "mailbox", "demo")}


@pytest.fixture
def install(tmp_path: Path, doors: dict[str, int]) -> Iterator[Install]:
    """What `init` writes for this machine at https://HOST, with more settings added; not started."""
    made = []

    def make(host: str = "localhost", **more: str) -> Installation:
        settings = {
            **SETTINGS,
            "LATCHWIRE_URL": f"https://{host}:{doors['https']}",
            "LATCHWIRE_ALLOW": "*",
            "LATCHWIRE_SMTP_URL": f"smtp://localhost:{doors['smtp']}",
        }
        directory = tmp_path / "production"
        init.initialise(directory, settings, 2, SystemClock())
        with (directory / ".env").open("a") as env:
            env.writelines(f"LATCHWIRE_{name}={value}\n" for name, value in more.items())
        (directory / "nats").mkdir()
        (directory / "nats" / "nats-server.conf").write_bytes(
            (ROOT / "nats" / "nats-server.conf").read_bytes()
        )
        # The starter as it is; only its upstream is where the demo listens here.
        starter = directory / "services.yaml"
        demo = f"http://127.0.0.1:{doors['demo']}"
        starter.write_text(starter.read_text().replace("http://app:3000", demo))
        published = {80: doors["http"], 443: doors["https"]}
        made.append(Installation(directory, load_compose(read_env(directory)), published))
        return made[-1]

    yield make
    for production in made:
        production.down()


@pytest.mark.parametrize("name", sorted(KNOWN_NAMES - OF_THE_CONTAINER))
def test_a_setting_in_env_reaches_every_worker_that_knows_it(install: Install, name: str) -> None:
    """And what may hold a password reaches nobody else."""
    # A cookie of a domain is for a site within it.
    besides = {"URL": OTHER["URL"]} if name == "COOKIE_DOMAIN" else {}
    production = install(**besides, **{name: OTHER[name]})
    field = name.lower()
    for service, model in MODELS.items():
        environment = production.environment_of(production.document["services"][service])
        if field in model.model_fields:
            expected = getattr(model.load({**environment, f"LATCHWIRE_{name}": OTHER[name]}), field)
            assert getattr(model.load(environment), field) == expected, service
        elif "canary" in OTHER[name]:
            assert not environment.get(f"LATCHWIRE_{name}"), service


def test_a_mistyped_name_in_env_stops_every_worker(install: Install) -> None:
    """It is said which name is meant, instead of leaving a default in force."""
    production = install(LIMIT_ADRESS="1/h")
    ours = [n for n, s in production.document["services"].items() if "env_file" in s]

    assert set(ours) == set(SECRETS) - {"nats", "redis", "traefik", "postgres"}
    for name in ours:
        done = production.run(name, *(["edges", "list"] if name == "ctl" else []))
        assert done.returncode in {1, 2}, name
        assert "did you mean LATCHWIRE_LIMIT_ADDRESS?" in done.stderr, (name, done.stderr)


async def test_the_loop_through_every_service_of_compose(
    install: Install, doors: dict[str, int]
) -> None:
    """Exact commands, environments, mounts and health checks, and init's own catalogue: in, and out again."""
    production = install()
    async with _outside(production, doors):
        production.up()
        assert production.instances == set(SECRETS) - ONCE - PROFILE | {"revocation.2"}
        await _go_round(f"https://localhost:{doors['https']}", doors)
        await _operate(production, f"https://localhost:{doors['https']}", doors)


async def test_a_cookie_domain_lets_a_service_have_a_host_of_its_own(
    install: Install, doors: dict[str, int]
) -> None:
    """The starter's commented example, switched on: auth sets the shared cookie and the edges read it."""
    production = install("auth.latchwire.test", COOKIE_DOMAIN="latchwire.test")
    starter = production.directory / "services.yaml"
    text = re.sub(
        r"^  # (reports:|  host:|  upstream:)", r"  \1", starter.read_text(), flags=re.MULTILINE
    )
    text = text.replace("reports.acme.com", "reports.latchwire.test")
    starter.write_text(text.replace("http://reports:8080", f"http://127.0.0.1:{doors['demo']}"))
    async with _outside(production, doors):
        production.up()
        url = f"https://auth.latchwire.test:{doors['https']}"
        async with open_browser(url) as browser:
            await _log_in_by_page(browser, doors, "shared@example.com")
            assert "__Secure-latchwire" in browser.cookies()
            assert "__Host-latchwire" not in browser.cookies()
            elsewhere = f"https://reports.latchwire.test:{doors['https']}"
            page = await Browser(browser.session, elsewhere).open("/demo")
            assert (page.status, page.url) == (200, f"{elsewhere}/demo")
            assert "shared@example.com" in page.text


async def test_accounts_are_switched_on_as_the_runbook_says(install: Install) -> None:
    """Its lines for .env, then PostgreSQL, the job that migrates, and auth's own settings and password."""
    postgresql_or_skip()
    lines = re.findall(
        r"^echo .* >> \.env$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE
    )
    assert len(lines) == 2
    directory = install().directory
    for line in lines:
        subprocess.run(["bash", "-euc", line], cwd=directory, check=True)
    production = Installation(directory, load_compose(read_env(directory)), {})
    try:
        await asyncio.to_thread(production.up, "postgres", "accounts")
        assert "has schema 0001 (before: none)" in production.logs("accounts")
        again = await asyncio.to_thread(production.run, "accounts")
        assert (again.returncode, "already" in again.stdout) == (0, True), again.stderr
        auth = production.document["services"]["auth"]
        _, environment = production.process_of("auth", "auth", auth)
        settings = AuthSettings.load(environment)
        async with make_database(settings) as database:
            assert (await read_schema(database)).fits
    finally:
        await asyncio.to_thread(production.down)


async def _go_round(url: str, doors: dict[str, int]) -> None:
    inbox = Inbox(f"http://localhost:{doors['mailbox']}")
    async with open_client(url) as client:
        await _routed(client)
        tokens = await log_in(client, inbox, "prod@example.com")
        access = tokens["access_token"]
        status, seen = await client.get("/demo", access)
        assert (status, seen["X-User-Email"]) == (200, "prod@example.com")
        status, _ = await client.post("/auth/logout", token=access)
        assert status == 204

        async def refused() -> bool:
            return (await client.get("/demo", access))[0] == 401

        assert await eventually(refused)
    async with open_browser(url) as browser:
        await _log_in_by_page(browser, doors, "page@example.com")
        assert {"__Host-latchwire", "__Secure-latchwire-refresh"} <= set(browser.cookies())
    async with open_client(f"http://localhost:{doors['http']}") as client:
        status, headers = await client.get("/demo")
        assert (status, headers["Location"]) == (301, f"{url}/demo")


async def _names_every_edge(production: Installation) -> bool:
    """Whether a worker has listened long enough to know which edges are live; nobody is revoked."""
    words = ("revoke", "session", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "--reason", "roll call")
    return (await asyncio.to_thread(production.run, "ctl", *words)).returncode == 0


async def _operate(production: Installation, url: str, doors: dict[str, int]) -> None:
    """``docker compose run --rm ctl …``, and what both edges make of it."""
    inbox = Inbox(f"http://localhost:{doors['mailbox']}")
    async with open_client(url) as client:
        tokens = await log_in(client, inbox, "thief@example.com")
    access = tokens["access_token"]
    assert await _ask_edge(production, "edge-2", url, access) == (200, "thief@example.com")

    await eventually(lambda: _names_every_edge(production), within=60)
    words = ("revoke", "person", "thief@example.com", "--reason", "laptop stolen")
    done = await asyncio.to_thread(production.run, "ctl", *words)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 live edges refuse" in done.stdout
    for edge in ("edge-1", "edge-2"):
        assert await _ask_edge(production, edge, url, access) == (401, "")
    told = ("catalogue", "check"), ("catalogue", "apply"), ("keys", "rotate")
    for words in (("status",), ("edges", "list"), ("doctor",), *told, ("keys", "list")):
        done = await asyncio.to_thread(production.run, "ctl", *words)
        assert done.returncode == 0, done.stdout + done.stderr
    # What is mounted is enough for a new key to sign, and both edges accept what it signed.
    async with open_client(url) as client:
        access = (await log_in(client, inbox, "after@example.com"))["access_token"]
    assert jwt.get_unverified_header(access)["kid"] in done.stdout.split("signing")[0].split()
    for edge in ("edge-1", "edge-2"):
        assert await _ask_edge(production, edge, url, access) == (200, "after@example.com")


async def _ask_edge(production: Installation, edge: str, url: str, access: str) -> tuple[int, str]:
    """What that very edge says about a request for /demo, asked as Traefik does."""
    headers = {
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": url.removeprefix("https://"),
        "X-Forwarded-Uri": "/demo",
        "Authorization": f"Bearer {access}",
    }
    check = f"http://{production.address(edge, 9000)}/check/traefik"
    async with aiohttp.ClientSession() as http, http.get(check, headers=headers) as answer:
        return answer.status, answer.headers.get("X-User-Email", "")


async def _log_in_by_page(browser: Browser, doors: dict[str, int], address: str) -> None:
    """Wanted /demo, asked, typed the code, and is at /demo."""
    async with open_client(browser.url) as client:
        await _routed(client)
    inbox = Inbox(f"http://localhost:{doors['mailbox']}")
    page = await browser.open("/demo")
    sent = await browser.submit(page, "/auth/form/login", email=address)
    code = code_in(await inbox.mail_to(address))
    demo = await browser.submit(sent, "/auth/form/code", code=code)
    assert (demo.status, path_of(demo)) == (200, "/demo")
    assert address in demo.text
    assert demo.headers["Strict-Transport-Security"] == "max-age=31536000"


async def _routed(client: Client) -> None:
    """Traefik is alive before it has read its dynamic configuration."""

    async def routed() -> bool:
        return (await client.get("/.well-known/jwks.json"))[0] == 200

    await eventually(routed, within=60)  # it looks again at longer and longer intervals


@asynccontextmanager
async def _outside(production: Installation, doors: dict[str, int]) -> AsyncIterator[None]:
    """What a production brings itself: the mail server and the application."""
    smtp, demo = doors["smtp"], doors["demo"]
    mailbox = await _beside(production, "ctl.up.mailbox", smtp, doors["mailbox"], ready=smtp)
    application = await _beside(production, "ctl.up.demo", demo)
    try:
        yield
    finally:
        await process.stop(mailbox, 5)
        await process.stop(application, 5)


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
