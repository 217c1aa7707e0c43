"""What several tests of the bus look through."""

from pathlib import Path

import pytest

from shared.bus import Bus
from tests.conftest import BusFactory
from tests.support.feed import Writer
from tests.support.revocation import Ledger


@pytest.fixture
async def operator(bus_of: BusFactory) -> Bus:
    """The operator's bus."""
    return await bus_of("operator")


@pytest.fixture
async def ledger(bus_of: BusFactory, secrets_dir: Path) -> Ledger:
    """A look into BLOCKLIST."""
    return Ledger(await bus_of("revocation"), secrets_dir)


@pytest.fixture
async def writer(bus_of: BusFactory) -> Writer:
    """A revocation worker that answers probes."""
    writer = Writer(await bus_of("revocation"))
    await writer.answer_probes()
    return writer
