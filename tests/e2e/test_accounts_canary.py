"""Promise 5 with accounts: no password, nor a hash of one, is in a log, stream, subject, Redis or process list.

`test_log_canary` shows that the same search finds what is planted.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support import sinks
from tests.support.account_flows import ACCOUNT_FLOWS
from tests.support.every_flow import admin_doors
from tests.support.explored import Explored, explore
from tests.support.sinks import Leak

pytestmark = [pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

NOTHING: set[Leak] = set()
# SECURITY.md: `previous_sub` of a registration is the address.
WITH_ADDRESSES = "stream USER body"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def explored(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Explored]:
    """Every flow of passwords has run."""
    state = tmp_path_factory.mktemp("canary") / "state"
    url = f"sqlite:///{state.parent / 'accounts.db'}"
    async with explore(state, ACCOUNT_FLOWS, ACCOUNTS_URL=url) as installation:
        yield installation


async def test_nothing_that_was_said_or_kept_holds_a_password(explored: Explored) -> None:
    """Each kind of place, after every flow, at debug level."""
    labels = {label.partition("#")[0] for label in explored.canaries.secrets}
    places = [
        *explored.logs(),
        *await explored.stored_messages(),
        *explored.tapped(),
        *await sinks.redis_keys(explored.redis_url),
        *explored.files(),
        *explored.processes(),
        *await sinks.doors(admin_doors(explored.house)),
    ]
    logged = b"".join(sink.content for sink in explored.logs())

    assert {"password", "link token", "code", "access token", "refresh token"} <= labels
    for event in ("account.registered", "password.changed", "password.reset"):
        assert event.encode() in logged, event
    leaks = {leak for leak in explored.leaks(places) if not _is_a_former_sub(leak)}
    assert leaks == NOTHING


async def test_no_hash_of_a_password_leaves_the_store_of_accounts(explored: Explored) -> None:
    """It is there, and nowhere else: not even on disk beside it."""
    hashed, beside = b"$argon2", explored.state.parent
    stored = b"".join(path.read_bytes() for path in beside.glob("accounts.db*"))
    places = [
        *explored.logs(),
        *await explored.stored_messages(),
        *explored.tapped(),
        *await sinks.redis_keys(explored.redis_url),
        *explored.files(),
    ]

    assert stored.count(hashed) >= 3
    assert [sink.name for sink in places if hashed in sink.content] == []


async def test_the_store_of_accounts_holds_no_password_and_is_its_owners_alone(
    explored: Explored,
) -> None:
    """Hashes and addresses are what it is for; nobody else may read the file."""
    for path in explored.state.parent.glob("accounts.db*"):
        assert explored.canaries.secrets_in(path.read_bytes()) == set()
        assert path.stat().st_mode & 0o077 == 0, path.name


def _is_a_former_sub(leak: Leak) -> bool:
    return leak.where == WITH_ADDRESSES and "secret" not in leak.what
