"""The one way out: what it connects to, and what is kept of what it fetched."""

import socket
from collections.abc import Mapping
from typing import Any

import pytest

from services.auth.adapters.kept_document import (
    COOL_DOWN_SECONDS,
    FRESH_SECONDS,
    KEEP_SECONDS,
    KeptDocument,
)
from services.auth.adapters.outbound import InsideAddressError, guarded_socket, is_outside
from services.auth.ports.providers import ProviderBrokenError, ProviderUnavailableError
from tests.support.fakes.clock import FakeClock

INSIDE = """
127.0.0.1 127.8.9.10 0.0.0.0 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 100.100.100.200
192.0.0.192 168.63.129.16 198.18.0.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 192.0.2.1 203.0.113.9
::1 :: ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 fe80::1 fe80::1%eth0 fc00::1 fd00:ec2::254
ff02::1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 2002:7f00:1:: 2001:db8::1 2001:0:1::1
""".split()  # noqa: SIM905 - a table of addresses
OUTSIDE = ["8.8.8.8", "140.82.112.3", "2606:4700::1111", "2a03:2880::1", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", INSIDE)
def test_no_socket_is_made_for_an_address_inside(address: str) -> None:
    """Loopback, private, link-local, carrier's, metadata, multicast, and IPv4 in any of its disguises."""
    assert not is_outside(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(InsideAddressError):
        guarded_socket((family, socket.SOCK_STREAM, 6, "", (address, 443)))


@pytest.mark.parametrize("address", OUTSIDE)
def test_the_internet_is_reached(address: str) -> None:
    """A guard that lets nothing through would pass the other test."""
    assert is_outside(address)


class Source:
    """Where a document comes from: answers, or fails with what it is given."""

    def __init__(self) -> None:
        self.asked = 0
        self.failure: Exception | None = None

    async def fetch(self) -> Mapping[str, Any]:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return {"number": self.asked}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def kept(source: Source, clock: FakeClock) -> KeptDocument:
    return KeptDocument(source.fetch, clock)


async def test_a_document_is_fetched_once_an_hour(
    kept: KeptDocument, source: Source, clock: FakeClock
) -> None:
    """Not with every login."""
    for _ in range(3):
        await kept.read()
    assert source.asked == 1
    clock.advance(int(FRESH_SECONDS * 1000) + 1)
    assert (await kept.read())["number"] == 2


async def test_unknown_keys_ask_again_at_most_once_in_the_cool_down(
    kept: KeptDocument, source: Source, clock: FakeClock
) -> None:
    """Whoever sends tokens with names of no key does not send us to the provider each time."""
    await kept.read()
    for _ in range(5):
        await kept.read(renew=True)
    assert source.asked == 1
    clock.advance(int(COOL_DOWN_SECONDS * 1000))
    for _ in range(5):
        await kept.read(renew=True)
    assert source.asked == 2


@pytest.mark.parametrize("failure", [ProviderUnavailableError(), ProviderBrokenError("keys")])
async def test_the_last_good_one_counts_for_a_day_while_there_is_no_other(
    kept: KeptDocument, source: Source, clock: FakeClock, failure: Exception
) -> None:
    """A provider that is down, or answers garbage, does not take its keys away at once; nor for ever."""
    await kept.read()
    source.failure = failure
    clock.advance(int(FRESH_SECONDS * 1000) + 1)
    for _ in range(3):
        assert (await kept.read())["number"] == 1
    assert source.asked == 2
    clock.advance(int(KEEP_SECONDS * 1000))
    for _ in range(2):
        with pytest.raises(type(failure)):
            await kept.read()


async def test_without_any_the_failure_is_said_and_tried_again(
    kept: KeptDocument, source: Source
) -> None:
    """Nothing is made up, and nothing has to be restarted."""
    source.failure = ProviderUnavailableError()
    with pytest.raises(ProviderUnavailableError):
        await kept.read()
    source.failure = None
    assert (await kept.read())["number"] == 2
