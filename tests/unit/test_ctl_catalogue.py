"""``latchwire catalogue check`` reads the catalogue of the installation that is meant."""

from pathlib import Path

import pytest
import yaml

from ctl import exits
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
