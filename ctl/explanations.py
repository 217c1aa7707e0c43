"""An edge's explanation in sentences. Addresses are masked; nothing of the token itself is there to show."""

from collections.abc import Iterator

from ctl.output import date_time, masked, one_line
from ctl.people_rules import NOT_KNOWN, People, unmet
from ctl.rules_in_words import beside, who
from shared.messages import ExplainedRecord, ExplainedRule, Explanation

NO_PAGES = "no page of another origin may call this service (it has no allowed_origins)"
# What lets a request pass that brings no token.
WITHOUT_TOKEN = {
    "public": "allowed: open to everybody",
    "preflight": "allowed: a preflight of a page that may call this service",
}
PREFLIGHT = "A preflight brings no credentials and passes without; what the page then asks is checked as usual."
# What each refusal of the edge's decision table means, in words.
MEANING = {
    "bad_forwarded": "the request line is not one that a gateway would forward",
    "ambiguous_path": "two readers could understand this path differently",
    "no_route": "no service of the catalogue has this host and path",
    "stale": "this edge has no fresh proof that its blocklist is complete, and refuses rather than guess",
    "no_credentials": "the service wants a sign-in, and the request brings no credential",
    "token_invalid": "this is no token of this installation",
    "token_expired": "the token is not valid at this time",
    "token_revoked": "it was revoked",
    "csrf_failed": "another site may have caused this request",
    "not_allowed": "whoever this is may not use this service",
    "wrong_token_type": "the service takes no tokens of this kind",
    "login_too_old": "the service wants a login that is not so long ago",
    "wrong_service": "the request leads to another service than the one that the check names",
    "two_credentials": "more than one token or session cookie came, and readers differ about which counts",
    "two_subjects": "its bearer token and its cookie are of two people",
    "untrusted_peer": "the question came from no proxy that is trusted",
    "internal": "a fault in the edge: refused rather than let in",
    "not_exposed": "the service is not for the internet, and the check does not name it",
    "preflight_refused": "a page of that origin may not call this service",
}
# The detail is then the entry that the gateway names.
BEHIND = "the gateway routes by another services.yaml than this edge, and is to ask again"
KEY_REVOKED = "its key was revoked, and what it signed counts nowhere"
KEY_UNKNOWN = (
    "its key {} is not known here (any more): if it is ours at all, it was retired, "
    "or it is so new that this edge has not heard of it"
)
# The edge's details that are told in the words of the meaning.
NOT_IN_REGISTER = "service token unknown"
GONE = "this service token has run out, or was never one of this installation's"
REGISTER = "register"
KINDS = {
    "user": "a person came, and the service takes only services (token_types: service)",
    "service": "a service came, and the service takes only people (token_types: user)",
}
_FOR_ALL = "for ever"


def sentences(told: Explanation, now_ms: int, people: People = NOT_KNOWN) -> Iterator[str]:
    """What *told* says, one sentence a line; ages are counted to *now_ms*. *people*: who there may be."""
    yield _verdict(told)
    if told.reason == "preflight":
        yield PREFLIGHT
    if told.record is not None:
        yield _revoked(told, told.record, now_ms)
    elif told.revoked_at is not None:
        yield _marked(told, told.revoked_at, now_ms)
    if told.route is not None:
        yield _rule(told.route)
        yield from (one_line(f"Mind: {line}.") for line in unmet(told.route, people))
    if told.sub:
        yield _token(told, now_ms)
    yield _asked(told)


def verdict(told: Explanation) -> str:
    """The decision in a few words, for a line among others."""
    if told.outcome == "allow":
        return WITHOUT_TOKEN.get(told.reason, "allowed")
    return f"refused: {told.reason} ({told.status})"


def as_json(told: Explanation) -> dict[str, object]:
    """All of it, addresses masked."""
    names = {"sub": masked(told.sub), "email": masked(told.email)}
    return told.model_dump(exclude_none=True) | names


def ago(ms: int) -> str:
    """``just now``, ``40 s ago``, ``4 min ago``, ``3 h ago``, ``2 days ago``."""
    seconds = max(0, ms) // 1000
    if seconds < 2:
        return "just now"
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def _verdict(told: Explanation) -> str:
    if told.outcome == "allow":
        return f"{verdict(told)}."
    meaning = _meaning(told)
    said = meaning == GONE or meaning in KINDS.values() or told.detail == REGISTER
    detail = f" ({one_line(told.detail)})" if told.detail and not said else ""
    return f"{verdict(told)}: {meaning}{detail}."


def _is_for_services(rule: ExplainedRule) -> bool:
    return tuple(rule.token_types) == ("service",)


