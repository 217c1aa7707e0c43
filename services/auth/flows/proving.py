"""Whoever shows a link, or types its code, proves an address: find the attempt and compare; use up nothing."""

import hmac
from dataclasses import dataclass

from services.auth.domain.link import Attempt, CodeProof, Proof, TokenProof
from services.auth.ports import Attempts, Keys
from shared.links import link_token, login_code, normalise_code, parse_link_token


@dataclass(frozen=True)
class Proving:
    """May raise the errors of `services.auth.ports`."""

    attempts: Attempts
    keys: Keys

    async def claimed(self, proof: Proof) -> Attempt | None:
        """The attempt that *proof* names, whether or not it is right."""
        if isinstance(proof, CodeProof):
            return await self.attempts.find(proof.login_id)
        parsed = parse_link_token(proof.token)
        return await self.attempts.find(parsed[0]) if parsed else None

    async def proven(self, token: str) -> Attempt | None:
        """The attempt whose link *token* is, in whatever state it is."""
        attempt = await self.claimed(TokenProof(token))
        return attempt if attempt and self.is_right(TokenProof(token), attempt) else None

    def is_right(self, proof: Proof, attempt: Attempt) -> bool:
        """Whether *proof* is that of the mail; constant time. Wrong codes are counted by the store."""
        key = self.keys.link.by_kid.get(attempt.link_kid)
        if key is None:
            return False
        of_attempt = (key, attempt.purpose, attempt.login_id, attempt.email)
        if isinstance(proof, CodeProof):
            shown, expected = normalise_code(proof.code) or "", login_code(*of_attempt)
        else:
            shown, expected = proof.token, link_token(*of_attempt)
        return hmac.compare_digest(shown.encode(), expected.encode())
