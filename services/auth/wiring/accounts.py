"""The composition root of accounts: imported only where they are switched on, and SQL with it."""

from dataclasses import dataclass, replace

from services.auth.adapters.argon2_hasher import Argon2Hasher
from services.auth.adapters.roles_file import load_roles
from services.auth.adapters.sql import Database
from services.auth.adapters.sql_accounts import SQLAccounts
from services.auth.adapters.sql_outbox import SQLOutbox
from services.auth.flows.relay import Relay
from services.auth.flows.subjects import AccountSubjects
from services.auth.flows.sweep import Sweep
from services.auth.http.context import AccountFlows
from services.auth.settings import AuthSettings
from services.auth.wiring import make_ending
from services.auth.wiring.accounts_schema import make_database, require_schema
from services.auth.wiring.deletion import open_deletion
from services.auth.wiring.directory import make_directory
from services.auth.wiring.organisations import make_organisations
from services.auth.wiring.parts import Core, Ports
from services.auth.wiring.passwords import make_passwords
from services.auth.wiring.social import open_social
from shared.bus import Bus
from shared.lifecycle import Runtime


@dataclass(frozen=True)
class AccountStore:
    """What every flow of accounts stands on: the database with its adapters, and the relay."""

    database: Database
    accounts: SQLAccounts
    outbox: SQLOutbox
    relay: Relay


async def open_accounts(
    settings: AuthSettings, runtime: Runtime, bus: Bus, ports: Ports, core: Core
) -> AccountFlows:
    """Open the store and build the flows on it."""
    store = await open_store(settings, runtime, ports)
    hasher = await runtime.enter(Argon2Hasher(settings.hash_workers))
    roles = load_roles(settings.roles, needed=settings.names("roles"))
    subjects = AccountSubjects(
        accounts=store.accounts,
        standing_of=roles.standing,
        deliver=store.relay.deliver,
        hasher=hasher,
        clock=ports.clock,
        ids=ports.ids,
    )
    core = replace(core, asking=replace(core.asking, subjects=subjects))
    orgs, invitations = make_organisations(roles, store.database, store.relay, core.asking, ports)
    registering, passwords, resetting = make_passwords(settings, ports, core, store.relay, subjects)
    social = await open_social(
        settings,
        runtime,
        ports,
        core,
        store.database,
        store.accounts,
        subjects,
        store.relay.deliver,
    )
    return AccountFlows(
        accounts=store.accounts,
        subjects=subjects,
        asking=core.asking,
        orgs=orgs,
        invitations=invitations,
        social=social.social,
        identities=social.identities,
        registering=registering,
        passwords=passwords,
        resetting=resetting,
        deletion=open_deletion(
            settings, runtime, bus, ports, store.database, store.relay, subjects
        ),
        directory=make_directory(
            ports, core, store.database, store.accounts, subjects, orgs, store.relay
        ),
    )


async def open_store(settings: AuthSettings, runtime: Runtime, ports: Ports) -> AccountStore:
    """The store, its schema as it has to be, and its relay running."""
    database = await runtime.enter(make_database(settings))
    await require_schema(database, runtime)
    outbox = SQLOutbox(database)
    relay = Relay(outbox, make_ending(ports), ports.events, ports.sessions, ports.clock)
    runtime.spawn("outbox", relay.run(runtime.stopping), drains=False)
    runtime.health.check("accounts", relay.not_ready)
    runtime.health.note("outbox", relay.remark)
    accounts = SQLAccounts(database, ports.keys.index, ports.clock)
    sweep = Sweep(accounts, ports.clock)
    runtime.spawn("unproven accounts", sweep.run(runtime.stopping), drains=False)
    return AccountStore(database, accounts, outbox, relay)
