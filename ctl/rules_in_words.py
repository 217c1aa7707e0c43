"""Whom a rule of the catalogue lets in, in words."""

from collections.abc import Sequence

from ctl.output import masked
from shared.messages import ExplainedRule


def who(rule: ExplainedRule) -> str:
    """``open to everybody``, ``for everybody signed in``, ``for a role of a, b or the services c``."""
    if rule.public:
        return "open to everybody"
    callers = [_people(rule)] if "user" in rule.token_types else []
    callers += [_services(rule)] if "service" in rule.token_types else []
    return f"for {' or '.join(callers)}{_permissions(rule)}"


def beside(rule: ExplainedRule) -> list[str]:
    """What else the rule says, a sentence each."""
    said = []
    if not rule.exposed:
        said.append("It is not for the internet: only the internal entry point has a route to it.")
    if rule.origins:
        pages = (
            "Pages of any origin" if "*" in rule.origins else f"Pages of {', '.join(rule.origins)}"
        )
        cookies = "with" if rule.credentials else "without"
        said.append(f"{pages} may call it, {cookies} the visitor's cookies.")
    return said


def _people(rule: ExplainedRule) -> str:
    parts = [
        *_some(rule.roles, "a role of"),
        *_some(rule.all_roles, "all roles of"),
        *_some([masked(email) for email in rule.emails], "an address of"),
        *_some(
            ["any" if name == "*" else name for name in rule.organisations],
            "an active organisation:",
        ),
    ]
    named = " and ".join(parts) or "everybody signed in"
    return named + (
        f", logged in at most {_span(rule.login_age_ms)} ago" if rule.login_age_ms else ""
    )


def _services(rule: ExplainedRule) -> str:
    named = "*" not in rule.callers and ", ".join(rule.callers)
    return f"the services {named}" if named else "any service"


def _permissions(rule: ExplainedRule) -> str:
    parts = [
        *_some(rule.permissions, "a permission of"),
        *_some(rule.all_permissions, "all permissions of"),
    ]
    return f", with {' and '.join(parts)}" if parts else ""


def _some(names: Sequence[str], what: str) -> list[str]:
    return [f"{what} {', '.join(names)}"] if names else []


def _span(ms: int) -> str:
    seconds = ms // 1000
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
