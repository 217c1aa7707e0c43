"""The mailer's settings: what is refused before anything connects, and what is never shown."""

from pathlib import Path

import pytest

from services.mailer.settings import MailerSettings
from services.mailer.wiring import mail_server
from shared.secrets import SecretsError, write_private
from shared.setting_types import parse_sender
from shared.settings import SettingsError

ENVIRON = {
    "LATCHWIRE_URL": "https://auth.acme.com",
    "LATCHWIRE_MAIL_FROM": "Acme <login@acme.com>",
    "LATCHWIRE_SMTP_URL": "smtp://mailer@mail.acme.com",
}


def load(**changes: str) -> MailerSettings:
    """The settings with some changed."""
    return MailerSettings.load({**ENVIRON, **{f"LATCHWIRE_{n}": v for n, v in changes.items()}})


def test_the_sites_name_defaults_to_its_host() -> None:
    """Never to the product's."""
    assert load().site == "auth.acme.com"
    assert load(SITE_NAME="Acme").site == "Acme"


def test_a_password_in_the_url_is_not_logged() -> None:
    """The one line with the effective settings shows host and port."""
    settings = load(SMTP_URL="smtp://mailer:canary@mail.acme.com:587")

    assert "canary" not in str(settings.public())
    assert "canary" not in repr(settings)
    assert settings.server.password == "canary"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMTP_URL", "mail.acme.com"),
        ("SMTP_URL", "smtp://u:canary#@mail.acme.com"),
        ("MAIL_FROM", "a@b.com, c@d.com"),
        ("MAIL_FROM", "a@b.com\nBcc: c@d.com"),
        ("MAIL_FROM", "nobody"),
        ("MAIL_FROM", "=?utf-8?q?x?=@b.com"),
        ("SITE_NAME", "Acme\nBcc: c@d.com"),
        ("SITE_NAME", "x" * 65),
        ("LINK_URL", "https://app.acme.com/login"),
        ("LINK_URL", "http://app.acme.com/login?token={token}"),
        ("LINK_URL", "https://{token}.acme.com/"),
        ("LINK_URL", "javascript:alert({token})"),
        ("LINK_URL", "https://app.acme.com/{token}\n"),
    ],
)
def test_a_setting_that_cannot_work_is_named(name: str, value: str) -> None:
    """One line that names the setting, and not its value."""
    with pytest.raises(SettingsError) as refusal:
        load(**{name: value})

    assert f"LATCHWIRE_{name}" in str(refusal.value)
    assert "canary" not in str(refusal.value)


def test_a_link_url_of_the_deployment_is_taken() -> None:
    """https anywhere, http on this machine."""
    for value in ("https://app.acme.com/in?t={token}", "http://localhost:3000/in#{token}"):
        assert load(LINK_URL=value).link_url == value


def test_senders() -> None:
    """With and without a name."""
    assert str(parse_sender("login@acme.com")) == "login@acme.com"
    assert str(parse_sender("Acme, Inc. <Login@acme.com>")) == ('"Acme, Inc." <login@acme.com>')
    assert parse_sender('"Acme" <login@acme.com>').display_name == "Acme"


def test_the_password_may_come_from_a_secret_file(tmp_path: Path) -> None:
    """The URL names the user, the file what he knows."""
    write_private(tmp_path / "smtp.password", "canary")

    assert mail_server(load(SECRETS_DIR=str(tmp_path))).password == "canary"
    url = "smtp://mailer:other@mail.acme.com"
    assert mail_server(load(SECRETS_DIR=str(tmp_path), SMTP_URL=url)).password == "other"


def test_a_password_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Like every secret."""
    path = tmp_path / "smtp.password"
    path.write_text("canary")
    path.chmod(0o644)

    with pytest.raises(SecretsError):
        mail_server(load(SECRETS_DIR=str(tmp_path)))
