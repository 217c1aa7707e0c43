"""What ``tokens`` and ``gateway`` do with the tokens of services: ask auth, make one, and tell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ctl import exits
from ctl.documents import Hearing, Words
from ctl.heartbeats import others_in_words
from ctl.output import complain, date_time, one_line, say, say_json, table
from ctl.session import Session
from latchwire.documents import TOKENS
from shared.contract import OP_TOKENS_CREATE, OP_TOKENS_LIST
from shared.messages import (
    CreateServiceToken,
    ListServiceTokens,
    ServiceTokenAnswer,
    ServiceTokenRow,
)
from shared.service_tokens import (
    DAY_MS,
    OVERLAP_MS,
    hash_service_token,
    make_service_token,
    variable_of,
)

LIVE_AT_MOST = 2  # of one service: the one in use and the one that takes its place
SOON_MS = 14 * DAY_MS
CURES = {
    "not_found": "there is no such token: `latchwire tokens list` shows those that live",
    "too_many": "a thousand tokens live, more cannot: `latchwire tokens list` shows them, "
    "`latchwire tokens revoke ID` ends one",
    "already_replaced": "it has been replaced already: rotate the newer one, or revoke one of the two",
    "already_there": "this very token is kept already: run it again for another",
    "service_revoked": "this service was revoked as a whole: its name counts no more, choose another",
    "beyond_own_permissions": "nobody gives scopes that he does not have",
    "invalid_lifetime": "a token lives 366 days at most",
    "feed_stale": "auth has no fresh proof of what is revoked: nothing was made, try again",
}


class NotKeptError(Exception):
    """Auth did not take it in; the message is the cure."""

    def __init__(self, problem: str) -> None:
        super().__init__(CURES.get(problem, problem))


@dataclass(frozen=True, repr=False)
class MadeToken:
    """The token itself, shown once, and what auth keeps of it; edges know it from *generation* on."""

    token: str
    row: ServiceTokenRow
    generation: int


async def ask_tokens(
    session: Session, service: str | None = None, *, revoked: bool = False
) -> ServiceTokenAnswer:
    """What lives, and with *revoked* what was. Raises: NoAnswerError, BusUnavailableError."""
    request = ListServiceTokens(service=service, revoked=revoked)
    return await session.bus.ask(OP_TOKENS_LIST, request, timeout=session.timeout)


async def living(session: Session, service: str | None = None) -> tuple[ServiceTokenRow, ...]:
    """The rows alone."""
    return (await ask_tokens(session, service)).tokens


async def keep_token(
    session: Session,
    service: str,
    *,
    scopes: tuple[str, ...] | None,
    lifetime_ms: int,
    replaces: str | None = None,
    overlap_ms: int = OVERLAP_MS,
    org: str | None = None,
) -> MadeToken:
    """Make a token and have its hash kept.

    Raises:
        NotKeptError: auth refuses.
        NoAnswerError: it may be kept or not; the token that was made is known to nobody.
    """
    live = session.installation.url.startswith("https://")
    token = make_service_token(session.ids.secret(), live=live)
    request = CreateServiceToken(
        service=service,
        sha256=hash_service_token(token.encode("ascii")),
        last_four=token[-4:],
        scopes=scopes,
        lifetime_ms=lifetime_ms,
        replaces=replaces,
        overlap_ms=overlap_ms,
        org=org,
    )
    answer = await session.bus.ask(OP_TOKENS_CREATE, request, timeout=session.timeout)
    if answer.problem == "too_many":
        rows = await living(session, service)
        raise NotKeptError(too_many(service, [row for row in rows if row.org == org]))
    if answer.problem or not answer.tokens:
        raise NotKeptError(answer.problem or "nothing was kept")
    return MadeToken(token, answer.tokens[0], answer.generation)


def too_many(service: str, rows: Sequence[ServiceTokenRow]) -> str:
    """Whose limit it is: the service's own, whose tokens are named, or that of all."""
    if len(rows) < LIVE_AT_MOST:
        return CURES["too_many"]
    ids = " and ".join(f"{row.id} (…{row.last_four})" for row in rows)
    return (
        f"two tokens of {service} live, and two may: {ids}. "
        "End the one that is not used any more: `latchwire tokens revoke ID`"
    )


