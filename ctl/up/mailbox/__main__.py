"""Run the mailbox: ``python -m ctl.up.mailbox SMTP-PORT WEB-PORT``."""

import asyncio
import signal
import sys

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from ctl.up.mailbox.store import Mailbox
from ctl.up.mailbox.web import application
from ctl.up.ports import LOOPBACK
from shared.clock import SystemClock

MAX_BYTES = 10 << 20


class Arrivals:
    """What the SMTP server calls when a mail is complete."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._clock = SystemClock()

    async def handle_DATA(  # noqa: N802  (the library's name for it)
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Accept everything."""
        self._mailbox.receive(envelope.rcpt_tos, _bytes(envelope.content), self._clock.now_ms())
        return "250 kept in the development mailbox"


def _bytes(content: bytes | str | None) -> bytes:
    return content.encode() if isinstance(content, str) else content or b""


async def serve(smtp_port: int, web_port: int) -> None:
    """Serve both until SIGTERM or SIGINT."""
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)

    def protocol() -> SMTP:
        arrivals = Arrivals(mailbox)
        return SMTP(arrivals, hostname="localhost", data_size_limit=MAX_BYTES, loop=loop)

    runner = web.AppRunner(application(mailbox), access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, web_port).start()
    async with await loop.create_server(protocol, LOOPBACK, smtp_port):
        await stopping.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
