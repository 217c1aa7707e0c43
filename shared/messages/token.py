"""``token.revoked``: the public contract of a revocation.

Written by hand it may be as short as ``{"scope":"subject","sub":"Ada@example.com","reason":"laptop stolen"}``:
the revocation worker canonicalises the id, stamps what is missing and clamps the rest.
"""

from typing import Literal, Self

from pydantic import model_validator

from shared.messages.base import ULID, Identifier, Message, Millis, ShortText

RevocationScope = Literal["token", "session", "subject", "service", "key"]
AppliesTo = Literal["sessions", "access"]
ID_FIELD: dict[str, str] = {
    "token": "jti",
    "session": "sid",
    "subject": "sub",
    "service": "service",
    "key": "kid",
}


class TokenRevoked(Message):
    """Refuse what this names, from now on, everywhere.

    Exactly the one id that belongs to *scope* is set. *applies_to* is for scope ``subject`` only:
    ``sessions`` (default) ends every session begun so far, ``access`` only the access tokens issued
    so far. *before* (ms) is the watermark; absent, the worker stamps it. *affected_until* (ms) is when
    the last token it hits has expired; absent, the longest life is assumed.
    """

    scope: RevocationScope
    jti: Identifier | None = None
    sid: Identifier | None = None
    sub: Identifier | None = None
    service: Identifier | None = None
    kid: Identifier | None = None
    applies_to: AppliesTo | None = None
    reason: ShortText = ""
    actor: ShortText = ""
    affected_until: Millis | None = None
    before: Millis | None = None
    id: ULID | None = None
    at: Millis | None = None

    @property
    def target(self) -> str:
        """The one id this revocation names."""
        value: str | None = getattr(self, ID_FIELD[self.scope])
        assert value is not None
        return value

    @model_validator(mode="after")
    def _exactly_the_matching_id(self) -> Self:
        named = {name for name in ID_FIELD.values() if getattr(self, name) is not None}
        if named != {ID_FIELD[self.scope]}:
            raise ValueError(f"scope {self.scope} takes exactly the id {ID_FIELD[self.scope]}")
        if self.applies_to is not None and self.scope != "subject":
            raise ValueError("applies_to belongs to scope subject")
        return self
