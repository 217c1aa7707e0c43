"""The document ``keys`` as the operator changes it: one step at a time, each signed, published and told."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from ctl import exits
from ctl.documents import DocumentDesk, Words
from ctl.key_states import KeyStateError, added, from_files, next_key, switched
from ctl.output import complain
from ctl.session import Session
from ctl.signing_files import SigningFiles
from latchwire.documents import KEYS
from shared.contract import KEY_ROTATED
from shared.documents import KeysBody, read_keys_body
from shared.messages import KeyRotated

FILES_BEHIND = (
    "{} CANNOT BE WRITTEN and still has the keys of before: who starts without the document goes by them. "
    "Make it writable, then repeat the command"
)
Change = Literal["added", "used", "retired", "compromised"]
Step = Callable[[KeysBody, int, int], KeysBody]  # body, now_ms, generation -> body


class KeyDesk:
    """*body* is what is in force now: the newest document's, or the files' when there is none."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.documents = DocumentDesk(session, KEYS)
        self.files = SigningFiles(session.installation.secrets_dir)
        self._files_behind = False

    async def open(self) -> None:
        """Read what is in force. Raises: BusUnavailableError, SecretsError, KeyStateError."""
        await self.documents.open()
        self.body = self._read()

    @property
    def generation(self) -> int:
        """Of the document in force; 0: the files."""
        return self.documents.shelf.generation

    async def change(self, kid: str, what: Change, step: Step) -> None:
        """Put the outcome of *step* in force, then say that *kid* is *what* now.

        Raises: KeyStateError, and what `DocumentDesk.publish` raises.
        """
        now_ms = self.session.clock.now_ms()
        generation = await self.documents.next_generation()
        body = step(self.body, now_ms, generation)
        await self.documents.publish(body.model_dump(exclude_none=True), generation, at=now_ms)
        self.body = self._read()
        event = KeyRotated(
            id=self.session.ids.ulid(now_ms),
            at=now_ms,
            kid=kid,
            change=what,
            generation=self.generation,
        )
        await self.session.bus.publish(KEY_ROTATED, event)

    async def words(self, timeout: float | None = None) -> Words:
        """What the edges say of the generation in force."""
        patience = self.session.timeout if timeout is None else timeout
        return await self.documents.words(self.generation, patience)

    async def publish_next(self, algorithm: str | None, *, fresh: bool = False) -> str:
        """Phase 1: a key that waits, its public half in force. Goes on where an earlier one stopped.

        With *fresh* it is made now: an earlier one may have been read by whoever stole the one that signs.

        Raises: SecretsError: it cannot be made here, or the one begun elsewhere is not here.
        """
        self.files.require_writable()
        kid = None if fresh else next_key(self.body)
        if kid is not None:
            return kid
        kid = None if fresh else self.files.prepared()
        if kid is None or kid in self.body.history:
            # In a thread: half a second of RSA, in which the edges' words would go unheard, and look late.
            kind = algorithm or self._algorithm()
            kid = await asyncio.to_thread(self.files.prepare, self._date(), kind)
        key = self.files.public(kid)
        await self.change(kid, "added", lambda body, now, gen: added(body, key, now, gen))
        return kid

    async def switch(self, kid: str) -> None:
        """Phase 2: sign with *kid*. Before auth hears of it, it finds the file."""
        self.files.enable(kid)
        await self.change(kid, "used", lambda body, now, gen: switched(body, kid, now, gen))

    def keep_files_in_step(self) -> None:
        """Write jwks.json as the document says; where that cannot be done it is said, and `code` knows."""
        self._files_behind = not self.files.publish(self.body.keys)
        if self._files_behind:
            complain(FILES_BEHIND.format(self.session.installation.secrets_dir / "jwks.json"))

    def code(self, code: int) -> int:
        """The exit code *code*, or 3 instead of 0 while jwks.json says something else than the document."""
        return exits.PARTLY if self._files_behind and code == exits.DONE else code

    def _read(self) -> KeysBody:
        document = self.documents.shelf.in_force
        if document is None:
            keys, signing = self.files.published()
            return from_files(keys, signing, self.session.clock.now_ms())
        body = read_keys_body(document.body)
        if body is None:
            raise KeyStateError(
                f"generation {document.generation} is not one this version can read"
            )
        return body

    def _algorithm(self) -> str:
        """The new key is of the kind of the one that signs."""
        signing: dict[str, Any] = next(
            key for key in self.body.keys if key["kid"] == self.body.sign_with
        )
        return str(signing["alg"])

    def _date(self) -> str:
        now = datetime.fromtimestamp(self.session.clock.now_ms() / 1000, UTC)
        return now.strftime("%Y%m%d")
