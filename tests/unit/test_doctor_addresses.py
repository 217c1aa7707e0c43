"""`doctor --echo NAME:PORT`: only a name that leads to this machine and to no other."""

import asyncio

import pytest

from ctl.doctor.addresses import NotThisMachineError, is_own, own_addresses
from ctl.doctor.echo import Echo, EchoError

ELSEWHERE = "192.0.2.7"  # RFC 5737: nobody has it


class Names:
    """What a resolver knows."""

    def __init__(self, **known: str) -> None:
        self._known = known

    async def __call__(self, name: str) -> frozenset[str]:
        await asyncio.sleep(0)
        if name not in self._known:
            raise OSError
        return frozenset(self._known[name].split())


NAMES = Names(
    here="127.0.0.1",
    debian="127.0.1.1",
    both="127.0.0.1 ::1",
    other=ELSEWHERE,
    mixed=f"127.0.0.1 {ELSEWHERE}",
    any="0.0.0.0",
    six="2001:db8::7",
    none="",
)


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1", True),
        ("127.0.1.1", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        (ELSEWHERE, False),
        ("2001:db8::7", False),
        ("255.255.255.255", False),
        ("224.0.0.1", False),
        ("ff02::1", False),
    ],
)
def test_an_address_is_this_machines_or_not(address: str, own: bool) -> None:
    """The one that leads to whoever asks is nobody's."""
    assert is_own(address) is own


@pytest.mark.parametrize("name", ["here", "debian", "both"])
async def test_a_name_of_this_machine_alone_is_taken(name: str) -> None:
    """Whatever of its own addresses it has."""
    assert await own_addresses(name, NAMES)


@pytest.mark.parametrize("name", ["other", "mixed", "any", "six", "none", "unknown"])
async def test_a_name_that_leads_elsewhere_too_is_refused(name: str) -> None:
    """Who listens there could hand on to the doctor what he must show, and hear the token."""
    with pytest.raises(NotThisMachineError):
        await own_addresses(name, NAMES)
    with pytest.raises(EchoError, match=f"{name} (leads to|is not known)"):
        await Echo(name, 9109).listens(NAMES)


@pytest.mark.parametrize(
    ("host", "listens"),
    [("127.0.0.1", ["127.0.0.1"]), ("here", ["0.0.0.0"]), ("both", ["0.0.0.0", "::"])],
)
async def test_the_echo_listens_wherever_its_name_may_lead(host: str, listens: list[str]) -> None:
    """Also where the name has an address of IPv6: else somebody else could listen on that."""
    assert await Echo(host, 9109).listens(NAMES) == listens
