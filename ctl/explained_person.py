"""What a rule of the catalogue says to a person whose token nobody has: by the account, not by a request."""

from collections.abc import Iterator
from dataclasses import dataclass

from ctl.output import masked, one_line
from shared.catalogue import ANY
from shared.messages import ExplainedRule, UserState

_ORG = "org:"


@dataclass(frozen=True)
class Judged:
    """*obstacles*: why the person is refused, whatever they do. *conditions*: what else has to be so."""

    obstacles: tuple[str, ...]
    conditions: tuple[str, ...]


def judge(rule: ExplainedRule, email: str, state: UserState) -> Judged:
    """What *rule* says to the person of the canonical address *email*, whom auth describes as *state*."""
    if rule.public:
        return Judged((), ())
    missing, where = _by_account(rule, state)
    obstacles = (*_standing(rule, email, state), *missing)
    return Judged(obstacles, (*where, *_of_the_token(rule)))


def person_lines(rule: ExplainedRule, email: str, state: UserState) -> Iterator[str]:
    """The verdict first, then what it rests on; the address is masked."""
    judged = judge(rule, email, state)
    if judged.obstacles:
        yield one_line(f"{masked(email)} is refused: {'; '.join(judged.obstacles)}.")
    else:
        others = f", if {', and '.join(judged.conditions)}" if judged.conditions else ""
        yield one_line(f"{masked(email)} may{others}.")
    yield one_line(f"Person {masked(email)}: {', '.join(_held(state))}.")


def _held(state: UserState) -> Iterator[str]:
    yield "1 session" if state.sessions == 1 else f"{state.sessions} sessions"
    if state.account is None:
        yield "no account" if state.has_account is False else "accounts are off"
        return
    yield f"roles {' '.join(state.account.roles)}" if state.account.roles else "no roles"
    for org in state.account.orgs:
        yield f"in {org.name} ({org.org}) {' '.join(org.roles) or 'no role'}"


def _standing(rule: ExplainedRule, email: str, state: UserState) -> Iterator[str]:
    if state.blocked:
        yield "blocked (`latchwire users unblock`)"
    if "user" not in rule.token_types:
        yield "the service takes only services"
    domain = f"@{email.rpartition('@')[2]}"
    if rule.emails and not {email, domain} & set(rule.emails):
        yield "the address is none of its `emails`"


def _of_the_token(rule: ExplainedRule) -> Iterator[str]:
    if wanted := (*rule.permissions, *rule.all_permissions):
        yield f"a role of theirs has the permissions (roles.yaml): {' '.join(wanted)}"
    if rule.login_age_ms:
        yield f"the login is at most {rule.login_age_ms // 60_000} min old"


def _by_account(rule: ExplainedRule, state: UserState) -> tuple[list[str], list[str]]:
    """What roles and organisations are missing; or which organisation has to be active, where one has to."""
    account = state.account
    own = frozenset(account.roles) if account else frozenset[str]()
    active = {"": own}
    for org in account.orgs if account else ():
        active[org.org] = own | {_ORG + role for role in org.roles}
    fits = {
        "any": {org for org, held in active.items() if _has_one(rule, held)},
        "all": {org for org, held in active.items() if held >= set(rule.all_roles)},
        "org": {org for org in active if _is_allowed(rule, org)},
    }
    met = set.intersection(*fits.values())
    if "" in met:
        return [], []
    if met:
        return [], [f"the active organisation is {' or '.join(sorted(met))}"]
    words = {
        "any": f"has none of the roles {', '.join(rule.roles)}",
        "all": f"lacks {', '.join(sorted(set(rule.all_roles) - own))}",
        "org": "is in none of its organisations",
    }
    lacks = [words[what] for what, orgs in fits.items() if not orgs]
    return lacks or ["has all of that, but in no single organisation"], []


def _has_one(rule: ExplainedRule, held: frozenset[str]) -> bool:
    return not rule.roles or not held.isdisjoint(rule.roles)


def _is_allowed(rule: ExplainedRule, org: str) -> bool:
    """Whether *org* may be the active one; "": none is."""
    if not rule.organisations:
        return True
    return bool(org) and (ANY in rule.organisations or org in rule.organisations)
