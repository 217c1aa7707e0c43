"""``edges keys|certify|withdraw``: whose assertions services believe."""

import argparse
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from ctl import exits
from ctl.arguments import Commands, add_command
from ctl.confirm import confirmed
from ctl.documents import ConflictError, DocumentDesk, tell
from ctl.edge_certificates import EdgeFiles, EdgeKeyError, with_keys, without
from ctl.explanations import ago
from ctl.output import complain, one_line, say, say_json, table
from ctl.session import Session, operate
from latchwire.documents import EDGES, Document
from shared.contract import TOKEN_REVOKED
from shared.documents import DocumentTooLargeError
from shared.edge_keys import JWK, edge_of
from shared.messages import TokenRevoked
from shared.secrets import SecretsError

WARNING = (
    "No assertion by {} is believed any more, anywhere, for ever; services refuse what it says."
)
_NAME = re.compile(r"edge[a-z0-9-]{0,60}", re.ASCII)

Work = Callable[["CertificateDesk"], Awaitable[int]]


def register(actions: "Commands[argparse.ArgumentParser]") -> None:
    """Add the three to ``edges``."""
    keys = add_command(actions, "keys", "the keys whose assertions services believe")
    keys.set_defaults(run=lambda arguments: _operate(arguments, _show))
    certify = add_command(
        actions, "certify", "make an edge's key where it lacks one, and publish it"
    )
    certify.add_argument("name", nargs="?", help="the edge; default: every one with a credential")
    certify.add_argument(
        "--renew",
        action="store_true",
        help="a further key, in use once the one before is withdrawn",
    )
    certify.set_defaults(run=_run_certify)
    withdraw = add_command(actions, "withdraw", "believe an edge's keys no more, everywhere")
    withdraw.add_argument("name", help="an edge, for all its keys, or one kid (`edges keys`)")
    withdraw.set_defaults(run=_run_withdraw)


class CertificateDesk(DocumentDesk):
    """The document ``edges`` with the files beside it."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, EDGES)
        self.files = EdgeFiles(session.installation.secrets_dir)

    @property
    def keys(self) -> list[JWK]:
        """Those that count: the document's, before the first one the file's. Raises: SecretsError."""
        body: Any = self.shelf.in_force.body if self.shelf.in_force else None
        return list(body["keys"]) if body else self.files.published()

    async def put(self, keys: list[JWK]) -> None:
        """Publish *keys* where they are others than the document's. Raises: as `publish` does."""
        if self.shelf.in_force is None or self.keys != keys:
            generation = await self.next_generation()
            await self.publish({"keys": keys}, generation, at=self.session.clock.now_ms())
        if not self.files.publish(keys):
            complain("secrets/edges.jwks.json is not writable here: it stays as it was")


def _run_certify(arguments: argparse.Namespace) -> int:
    """0 when every live edge knows it, 1 when it cannot be done, 3 when one has not confirmed."""
    if arguments.name is not None and not _NAME.fullmatch(arguments.name):
        complain("an edge's name is edge, then lower-case letters, digits and dashes: edge-1")
        return exits.USAGE
    return _operate(arguments, partial(_certify, name=arguments.name, renew=arguments.renew))


def _run_withdraw(arguments: argparse.Namespace) -> int:
    """0 when every live edge knows it, 1 when it cannot be done, 3 when one has not confirmed."""
    if not confirmed(WARNING.format(one_line(arguments.name)), yes=arguments.yes):
        return exits.USAGE
    return _operate(arguments, partial(_withdraw, name=arguments.name))


def _operate(arguments: argparse.Namespace, work: Work) -> int:
    async def begin(session: Session) -> int:
        desk = CertificateDesk(session)
        try:
            await desk.open()
            return await work(desk)
        except (ConflictError, DocumentTooLargeError, EdgeKeyError, SecretsError) as error:
            complain(one_line(str(error)))
            return exits.FAILED

    return operate(arguments, begin)


async def _show(desk: CertificateDesk) -> int:
    now_ms = desk.session.clock.now_ms()
    rows = [
        (edge_of(kid), kid, desk.files.state_of(kid), certified_at(desk.shelf.genuine, kid))
        for kid in (key["kid"] for key in desk.keys)
    ]
    if desk.session.json:
        names = ("edge_id", "kid", "state", "certified_at")
        found = [dict(zip(names, row, strict=True)) for row in rows]
        say_json({"generation": desk.shelf.generation, "keys": found})
    elif rows:
        cells = ((*row[:3], ago(now_ms - row[3]) if row[3] else "at the start") for row in rows)
        say(table([("EDGE", "KEY", "STATE", "CERTIFIED"), *cells]))
    else:
        complain("no edge has a certified key: `latchwire edges certify`")
    return exits.DONE


def certified_at(documents: Sequence[Document], kid: str) -> int | None:
    """When the first of *documents*, by rising generation, that names *kid* was signed (Unix ms).

    None where that is the first of all: then it may be from before it, out of the file of the start.
    """
    named = [document for document in documents if _names(document, kid)]
    return named[0].at if named and named[0] is not documents[0] else None


def _names(document: Document, kid: str) -> bool:
    body: Any = document.body
    return any(key["kid"] == kid for key in body["keys"])


async def _certify(desk: CertificateDesk, *, name: str | None, renew: bool) -> int:
    names = desk.files.known() if name is None else [name]
    if not names:
        raise EdgeKeyError("no edge has a credential here: name one")
    own = [desk.files.make(edge_id, renew=renew) for edge_id in names]
    await desk.put(with_keys(desk.keys, own))
    if renew:
        complain(
            "once every service knows it (those that ask auth for the keys: after six minutes), withdraw the "
            "one before: `latchwire edges withdraw KID`"
        )
    return await _confirm(desk, "certified", [key["kid"] for key in own])


async def _withdraw(desk: CertificateDesk, *, name: str) -> int:
    kept, gone = without(desk.keys, name)
    for kid in gone:  # first: who has the feed refuses it within milliseconds
        await desk.session.bus.publish(TOKEN_REVOKED, _revoked(desk.session, kid))
    desk.files.put_away(
        gone
    )  # before the document: the edge looks at its file when it hears of that
    await desk.put(kept)
    return await _confirm(desk, "withdrawn", gone)


def _revoked(session: Session, kid: str) -> TokenRevoked:
    return TokenRevoked(
        id=session.ids.ulid(session.clock.now_ms()),
        scope="key",
        kid=kid,
        reason="edge withdrawn",
        actor="operator",
    )


async def _confirm(desk: CertificateDesk, what: str, kids: list[str]) -> int:
    words = await desk.words(desk.shelf.generation, desk.session.timeout)
    if desk.session.json:
        say_json({what: kids, "generation": desk.shelf.generation, **words.answer()})
    else:
        for kid in kids:
            say(f"{what:<10}  {kid}, generation {desk.shelf.generation}")
        tell(words)
    return exits.DONE if words.complete else exits.PARTLY
