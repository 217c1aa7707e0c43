"""`MailTransport` by aiosmtplib: one connection per mail, every step by hand and under a deadline.

The library's convenience is not used where it decides something: it would go on without TLS when none is
offered, parse an address once more before RCPT, and not say whether a connection broke before or after
the text was handed over.
"""

import asyncio
import contextlib
import re
import ssl
from collections.abc import Awaitable, Callable

import structlog
from aiosmtplib import SMTP, SMTPException, SMTPResponseException
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse

from services.mailer.domain.attempt import Timing
from services.mailer.domain.replies import Broken, Reply, Stage, enhanced_status
from services.mailer.ports import Letter
from shared.emails import is_canonical
from shared.smtp_url import MailServer

log = structlog.get_logger()

_LEADING_DOT = re.compile(rb"(?m)^\.")
_COMPLETED = range(200, 300)
_START_INPUT = 354


class UnsafeRecipientError(Exception):
    """The recipient is not a canonical address: refused before any socket is opened."""


class SMTPTransport:
    """See `services.mailer.ports.MailTransport`."""

    def __init__(
        self,
        server: MailServer,
        timing: Timing,
        *,
        greeting_name: str,
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        self._server = server
        self._timing = timing
        self._greeting_name = greeting_name
        # The system's trust store, TLS 1.2 or later, host name and certificate checked.
        self._tls_context = tls_context or ssl.create_default_context()

    async def send(self, letter: Letter, *, within: float) -> Reply:
        """See the port.

        Raises:
            UnsafeRecipientError: a caller's mistake; nothing was connected.
        """
        if not is_canonical(letter.recipient) or not letter.sender.isascii():
            raise UnsafeRecipientError
        reply = await self._talk(within, lambda conversation: conversation.hand_over(letter))
        assert reply is not None  # handing over ends with an answer
        return reply

    async def reach(self, *, within: float) -> Reply | None:
        """Everything before a mail: connect, protect, sign in. None: it went well. Does not raise."""
        return await self._talk(within, lambda conversation: conversation.sign_in())

    async def _talk(
        self, within: float, say: Callable[["_Conversation"], Awaitable[Reply | None]]
    ) -> Reply | None:
        client = self._client()
        deadline = asyncio.get_running_loop().time() + within
        conversation = _Conversation(client, self._server, self._timing, deadline)
        try:
            async with asyncio.timeout(within):
                return await say(conversation)
        except SMTPResponseException as error:
            return _reply(conversation.stage, error.code, error.message)
        except (SMTPException, OSError, TimeoutError, ValueError) as error:
            broken = _how_it_broke(error)
            log.warning(
                "smtp.broken", stage=conversation.stage.name, how=broken, error=_name(error)
            )
            return Reply(conversation.stage, broken=broken)
        finally:
            client.close()

    def _client(self) -> SMTP:
        return SMTP(
            hostname=self._server.host,
            port=self._server.port,
            timeout=self._timing.command,
            use_tls=self._server.tls == "implicit",
            start_tls=False,  # `_Conversation` does it, and refuses to go on without
            tls_context=self._tls_context,
            local_hostname=self._greeting_name,
        )


class _Conversation:
    """One mail, step by step; *stage* is where it stands."""

    def __init__(self, client: SMTP, server: MailServer, timing: Timing, deadline: float) -> None:
        self.stage = Stage.CONNECT
        self._deadline = deadline  # on the loop's clock
        self._client = client
        self._server = server
        self._timing = timing

    async def sign_in(self) -> Reply | None:
        """Up to where a mail could be handed over; what the server refused, or None."""
        await self._client.connect(timeout=self._timing.connect)
        return await self._protect() or await self._sign_in()

    async def hand_over(self, letter: Letter) -> Reply:
        refusal = await self.sign_in() or await self._address(letter)
        return refusal or await self._send_text(letter.content)

    async def _protect(self) -> Reply | None:
        self.stage = Stage.EHLO
        await self._client.ehlo()
        if self._server.tls != "starttls":
            return None
        self.stage = Stage.TLS
        if not self._client.supports_extension("starttls"):
            return Reply(self.stage, broken=Broken.TLS)  # not offered, or stripped on the way
        await self._client.starttls()
        self.stage = Stage.EHLO
        await self._client.ehlo()
        return None

    async def _sign_in(self) -> Reply | None:
        if not self._server.username:
            return None
        self.stage = Stage.AUTH
        if not self._client.supported_auth_methods:
            return Reply(self.stage, broken=Broken.AUTH)
        await self._client.login(self._server.username, self._server.password)
        return None

    async def _address(self, letter: Letter) -> Reply | None:
        """MAIL and RCPT with exactly the bytes that were checked (yardstick M-22)."""
        self.stage = Stage.MAIL
        sender = await self._client.execute_command(b"MAIL", b"FROM:<%b>" % letter.sender.encode())
        if sender.code not in _COMPLETED:
            return _answer(self.stage, sender)
        self.stage = Stage.RCPT
        recipient = letter.recipient.encode("ascii")
        answer = await self._client.execute_command(b"RCPT", b"TO:<%b>" % recipient)
        return None if answer.code in _COMPLETED else _answer(self.stage, answer)

    async def _send_text(self, content: bytes) -> Reply:
        self.stage = Stage.DATA
        start = await self._client.execute_command(b"DATA")
        if start.code != _START_INPUT:
            return _answer(self.stage, start)
        protocol = self._client.protocol
        if protocol is None:
            return Reply(self.stage, broken=Broken.CONNECTION)
        # A process that stood still past its lease (a suspended machine) must not go on where it was:
        # another one has sent this mail meanwhile.
        if asyncio.get_running_loop().time() >= self._deadline:
            return Reply(self.stage, broken=Broken.TIMEOUT)
        # From here on the server may have the whole text: what breaks now has an unknown outcome.
        self.stage = Stage.DOT
        protocol.write(_LEADING_DOT.sub(b"..", content) + b".\r\n")
        answer = await protocol.read_response(timeout=self._timing.conversation)
        _say_goodbye(protocol)
        return _answer(self.stage, answer)


def _say_goodbye(protocol: SMTPProtocol) -> None:
    """QUIT without waiting for its answer: what the server says to it changes nothing any more."""
    with contextlib.suppress(SMTPException, OSError):
        protocol.write(b"QUIT\r\n")


def _answer(stage: Stage, response: SMTPResponse) -> Reply:
    return _reply(stage, response.code, response.message)


def _reply(stage: Stage, code: int, text: str) -> Reply:
    # The server's text is not logged: it likes to repeat the recipient's address.
    return Reply(stage, code, enhanced_status(text))


def _how_it_broke(error: Exception) -> Broken:
    causes = (error, error.__cause__, error.__context__)
    if any(isinstance(cause, ssl.SSLError | ssl.CertificateError) for cause in causes):
        return Broken.TLS
    return Broken.TIMEOUT if isinstance(error, TimeoutError) else Broken.CONNECTION


def _name(error: Exception) -> str:
    cause = error.__cause__
    return type(cause or error).__name__