def _meaning(told: Explanation) -> str:
    """With what the detail and the rule say about it."""
    if told.reason == "token_invalid" and told.detail == NOT_IN_REGISTER:
        return GONE
    if told.reason == "stale" and told.detail:
        return BEHIND
    if told.reason == "no_credentials" and told.route is not None and _is_for_services(told.route):
        return "the service wants a service token, and the request brings none"
    if told.reason == "preflight_refused" and told.route is not None and not told.route.origins:
        return NO_PAGES
    if told.reason == "wrong_token_type":
        return KINDS.get(told.detail, MEANING[told.reason])
    if told.reason == "token_invalid" and told.kid and not told.sub:
        return KEY_UNKNOWN.format(one_line(told.kid)) if told.record is None else KEY_REVOKED
    return MEANING.get(told.reason, "see the reason")


def _revoked(told: Explanation, record: ExplainedRecord, now_ms: int) -> str:
    when = f" {ago(now_ms - record.stored_at)}" if record.stored_at is not None else ""
    place = f"BLOCKLIST {record.seq}" if record.seq else "its place could not be read just now"
    until = f", until {date_time(record.until)}" if record.until else ""
    if record.seq and not record.until:
        until = f", {_FOR_ALL}"
    return f"{_whom(told, record)} was revoked{when} ({place}, {record.key}){until}.{_watermark(told, record)}"


def _marked(told: Explanation, at: int, now_ms: int) -> str:
    ended = f"Service token {told.sid} was revoked {ago(now_ms - at)}"
    return one_line(f"{ended}, on {date_time(at)}, says the register of service tokens.")


def _whom(told: Explanation, record: ExplainedRecord) -> str:
    names = {
        "session": f"Session {told.sid}",
        "token": f"Token {told.jti}",
        "subject": f"Service {told.service}" if told.service else f"Person {_person(told)}",
        "key": f"Key {told.kid}",
    }
    return one_line(names.get(record.scope, f"The token's {record.scope}"))


def _watermark(told: Explanation, record: ExplainedRecord) -> str:
    """For a person: which of the token's times is not after which mark."""
    marks = (
        ("sessions begun", record.sessions_before, "session began", told.session_began_at),
        ("tokens issued", record.tokens_before, "token was issued", told.issued_at),
    )
    return "".join(
        f" It hits {what} until {_exact(mark)}; this {own} {_exact(at)}."
        for what, mark, own, at in marks
        if mark is not None and at is not None and at <= mark
    )


def _exact(ms: int) -> str:
    return f"{date_time(ms)[:-1]}.{ms % 1000:03d}Z"


def _rule(rule: ExplainedRule) -> str:
    place = f"{rule.host}{rule.path}" if rule.host else rule.path
    return one_line(" ".join((f"Rule {rule.service}: {place} is {who(rule)}.", *beside(rule))))


def _token(told: Explanation, now_ms: int) -> str:
    end = told.expires_at or 0
    expires = f"{'expires' if end > now_ms else 'expired'} {date_time(end)}"
    key = f"key {told.kid}, " if told.kid else ""
    who = _service(told) if told.service else _whose(told, now_ms)
    return one_line(f"Token: {who}, session {told.sid}, jti {told.jti}, {key}{expires}.")


def _service(told: Explanation) -> str:
    scopes = f" with {', '.join(told.permissions)}" if told.permissions else ""
    org = f" of organisation {told.org}" if told.org else ""
    return f"service {told.service}{org}{scopes}"


def _whose(told: Explanation, now_ms: int) -> str:
    org = f" in organisation {told.org}" if told.org else ""
    held = (*told.roles, *told.permissions)
    roles = f" with {', '.join(held)}" if held else " without any role" if _is_missed(told) else ""
    since = told.logged_in_at
    login = f", logged in {ago(now_ms - since)}" if since is not None else ""
    return f"person {_person(told)}{org}{roles}{login}"


def _is_missed(told: Explanation) -> bool:
    return told.reason == "not_allowed" and told.detail in ("roles", "permissions")


def _person(told: Explanation) -> str:
    """The id, and the address where that is another name."""
    return masked(told.sub) + (f" ({masked(told.email)})" if told.email else "")


def _asked(told: Explanation) -> str:
    fresh = (
        "never proven" if told.staleness_ms >= 2**31 - 1 else f"proven {told.staleness_ms} ms ago"
    )
    return (
        f"Asked {one_line(told.edge_id)}: BLOCKLIST {told.seq}, {fresh}; keys generation "
        f"{told.keys_generation}, catalogue generation {told.catalogue_generation}."
    )
