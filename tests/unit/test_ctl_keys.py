"""The command line of keys and catalogue before it speaks to anybody."""

import asyncio
import threading
from pathlib import Path

import pytest

from ctl import exits
from ctl.key_desk import Change, KeyDesk, Step
from ctl.main import main
from ctl.signing_files import SigningFiles


def test_no_key_is_killed_without_a_second_word(capsys: pytest.CaptureFixture[str]) -> None:
    """In a script that is --yes; what it would do is said."""
    assert main(["keys", "compromise", "20261122-sig-ab12cd"]) == exits.USAGE
    told = capsys.readouterr().err
    assert "Every token of 20261122-sig-ab12cd is refused everywhere, for ever" in told
    assert "--yes" in told


class SlowFiles(SigningFiles):
    """Makes a key as soon as the loop has turned, as it must to hear an edge."""

    def __init__(self, secrets_dir: Path) -> None:
        super().__init__(secrets_dir)
        self.turned, self.heard = threading.Event(), False
        asyncio.get_running_loop().call_soon(self.turned.set)

    def prepare(self, date: str, algorithm: str) -> str:
        self.heard = self.turned.wait(5)
        return super().prepare(date, algorithm)


class Desk(KeyDesk):
    """A desk whose documents are nowhere."""

    def __init__(self, files: SlowFiles) -> None:
        self.files = files

    async def change(self, kid: str, what: Change, step: Step) -> None:
        """Nothing is published."""

    def _date(self) -> str:
        return "20261122"


async def test_while_a_key_is_made_the_edges_are_heard(tmp_path: Path) -> None:
    """RSA takes half a second: receipts that came meanwhile were told as late by as much."""
    (tmp_path / "signing").mkdir()
    files = SlowFiles(tmp_path)
    kid = await Desk(files).publish_next("ES256", fresh=True)
    assert (files.heard, files.waiting()) == (True, [kid])


@pytest.mark.parametrize("kid", ["", "a\nb", "k" * 300])
def test_what_cannot_name_a_key_is_refused(kid: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is sent."""
    assert main(["keys", "compromise", kid, "--yes"]) == exits.USAGE
    assert "kid" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        ("-1", "must be 12 to 3600 seconds"),
        ("0", "must be 12 to 3600 seconds"),
        ("11.9", "may not know the new key before"),
        ("nan", "must be 12 to 3600 seconds"),
        ("86400", "must be 12 to 3600 seconds"),
        ("x", "is no number of seconds"),
    ],
)
def test_a_pause_in_which_tokens_would_be_refused_is_none(
    seconds: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the parser, with the reason: no rotation signs before every reader knows the key."""
    with pytest.raises(SystemExit) as ended:
        main(["keys", "rotate", "--settle", seconds])
    assert ended.value.code == exits.USAGE
    assert reason in " ".join(capsys.readouterr().err.split())


def test_a_timeout_that_is_no_number_is_refused_in_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Not by the name of a function."""
    with pytest.raises(SystemExit):
        main(["--timeout", "soon", "keys", "list"])
    assert "--timeout: is no number of seconds" in capsys.readouterr().err


def test_a_catalogue_that_is_not_right_is_not_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Line and cure are said, and nobody is spoken to."""
    file = tmp_path / "services.yaml"
    file.write_text("services:\n  shop:\n    paths: [shop]\n")

    assert main(["catalogue", "apply", str(file)]) == exits.FAILED
    assert "services.yaml:3" in capsys.readouterr().err


def test_the_file_of_an_up_that_adds_an_application_has_to_be_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the application would be gone from every edge."""
    (tmp_path / "services.yaml").write_text("services: {}\n")
    (tmp_path / "run.json").write_text('{"app": "http://localhost:3000"}')

    assert main(["--context", str(tmp_path), "catalogue", "apply"]) == exits.USAGE
    assert "name the file" in capsys.readouterr().err
