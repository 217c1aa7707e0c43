"""The flows of registration and passwords, on the store of accounts."""

from services.auth.adapters.common_passwords import CommonPasswords
from services.auth.domain.password import PasswordRules
from services.auth.flows.password import PasswordFlow
from services.auth.flows.register import RegisterFlow
from services.auth.flows.relay import Relay
from services.auth.flows.reset import ResetFlow
from services.auth.flows.subjects import AccountSubjects
from services.auth.flows.typed import TypedPasswords
from services.auth.settings import AuthSettings
from services.auth.wiring.parts import Core, Ports


def make_passwords(
    settings: AuthSettings, ports: Ports, core: Core, relay: Relay, subjects: AccountSubjects
) -> tuple[RegisterFlow, PasswordFlow, ResetFlow]:
    """Register, log in and change, forget and set anew; with one pool of hashes (that of *subjects*)."""
    rules = PasswordRules(settings.password_length, settings.site_name, CommonPasswords())
    registering = RegisterFlow(
        accounts=subjects.accounts,
        attempts=ports.attempts,
        hasher=subjects.hasher,
        asking=core.asking,
        subjects=subjects,
        rules=rules,
    )
    passwords = PasswordFlow(
        accounts=subjects.accounts,
        subjects=subjects,
        tries=ports.tries,
        hasher=subjects.hasher,
        opening=core.opening,
        sessions=ports.sessions,
        revocations=ports.revocations,
        events=ports.events,
        relay=relay,
        keys=ports.keys,
        rules=rules,
        allow=settings.allow_list,
        clock=ports.clock,
        ids=ports.ids,
    )
    resetting = ResetFlow(
        accounts=subjects.accounts,
        subjects=subjects,
        attempts=ports.attempts,
        asking=core.asking,
        proving=core.proving,
        revocations=ports.revocations,
        hasher=subjects.hasher,
        typed=TypedPasswords(ports.attempts, ports.tries),
        relay=relay,
        keys=ports.keys,
        rules=rules,
    )
    return registering, passwords, resetting
