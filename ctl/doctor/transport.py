"""TLS at the front door: the certificate, the versions, and what plain http does."""

import asyncio
import contextlib
import ssl
import warnings
from dataclasses import replace
from typing import Any

from ctl.doctor.findings import Finding
from ctl.doctor.wire import Front, NoAnswerFromDoorError, send, why

SOON_DAYS = 14
DAY_SECONDS = 86_400


async def look_at_tls(
    front: Front, host: str, now_ms: int, *, plain_port: int = 80
) -> list[Finding]:
    """What is wrong with it; nothing where the address is plain http, as on a developer's machine.

    Raises:
        NoAnswerFromDoorError: nobody answers at all.
    """
    if front.tls is None:
        return []
    where = f"{host}:{front.port}"
    found = await _certificate(front, host, where, now_ms)
    if await _accepts_old(front, host):
        found.append(Finding("door.tls_old", where, "TLS 1.0 or 1.1 is accepted"))
    return [*found, *await _plain(front, host, plain_port)]


async def _certificate(front: Front, host: str, where: str, now_ms: int) -> list[Finding]:
    try:
        expires_at = await _expiry(front, host)
    except ssl.SSLCertVerificationError as error:
        return [Finding("door.tls", where, error.verify_message)]
    except ssl.SSLError as error:
        return [Finding("door.tls", where, f"no handshake: {error.reason}")]
    except (OSError, TimeoutError) as error:
        raise NoAnswerFromDoorError(why(error)) from error
    days = int((expires_at - now_ms / 1000) // DAY_SECONDS)
    return [Finding("door.tls_expires", where, f"in {days} days")] if days < SOON_DAYS else []


async def _expiry(front: Front, host: str) -> float:
    """When the certificate ends, in Unix seconds."""
    certificate = await _handshake(front, front.tls, host)
    return float(ssl.cert_time_to_seconds(certificate["notAfter"])) if certificate else 2.0**62


async def _accepts_old(front: Front, host: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that they are old is the point
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with contextlib.suppress(ssl.SSLError):
        context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        await _handshake(front, context, host)
    except (OSError, TimeoutError):  # ssl.SSLError is an OSError
        return False
    return True


async def _handshake(front: Front, context: ssl.SSLContext | None, host: str) -> Any:
    async with asyncio.timeout(front.timeout):
        _, writer = await asyncio.open_connection(
            front.address, front.port, ssl=context, server_hostname=host
        )
    try:
        return writer.get_extra_info("peercert")
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(0.5):
                await writer.wait_closed()


async def _plain(front: Front, host: str, port: int) -> list[Finding]:
    """Only beside the usual port: where else plain http may be is not known."""
    if front.port != 443 and port == 80:
        return []
    plain = replace(front, port=port, tls=None)
    try:
        answer = await send(plain, "/auth/login", host=host)
    except NoAnswerFromDoorError:
        return []  # closed is as good as a redirect
    if answer.status in (301, 302, 303, 307, 308):
        location = answer.one("location").lower()
        if location.startswith(f"https://{host.lower()}"):
            return []
        return [Finding("door.plain_http", f"{host}:{port}", "redirects, and not to https here")]
    return [Finding("door.plain_http", f"{host}:{port}", f"answers {answer.status}")]
