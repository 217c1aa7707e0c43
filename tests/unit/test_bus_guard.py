"""A handler that fails: what is said of it, and that it ends there."""

import pytest
from structlog.testing import capture_logs

from shared.bus import BusUnavailableError
from shared.bus.replies import guard


async def failing(error: Exception) -> None:
    """A handler that meets *error*."""
    raise error


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
