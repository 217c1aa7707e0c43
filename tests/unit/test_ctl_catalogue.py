"""``latchwire catalogue check`` reads the catalogue of the installation that is meant."""

import json
from pathlib import Path

import pytest
import yaml

from ctl import exits
from ctl.doctor.echo import Echo
from ctl.main import main
from shared.catalogue import ServiceDocument, load_catalogue

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "deploy" / "proxies" / "services.yaml"
GOOD = "services:\n  app:\n    upstream: http://app:3000\n"
BAD = "services:\n  app:\n    upstraem: http://app:3000\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and we are in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_service_is_one_and_two_are_two(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In grammar too."""
    file = folder / "services.yaml"
    file.write_text(GOOD)
    assert main(["--context", str(folder), "catalogue", "check"]) == exits.DONE
    file.write_text(GOOD + "  web:\n    paths: [/web]\n    upstream: http://web:3000\n")
    assert main(["--context", str(folder), "catalogue", "check"]) == exits.DONE

    one, two = capsys.readouterr().out.splitlines()
    assert one.endswith(": 1 service, as it should be")
    assert two.endswith(": 2 services, as they should be")


def test_headers_that_a_gateway_has_to_be_told_of_are_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a line for each, three gateways pass on what the client says of itself."""
    file = folder / "services.yaml"
    file.write_text(f"{GOOD}    headers: {{ X-Client-Id: client_id }}\n")
    assert main(["--context", str(folder), "catalogue", "check"]) == exits.DONE

    _, said = capsys.readouterr().out.splitlines()
    assert said.startswith("with headers of their own: app; at nginx, Caddy and Envoy")


def test_lines_of_the_doctors_echo_that_stayed_are_warned_of(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While no doctor runs, the port they lead to is anybody's."""
    lines = Echo("127.0.0.1", 9109).lines(None)
    (folder / "services.yaml").write_text("\n".join([GOOD.rstrip(), *lines, ""]))
    assert main(["--context", str(folder), "catalogue", "check"]) == exits.DONE

    assert capsys.readouterr().err.startswith("take the lines of latchwire-doctor out")


def test_the_context_says_whose_catalogue_is_checked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one of that state directory, before or after the command, and not the one here."""
    (folder / "services.yaml").write_text(GOOD)
    state = folder / "state"
    state.mkdir()
    (state / "services.yaml").write_text(BAD)

    for arguments in (
        ["--context", str(state), "catalogue", "check"],
        ["catalogue", "check", "--context", str(state)],
    ):
        assert main(arguments) == exits.FAILED
        assert "did you mean upstream?" in capsys.readouterr().err

    (state / "services.yaml").write_text(GOOD)
    assert main(["catalogue", "check", "--context", str(state)]) == exits.DONE
    assert str(state / "services.yaml") in capsys.readouterr().out


def test_settings_say_whose_catalogue_is_checked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """LATCHWIRE_CATALOGUE of the settings; without it services.yaml beside them."""
    (folder / ".env").write_text("LATCHWIRE_NATS_URL=nats://nats:4222\n")
    (folder / "services.yaml").write_text(GOOD)
    (folder / "mine.yaml").write_text(BAD)
    assert main(["catalogue", "check"]) == exits.DONE

    monkeypatch.setenv("LATCHWIRE_CATALOGUE", "mine.yaml")

    assert main(["catalogue", "check"]) == exits.FAILED
    assert "mine.yaml:3" in capsys.readouterr().err


def test_the_example_shows_every_key_and_is_usable() -> None:
    """Each key of a service stands in it, not only in a comment."""
    written = yaml.safe_load(EXAMPLE.read_text())["services"].values()

    assert len(load_catalogue(EXAMPLE).services) == len(written) > 2
    assert {key for service in written for key in service} == set(ServiceDocument.model_fields)


def test_routes_are_every_place_of_the_file_with_whom_it_lets_in(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also the open ones, and those that are not for the internet."""
    assert main(["catalogue", "routes", str(EXAMPLE), "--json"]) == exits.DONE
    routes = json.loads(capsys.readouterr().out)["routes"]
    told = {f"{r['host']}{r['path']}": (r["service"], r["who"]) for r in routes}

    services = load_catalogue(EXAMPLE).services
    assert len(routes) == sum(len(s.paths) + len(s.public_paths) for s in services)
    assert told["auth.acme.com/shop/prices"] == ("shop", "open to everybody")
    assert told["auth.acme.com/shop"] == ("shop", "for everybody signed in")
    assert told["ledger.acme.com/"][1] == "for any service, with the permission ledger.write"
    assert [r["service"] for r in routes if not r["exposed"]] == ["ledger"]

    assert main(["catalogue", "routes", str(EXAMPLE)]) == exits.DONE
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(routes) + 1
    assert any(line.startswith("ledger.acme.com (internal)") for line in lines)


def test_a_check_tells_what_is_open_to_everybody(capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody wants to find out from the internet."""
    assert main(["catalogue", "check", str(EXAMPLE), "--json"]) == exits.DONE
    answer = json.loads(capsys.readouterr().out)

    assert answer["services"] == 10
    assert answer["open"] == [
        "auth.acme.com/shop/prices",
        "auth.acme.com/shop/assets",
        "auth.acme.com/status",
        "app.acme.com/assets",
    ]


def test_a_check_of_a_broken_file_is_for_machines_too(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every problem, and exit 1."""
    file = folder / "mine.yaml"
    file.write_text(BAD)

    assert main(["catalogue", "check", str(file), "--json"]) == exits.FAILED
    answer = json.loads(capsys.readouterr().out)
    assert answer["usable"] is False
    assert any("mine.yaml:3: services.app.upstraem: unknown key" in p for p in answer["problems"])


def test_paths_of_the_login_are_warned_of_and_not_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No request ever comes to them; on another host than the login's they are like any other."""
    (folder / ".env").write_text(
        "LATCHWIRE_URL=https://auth.acme.com\nLATCHWIRE_NATS_URL=nats://n\n"
    )
    file = folder / "services.yaml"
    file.write_text(
        "services:\n"
        "  a: {upstream: 'http://a', paths: [/auth/x, /authors]}\n"
        "  b: {upstream: 'http://b', host: auth.acme.com, paths: [/.well-known]}\n"
        "  c: {upstream: 'http://c', host: app.acme.com, paths: [/.well-known]}\n"
    )

    assert main(["catalogue", "check"]) == exits.DONE
    assert capsys.readouterr().err.splitlines() == [
        "warning: the gateway sends */auth/x to the login, not to the service",
        "warning: the gateway sends auth.acme.com/.well-known to the login, not to the service",
    ]


def test_a_catalogue_without_services_is_not_called_as_it_should_be(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is published of it without a word: nobody is at this terminal to say it."""
    (folder / "none.yaml").write_text("services: {}\n")

    assert main(["catalogue", "check", "none.yaml"]) == exits.DONE
    assert (
        capsys.readouterr().out == "none.yaml: no service at all: every request will be refused\n"
    )
    assert main(["catalogue", "apply", "none.yaml"]) == exits.USAGE
    assert "every request will be refused" in capsys.readouterr().err


def test_limits_are_shown_as_they_are_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what may come at once."""
    (folder / "services.yaml").write_text(GOOD + "    rate_limit: standard\n    roles: [admin]\n")

    assert main(["--context", str(folder), "catalogue", "routes"]) == exits.DONE
    out = capsys.readouterr().out
    assert "100/minute, burst 50" in out
    assert "for people with the role admin" in out
