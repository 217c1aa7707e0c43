"""The service tokens that a signing key vouches for: those of the document that it has signed."""

from collections.abc import Sequence

from ctl.output import date_time, one_line
from ctl.session import Session
from latchwire.documents import TOKENS, Document, read_document
from latchwire.keys import KeyRing
from shared.bus.documents import DocumentStore
from shared.documents import KeysBody
from shared.messages import ServiceToken
from shared.service_tokens import is_of_the_future, read_tokens_body

Rows = tuple[ServiceToken, ...]


async def vouched_for(session: Session, body: KeysBody, kid: str) -> Rows:
    """The living tokens that end with the key *kid* of *body*. Raises: BusUnavailableError."""
    ring = KeyRing.from_jwks({"keys": [*body.keys, *body.former]})
    stored = await DocumentStore(session.bus.client, session.bus.js).kept(TOKENS)
    read = [read_document(each.jws, ring, name=TOKENS) for each in stored]
    now_ms = session.clock.now_ms()
    genuine = [d for d in read if isinstance(d, Document)]
    counting = [d for d in genuine if not is_of_the_future(d.generation, now_ms)]
    return tuple(row for row in last_of(counting, kid) if now_ms < row.expires_at)


def last_of(documents: Sequence[Document], kid: str) -> Rows:
    """The rows that *kid* signed last; none where another key has signed them since.

    Auth may have been faster and have struck them all: then those of the document before.
    """
    for document in sorted(documents, key=lambda d: d.generation, reverse=True):
        if document.kid != kid:
            break
        rows = read_tokens_body(document.body) or ()
        living = tuple(row for row in rows if row.revoked_at is None)
        if living:
            return living
    return ()


def as_line(row: ServiceToken) -> str:
    """One that ended, for an operator who has to make it anew, or has never seen it."""
    service, by = one_line(row.service), one_line(row.created_by or "-")
    return f"ended       {service} …{row.last_four}, made {date_time(row.created_at)} by {by}: make it anew"


def as_json(row: ServiceToken) -> dict[str, object]:
    """The same for programs."""
    told = {"id", "service", "last_four", "scopes", "created_at", "created_by"}
    return row.model_dump(include=told)
