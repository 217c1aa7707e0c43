"""Ctrl-C ends a command, also when it is pressed at the wrong moment."""

import asyncio
import contextlib
import signal

import pytest

from ctl.session import heed_interrupt


def test_a_ctrl_c_that_a_wait_has_lost_ends_the_command_all_the_same() -> None:
    """Pressed while the answer of NATS arrives, it was swallowed, and `events tail` went on for ever."""

    async def command() -> None:
        signal.raise_signal(signal.SIGINT)
        with contextlib.suppress(asyncio.CancelledError):  # as wait_for of Python 3.11 does
            await asyncio.Event().wait()
        heed_interrupt()
        raise AssertionError("it goes on")

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(command())


def test_nobody_who_was_not_interrupted_is_ended() -> None:
    """A deadline that was met is no interrupt."""

    async def command() -> str:
        async with asyncio.timeout(5):
            heed_interrupt()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        heed_interrupt()
        return "done"

    assert asyncio.run(command()) == "done"
