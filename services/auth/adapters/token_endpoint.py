"""Exchange a provider's code for its tokens (RFC 6749 §4.1.3, RFC 7636 §4.5). They are used, never stored."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from services.auth.adapters.outbound import Fetched, Outbound
from services.auth.domain.provider import (
    Handshake,
    ProviderAnswer,
    ProviderConfig,
    Unproven,
)
from services.auth.ports.providers import ProviderBrokenError

MAX_TOKEN = 16 * 1024
# What GitHub, with 200, calls ``invalid_grant``.
_REFUSED = frozenset({"invalid_grant", "bad_verification_code"})


@dataclass(frozen=True)
class ProviderTokens:
    """For the rest of this login."""

    access: str = field(repr=False)
    id_token: object = field(repr=False)


async def exchange_code(
    http: Outbound,
    url: str,
    config: ProviderConfig,
    redirect_uri: str,
    answer: ProviderAnswer,
    handshake: Handshake,
) -> ProviderTokens | Unproven:
    """The tokens for the code of *answer*; Unproven: the provider does not know that code, or not any more.

    Raises:
        ProviderUnavailableError, ProviderBrokenError.
    """
    form = {
        "grant_type": "authorization_code",
        "code": answer.code,
        "redirect_uri": redirect_uri,
        "code_verifier": handshake.verifier,
    }
    fetched = await http.post(url, form | _secret_in_form(config), _secret_in_header(config))
    return _judge(fetched)


def _judge(fetched: Fetched) -> ProviderTokens | Unproven:
    document = fetched.document
    if not isinstance(document, dict):
        raise ProviderBrokenError("token_answer")
    error = document.get("error")
    if isinstance(error, str) and error in _REFUSED:
        return Unproven("code_refused")
    if error is not None or fetched.status != 200:
        # Most often a wrong client id or secret: the operator reads which in the provider's documentation.
        raise ProviderBrokenError("invalid_client" if error == "invalid_client" else "token_error")
    return _tokens(document)


def _tokens(document: Mapping[str, Any]) -> ProviderTokens:
    access, kind = document.get("access_token"), document.get("token_type")
    usable = isinstance(access, str) and 0 < len(access) <= MAX_TOKEN and access.isprintable()
    if not usable or not isinstance(kind, str) or kind.lower() != "bearer":
        raise ProviderBrokenError("token_answer")
    return ProviderTokens(str(access), document.get("id_token"))


def _secret_in_form(config: ProviderConfig) -> dict[str, str]:
    if config.client_auth == "basic":
        return {}
    named = {"client_id": config.client_id}
    return named | {"client_secret": config.secret} if config.client_auth == "post" else named


def _secret_in_header(config: ProviderConfig) -> dict[str, str]:
    """RFC 6749 §2.3.1: both are form-encoded before they are joined."""
    if config.client_auth != "basic":
        return {}
    pair = f"{quote_plus(config.client_id)}:{quote_plus(config.secret)}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
