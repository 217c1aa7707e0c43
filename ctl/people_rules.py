"""Rules of the catalogue that nobody can meet: about roles where there are no accounts, or no such role.

Only what is surely known here is said: which accounts an installation has is auth's affair.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ctl.installation import NoInstallationError, find_accounts
from shared.catalogue import Catalogue
from shared.catalogue.explained import explained_rule
from shared.messages import ExplainedRule
from shared.strict_yaml import StrictYAMLError, read_yaml

# What counts where there is no roles.yaml (deploy/roles.yaml).
BUILT_IN = frozenset({"admin", "auditor", "org:owner", "org:admin", "org:member"})
CURE = "`make up ACCOUNTS=on`, or LATCHWIRE_ACCOUNTS_URL"
_MAX_BYTES = 64 * 1024
_SECTIONS = {"installation": "", "organisation": "org:"}


@dataclass(frozen=True)
class People:
    """*accounts* None and *roles* None: not known here. *roles* as a catalogue writes them."""

    accounts: bool | None = None
    roles: frozenset[str] | None = None


NOT_KNOWN = People()


def people_of(state: Path | None) -> People:
    """Of the installation that a command with this *state* speaks to. Raises: NoInstallationError."""
    found = find_accounts(state)
    return (
        NOT_KNOWN if found is None else People(found.on, _roles(found.table, surely=found.surely))
    )


def unmet(rule: ExplainedRule, people: People) -> Iterator[str]:
    """Why a person cannot meet *rule*, each with the cure."""
    if rule.public or "user" not in rule.token_types:
        return
    wanted = (*rule.roles, *rule.all_roles)
    permitted = (*rule.permissions, *rule.all_permissions)
    asked = {"roles": wanted, "permissions": permitted, "an organisation": rule.organisations}
    named = [name for name, values in asked.items() if values]
    if named and people.accounts is False:
        what = f"{rule.service} asks people for {' and '.join(named)}"
        yield f"{what}, and accounts are off: nobody has any ({CURE})"
    elif people.roles is not None:
        for role in sorted(set(wanted) - people.roles):
            yield f"{rule.service} asks for the role {role}, and the table of roles has none of that name"


def people_lines(catalogue: Catalogue, state: Path | None) -> list[str]:
    """A warning for each rule of *catalogue* that nobody can meet in the installation of *state*."""
    try:
        people = people_of(state)
    except NoInstallationError:
        return []
    rules = (explained_rule(service, service.paths[0]) for service in catalogue.services)
    return [f"warning: {line}" for rule in rules for line in unmet(rule, people)]


def _roles(table: Path, *, surely: bool) -> frozenset[str] | None:
    """The names in *table*; those that are built in where there *surely* is none; None where nobody can say."""
    try:
        text = table.read_text("utf-8")
    except FileNotFoundError:
        return BUILT_IN if surely else None
    except (OSError, UnicodeDecodeError):
        return None
    try:
        document = read_yaml(text)[0] if len(text) <= _MAX_BYTES else None
    except StrictYAMLError:
        return None
    if not isinstance(document, dict):
        return None
    sections = ((prefix, document.get(name)) for name, prefix in _SECTIONS.items())
    return frozenset(
        f"{prefix}{role}" for prefix, held in sections if isinstance(held, dict) for role in held
    )
