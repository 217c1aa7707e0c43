"""A mail server that does exactly what a test tells it to, and counts what it was given.

Every step of a conversation (BANNER EHLO STARTTLS AUTH MAIL RCPT DATA DOT) has an answer; a test may
queue others, once or for good, for every conversation or only where the line or text contains a word.
"""

import asyncio
import base64
import contextlib
import datetime
import email
import email.policy
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.servers import free_port

Then = Literal["go on", "drop instead", "drop after"]


@dataclass(frozen=True)
class Answer:
    """*then* "drop instead": close without a word; "drop after": answer and close.

    *gate*: wait for it before anything. *drip*: send the answer byte by byte and never finish it.
    """

    code: int = 250
    text: str = "ok"
    then: Then = "go on"
    gate: asyncio.Event | None = None
    drip: bool = False


@dataclass
class Rule:
    """An *answer* to *verb* where *match* is in the line (or the text); *times* None is for good."""

    verb: str
    answer: Answer
    match: str = ""
    times: int | None = 1


@dataclass(frozen=True)
class Received:
    """A complete text, dot and all. *accepted*: the server said 250 to it."""

    sender: str
    recipient: str
    content: bytes
    tls: bool
    user: str

    @property
    def message(self) -> EmailMessage:
        """The text, parsed."""
        parsed = email.message_from_bytes(self.content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @property
    def message_id(self) -> str:
        """Its Message-ID."""
        return str(self.message["Message-ID"])


@dataclass
class ScriptedSMTP:
    """The server. *texts* are complete texts in order, *accepted* those that got their 250."""

    starttls: ssl.SSLContext | None = None
    implicit: ssl.SSLContext | None = None
    credentials: tuple[str, str] | None = None
    port: int = 0
    rules: list[Rule] = field(default_factory=list)
    texts: list[Received] = field(default_factory=list)
    accepted: list[Received] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    _server: asyncio.Server | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def once(self, verb: str, answer: Answer, *, match: str = "", times: int = 1) -> None:
        """Answer *verb* this way, *times* times."""
        self.rules.append(Rule(verb, answer, match, times))

    def always(self, verb: str, answer: Answer, *, match: str = "") -> None:
        """Answer *verb* this way until `heal`."""
        self.rules.append(Rule(verb, answer, match, None))

    def heal(self) -> None:
        """Back to a friendly server."""
        self.rules.clear()

    @property
    def data_count(self) -> Counter[str]:
        """Complete texts by Message-ID: the oracle for "no double mail"."""
        return Counter(received.message_id for received in self.texts)

    async def start(self) -> None:
        """Listen; again on the same port after `stop`, where nobody else has come meanwhile."""
        self.port = self.port or free_port()
        self._stopping = asyncio.Event()
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self.implicit
        )

    async def stop(self) -> None:
        """Refuse connections from now on and drop those there are."""
        self._stopping.set()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_now += 1
        try:
            await _Session(self, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, _DroppedError):
            pass
        finally:
            self.open_now -= 1
            writer.transport.abort()

    def answer(self, verb: str, text: str, default: Answer) -> Answer:
        """What to say to *verb*."""
        for rule in self.rules:
            if rule.verb == verb and rule.match in text and rule.times != 0:
                if rule.times is not None:
                    rule.times -= 1
                return rule.answer
        return default

    async def wait(self, gate: asyncio.Event) -> None:
        """Wait for *gate*, or for the end."""
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(e.wait()) for e in (gate, self._stopping)]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
        if self._stopping.is_set():
            raise _DroppedError


class _DroppedError(Exception):
    """The script closes the connection here."""


