"""GitHub and Facebook: plain OAuth 2 with a user API in place of an ID Token.

The access token comes from the provider itself over TLS, for a code bound to this browser by state and PKCE,
so what the API says with it is about whoever came back; the token goes nowhere else.
"""

import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode

from services.auth.adapters.oidc_provider import usable_email, within
from services.auth.adapters.outbound import Outbound
from services.auth.adapters.token_endpoint import ProviderTokens, exchange_code
from services.auth.domain.provider import (
    Handshake,
    ProvenIdentity,
    ProviderAnswer,
    ProviderConfig,
    Unproven,
    authorization_url,
    speaks_for,
)
from services.auth.ports.providers import ProviderBrokenError


class OAuth2Provider:
    """`services.auth.ports.providers.Provider` by a user API."""

    def __init__(self, config: ProviderConfig, redirect_uri: str, http: Outbound) -> None:
        self._config = config
        self._redirect_uri = redirect_uri
        self._http = http

    @property
    def config(self) -> ProviderConfig:
        return self._config

    async def authorization_url(self, state: str, handshake: Handshake) -> str:
        endpoint = self._config.endpoints["authorize"]
        return authorization_url(endpoint, self._config, self._redirect_uri, state, handshake)

    async def identify(
        self, answer: ProviderAnswer, handshake: Handshake
    ) -> ProvenIdentity | Unproven:
        async with within(self._config.seconds):
            tokens = await exchange_code(
                self._http,
                self._config.endpoints["token"],
                self._config,
                self._redirect_uri,
                answer,
                handshake,
            )
            if isinstance(tokens, Unproven):
                return tokens
            if self._config.kind == "github":
                return await self._github(tokens)
            return await self._facebook(tokens)

    async def _github(self, tokens: ProviderTokens) -> ProvenIdentity:
        user = await self._api("user", tokens)
        number = user.get("id") if isinstance(user, dict) else None
        if not isinstance(number, int) or isinstance(number, bool) or number <= 0:
            raise ProviderBrokenError("user")
        listed = await self._api("emails", tokens)
        entries = [e for e in listed if isinstance(e, dict)] if isinstance(listed, list) else []
        # The primary address, and only once GitHub has verified it.
        primary = next((e for e in entries if e.get("primary") is True), {})
        verified = primary.get("verified") is True
        return self._identity(str(number), primary.get("email") if verified else "", verified)

    async def _facebook(self, tokens: ProviderTokens) -> ProvenIdentity:
        """Facebook does not say whether it has verified an address, so its word proves none."""
        proof = hmac.digest(self._config.secret.encode(), tokens.access.encode(), hashlib.sha256)
        query = urlencode({"fields": "id,email", "appsecret_proof": proof.hex()})
        user = await self._api("user", tokens, query)
        subject = user.get("id") if isinstance(user, dict) else None
        if not isinstance(subject, str) or not subject.isascii() or not subject.isdigit():
            raise ProviderBrokenError("user")
        return self._identity(subject[:255], user.get("email"), verified=False)

    async def _api(self, name: str, tokens: ProviderTokens, query: str = "") -> Any:
        url = self._config.endpoints[name] + (f"?{query}" if query else "")
        fetched = await self._http.get(url, bearer=tokens.access)
        if fetched.status != 200:
            raise ProviderBrokenError("user")
        return fetched.document

    def _identity(self, subject: str, email: object, verified: bool) -> ProvenIdentity:
        address = usable_email(email)
        return ProvenIdentity(
            provider=self._config.name,
            iss=self._config.issuer,
            subject=subject,
            email=address,
            speaks_for=speaks_for(self._config, address, verified, None),
        )
