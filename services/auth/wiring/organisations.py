"""The flows of organisations, on the store of accounts."""

from services.auth.adapters.sql import Database
from services.auth.adapters.sql_orgs import SQLOrgs
from services.auth.domain.roles import RoleTable
from services.auth.flows.asking import Asking
from services.auth.flows.invitation import InvitationFlow
from services.auth.flows.org import OrgFlow
from services.auth.flows.relay import Relay
from services.auth.wiring.parts import Ports


def make_organisations(
    table: RoleTable, database: Database, relay: Relay, asking: Asking, ports: Ports
) -> tuple[OrgFlow, InvitationFlow]:
    """Organisations and their invitations, under *table* (`load_roles` reads it)."""
    orgs = OrgFlow(
        orgs=SQLOrgs(database),
        table=table,
        deliver=relay.deliver,
        clock=ports.clock,
        ids=ports.ids,
    )
    return orgs, InvitationFlow(orgs, asking, ports.attempts, ports.keys)