class _Session:
    """One conversation."""

    def __init__(
        self, server: ScriptedSMTP, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer
        self.sender = ""
        self.recipient = ""
        self.user = ""
        self.tls = server.implicit is not None

    async def run(self) -> None:
        await self.say("BANNER", "", Answer(220, "test ESMTP"))
        while line := (await self.reader.readline()).decode("utf-8", "replace").rstrip("\r\n"):
            self.server.lines.append(line)
            verb = line.split(" ", 1)[0].upper()
            if verb == "QUIT":
                return
            await self.step(verb, line)

    async def step(self, verb: str, line: str) -> None:
        match verb:
            case "EHLO":
                await self.say("EHLO", line, Answer(250, self.extensions()))
            case "STARTTLS":
                await self.upgrade(line)
            case "AUTH":
                await self.sign_in(line)
            case "MAIL":
                self.sender = line.partition(":")[2].strip("<>")
                await self.say("MAIL", line, self.default_mail())
            case "RCPT":
                self.recipient = line.partition(":")[2].strip("<>")
                await self.say("RCPT", line, Answer())
            case "DATA":
                await self.take_text(line)
            case _:
                await self.say(verb, line, Answer(502, "unknown"))

    def extensions(self) -> str:
        names = ["test", "8BITMIME"]
        if self.server.starttls and not self.tls:
            names.append("STARTTLS")
        if self.server.credentials:
            names.append("AUTH PLAIN LOGIN")
        return "\n".join(names)

    def default_mail(self) -> Answer:
        if self.server.credentials and not self.user:
            return Answer(530, "5.7.0 authentication required")
        return Answer()

    async def upgrade(self, line: str) -> None:
        assert self.server.starttls is not None
        await self.say("STARTTLS", line, Answer(220, "go"))
        await self.writer.start_tls(self.server.starttls)
        self.tls = True

    async def sign_in(self, line: str) -> None:
        assert self.server.credentials is not None
        _, method, initial = line.split(" ")
        _, user, password = [*base64.b64decode(initial).decode().split("\0"), "", ""][:3]
        good = method == "PLAIN" and (user, password) == self.server.credentials
        self.user = user if good else ""
        await self.say("AUTH", line, Answer(235) if good else Answer(535, "5.7.8 bad credentials"))

    async def take_text(self, line: str) -> None:
        if await self.say("DATA", line, Answer(354, "end with a dot")) != 354:
            return
        content = (await self.reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
        received = Received(self.sender, self.recipient, content, self.tls, self.user)
        self.server.texts.append(received)
        answer = self.server.answer("DOT", content.decode("utf-8", "replace"), Answer())
        if answer.code == 250 and answer.then == "go on" and answer.gate is None:
            self.server.accepted.append(received)
        await self.give(answer)
        if answer.code == 250 and (answer.gate is not None or answer.then == "drop after"):
            self.server.accepted.append(received)

    async def say(self, verb: str, line: str, default: Answer) -> int:
        answer = self.server.answer(verb, line, default)
        await self.give(answer)
        return answer.code

    async def give(self, answer: Answer) -> None:
        if answer.gate is not None:
            await self.server.wait(answer.gate)
        if answer.then == "drop instead":
            raise _DroppedError
        if answer.drip:
            self.writer.write(str(answer.code)[:1].encode())
            await self.server.wait(asyncio.Event())
        lines = answer.text.split("\n")
        marks = ["-"] * (len(lines) - 1) + [" "]
        for mark, text in zip(marks, lines, strict=True):
            self.writer.write(f"{answer.code}{mark}{text}\r\n".encode())
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()
        if answer.then == "drop after":
            raise _DroppedError


@asynccontextmanager
async def scripted_smtp(
    *,
    starttls: ssl.SSLContext | None = None,
    implicit: ssl.SSLContext | None = None,
    credentials: tuple[str, str] | None = None,
) -> AsyncIterator[ScriptedSMTP]:
    """A running server on a free port."""
    server = ScriptedSMTP(starttls=starttls, implicit=implicit, credentials=credentials)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def make_certificate(directory: Path, host: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a fresh certificate for *host*, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = directory / f"{host}.pem", directory / f"{host}.key"
    cert_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert_path, key_path)
    return server, ssl.create_default_context(cafile=str(cert_path))
