"""One record of BLOCKLIST as it is stored, by direct get: what a reader of the feed may ask."""

import json
from dataclasses import dataclass

import nats.errors
from nats.aio.msg import Msg

from shared import contract
from shared.bus.connection import Bus
from shared.bus.state import rfc3339_ms


@dataclass(frozen=True)
class StoredBody:
    """A record's sequence, the server's time of storing it (Unix ms) and its packed body."""

    seq: int
    stored_at_ms: int
    body: bytes


async def stored_record(bus: Bus, key: str, *, timeout: float) -> StoredBody | None:
    """The last record under *key*; None when there is none, or no answer within *timeout* seconds.

    A replica answers, which may be a moment behind: good for explaining, not for deciding.
    """
    subject = f"{contract.BLOCKLIST_STATE}.{key}"
    question = f"{bus.api_prefix}.DIRECT.GET.{contract.BLOCKLIST.name}"
    if not bus.connected:
        return None
    try:
        body = json.dumps({"last_by_subj": subject}).encode()
        return _read(await bus.client.request(question, body, timeout=timeout), subject)
    except (nats.errors.Error, ValueError):
        return None


def _read(reply: Msg, subject: str) -> StoredBody | None:
    """What the server's own headers say of it (ADR-31 of NATS); its refusals have no sequence."""
    headers = reply.headers or {}
    if headers.get("Nats-Subject") != subject:
        return None
    seq, at = headers.get("Nats-Sequence", ""), headers.get("Nats-Time-Stamp", "")
    return StoredBody(int(seq), rfc3339_ms(at), reply.data)
