"""The register of service tokens: the document ``tokens``, signed with the key that signs access tokens.

What counts is what every reader goes by: of all that the stream keeps, the greatest generation that a key of
ours has signed. Where this process goes by a later one than the stream has (it was lost), what is in memory
counts, unless the key that had signed it was compromised: then nobody vouches for it, and it is empty. A
generation is a time in ms, so that it rises even over a stream that was lost with the processes that knew it.
"""

import asyncio
from dataclasses import replace
from typing import Any

from latchwire.documents import MAX_DOCUMENT_BYTES, TOKENS, Document, read_document
from services.auth.adapters.live_tokens import LiveTokens
from services.auth.adapters.pyjwt_tokens import PyJWTTokens
from services.auth.ports.service_tokens import Register, RegisterTooLargeError
from shared.bus.documents import DocumentStore
from shared.clock import Clock
from shared.messages import ServiceToken
from shared.service_tokens import is_of_the_future, read_tokens_body, tokens_body


class DocumentRegisters:
    """`services.auth.ports.service_tokens.Registers`."""

    def __init__(
        self, store: DocumentStore, signer: PyJWTTokens, live: LiveTokens, clock: Clock
    ) -> None:
        self._store = store
        self._signer = signer
        self._live = live
        self._clock = clock

    @property
    def signs_with(self) -> str:
        return self._signer.kid

    async def read(self) -> Register:
        stored = await self._store.kept(TOKENS)
        genuine: list[Document] = []
        for each in stored:
            document = read_document(each.jws, self._signer.recognised, name=TOKENS)
            if isinstance(document, Document):
                genuine.append(document)
            await asyncio.sleep(0)  # some milliseconds each, if there are a thousand tokens
        newest = self._newest(genuine)
        seq = stored[-1].seq if stored else 0
        return self._at_least_known(replace(newest, seq=seq))

    async def write(self, rows: tuple[ServiceToken, ...], after: Register) -> Register | None:
        now_ms = self._clock.now_ms()
        generation = max(after.generation + 1, now_ms)
        kid, body = self.signs_with, tokens_body(rows)
        payload: dict[str, Any] = {"name": TOKENS, "generation": generation, "at": now_ms}
        jws = self._signer.sign_document(payload | {"body": body})
        if len(jws) > MAX_DOCUMENT_BYTES:
            raise RegisterTooLargeError
        ack = await self._store.put(TOKENS, jws, after_seq=after.seq)
        if ack is None:
            return None
        self._live.use(rows, generation, kid)
        return Register(rows, generation, ack.seq, kid, kid)

    def _newest(self, genuine: list[Document]) -> Register:
        now_ms = self._clock.now_ms()
        for document in sorted(genuine, key=lambda each: each.generation, reverse=True):
            if is_of_the_future(document.generation, now_ms):
                continue
            rows = read_tokens_body(document.body)
            if rows is not None:
                return Register(rows, document.generation, 0, document.kid, document.kid)
        return Register()

    def _at_least_known(self, register: Register) -> Register:
        if self._live.generation <= register.generation:
            return register
        # Its number counts in any case: edges go by it.
        kid = self._live.kid
        rows = self._live.rows if self._signer.recognised.find(kid) else ()
        return Register(rows, self._live.generation, register.seq, "", kid)
