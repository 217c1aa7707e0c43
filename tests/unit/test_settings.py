"""Settings refuse what would hurt later, in one line each, without repeating values."""

import os
from pathlib import Path

import pytest

from services.auth.settings import AuthSettings
from services.edge.settings import EdgeSettings
from shared.settings import PREFIX, SettingsError, WorkerSettings

BASE = {"LATCHWIRE_URL": "https://auth.acme.com"}


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine says, in its environment or in a .env of the checkout, is not what is tested."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    "url",
    [
        "http://auth.acme.com",
        "ftp://x",
        "https://",
        "auth.acme.com",
        "https://a.com/path",
        "https://a.com?x=1",
    ],
)
def test_a_public_url_that_is_not_a_safe_origin_is_refused(url: str) -> None:
    """Plain http leaves tokens in clear; a path would silently be dropped."""
    with pytest.raises(SettingsError) as refused:
        WorkerSettings.load({"LATCHWIRE_URL": url})

    assert refused.value.problems[0].startswith("LATCHWIRE_URL: must be")


@pytest.mark.parametrize(
    "url", ["https://auth.acme.com/", "http://localhost:8080", "http://127.0.0.1"]
)
def test_https_and_local_http_are_accepted(url: str) -> None:
    """Development runs on plain http, on this machine only."""
    settings = WorkerSettings.load({"LATCHWIRE_URL": url})

    assert settings.url == url.rstrip("/")
    assert settings.secure == url.startswith("https")


def test_an_unknown_name_is_refused_before_any_value_is_read() -> None:
    """A name of ours that nobody reads is a mistake."""
    with pytest.raises(
        SettingsError, match=r"LATCHWIRE_SMPT_URL is not a setting .* LATCHWIRE_SMTP_URL"
    ):
        WorkerSettings.load({**BASE, "LATCHWIRE_SMPT_URL": "smtp://x"})


def test_a_bad_value_is_named_but_not_repeated() -> None:
    """The problem line holds the setting's name and never what was typed."""
    with pytest.raises(SettingsError) as refused:
        WorkerSettings.load({**BASE, "LATCHWIRE_LOG_LEVEL": "CANARY"})

    assert "LATCHWIRE_LOG_LEVEL" in str(refused.value)
    assert "CANARY" not in str(refused.value)


def test_the_environment_wins_over_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One .env serves all workers; the environment can still say otherwise."""
    (tmp_path / ".env").write_text(
        "LATCHWIRE_URL=https://file.example\nLATCHWIRE_LOG_LEVEL=debug\nOTHER=1\n"
    )
    monkeypatch.chdir(tmp_path)

    settings = WorkerSettings.load(BASE)

    assert (settings.url, settings.log_level) == ("https://auth.acme.com", "debug")


def test_an_empty_value_is_the_same_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """``LATCHWIRE_AUDIENCE=`` in .env or handed over by compose leaves the default in force."""
    for name, value in {**BASE, "LATCHWIRE_AUDIENCE": "", "LATCHWIRE_COOKIE_DOMAIN": ""}.items():
        monkeypatch.setenv(name, value)

    settings = EdgeSettings.load()

    assert (settings.audience, settings.cookie_domain) == ("latchwire", None)


def test_the_start_up_line_shows_no_credentials() -> None:
    """A URL with a password in it loses user and password before it is logged."""
    settings = WorkerSettings.load({**BASE, "LATCHWIRE_NATS_URL": "nats://u:CANARY@127.0.0.1:4222"})

    assert settings.public()["nats_url"] == "nats://127.0.0.1:4222"


@pytest.mark.parametrize(
    ("allow", "shown"),
    {
        "@acme.com,canary@partner.org, Canary2@x.org": "1 domains, 2 addresses",
        "*": "everybody",
        "*,canary@partner.org": "everybody",
    }.items(),
)
def test_the_start_up_line_shows_nobodys_address(allow: str, shown: str) -> None:
    """Who may sign in is counted, not written down."""
    settings = AuthSettings.load({**BASE, "LATCHWIRE_ALLOW": allow})

    assert shown == settings.public()["allow"]
    assert "canary" not in str(settings.public()).lower()


def test_the_start_up_line_shows_networks_as_they_are_written() -> None:
    """Not as a program's inner form."""
    settings = EdgeSettings.load({**BASE, "LATCHWIRE_TRUSTED_PROXIES": "10.0.0.0/8, ::1"})

    assert settings.public()["trusted_proxies"] == "10.0.0.0/8,::1/128"
