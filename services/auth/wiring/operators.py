"""What answers operators, with accounts and without."""

from services.auth.flows.match import MatchFlow
from services.auth.flows.users import UserFlow
from services.auth.handlers.accounts import answer_accounts
from services.auth.handlers.deletions import answer_deletions
from services.auth.handlers.match import answer_match
from services.auth.handlers.users import answer_users
from services.auth.http.context import AccountFlows
from shared.bus import Bus
from shared.clock import Clock


async def answer_operators(
    bus: Bus, users: UserFlow, match: MatchFlow, accounts: AccountFlows | None, clock: Clock
) -> None:
    """Begin to answer every ``op.`` question of auth. *users* is for people without accounts."""
    directory = accounts.directory if accounts else None
    await answer_users(bus, directory.users if directory else users, directory)
    await answer_match(bus, match, clock)
    await answer_accounts(bus, directory)
    await answer_deletions(bus, accounts.deletion.deletions if accounts else None, clock)
