"""Which installation a command speaks to: `LATCHWIRE_*` settings, or what ``up`` runs in this checkout."""

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from shared.durations import MAX_STALENESS_SECONDS
from shared.setting_types import MaxStaleness
from shared.settings import ENV_FILE, PREFIX, SettingsError, read_environment

ROOT = Path(__file__).resolve().parents[1]
STATE = ROOT / ".latchwire"
NATS_URL = "nats://127.0.0.1:4222"
REVOKERS = "revokers.yaml"
DEFAULT_STALENESS_SECONDS = 10.0  # of `MaxStaleness` in the workers' settings
_STALENESS: TypeAdapter[float] = TypeAdapter(MaxStaleness)


class NoInstallationError(Exception):
    """There is nothing to speak to; the message is what to print, with the cure."""


@dataclass(frozen=True)
class Installation:
    """Where the bus and the credentials are; *origin*: where that was read, *by_up*: `up` runs it."""

    url: str
    nats_url: str
    secrets_dir: Path
    origin: str
    by_up: bool = False


def find_installation(state: Path | None = None) -> Installation:
    """The one in the state directory *state* when given; else settings; else what ``up`` runs here.

    Raises:
        NoInstallationError: none of them.
    """
    if state is not None:
        return _running(state)
    settings = _settings()
    return _configured(settings) if _speak(settings, "URL") else _running(STATE)


def find_url(state: Path | None = None) -> str:
    """Where people come to; "" where neither settings nor a running `up` say it."""
    try:
        url = find_installation(state).url
    except NoInstallationError:
        return ""
    return url if url.startswith(("http://", "https://")) else ""


def find_catalogue(state: Path | None = None) -> Path:
    """The services.yaml that people write for the installation `find_installation` would find.

    It need not run, because a catalogue that is wrong may be why it does not.

    Raises:
        NoInstallationError: the settings are not usable.
    """
    if state is not None:
        return state / "services.yaml"
    settings = _settings()
    own = STATE / "services.yaml"
    if _speak(settings, "URL", "CATALOGUE") or not own.exists():
        return Path(settings.get("CATALOGUE", "services.yaml"))
    return own


def find_secrets(state: Path | None = None) -> Path:
    """The secrets directory of the installation `find_installation` would find; it need not run.

    Raises:
        NoInstallationError: the settings are not usable.
    """
    if state is not None:
        return state / "secrets"
    settings = _settings()
    if _speak(settings, "URL", "SECRETS_DIR"):
        return Path(settings.get("SECRETS_DIR", "secrets"))
    return STATE / "secrets"


def find_revokers(state: Path | None = None) -> Path:
    """The revokers.yaml of the installation `find_installation` would find; it need not run, nor be there.

    Raises:
        NoInstallationError: the settings are not usable.
    """
    if state is not None:
        return state / REVOKERS
    settings = _settings()
    if _speak(settings, "URL", "SECRETS_DIR"):
        return Path(settings.get("REVOKERS", REVOKERS))
    return STATE / REVOKERS


# Where one of these is set, there are the settings that the workers start with.
_AUTHS = frozenset({"ACCOUNTS_URL", "ALLOW", "MAIL_FROM", "SMTP_URL"})


@dataclass(frozen=True)
class Accounts:
    """Whether people have accounts, and where the table of roles is; *surely*: there is none, if not there."""

    on: bool
    table: Path
    surely: bool


def find_accounts(state: Path | None = None) -> Accounts | None:
    """Of the installation `find_installation` would find; None where nothing here says it.

    Raises:
        NoInstallationError: the settings are not usable.
    """
    settings = {} if state is not None else _settings()
    if _speak(settings, "URL"):
        if not _AUTHS & settings.keys():
            return None  # this machine reaches the bus, and auth is set up elsewhere
        table = Path(settings.get("ROLES", "roles.yaml"))
        return Accounts(bool(settings.get("ACCOUNTS_URL")), table, surely=False)
    running = state or STATE
    try:
        run = json.loads((running / "run.json").read_text("utf-8"))
        on, table = bool(run["accounts"]), Path(run["roles"] or running / "roles.yaml")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Accounts(on, table, surely=True)


def usual_staleness_ms() -> int:
    """How stale an edge may be where neither it nor a worker says so: ``LATCHWIRE_MAX_STALENESS``.

    What cannot be read is no reason to promise less: then it is the longest that is allowed.
    """
    try:
        text = read_environment().get("MAX_STALENESS")
        seconds = DEFAULT_STALENESS_SECONDS if text is None else _STALENESS.validate_python(text)
    except (SettingsError, ValidationError):
        seconds = MAX_STALENESS_SECONDS
    return round(seconds * 1000)


def _speak(settings: dict[str, str], *names: str) -> bool:
    """Whether *settings* describe the installation that is meant, and not what ``up`` runs here."""
    if "NATS_URL" in settings:
        return True
    return any(name in settings for name in names) and not (STATE / "run.json").exists()


def _settings() -> dict[str, str]:
    try:
        return read_environment()
    except SettingsError as error:
        raise NoInstallationError(str(error)) from None


def _configured(settings: dict[str, str]) -> Installation:
    nats_url = settings.get("NATS_URL", NATS_URL)
    return Installation(
        url=settings.get("URL", nats_url),
        nats_url=nats_url,
        secrets_dir=Path(settings.get("SECRETS_DIR", "secrets")),
        origin=f"{PREFIX}* settings" + (f" and {ENV_FILE}" if Path(ENV_FILE).is_file() else ""),
    )


def _running(state: Path) -> Installation:
    path = state / "run.json"
    try:
        content = json.loads(path.read_text("utf-8"))
        return Installation(
            url=content["url"],
            nats_url=content["nats_url"],
            secrets_dir=Path(content["secrets_dir"]),
            origin=str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path),
            by_up=True,
        )
    except FileNotFoundError:
        raise NoInstallationError(
            f"no installation: {path} is not there. Start one with `make up`, or set "
            f"{PREFIX}NATS_URL and {PREFIX}SECRETS_DIR"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise NoInstallationError(f"{path} cannot be read: {type(error).__name__}") from None
