"""The transport against a mail server that misbehaves on purpose."""

import asyncio
import dataclasses
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.mailer.adapters.aiosmtplib_transport import SMTPTransport, UnsafeRecipientError
from services.mailer.domain.attempt import Timing
from services.mailer.domain.replies import Broken, Reply, Stage
from services.mailer.ports import Letter
from shared.smtp_url import MailServer
from tests.support.mailer import SHORT, local_server
from tests.support.servers import free_port
from tests.support.smtp import Answer, ScriptedSMTP, make_certificate, scripted_smtp
from tests.support.waiting import eventually

LETTER = Letter(
    "login@acme.com",
    "ada@example.com",
    "<1@acme.com>",
    b"Message-ID: <1@acme.com>\r\n\r\n.dot\r\n..dots\r\ntext\r\n",
)
IMPATIENT = dataclasses.replace(SHORT, connect=0.2, command=0.2)


@pytest.fixture
async def smtp() -> AsyncIterator[ScriptedSMTP]:
    """A friendly server, without TLS."""
    async with scripted_smtp() as server:
        yield server


async def send(
    server: MailServer,
    *,
    timing: Timing = SHORT,
    context: ssl.SSLContext | None = None,
    letter: Letter = LETTER,
    within: float = 60.0,
) -> Reply:
    """One conversation."""
    transport = SMTPTransport(server, timing, greeting_name="auth.acme.com", tls_context=context)
    return await transport.send(letter, within=within)


async def test_a_text_arrives_as_it_was_written(smtp: ScriptedSMTP) -> None:
    """Envelope as given, dots at the start of a line kept, goodbye said."""
    assert await send(local_server(smtp.port)) == Reply(Stage.DOT, 250)

    (received,) = smtp.accepted
    assert (received.sender, received.recipient) == ("login@acme.com", "ada@example.com")
    assert received.content == LETTER.content
    assert smtp.lines[0] == "EHLO auth.acme.com"
    await eventually(lambda: smtp.open_now == 0)
    assert smtp.lines[-1] == "QUIT"


