"""``providers.yaml``: which providers people may log in with. Their secrets are files beside the keys.

    google:
      client_id: 1234.apps.googleusercontent.com
      authoritative: [gmail.com, acme.com]
    acme-sso:
      issuer: https://sso.acme.com
      client_id: auth
      authoritative: [acme.com]

A name that is a preset's (google, microsoft, github, facebook) needs no more than a client id; ``preset:``
takes one under another name. Every mistake is refused at start, with its line.
"""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.auth.adapters.provider_keys import KINDS
from services.auth.adapters.provider_presets import PRESETS, Preset
from services.auth.domain.discovery import is_usable_url
from services.auth.domain.provider import NAME, ClientAuth, ProviderConfig
from shared.emails import InvalidEmailError, canonical_email
from shared.lifecycle import StartRefusedError
from shared.secrets import SecretsError, read_private
from shared.strict_yaml import Lines, StrictYAMLError, read_yaml

MAX_PROVIDERS = 50
DEFAULT_SECONDS = 10.0
Text = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]
PresetName = Literal["google", "microsoft", "github", "facebook"]
log = structlog.get_logger()


class ProvidersFileError(StartRefusedError):
    """providers.yaml, or a provider's secret, cannot be used."""


class Entry(BaseModel):
    """One provider as written."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    client_id: Text
    preset: PresetName | None = None
    title: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    issuer: Text | None = None
    tenant: Text | None = None
    tenants: list[Text] = []
    scopes: list[Text] | None = None
    algorithms: list[Text] | None = None
    client_auth: ClientAuth | None = None
    authoritative: list[Text] | None = None
    endpoints: dict[Literal["authorize", "token", "user", "emails"], Text] = {}
    allow_private: bool = False
    timeout: Annotated[float, Field(ge=1, le=30, strict=False)] = DEFAULT_SECONDS


def load_providers(
    path: Path, secrets_dir: Path, *, needed: bool = False
) -> tuple[ProviderConfig, ...]:
    """The providers in the order of the file; none when there is no file. The log says which.

    *needed*: somebody has named this file, so it has to be there.

    Raises:
        ProvidersFileError: at the first mistake, with its line.
    """
    if not path.exists() and not needed:
        log.info("providers.none", no_file=str(path.absolute()))
        return ()
    providers = _read(path, secrets_dir)
    log.info("providers.in_force", file=str(path), providers=[one.name for one in providers])
    return providers


def _read(path: Path, secrets_dir: Path) -> tuple[ProviderConfig, ...]:
    try:
        document, lines = read_yaml(path.read_text("utf-8"))
    except OSError as error:
        raise ProvidersFileError(f"{path}: {error.strerror}") from error
    except (StrictYAMLError, UnicodeDecodeError) as error:
        raise ProvidersFileError(f"{path}: {error}") from error
    if not isinstance(document, dict) or len(document) > MAX_PROVIDERS:
        raise ProvidersFileError(f"{path} must name providers, {MAX_PROVIDERS} at most")
    return tuple(
        _load(name, written, path, lines, secrets_dir) for name, written in document.items()
    )


def _load(name: str, written: Any, path: Path, lines: Lines, secrets_dir: Path) -> ProviderConfig:
    where = f"{path} line {lines.get((name,), 1)}: {name}"
    if not NAME.fullmatch(name):
        raise ProvidersFileError(
            f"{where}: a name has small letters, digits and dashes, 32 at most"
        )
    try:
        entry = Entry.model_validate(written)
        config = _config(name, entry)
        return replace(config, secret=_secret(config, secrets_dir))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ProvidersFileError(f"{where}: {place}: {first['msg']}") from error
    except (ValueError, SecretsError) as error:
        raise ProvidersFileError(f"{where}: {error}") from error


def _config(name: str, entry: Entry) -> ProviderConfig:
    # With an issuer of its own it is no preset, unless it says so: "google" could name a test provider.
    named = entry.preset or ("" if entry.issuer else name)
    preset = PRESETS.get(named, Preset())
    if not entry.issuer and named not in PRESETS:
        raise ValueError("issuer: needed for what is no preset")
    issuer = entry.issuer or preset.issuer_of(entry.tenant)
    _check_issuer(issuer, entry, preset)
    return ProviderConfig(
        name=name,
        title=entry.title or preset.title or name,
        kind=preset.kind,
        issuer=issuer,
        client_id=entry.client_id,
        scopes=" ".join(entry.scopes or preset.scopes),
        discovery=_discovery(issuer, entry, preset),
        algorithms=_algorithms(entry, preset),
        client_auth=entry.client_auth or preset.client_auth,
        authoritative=_domains(entry.authoritative, preset),
        tenants=frozenset(entry.tenants),
        endpoints=MappingProxyType(_endpoints(entry, preset)),
        workspace_claim=preset.workspace_claim,
        allow_private=entry.allow_private,
        seconds=entry.timeout,
    )


def _check_issuer(issuer: str, entry: Entry, preset: Preset) -> None:
    plain = issuer.replace("{tenantid}", "t") if preset.tenants else issuer
    if not is_usable_url(plain, allow_http=entry.allow_private) or "?" in issuer:
        raise ValueError("issuer must be an https address, as the provider writes it")
    if (entry.tenant or entry.tenants) and not preset.tenants:
        raise ValueError("only microsoft has tenants")
    if entry.endpoints and (preset.kind == "oidc" or entry.issuer is None):
        # Another server's numbers are other people: they need a name of their own.
        raise ValueError("endpoints are for a github or facebook elsewhere, and need an issuer")


def _discovery(issuer: str, entry: Entry, preset: Preset) -> str:
    if preset.kind != "oidc":
        return ""
    base = preset.base_of(entry.tenant) if entry.issuer is None and preset.tenants else issuer
    return f"{base.removesuffix('/')}/.well-known/openid-configuration"


def _algorithms(entry: Entry, preset: Preset) -> tuple[str, ...]:
    algorithms = tuple(entry.algorithms or preset.algorithms)
    unknown = [name for name in algorithms if name not in KINDS]
    if unknown:
        raise ValueError(f"algorithms: {unknown[0]} is none of {', '.join(KINDS)}")
    return algorithms


def _domains(written: list[str] | None, preset: Preset) -> frozenset[str]:
    domains = preset.authoritative if written is None else written
    try:
        return frozenset(canonical_email(f"x@{domain}")[2:] for domain in domains)
    except InvalidEmailError as error:
        raise ValueError("authoritative: domains such as acme.com") from error


def _endpoints(entry: Entry, preset: Preset) -> dict[str, str]:
    endpoints = {**preset.endpoints, **dict[str, str](entry.endpoints.items())}
    if entry.endpoints and entry.endpoints.keys() != preset.endpoints.keys():
        raise ValueError(f"endpoints: name all of {', '.join(preset.endpoints)}")
    if not all(is_usable_url(url, allow_http=entry.allow_private) for url in endpoints.values()):
        raise ValueError("endpoints must be https addresses")
    return endpoints


def _secret(config: ProviderConfig, secrets_dir: Path) -> str:
    if config.client_auth == "none":
        return ""
    secret = read_private(secrets_dir / "providers" / f"{config.name}.secret")
    if not secret or not secret.isprintable():
        raise ValueError(
            f"secrets/providers/{config.name}.secret must hold the client's secret, one line"
        )
    return secret
