"""``latchwire clients add``: a secret shown once, its hash kept, and auth believes it."""

import json
from pathlib import Path

import pytest

from ctl import exits
from ctl.main import main
from services.auth.adapters.client_file import load_client_secrets
from services.auth.http.clients import ClientList
from shared.secrets import write_private


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory as `up` leaves it."""
    write_private(tmp_path / "secrets" / "clients.json", "{}")
    return tmp_path


def test_the_secret_is_printed_alone_and_auth_accepts_it(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard output is the secret and nothing else; the file holds its hash and is private."""
    assert main(["--context", str(state), "clients", "add", "web_app"]) == exits.DONE

    told = capsys.readouterr()
    secret = told.out.removesuffix("\n")
    path = state / "secrets" / "clients.json"
    assert len(secret) == 43
    assert secret not in told.err + path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert "restart auth" in told.err
    clients = ClientList(load_client_secrets(state / "secrets"))
    assert clients.accepts("web_app", secret)
    assert not clients.accepts("web_app", secret[:-1] + "!")


def test_other_clients_stay_and_none_is_replaced(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second client joins the first; the same name again changes nothing."""
    add = ["--context", str(state), "clients", "add"]
    assert main([*add, "one"]) == main([*add, "two", "--json"]) == exits.DONE
    before = (state / "secrets" / "clients.json").read_text()

    assert main([*add, "one"]) == exits.FAILED

    assert (state / "secrets" / "clients.json").read_text() == before
    assert set(load_client_secrets(state / "secrets")) == {"one", "two"}
    answer = json.loads(capsys.readouterr().out.splitlines()[1])
    assert (answer["client_id"], len(answer["client_secret"])) == ("two", 43)


@pytest.mark.parametrize("name", ["", "a:b", "a b", "-x", "x" * 65, "é"])
def test_a_name_that_http_basic_cannot_carry_is_refused(state: Path, name: str) -> None:
    """Nothing is written."""
    arguments = ["--context", str(state), "clients", "add", "--", name]

    assert main(arguments) == exits.USAGE
    assert load_client_secrets(state / "secrets") == {}


def test_no_installation_is_made_by_a_mistyped_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cure is named and no folder appears."""
    wrong = tmp_path / "wrong"

    assert main(["--context", str(wrong), "clients", "add", "web_app"]) == exits.FAILED

    assert not wrong.exists()
    assert "latchwire init" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["not JSON", "[]"])
def test_a_list_that_cannot_be_read_is_left_alone(state: Path, text: str) -> None:
    """Nobody's client is lost to a misplaced comma."""
    path = state / "secrets" / "clients.json"
    path.write_text(text)

    assert main(["--context", str(state), "clients", "add", "web_app"]) == exits.FAILED

    assert path.read_text() == text


def test_settings_name_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a production's folder it is the one of its .env."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys").mkdir()
    (tmp_path / ".env").write_text(
        "LATCHWIRE_NATS_URL=nats://nats:4222\nLATCHWIRE_SECRETS_DIR=keys\n"
    )

    assert main(["clients", "add", "web_app"]) == exits.DONE

    assert set(load_client_secrets(tmp_path / "keys")) == {"web_app"}
