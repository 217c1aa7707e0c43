"""The register of service tokens: what may be added to it, and what leaves it. Times in Unix ms."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from shared.messages import ServiceToken
from shared.messages.service_token import MAX_TOKENS
from shared.service_tokens import LIVE_AT_MOST, MAX_LIFETIME_MS, OVERLAP_MS

MANAGE = "service_tokens.manage"
MANAGE_ANY = f"{MANAGE}.any"
REVOKED_KEPT = 20  # of one service in one organisation: nobody pushes out what others revoked
ACCESS_SECONDS = 900  # of an access token made of one

Rows = tuple[ServiceToken, ...]
Code = Literal[
    "not_found",
    "too_many",
    "already_replaced",
    "already_there",
    "service_revoked",
    "beyond_own_permissions",
    "invalid_lifetime",
]


@dataclass(frozen=True)
class Wanted:
    """A token to be kept: *scopes* None are those of the one it *replaces*, else none.

    The one it replaces is good for *overlap_ms* more. *within* bounds the scopes: those of whoever asks; None:
    an operator's, who may give any. *org* binds it to an organisation, unless it replaces one: then it is bound
    as that one is.
    """

    service: str
    sha256: str
    last_four: str
    lifetime_ms: int
    actor: str
    scopes: tuple[str, ...] | None = None
    replaces: str | None = None
    overlap_ms: int = OVERLAP_MS
    within: frozenset[str] | None = None
    org: str | None = None


@dataclass(frozen=True)
class Added:
    """The register with the *new* row in it."""

    rows: Rows
    new: ServiceToken


@dataclass(frozen=True)
class NotDone:
    """Nothing was changed, for this reason."""

    code: Code


def may_manage(
    service: str,
    org: str | None,
    *,
    caller: str,
    caller_org: str,
    permissions: Collection[str],
) -> bool:
    """Whether who has `MANAGE` may make, see and end tokens of *service* bound to *org* (None: to none).

    *caller* is the name of the service that asks, "" for a person: its own tokens it may, those of others
    with ``service_tokens.manage:<name>`` or `MANAGE_ANY`. Whoever has a token of a name is that service.
    Of an organisation they may when it is the one that is active in their own token (*caller_org*), and a
    service that is bound to one only then: without a bound it would be more than it is.
    """
    if MANAGE_ANY in permissions:
        return True
    if (org or "") != caller_org and (org or caller):
        return False
    return service == caller or f"{MANAGE}:{service}" in permissions


def may_give(
    org: str | None,
    *,
    caller: str,
    caller_org: str,
    permissions: Collection[str],
    of_installation: frozenset[str],
) -> frozenset[str]:
    """Which of the *permissions* of who asks may be scopes of a token bound to *org* (None: to none).

    Those that somebody holds in an organisation hold in it alone, and everybody may make one and own it:
    beyond the one that is active, a person gives only what the table's roles of the installation permit. Of a
    service that is bound to one (*caller* is its name), nobody can tell which those are: it gives nothing.
    """
    if not caller_org or org == caller_org:
        return frozenset(permissions)
    return frozenset() if caller else of_installation.intersection(permissions)


def add(rows: Rows, wanted: Wanted, token_id: str, now_ms: int) -> Added | NotDone:
    """*rows* with one more token, named *token_id*; what has run out leaves."""
    living = alive(rows, now_ms)
    old = next((row for row in living if row.id == wanted.replaces), None)
    refused = _refusal(rows, living, wanted, old)
    if refused is not None:
        return NotDone(refused)
    new = ServiceToken(
        id=token_id,
        service=wanted.service,
        sha256=wanted.sha256,
        last_four=wanted.last_four,
        scopes=_scopes(wanted, old),
        created_at=now_ms,
        expires_at=now_ms + wanted.lifetime_ms,
        created_by=wanted.actor,
        org=wanted.org if old is None else old.org,
    )
    kept = tuple(_replaced(row, new, wanted, now_ms) if row is old else row for row in living)
    revoked = (row for row in unexpired(rows, now_ms) if row.revoked_at is not None)
    return Added((*kept, new, *revoked), new)


def unexpired(rows: Rows, now_ms: int) -> Rows:
    """Those that have not run out, revoked or not."""
    return tuple(row for row in rows if now_ms < row.expires_at)


def alive(rows: Rows, now_ms: int) -> Rows:
    """Those that count: neither run out nor revoked."""
    return tuple(row for row in unexpired(rows, now_ms) if row.revoked_at is None)


def marked(rows: Rows, is_revoked: Callable[[ServiceToken], bool], now_ms: int) -> Rows:
    """*rows* where those that *is_revoked* names are revoked at *now_ms*, if they are not already.

    One that was replaced by one of these is its service's only one again. There are `MAX_TOKENS` rows at most:
    of the revoked ones the latest, of each service `REVOKED_KEPT`. What leaves is nobody's token any more, and
    refused as such.
    """
    living = tuple(row for row in rows if row.revoked_at is None and not is_revoked(row))
    past = tuple(
        row if row.revoked_at is not None else _revoked(row, now_ms)
        for row in rows
        if row.revoked_at is not None or is_revoked(row)
    )
    ids = {row.id for row in living}
    restored = tuple(
        row if row.replaced_by in ids or row.replaced_by is None else _restored(row)
        for row in living
    )
    return (*restored, *_latest(_few_of_each(past), MAX_TOKENS - len(living)))


def without_oldest(rows: Rows) -> Rows:
    """*rows* without the older half of the revoked ones: a document that has no room is made smaller so."""
    past = tuple(row for row in rows if row.revoked_at is not None)
    living = tuple(row for row in rows if row.revoked_at is None)
    return (*living, *_latest(past, len(past) // 2))


def narrowed(held: tuple[str, ...], asked: str) -> tuple[str, ...] | None:
    """The scopes *asked* for (RFC 6749 §3.3), all where none are; None when one of them is not *held*."""
    wanted = tuple(dict.fromkeys(asked.split(" "))) if asked else held
    return wanted if set(wanted) <= set(held) else None


def _refusal(rows: Rows, living: Rows, wanted: Wanted, old: ServiceToken | None) -> Code | None:
    org = wanted.org if old is None else old.org
    own = [row for row in living if (row.service, row.org) == (wanted.service, org)]
    rules: tuple[tuple[bool, Code], ...] = (
        (wanted.replaces is None or old in own, "not_found"),
        (old is None or old.replaced_by is None, "already_replaced"),
        (0 < wanted.lifetime_ms <= MAX_LIFETIME_MS, "invalid_lifetime"),
        (all(row.sha256 != wanted.sha256 for row in rows), "already_there"),
        (len(own) < LIVE_AT_MOST and len(living) < MAX_TOKENS, "too_many"),
        (
            wanted.within is None or wanted.within.issuperset(_scopes(wanted, old)),
            "beyond_own_permissions",
        ),
    )
    return next((code for holds, code in rules if not holds), None)


def _scopes(wanted: Wanted, old: ServiceToken | None) -> tuple[str, ...]:
    if wanted.scopes is None:
        return old.scopes if old is not None else ()
    return tuple(dict.fromkeys(wanted.scopes))


def _replaced(row: ServiceToken, new: ServiceToken, wanted: Wanted, now_ms: int) -> ServiceToken:
    until = min(row.expires_at, now_ms + wanted.overlap_ms)
    return row.model_copy(update={"replaced_by": new.id, "expires_at": until})


def _revoked(row: ServiceToken, now_ms: int) -> ServiceToken:
    """What it opened opens nothing any more, and takes the most room."""
    return row.model_copy(update={"revoked_at": now_ms, "scopes": (), "replaced_by": None})


def _few_of_each(past: Rows) -> Rows:
    of_each: dict[tuple[str, str | None], Rows] = {}
    for row in past:
        place = row.service, row.org
        of_each[place] = (*of_each.get(place, ()), row)
    return tuple(row for rows in of_each.values() for row in _latest(rows, REVOKED_KEPT))


def _latest(past: Rows, room: int) -> Rows:
    """The *room* of them that were revoked last, the latest last."""
    ordered = sorted(past, key=lambda row: row.revoked_at or 0)
    return tuple(ordered[max(0, len(ordered) - max(0, room)) :])


def _restored(row: ServiceToken) -> ServiceToken:
    """Its successor was revoked: it runs out all the same, but may be rotated once more."""
    return row.model_copy(update={"replaced_by": None})
