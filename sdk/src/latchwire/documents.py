"""Signed documents: the public keys and the catalogue, replicated beside the blocklist.

A document is a compact JWS (RFC 7515) by an operator key (``tokens``, the hashes of service tokens, by a key
that auth signs access tokens with): header exactly ``{alg, typ: latchwire-document+jws, kid}`` with the key's
algorithm, payload ``{name, generation, at, body}``. Who may write the stream DOCUMENT
is decided by NATS; what a reader believes is decided here, by the signature and by a generation that only
rises. Of all messages the stream has kept the greatest generation counts, whatever was written last: so an
older document that is published again changes nothing, not even for a reader that has just started.

One that cannot be believed is counted, logged and passed over; the one in force stays.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from latchwire._document_stream import DocumentReader, sequence_of
from latchwire._strict import decode_base64url, parse_json_object
from latchwire.keys import InvalidJWKSError, KeyRing, VerificationKey

DOCUMENT_TYPE: Final = "latchwire-document+jws"
KEYS: Final = "keys"
CATALOGUE: Final = "catalogue"
EDGES: Final = "edges"
TOKENS: Final = "tokens"
DELTA_PREFIX: Final = "documents."
MAX_DOCUMENT_BYTES: Final = 512 * 1024  # what the stream takes
MAX_HEADER_BYTES: Final = 512
MAX_GENERATION: Final = 2**53 - 1  # every JSON reader's whole numbers
HEADER_MEMBERS: Final = frozenset({"alg", "typ", "kid"})

_log = logging.getLogger("latchwire.documents")


class DocumentError(Exception):
    """What takes a document in cannot use it: the one in force stays."""


@dataclass(frozen=True, slots=True)
class Document:
    """A genuine document of the key *kid*, signed *at* (Unix ms); *body* is not looked at here."""

    name: str
    generation: int
    at: int
    body: Any
    kid: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class NotBelieved:
    """Why a document does not count: fixed words, nothing of its content."""

    detail: str


def read_document(jws: bytes, operators: KeyRing, *, name: str) -> Document | NotBelieved:
    """The document *name* in *jws* if a key of *operators* signed it. Raises nothing, whatever the bytes.

    For `TOKENS` the ring is that of the access tokens' keys; for all others every key is an operator's (EdDSA).

    The payload is parsed only after the signature holds.
    """
    if len(jws) > MAX_DOCUMENT_BYTES:
        return NotBelieved("too long")
    segments = jws.split(b".")
    if len(segments) != 3 or not all(segments):
        return NotBelieved("not three segments")
    header, payload, signature = map(decode_base64url, segments)
    if header is None or payload is None or signature is None:
        return NotBelieved("not canonical base64url")
    key = _signer(name, header, operators)
    if isinstance(key, NotBelieved):
        return key
    if not key.verifies(signature, jws[: jws.rindex(b".")]):
        return NotBelieved("signature")
    return _read_payload(payload, name, key.kid)


def _signer(name: str, header: bytes, ring: KeyRing) -> VerificationKey | NotBelieved:
    members = parse_json_object(header) if len(header) <= MAX_HEADER_BYTES else None
    if members is None or members.keys() != HEADER_MEMBERS:
        return NotBelieved("header is not exactly alg, typ and kid")
    if members["alg"] != "EdDSA" and name != TOKENS:
        return NotBelieved("alg is not EdDSA")
    if members["typ"] != DOCUMENT_TYPE:
        return NotBelieved("typ is another")
    kid = members["kid"]
    key = ring.find(kid) if isinstance(kid, str) else None
    if key is None or key.alg != members["alg"]:
        return NotBelieved("kid names no operator key")
    return key


def _read_payload(payload: bytes, name: str, kid: str) -> Document | NotBelieved:
    # Its depth needs no bound of ours: an operator signed it, and the parser has one.
    members = parse_json_object(payload, max_brackets=MAX_DOCUMENT_BYTES)
    if members is None or not members.keys() >= {"name", "generation", "at", "body"}:
        return NotBelieved("payload is not name, generation, at and body")
    if members["name"] != name:
        return NotBelieved("name is another")
    generation, at = members["generation"], members["at"]
    if type(generation) is not int or not 0 < generation <= MAX_GENERATION:
        return NotBelieved("generation is not a positive whole number")
    if type(at) is not int or not 0 <= at <= MAX_GENERATION:
        return NotBelieved("at is not a time")
    return Document(name, generation, at, members["body"], kid)


OnKeys = Callable[[Mapping[str, Any], int], None]
OnCatalogue = Callable[[str, int], None]
OnTokens = Callable[[Mapping[str, Any], int, str], None]


class Documents:
    """What is in force, kept current from the stream DOCUMENT: the feed's companion.

        documents = Documents(KeyRing.from_jwks(operator_jwks), on_keys=use_keys)
        RevocationFeed(nc, hash_key=key, documents=documents)

    *on_keys* gets the body of ``keys`` (``keys`` in it is a JWK set), *on_catalogue* the text of
    ``catalogue``, *on_edges* the body of ``edges`` (``keys`` in it is a JWK set), *on_tokens* that of
    ``tokens`` (and who signed it), each with its generation. They run on the loop, and may raise
    `DocumentError` (or InvalidJWKSError): then the document counts as refused. ``tokens`` is judged by the
    keys that *signers* returns; while those do not know its signer it waits, and `judge_again` looks once
    more. *api_prefix*: as for the feed.
    """

    def __init__(
        self,
        operators: KeyRing,
        *,
        on_keys: OnKeys | None = None,
        on_catalogue: OnCatalogue | None = None,
        on_edges: OnKeys | None = None,
        on_tokens: OnTokens | None = None,
        signers: Callable[[], KeyRing] | None = None,
        api_prefix: str = "$JS.API",
    ) -> None:
        self.seq = 0
        self.refused = 0
        # By name: what the last refused document was refused for; gone once a newer one is genuine.
        self.problems: dict[str, str] = {}
        self._operators = operators
        self._takers: dict[str, Callable[[Document], None]] = {}
        if on_keys is not None:
            self._takers[KEYS] = partial(_take_keys, on_keys)
        if on_catalogue is not None:
            self._takers[CATALOGUE] = partial(_take_catalogue, on_catalogue)
        if on_edges is not None:
            self._takers[EDGES] = partial(_take_keys, on_edges)
        if on_tokens is not None and signers is not None:
            self._takers[TOKENS] = partial(_take_object, on_tokens)
        self._signers = signers
        # By name: not believed for want of its key.
        self._waiting: dict[str, tuple[bytes, int]] = {}
        self._in_force: dict[str, Document] = {}
        self._found_at: dict[str, int] = {}  # by name: where in the stream the one in force was
        self._api_prefix = api_prefix
        self._reader: DocumentReader | None = None
        self._subscription: Subscription | None = None

    def generation(self, name: str) -> int:
        """The generation of *name* in force; 0 before the first."""
        found = self._in_force.get(name)
        return 0 if found is None else found.generation

    def is_waiting(self, name: str) -> bool:
        """Whether the last document *name* was not believed, and may be once its signer's key is known."""
        return name in self._waiting

    def judge_again(self) -> None:
        """The keys that *signers* returns are others now: what waited for one may count."""
        for name, (jws, seq) in list(self._waiting.items()):
            document = self._genuine(name, jws, seq)
            if document is not None:
                self._put_in_force(document, seq)

    async def start(self, client: Client) -> None:
        """Hear new documents over *client*; what is there already is read by `catch_up`."""
        self._reader = DocumentReader(client, self._api_prefix)
        self._subscription = await client.subscribe(
            f"{DELTA_PREFIX}*", cb=self._on_delta, pending_msgs_limit=0, pending_bytes_limit=0
        )

    async def stop(self) -> None:
        """Hear no more; what is in force stays."""
        if self._subscription is not None:
            with suppress(NatsError):
                await self._subscription.unsubscribe()

    async def catch_up(self, seq: int) -> None:
        """Read on until everything up to *seq* is known; from the start when the stream ends before.

        Raises:
            FeedReadError: the stream's leader did not answer.
        """
        assert self._reader is not None
        if seq < self.seq and await self._reader.last_seq() < self.seq:
            self.seq = 0  # another stream than it was: lost, or restored from a copy
            self._found_at.clear()
        genuine: dict[str, list[tuple[Document, int]]] = {}
        at = self.seq
        while at < seq and (stored := await self._reader.next_of(at + 1, seq)) is not None:
            at = stored.seq
            document = self._genuine(stored.name, stored.body, stored.seq)
            if document is not None:
                genuine.setdefault(document.name, []).append((document, stored.seq))
        for found in genuine.values():
            self._put_newest_in_force(found)
        self.seq = max(self.seq, seq, at)

    async def _on_delta(self, message: Msg) -> None:
        name = message.subject.removeprefix(DELTA_PREFIX)
        seq = sequence_of(name, message)
        if seq is None:
            return  # another question's answer, aimed here
        document = self._genuine(name, message.data, seq)
        if document is not None:
            self._put_in_force(document, seq)
        if seq == self.seq + 1:
            self.seq += 1  # a gap is read by `catch_up`

    def _genuine(self, name: str, jws: bytes, seq: int) -> Document | None:
        """The document *name* when somebody here takes it and one who may has signed it."""
        if name not in self._takers:
            return None
        ring = self._signers() if name == TOKENS and self._signers else self._operators
        document = read_document(jws, ring, name=name)
        if isinstance(document, Document):
            self._waiting.pop(name, None)
            if document.generation > self.generation(name):
                self.problems.pop(name, None)
            return document
        if name == TOKENS:
            self._waiting[name] = jws, seq
        self._refuse(name, document.detail)
        return None

    def _put_newest_in_force(self, found: list[tuple[Document, int]]) -> None:
        """Of several, each with its sequence: the greatest generation that can be used.

        The others are looked at too: one that was written after it is an older document come again.
        """
        for document, seq in sorted(found, key=lambda each: each[0].generation, reverse=True):
            self._put_in_force(document, seq)

    def _put_in_force(self, document: Document, seq: int) -> bool:
        """Whether *document*, found at *seq*, is in force now."""
        known = self._in_force.get(document.name)
        if known is not None and document.generation <= known.generation:
            if document != known and seq > self._found_at.get(document.name, 0):
                generation = document.generation
                self._refuse(document.name, f"generation {generation} is there or past already")
            return document == known
        try:
            self._takers[document.name](document)
        except (DocumentError, InvalidJWKSError) as error:
            self._refuse(document.name, f"generation {document.generation}: {error}")
            return False
        self._in_force[document.name], self._found_at[document.name] = document, seq
        _log.info("document.in_force name=%s generation=%d", document.name, document.generation)
        return True

    def _refuse(self, name: str, detail: str) -> None:
        self.refused += 1
        self.problems[name] = detail
        _log.error("document.refused name=%s %s", name, detail)


def _take_keys(on_keys: OnKeys, document: Document) -> None:
    if not isinstance(document.body, dict):
        raise DocumentError("body is not an object")
    KeyRing.from_jwks({"keys": document.body.get("keys")})
    on_keys(document.body, document.generation)


def _take_object(on_tokens: OnTokens, document: Document) -> None:
    if not isinstance(document.body, dict):
        raise DocumentError("body is not an object")
    on_tokens(document.body, document.generation, document.kid)


def _take_catalogue(on_catalogue: OnCatalogue, document: Document) -> None:
    if not isinstance(document.body, str):
        raise DocumentError("body is not a text")
    on_catalogue(document.body, document.generation)
