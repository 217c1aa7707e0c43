"""What operators do with accounts."""

from services.auth.adapters.sql import Database
from services.auth.adapters.sql_directory import SQLDirectory
from services.auth.flows.directory import DirectoryFlow
from services.auth.flows.org import OrgFlow
from services.auth.flows.relay import Relay
from services.auth.flows.users import UserFlow
from services.auth.ports.accounts import Accounts, Subjects
from services.auth.wiring.parts import Core, Ports


def make_directory(
    ports: Ports,
    core: Core,
    database: Database,
    accounts: Accounts,
    subjects: Subjects,
    orgs: OrgFlow,
    relay: Relay,
) -> DirectoryFlow:
    """The flow, under the table of roles of *orgs*."""
    users = UserFlow(
        people=ports.people,
        sessions=ports.sessions,
        revocations=ports.revocations,
        ending=core.ending,
        subjects=subjects,
        clock=ports.clock,
        accounts=accounts,
    )
    return DirectoryFlow(
        directory=SQLDirectory(database, ports.keys.index),
        orgs=orgs.orgs,
        table=orgs.table,
        users=users,
        deliver=relay.deliver,
        clock=ports.clock,
        ids=ports.ids,
    )
