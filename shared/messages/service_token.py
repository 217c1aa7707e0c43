"""Service tokens: what is kept of one, what operators ask, what edges tell of their use.

The token itself is in none of these: whoever makes one (auth for HTTP, the command line for an operator) keeps
its SHA-256 and shows the token once.
"""

from typing import Annotated

from pydantic import Field, StringConstraints

from shared.messages.base import ULID, Event, Identifier, Message, Millis, ShortText

MAX_SCOPES = 64
MAX_TOKENS = 1_000

ServiceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Scope = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.:-]{0,63}$")]
Scopes = Annotated[tuple[Scope, ...], Field(max_length=MAX_SCOPES)]
SHA256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
LastFour = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{4}$")]


class ServiceToken(Message):
    """One token as the document ``tokens`` has it. Times in Unix ms.

    *id* is the ``sid`` of all that comes of it: revoking that session ends it and its access tokens. *scopes*
    become ``permissions``. *replaced_by* is set while the token before a rotation is still good. *revoked_at*:
    it counts for nothing since then, and is kept until it would have run out so that it is known as revoked.
    *org*: the organisation that it is bound to, None: the installation's own.
    """

    id: ULID
    service: ServiceName
    sha256: SHA256
    last_four: LastFour
    scopes: Scopes = ()
    created_at: Millis
    expires_at: Millis
    created_by: ShortText = ""
    replaced_by: ULID | None = None
    revoked_at: Millis | None = None
    org: ULID | None = None


class ServiceTokenRow(Message):
    """What is told of one: no hash. *last_used_at* is an edge's or auth's word, to the minute; None: never."""

    id: ULID
    service: ServiceName
    last_four: LastFour
    scopes: Scopes = ()
    created_at: Millis
    expires_at: Millis
    created_by: ShortText = ""
    replaced_by: ULID | None = None
    revoked_at: Millis | None = None
    org: ULID | None = None
    last_used_at: Millis | None = None


class ListServiceTokens(Message):
    """``op.tokens.list``: all living ones, or those of *service*; with *revoked* those that were, too."""

    service: ServiceName | None = None
    revoked: bool = False


class CreateServiceToken(Message):
    """``op.tokens.create``: keep this hash. *replaces* rotates: that token is good for *overlap_ms* more.

    *org* binds it to an organisation; one that replaces another is bound as that one is.
    """

    service: ServiceName
    sha256: SHA256
    last_four: LastFour
    scopes: Scopes | None = None  # None: those of the token it replaces, else none
    lifetime_ms: Annotated[int, Field(ge=60_000, le=366 * 86_400_000)]
    actor: ShortText = "operator"
    replaces: ULID | None = None
    org: ULID | None = None
    overlap_ms: Annotated[int, Field(ge=0, le=30 * 86_400_000)] = 86_400_000


class ServiceTokenAnswer(Message):
    """What became of it: *problem* is a stable code ("" when it is done), *tokens* those it is about.

    *generation* is that of the document ``tokens`` from which edges know the change.
    """

    problem: ShortText = ""
    tokens: tuple[ServiceTokenRow, ...] = ()
    generation: int = 0


class ServiceTokenIssued(Event):
    """``service_token.issued``: a service has one more token, in place of *replaces* after a while."""

    token_id: ULID
    service: Identifier
    scopes: Scopes = ()
    expires_at: Millis
    actor: ShortText = ""
    replaces: ULID | None = None
    org: ULID | None = None


class TokensUsed(Message):
    """``edge.usage.<edge_id>``: service tokens seen since the last one, by id with the latest time (ms)."""

    edge_id: Identifier
    used: Annotated[dict[ULID, Millis], Field(max_length=MAX_TOKENS)]
