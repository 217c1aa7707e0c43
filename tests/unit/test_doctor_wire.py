"""How the doctor reaches the front door, and what it says when it does not."""

import asyncio
import socket

import pytest

from ctl.doctor.wire import front_of, why


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://auth.house.localhost:18180", "localhost"),
        ("http://AUTH.LOCALHOST", "localhost"),
        ("http://localhost:8000", "localhost"),
        ("http://localhost.example.com", "localhost.example.com"),
        ("http://127.0.0.1", "127.0.0.1"),
    ],
)
def test_names_below_localhost_are_this_machine(url: str, address: str) -> None:
    """Many resolvers do not know them; browsers never ask one. The name itself is still what is said."""
    front = front_of(url, 1.0)

    assert front.address == address
    assert front.host in url.lower()


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(-2, "Name or service not known"),
        ConnectionRefusedError(111, "Connection refused"),
        ConnectionResetError(104, "reset"),
        TimeoutError(),
        asyncio.IncompleteReadError(b"", 1),
        asyncio.LimitOverrunError("", 1),
        ValueError("not HTTP"),
        OSError(101, "Network is unreachable"),
        OSError(),
    ],
)
def test_no_name_of_an_exception_is_shown(error: Exception) -> None:
    """Whoever runs the doctor reads words."""
    said = why(error)

    assert said
    assert not any(mark in said for mark in ("Error", "Exception", "gai", "("))
