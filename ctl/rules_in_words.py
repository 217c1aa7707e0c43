"""Whom a rule of the catalogue lets in, in words."""

from collections.abc import Sequence

from ctl.output import masked
from shared.messages import ExplainedRule


def who(rule: ExplainedRule) -> str:
    """``open to everybody``, ``for everybody signed in``, ``for people with the role a or the service b``."""
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
        *_some(rule.roles, "role"),
        *_every(rule.all_roles, "roles"),
        *_some([masked(email) for email in rule.emails], "address", "addresses"),
        *_organisations(rule, "active organisation"),
    ]
    named = f"people with {' and '.join(parts)}" if parts else "everybody signed in"
    return named + (
        f", logged in at most {_span(rule.login_age_ms)} ago" if rule.login_age_ms else ""
    )


def _services(rule: ExplainedRule) -> str:
    # A token that is bound to no organisation is stopped by none, and "*" stops none that is.
    ids = [name for name in rule.organisations if name != "*"]
    bound = f" (with a token of {', '.join(ids)}, or of no organisation)" if ids else ""
    if "*" in rule.callers or not rule.callers:
        return f"any service{bound}"
    noun = "service" if len(rule.callers) == 1 else "services"
    return f"the {noun} {', '.join(rule.callers)}{bound}"


def _organisations(rule: ExplainedRule, noun: str) -> list[str]:
    if not rule.organisations:
        return []
    return [f"any {noun}"] if "*" in rule.organisations else _some(rule.organisations, noun)


def _permissions(rule: ExplainedRule) -> str:
    parts = [
        *_some(rule.permissions, "permission"),
        *_every(rule.all_permissions, "permissions"),
    ]
    return f", with {' and '.join(parts)}" if parts else ""


def _some(names: Sequence[str], what: str, several: str = "") -> list[str]:
    if len(names) < 2:
        return [f"the {what} {name}" for name in names]
    return [f"one of the {several or what + 's'} {', '.join(names)}"]


def _every(names: Sequence[str], several: str) -> list[str]:
    if len(names) < 2:
        return [f"the {several.removesuffix('s')} {name}" for name in names]
    return [f"all of the {several} {', '.join(names)}"]


def _span(ms: int) -> str:
    seconds = ms // 1000
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
