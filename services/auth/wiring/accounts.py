"""The composition root of accounts: imported only where they are switched on, and SQL with it."""

from dataclasses import dataclass

from services.auth.adapters.sql import Database
from services.auth.adapters.sql_accounts import SQLAccounts
from services.auth.adapters.sql_outbox import SQLOutbox
from services.auth.adapters.sql_schema import metadata
from services.auth.flows.relay import Relay
from services.auth.http.context import AccountFlows
from services.auth.settings import AuthSettings
from services.auth.wiring import Ports, make_ending
from shared.accounts_url import PASSWORD_FILE
from shared.lifecycle import Runtime
from shared.secrets import read_private


@dataclass(frozen=True)
class AccountStore:
    """What every flow of accounts stands on: the database with its adapters, and the relay."""

    database: Database
    accounts: SQLAccounts
    outbox: SQLOutbox
    relay: Relay


async def open_accounts(settings: AuthSettings, runtime: Runtime, ports: Ports) -> AccountFlows:
    """Open the store and build the flows on it."""
    store = await open_store(settings, runtime, ports)
    return AccountFlows(accounts=store.accounts)


async def open_store(settings: AuthSettings, runtime: Runtime, ports: Ports) -> AccountStore:
    """The store, its schema as it has to be, and its relay running."""
    database = await runtime.enter(make_database(settings))
    async with database.writing() as connection:
        await connection.run_sync(metadata.create_all)
    outbox = SQLOutbox(database)
    relay = Relay(outbox, make_ending(ports), ports.events, ports.sessions, ports.clock)
    runtime.spawn("outbox", relay.run(runtime.stopping), drains=False)
    runtime.health.note("outbox", relay.remark)
    accounts = SQLAccounts(database, ports.keys.index, ports.clock)
    return AccountStore(database, accounts, outbox, relay)


def make_database(settings: AuthSettings) -> Database:
    """The database of the settings. Raises: SecretsError: its password cannot be read."""
    assert settings.accounts_url is not None
    path = settings.secrets_dir / PASSWORD_FILE
    password = read_private(path).strip() if path.is_file() else ""
    return Database(settings.accounts_url, password=password)
