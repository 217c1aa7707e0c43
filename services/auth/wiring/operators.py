"""What answers operators, with accounts and without."""

from functools import partial
from typing import Any

from services.auth.adapters.live_catalogue import LiveCatalogue
from services.auth.adapters.redis_facts import redis_facts
from services.auth.adapters.redis_scripts import Scripts
from services.auth.flows.match import MatchFlow
from services.auth.flows.users import UserFlow
from services.auth.handlers.accounts import answer_accounts
from services.auth.handlers.deletions import answer_deletions
from services.auth.handlers.match import answer_match
from services.auth.handlers.users import answer_users
from services.auth.http.context import AccountFlows
from services.auth.settings import AuthSettings
from shared.bus import Bus
from shared.doctor_facts import answer_doctor, key_facts, networks
from shared.lifecycle import Runtime


async def answer_operators(
    bus: Bus,
    users: UserFlow,
    match: MatchFlow,
    accounts: AccountFlows | None,
    runtime: Runtime,
    settings: AuthSettings,
    scripts: Scripts,
    catalogue: LiveCatalogue,
) -> None:
    """Begin to answer every ``op.`` question of auth. *users* is for people without accounts."""
    clock = runtime.clock
    directory = accounts.directory if accounts else None
    await answer_users(bus, directory.users if directory else users, directory)
    await answer_match(bus, match, clock)
    await answer_accounts(bus, directory)
    await answer_deletions(bus, accounts.deletion.deletions if accounts else None, clock)
    facts = partial(_facts, settings, scripts)
    await answer_doctor(bus, runtime, settings, facts, lambda: catalogue.generation)


async def _facts(settings: AuthSettings, scripts: Scripts) -> dict[str, Any]:
    """What auth alone can see of the installation."""
    return {
        "allows_everybody": settings.allow_list.everybody,
        "trusted_proxies": networks(settings.proxies),
        "cookie_domain": settings.cookie_domain or "",
        "max_staleness_ms": round(settings.max_staleness * 1000),
        "redis": await redis_facts(scripts.redis, scripts.clock),
        "keys": key_facts(settings.secrets_dir, "signing", "link", "refresh", "csrf"),
    }
