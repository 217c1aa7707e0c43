"""A provider that speaks OpenID Connect."""

import asyncio
from collections.abc import Mapping
from typing import Any

from services.auth.adapters.kept_document import KeptDocument
from services.auth.adapters.outbound import Outbound
from services.auth.adapters.provider_keys import read_signed
from services.auth.adapters.token_endpoint import ProviderTokens, exchange_code
from services.auth.domain.discovery import Metadata, Unusable, read_metadata
from services.auth.domain.id_token import Expected, issuer_of, judge_id_token
from services.auth.domain.provider import (
    Handshake,
    ProvenIdentity,
    ProviderAnswer,
    ProviderConfig,
    Unproven,
    authorization_url,
    speaks_for,
)
from services.auth.ports.providers import ProviderBrokenError, ProviderUnavailableError
from shared.clock import Clock
from shared.emails import InvalidEmailError, canonical_email


class OIDCProvider:
    """`services.auth.ports.providers.Provider` by discovery and ID Token."""

    def __init__(
        self,
        config: ProviderConfig,
        redirect_uri: str,
        http: Outbound,
        clock: Clock,
    ) -> None:
        self._config = config
        self._redirect_uri = redirect_uri
        self._http = http
        self._clock = clock
        self._discovery = KeptDocument(self._discover, clock)
        self._keys = KeptDocument(self._fetch_keys, clock)

    @property
    def config(self) -> ProviderConfig:
        return self._config

    async def authorization_url(self, state: str, handshake: Handshake) -> str:
        async with within(self._config.seconds):
            metadata = await self._metadata()
        return authorization_url(
            metadata.authorize, self._config, self._redirect_uri, state, handshake
        )

    async def identify(
        self, answer: ProviderAnswer, handshake: Handshake
    ) -> ProvenIdentity | Unproven:
        async with within(self._config.seconds):
            return await self._identify(answer, handshake)

    async def _identify(
        self, answer: ProviderAnswer, handshake: Handshake
    ) -> ProvenIdentity | Unproven:
        metadata = await self._metadata()
        if not self._names_right_one(answer, metadata):
            return Unproven("response_iss")  # before the code leaves: it may be another provider's
        tokens = await exchange_code(
            self._http, metadata.token, self._config, self._redirect_uri, answer, handshake
        )
        if isinstance(tokens, Unproven):
            return tokens
        claims = await self._claims(tokens, handshake)
        if isinstance(claims, Unproven):
            return claims
        return await self._identity(claims, tokens, metadata)

    def _names_right_one(self, answer: ProviderAnswer, metadata: Metadata) -> bool:
        """RFC 9207 §2.4; a provider of many tenants cannot say more than its template, and does not."""
        if not answer.iss:
            return not metadata.names_itself
        return answer.iss == self._config.issuer

    async def _claims(
        self, tokens: ProviderTokens, handshake: Handshake
    ) -> Mapping[str, Any] | Unproven:
        signed = await read_signed(tokens.id_token, self._keys, self._config)
        if isinstance(signed, Unproven):
            return signed
        expected = Expected(self._config, handshake.nonce, signed.algorithm, tokens.access)
        refusal = judge_id_token(signed.claims, expected, self._clock.now_ms())
        return signed.claims if refusal is None else refusal

    async def _identity(
        self, claims: Mapping[str, Any], tokens: ProviderTokens, metadata: Metadata
    ) -> ProvenIdentity | Unproven:
        source = claims
        if "email" not in claims and metadata.userinfo:
            source = await self._userinfo(tokens, metadata)
            if source.get("sub") != claims["sub"]:  # OIDC Core §5.3.2: else it is somebody else's
                return Unproven("userinfo_sub")
        email = usable_email(source.get("email"))
        verified, workspace = source.get("email_verified"), claims.get(self._config.workspace_claim)
        return ProvenIdentity(
            provider=self._config.name,
            iss=issuer_of(claims, self._config) or "",
            subject=claims["sub"],
            email=email,
            speaks_for=speaks_for(self._config, email, verified, workspace),
        )

    async def _userinfo(self, tokens: ProviderTokens, metadata: Metadata) -> Mapping[str, Any]:
        fetched = await self._http.get(metadata.userinfo, bearer=tokens.access)
        if fetched.status != 200 or not isinstance(fetched.document, dict):
            raise ProviderBrokenError("userinfo")
        return fetched.document

    async def _metadata(self) -> Metadata:
        metadata = read_metadata(await self._discovery.read(), self._config)
        assert isinstance(metadata, Metadata)  # nothing else is kept
        return metadata

    async def _discover(self) -> Mapping[str, Any]:
        fetched = await self._http.get(self._config.discovery)
        if fetched.status != 200 or not isinstance(fetched.document, dict):
            raise ProviderBrokenError("discovery")
        metadata = read_metadata(fetched.document, self._config)
        if isinstance(metadata, Unusable):
            raise ProviderBrokenError(metadata.reason)
        return fetched.document

    async def _fetch_keys(self) -> Mapping[str, Any]:
        fetched = await self._http.get((await self._metadata()).jwks)
        if fetched.status != 200 or not isinstance(fetched.document, dict):
            raise ProviderBrokenError("keys")
        if not isinstance(fetched.document.get("keys"), list):
            raise ProviderBrokenError("keys")
        return fetched.document


class within:  # noqa: N801 - reads as what it says: `async with within(10):`
    """At most so many seconds for all there is to ask. Raises: ProviderUnavailableError."""

    def __init__(self, seconds: float) -> None:
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError as late:
            raise ProviderUnavailableError from late


def usable_email(value: object) -> str:
    """The canonical form of what a provider gave as an address, "" when it is none that can sign in."""
    try:
        return canonical_email(value) if isinstance(value, str) else ""
    except InvalidEmailError:
        return ""