@pytest.mark.parametrize(
    ("verb", "answer", "reply"),
    [
        ("BANNER", Answer(554, "5.3.2 go away"), Reply(Stage.CONNECT, 554, "5.3.2")),
        ("BANNER", Answer(421, "busy"), Reply(Stage.CONNECT, 421)),
        ("EHLO", Answer(550), Reply(Stage.EHLO, 550)),
        ("MAIL", Answer(550, "5.7.1 no"), Reply(Stage.MAIL, 550, "5.7.1")),
        ("MAIL", Answer(451), Reply(Stage.MAIL, 451)),
        ("RCPT", Answer(550, "5.1.1 none"), Reply(Stage.RCPT, 550, "5.1.1")),
        ("RCPT", Answer(450, "4.2.0 greylisted"), Reply(Stage.RCPT, 450, "4.2.0")),
        ("DATA", Answer(554), Reply(Stage.DATA, 554)),
        ("DOT", Answer(451), Reply(Stage.DOT, 451)),
        ("DOT", Answer(554, "5.7.1 spam"), Reply(Stage.DOT, 554, "5.7.1")),
        ("DOT", Answer(250, then="drop after"), Reply(Stage.DOT, 250)),
        ("BANNER", Answer(then="drop instead"), Reply(Stage.CONNECT, broken=Broken.CONNECTION)),
        ("RCPT", Answer(then="drop instead"), Reply(Stage.RCPT, broken=Broken.CONNECTION)),
        ("DATA", Answer(then="drop instead"), Reply(Stage.DATA, broken=Broken.CONNECTION)),
        ("DOT", Answer(then="drop instead"), Reply(Stage.DOT, broken=Broken.CONNECTION)),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_the_last_word_of_a_conversation_is_reported(
    smtp: ScriptedSMTP, verb: str, answer: Answer, reply: Reply
) -> None:
    """With the stage it was said at."""
    smtp.once(verb, answer)

    assert await send(local_server(smtp.port)) == reply


@pytest.mark.parametrize("verb", ["BANNER", "EHLO", "MAIL", "RCPT", "DATA"])
async def test_a_server_that_drips_or_hangs_holds_nobody(smtp: ScriptedSMTP, verb: str) -> None:
    """Each wait has an end, one byte a minute does not prolong it."""
    smtp.once(verb, Answer(drip=True))
    dripping = await send(local_server(smtp.port), timing=IMPATIENT)
    smtp.once(verb, Answer(gate=asyncio.Event()))
    hanging = await send(local_server(smtp.port), timing=IMPATIENT)

    assert dripping.broken is hanging.broken is Broken.TIMEOUT
    assert smtp.texts == []


async def test_the_whole_conversation_ends_when_the_link_does(smtp: ScriptedSMTP) -> None:
    """However patient each step may be; after the text was handed over that is an unknown outcome."""
    for within in (0.3, 3.0, 30.0):  # a busy machine may take that long to come to the text
        smtp.always("DOT", Answer(gate=asyncio.Event()))
        reply = await send(local_server(smtp.port), within=within)
        if reply.stage is Stage.DOT:
            break

    assert reply == Reply(Stage.DOT, broken=Broken.TIMEOUT)


async def test_nobody_listening_is_an_answer_too() -> None:
    """No exception, no stage beyond connecting."""
    reply = await send(local_server(free_port()))

    assert reply == Reply(Stage.CONNECT, broken=Broken.CONNECTION)


async def test_starttls_is_used_and_checked(tmp_path: Path) -> None:
    """Certificate for this host by a trusted authority: envelope and text go through TLS."""
    theirs, ours = make_certificate(tmp_path, "localhost")
    async with scripted_smtp(starttls=theirs) as smtp:
        reply = await send(local_server(smtp.port, tls="starttls"), context=ours)

        assert reply == Reply(Stage.DOT, 250)
        assert smtp.accepted[0].tls


async def test_implicit_tls_is_tls_from_the_first_byte(tmp_path: Path) -> None:
    """smtps://"""
    theirs, ours = make_certificate(tmp_path, "localhost")
    async with scripted_smtp(implicit=theirs) as smtp:
        reply = await send(local_server(smtp.port, tls="implicit"), context=ours)

        assert reply == Reply(Stage.DOT, 250)
        assert smtp.accepted[0].tls


async def test_a_stripped_starttls_is_refused_and_never_done_without(smtp: ScriptedSMTP) -> None:
    """Who sits in between learns neither user, nor password, nor recipient."""
    server = local_server(smtp.port, tls="starttls", username="mailer", password="canary")

    assert await send(server) == Reply(Stage.TLS, broken=Broken.TLS)
    assert smtp.lines == ["EHLO auth.acme.com"]


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_certificate_nobody_trusts_is_refused(tmp_path: Path, tls: str) -> None:
    """The system's trust store does not know it."""
    theirs, _ = make_certificate(tmp_path, "localhost")
    kind = {"starttls": theirs} if tls == "starttls" else {"implicit": theirs}
    async with scripted_smtp(**kind) as smtp:
        reply = await send(local_server(smtp.port, tls=tls))

        assert reply.broken is Broken.TLS
        assert smtp.texts == []


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_certificate_of_another_host_is_refused(tmp_path: Path, tls: str) -> None:
    """Trusted, but somebody else's."""
    theirs, ours = make_certificate(tmp_path, "other.example")
    kind = {"starttls": theirs} if tls == "starttls" else {"implicit": theirs}
    async with scripted_smtp(**kind) as smtp:
        reply = await send(local_server(smtp.port, tls=tls), context=ours)

        assert reply.broken is Broken.TLS
        assert smtp.texts == []


async def test_a_refused_starttls_command_ends_the_conversation(tmp_path: Path) -> None:
    """Offered, then refused: no sender and no recipient in the clear."""
    theirs, ours = make_certificate(tmp_path, "localhost")
    async with scripted_smtp(starttls=theirs) as smtp:
        smtp.once("STARTTLS", Answer(502, then="drop after"))
        reply = await send(local_server(smtp.port, tls="starttls"), context=ours)

        assert reply == Reply(Stage.TLS, 502)
        assert not any(line.startswith("MAIL") for line in smtp.lines)


async def test_signing_in_to_the_mail_server(tmp_path: Path) -> None:
    """User and password after TLS."""
    theirs, ours = make_certificate(tmp_path, "localhost")
    async with scripted_smtp(starttls=theirs, credentials=("mailer", "right")) as smtp:
        server = local_server(smtp.port, tls="starttls", username="mailer", password="right")

        assert await send(server, context=ours) == Reply(Stage.DOT, 250)
        assert smtp.accepted[0].user == "mailer"


async def test_a_wrong_password_is_reported_as_such() -> None:
    """535, at AUTH."""
    async with scripted_smtp(credentials=("mailer", "right")) as smtp:
        server = local_server(smtp.port, username="mailer", password="wrong")

        assert await send(server) == Reply(Stage.AUTH, 535, "5.7.8")


async def test_a_server_that_wants_a_password_we_have_not() -> None:
    """530, at MAIL."""
    async with scripted_smtp(credentials=("mailer", "right")) as smtp:
        assert await send(local_server(smtp.port)) == Reply(Stage.MAIL, 530, "5.7.0")


async def test_a_server_without_sign_in_is_no_server_of_ours(smtp: ScriptedSMTP) -> None:
    """A password is set, AUTH is not offered: not sent without."""
    server = local_server(smtp.port, username="mailer", password="right")

    assert await send(server) == Reply(Stage.AUTH, broken=Broken.AUTH)
    assert smtp.texts == []


@pytest.mark.parametrize(
    "recipient",
    [
        "a@evil.com>x@good.com",
        "a@good.com\r\nRCPT TO:<e@evil.com>",
        "a@good.com> NOTIFY=SUCCESS",
        "=?x?q?a=40evil.com=3e=20?=foo@good.com",
        "a\x00@good.com",
        "Ada@good.com",
        "é@good.com",
        "a@b@good.com",
        "",
    ],
)
async def test_a_recipient_that_is_not_canonical_never_opens_a_socket(
    smtp: ScriptedSMTP, recipient: str
) -> None:
    """Injection is refused before the first byte (yardstick M-22, N-35)."""
    with pytest.raises(UnsafeRecipientError):
        await send(local_server(smtp.port), letter=dataclasses.replace(LETTER, recipient=recipient))

    assert smtp.connections == 0
