"""Times as commands print them."""

import os
import subprocess
import sys

import pytest

from ctl.output import clock_time, clock_time_in_words, date_time


@pytest.mark.parametrize("ms", [10**18, -(10**18), 1 << 70])
def test_no_number_that_somebody_said_stops_a_command(ms: int) -> None:
    """Least of all the one that is just taking a stolen key out of use."""
    assert clock_time(ms).endswith("Z")
    assert clock_time_in_words(ms).endswith("UTC")
    assert date_time(ms)[:4] in {"1970", "2100"}


def test_an_ordinary_time_is_told_in_utc() -> None:
    """To the second."""
    assert date_time(1_795_337_523_999) == "2026-11-22T09:32:03Z".replace("09:32:03", "08:52:03")


def test_a_closed_pipe_is_a_quiet_end() -> None:
    """``| head`` took what it wanted: nothing on standard error, and the exit code that shells know."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        ended = subprocess.run(
            [sys.executable, "-m", "ctl", "catalogue", "schema"],
            stdout=closed,
            stderr=subprocess.PIPE,
            check=False,
        )

    assert (ended.returncode, ended.stderr) == (141, b"")
