"""A handler that fails: what is said of it, and that it ends there."""

import pytest
from nats.aio.client import Client as NatsClient
from structlog.testing import capture_logs

from shared.bus import BusUnavailableError
from shared.bus.answers import Crowd
from shared.bus.replies import guard
from shared.contract import BLOCKLIST_PROBE
from shared.messages import Freshness, Probe


async def failing(error: Exception) -> None:
    """A handler that meets *error*."""
    raise error


async def test_a_reason_that_lasts_is_said_once_and_its_end_too() -> None:
    """Every edge probes several times a second, and none of it changes while a stream is missing."""
    missing = BusUnavailableError("DOCUMENT: stream not found")
    other = BusUnavailableError("BLOCKLIST: no answer")
    client = NatsClient()
    outcomes: list[Exception | None] = [missing, missing, missing, other, other, None, None]

    async def answer(_probe: Probe) -> Freshness:
        found = outcomes.pop(0)
        if found is not None:
            raise found
        return Freshness(epoch="e", last_seq=1, backlog_ms=0)

    crowd = Crowd(client, BLOCKLIST_PROBE, answer)
    with capture_logs() as lines:
        for _ in range(7):
            await crowd.answer_once()

    told = [(line["event"], line["log_level"], line.get("reason")) for line in lines]
    assert told == [
        ("message.unanswered", "warning", str(missing)),
        ("message.unanswered", "warning", str(other)),
        ("message.answered_again", "info", None),
    ]


@pytest.mark.parametrize(
    ("error", "event", "traceback"),
    [
        (BusUnavailableError("the leader hears no majority"), "message.unanswered", False),
        (RuntimeError("a fault of ours"), "message.failed", True),
    ],
)
async def test_only_a_fault_of_ours_is_logged_with_its_traceback(
    error: Exception, event: str, traceback: bool
) -> None:
    """While NATS is away each probe fails once or more a second: one line says so."""
    with capture_logs() as lines:
        await guard("revocation.probe", failing(error))

    (line,) = lines
    assert line["event"] == event
    assert line["subject"] == "revocation.probe"
    assert ("exc_info" in line) is traceback
    assert traceback or line["reason"] == "the leader hears no majority"