async def hear_edges(session: Session) -> Hearing:
    """Begin to listen, before a token is made: what an edge says at once is heard then."""
    hearing = Hearing(session, TOKENS)
    await hearing.start()
    return hearing


async def show_and_wait(
    hearing: Hearing, made: MadeToken, show: Callable[[MadeToken], None]
) -> int:
    """Show the token, then wait until every live edge knows it; 0, or 3 when that cannot be said in time.

    In JSON the edges' words are part of the answer; whoever does not wait for them still gets the token.
    """
    session = hearing.session
    answer: dict[str, object] = {"complete": False}
    if not session.json:
        show(made)
    try:
        words = await hearing.words(made.generation, session.timeout)
        answer = words.answer()
    finally:
        if session.json:
            say_json(_json(made) | answer)
    if not session.json:
        for line in edges_in_words(words):
            complain(line)
    return exits.DONE if words.complete else exits.PARTLY


def edges_in_words(words: Words) -> list[str]:
    """Whether the token may be used now, and which edges do not know it."""
    if words.complete:
        count = len(words.edges)
        return [f"every live edge knows it ({count})" if count else "no edge is live"]
    lines = [
        f"edge {one_line(edge.edge_id)} does not know it yet, and refuses it until it does: "
        "`latchwire edges list`"
        for edge in words.edges
        if edge.after_ms is None
    ]
    return lines if words.whole else [*lines, *others_in_words(words.missing)]


def show_made(made: MadeToken) -> None:
    """The token is all of standard output."""
    row, variable = made.row, variable_of(made.row.service)
    complain(f"{row.service}: {row.id}, until {date_time(row.expires_at)}; not shown again:")
    say(made.token)
    complain(f"the service sends it as `Authorization: Bearer …`; by convention in {variable}")


def show_made_as_owner_does(made: MadeToken) -> None:
    """In the words of the owner's gateway document."""
    service, variable = made.row.service, variable_of(made.row.service)
    say("Service Token Generated:")
    say(f"  Service: {service}")
    say(f"  Token: {made.token}")
    say(f"  Env Var: {variable}")
    say(f"  Expires: {date_time(made.row.expires_at)}")
    say("")
    say("Add to .env:")
    say(f"  {variable}={made.token}")


def say_tokens(session: Session, answer: ServiceTokenAnswer) -> None:
    """A line for each."""
    known = answer.problem != "uses_unknown"
    if session.json:
        rows = [row.model_dump() for row in answer.tokens]
        say_json({"tokens": rows, "uses_known": known})
        return
    if not answer.tokens:
        say("no service has a token")
        return
    heading = ("SERVICE", "ID", "TOKEN", "UNTIL", "LAST USED", "SCOPES", "")
    say(table([heading, *(_cells(row, session, known) for row in answer.tokens)]))
    if not known:
        complain("when they were last used cannot be told now: Redis is away")


def end_of(old: ServiceTokenRow, session: Session, overlap_ms: int) -> str:
    """Until when a token that is replaced now still works."""
    return date_time(min(old.expires_at, session.clock.now_ms() + overlap_ms))


def _cells(row: ServiceTokenRow, session: Session, known: bool) -> tuple[object, ...]:
    used = date_time(row.last_used_at) if row.last_used_at else "never" if known else "?"
    scopes = " ".join(row.scopes) or "-"
    return (
        row.service,
        row.id,
        f"…{row.last_four}",
        date_time(row.expires_at),
        used,
        scopes,
        _remark(row, session.clock.now_ms()),
    )


def _remark(row: ServiceTokenRow, now_ms: int) -> str:
    if row.revoked_at is not None:
        return f"revoked {date_time(row.revoked_at)}"
    remarks = [f"of organisation {row.org}"] if row.org is not None else []
    if row.replaced_by is not None:
        remarks.append("replaced")
    elif row.expires_at - now_ms < SOON_MS:
        remarks.append("ends soon: rotate it")
    return ", ".join(remarks)


def _json(made: MadeToken) -> dict[str, object]:
    variable = variable_of(made.row.service)
    return {**made.row.model_dump(), "token": made.token, "variable": variable}
