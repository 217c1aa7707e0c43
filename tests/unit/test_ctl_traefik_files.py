"""``latchwire catalogue traefik|labels``: the routes for a Traefik that does not ask auth for them."""

import json
from pathlib import Path

import pytest

from ctl import exits
from ctl.main import main
from shared.catalogue import load_catalogue
from shared.traefik import Gateway, labels_of, render

GOOD = """\
services:
  app:
    upstream: http://app:3000
  ledger:
    paths: [/ledger]
    upstream: https://ledger
    expose_publicly: false
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a catalogue, and we are in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "services.yaml").write_text(GOOD)
    (tmp_path / ".env").write_text(
        "LATCHWIRE_URL=https://auth.acme.com\nLATCHWIRE_NATS_URL=nats://nats:4222\n"
    )
    return tmp_path


def gateway(internal: str | None = None) -> Gateway:
    """What the options' defaults and .env say."""
    return Gateway(
        "http://auth:8000",
        "http://edge:9000",
        entry_point="websecure",
        auth_host="auth.acme.com",
        internal=internal,
        secure=True,
    )


def test_the_file_is_what_traefik_would_be_told_by_auth(folder: Path) -> None:
    """The same code renders both."""
    out = folder / "dynamic.yml"

    assert main(["catalogue", "traefik", "--out", str(out)]) == exits.DONE

    catalogue = load_catalogue(folder / "services.yaml")
    assert json.loads(out.read_text()) == render(catalogue, gateway())


def test_labels_are_printed_plainly_and_for_a_compose_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Compose reads a dollar as a variable's, YAML a single quote as the end."""
    assert main(["catalogue", "labels", "app"]) == exits.DONE
    plain = capsys.readouterr().out.splitlines()
    assert main(["catalogue", "labels", "app", "--compose"]) == exits.DONE
    compose = capsys.readouterr().out.splitlines()

    catalogue = load_catalogue(folder / "services.yaml")
    assert tuple(plain) == labels_of(catalogue, gateway(), "app")
    pattern = next(line for line in compose if "authResponseHeadersRegex" in line)
    assert pattern.endswith(")$$'")
    policy = next(line for line in compose if "contentSecurityPolicy" in line)
    assert "; base-uri ''self'';" in policy
    assert len(compose) == len(plain)


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("shop", "shop is no service of services.yaml; there are: app, ledger"),
        ("ledger", "ledger is not exposed: name the entry point for such services with --internal"),
    ],
)
def test_labels_of_what_has_no_route_are_refused_with_the_cure(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, cure: str
) -> None:
    """Unknown, or for a door that was not named."""
    assert main(["catalogue", "labels", name]) == exits.FAILED
    assert cure in capsys.readouterr().err


def test_a_service_that_is_not_exposed_has_labels_for_its_own_door(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a port the scheme's."""
    assert main(["catalogue", "labels", "ledger", "--internal", "inside"]) == exits.DONE

    printed = capsys.readouterr().out.splitlines()
    assert "traefik.http.routers.service-ledger-0.entryPoints=inside" in printed
    assert "traefik.http.services.service-ledger.loadBalancer.server.port=443" in printed


def test_beside_a_running_up_its_own_file_and_address_count(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As for check, routes and apply; a file that is named counts before both."""
    state = folder / "state"
    state.mkdir()
    run = {"url": "http://auth.house.localhost:18180", "nats_url": "nats://n", "secrets_dir": "s"}
    (state / "run.json").write_text(json.dumps(run))
    (state / "services.yaml").write_text(GOOD.replace("app", "here"))
    (folder / "mine.yaml").write_text(GOOD.replace("app", "mine"))

    context = ["--context", str(state)]
    assert main([*context, "catalogue", "labels", "here"]) == exits.DONE
    assert main([*context, "catalogue", "labels", "mine", str(folder / "mine.yaml")]) == exits.DONE
    out = folder / "routes.yml"
    assert main([*context, "catalogue", "traefik", "--out", str(out)]) == exits.DONE
    routers = json.loads(out.read_text())["http"]["routers"]
    assert "service-here-0" in routers
    assert "auth.house.localhost" in routers["auth"]["rule"]
