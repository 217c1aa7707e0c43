"""The register of service tokens: what may come in, what leaves, and what a lost part leaves behind."""

from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from latchwire.records import Record
from services.auth.domain.outcomes import NotSignedIn
from services.auth.domain.revoke import Revoked
from services.auth.domain.service_tokens import (
    MANAGE,
    MANAGE_ANY,
    REVOKED_KEPT,
    Added,
    NotDone,
    Wanted,
    add,
    alive,
    marked,
    may_give,
    may_manage,
    narrowed,
    without_oldest,
)
from services.auth.flows.revoke import RevokeFlow
from services.auth.flows.service_access import Granted, NotGranted, ServiceAccess
from services.auth.flows.service_tokens import Kept, ServiceTokenFlow, Struck
from services.auth.flows.token_keeper import TokenKeeper
from services.auth.flows.token_reader import TokenReader
from services.auth.handlers.service_tokens import on_used
from services.auth.ports import BusUnavailableError, FeedStaleError
from services.auth.ports.accounts import AccountsUnavailableError
from shared.contract import SERVICE_TOKEN_ISSUED, TOKEN_REVOKED
from shared.messages import ServiceToken, TokenRevoked, TokensUsed
from shared.messages.base import MAX_TIME_MS
from shared.messages.service_token import MAX_TOKENS
from shared.service_tokens import DAY_MS, MAX_LIFETIME_MS
from tests.support.fakes.auth_ports import FakeEvents, FakeRevocations
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.ids import FakeIds
from tests.support.fakes.service_tokens import FakeRegisters, FakeTokenUses
from tests.support.service_tokens import made_token
from tests.support.tokens import NOW_MS

ACME, EVIL = "01ARZ3NDEKTSV4RRFFQ69G5FAV", "01BX5ZZKBKACTAV9WEVGEMMVRZ"
BOT = made_token("bot", scopes=("orders.read",))
WANTED = Wanted("bot", "a" * 64, "abcd", 90 * DAY_MS, "operator")


class Signing:
    """Remembers what it was asked to sign."""

    def __init__(self) -> None:
        self.claims: list[dict[str, Any]] = []

    def sign(self, claims: dict[str, Any]) -> str:
        self.claims.append(claims)
        return "signed"


@dataclass
class World:
    """The flow and everything it stands on."""

    flow: ServiceTokenFlow
    registers: FakeRegisters
    uses: FakeTokenUses
    revocations: FakeRevocations
    events: FakeEvents
    clock: FakeClock


def world(*rows: ServiceToken) -> World:
    """A register with these rows."""
    registers, uses = FakeRegisters(), FakeTokenUses()
    revocations, events, clock = FakeRevocations(), FakeEvents(), FakeClock(NOW_MS)
    if rows:
        registers.store(rows)
    reader = TokenReader(registers, revocations, "http://localhost:8080", "latchwire", clock)
    flow = ServiceTokenFlow(
        reader=reader,
        registers=registers,
        uses=uses,
        revocations=revocations,
        events=events,
        clock=clock,
        ids=FakeIds(),
    )
    return World(flow, registers, uses, revocations, events, clock)


def counting(w: World) -> tuple[ServiceToken, ...]:
    """The rows of the register that count."""
    return alive(w.registers.register.rows, w.clock.now_ms())


def revoked(w: World) -> dict[str, int | None]:
    """The rows that were revoked, and when."""
    rows = w.registers.register.rows
    return {row.id: row.revoked_at for row in rows if row.revoked_at is not None}


OLD = made_token("bot").row
REPLACED = OLD.model_copy(update={"replaced_by": BOT.row.id})
ELSE = made_token("till").row
RUN_OUT = made_token("bot", expires_at=NOW_MS).row
PAST = made_token("bot", revoked_at=NOW_MS - 1).row
RULES: tuple[tuple[str, tuple[ServiceToken, ...], Wanted, str], ...] = (
    ("the first of a service", (), WANTED, ""),
    ("the second", (OLD,), WANTED, ""),
    ("the third", (OLD, BOT.row), WANTED, "too_many"),
    ("beside one that has run out", (OLD, RUN_OUT), WANTED, ""),
    ("beside another service's", (ELSE, made_token("till").row), WANTED, ""),
    ("in place of one", (OLD,), replace(WANTED, replaces=OLD.id), ""),
    ("in place of nothing", (), replace(WANTED, replaces=OLD.id), "not_found"),
    ("in place of what has run out", (RUN_OUT,), replace(WANTED, replaces=RUN_OUT.id), "not_found"),
    ("in place of another service's", (ELSE,), replace(WANTED, replaces=ELSE.id), "not_found"),
    ("in place of one that is replaced", (REPLACED,), replace(WANTED, replaces=OLD.id), "already_replaced"),
    ("for ever", (), replace(WANTED, lifetime_ms=MAX_LIFETIME_MS + 1), "invalid_lifetime"),
    ("for no time", (), replace(WANTED, lifetime_ms=0), "invalid_lifetime"),
    ("for a leap year", (), replace(WANTED, lifetime_ms=MAX_LIFETIME_MS), ""),
    ("beside two that were revoked", (PAST, made_token("bot", revoked_at=1).row), WANTED, ""),
    ("in place of what was revoked", (PAST,), replace(WANTED, replaces=PAST.id), "not_found"),
    ("the same as one that was revoked", (PAST,), replace(WANTED, sha256=PAST.sha256), "already_there"),
    ("the same again", (OLD,), replace(WANTED, sha256=OLD.sha256), "already_there"),
    ("within one's own", (), replace(WANTED, scopes=("a",), within=frozenset("ab")), ""),
    (
        "beyond one's own",
        (),
        replace(WANTED, scopes=("a", "c"), within=frozenset("ab")),
        "beyond_own_permissions",
    ),
    (
        "beyond one's own, by rotating",
        (BOT.row,),
        replace(WANTED, replaces=BOT.row.id, within=frozenset()),
        "beyond_own_permissions",
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "wanted", "code"), [r[1:] for r in RULES], ids=[r[0] for r in RULES]
)
def test_what_may_come_in(rows: tuple[ServiceToken, ...], wanted: Wanted, code: str) -> None:
    """Two of a service live at most, each for a year at most, none beyond its maker's permissions."""
    result = add(rows, wanted, FakeIds().ulid(NOW_MS), NOW_MS)
    assert (result.code if isinstance(result, NotDone) else "") == code
    if isinstance(result, Added):
        assert result.new in result.rows
        assert all(row.expires_at > NOW_MS for row in result.rows)


def test_a_rotation_keeps_the_scopes_and_bounds_the_old_one() -> None:
    """A day by default, never beyond what it had; with no overlap it is over at once."""
    wanted = replace(WANTED, replaces=BOT.row.id)
    added = add((BOT.row,), wanted, FakeIds().ulid(NOW_MS), NOW_MS)
    assert isinstance(added, Added)
    old = next(row for row in added.rows if row.id == BOT.row.id)
    assert (added.new.scopes, old.replaced_by) == (("orders.read",), added.new.id)
    assert old.expires_at == NOW_MS + DAY_MS
    at_once = add((BOT.row,), replace(wanted, overlap_ms=0), FakeIds().ulid(NOW_MS), NOW_MS)
    assert isinstance(at_once, Added)
    assert next(row for row in at_once.rows if row.id == BOT.row.id).expires_at == NOW_MS
    short = BOT.row.model_copy(update={"expires_at": NOW_MS + 1_000})
    still = add((short,), wanted, FakeIds().ulid(NOW_MS), NOW_MS)
    assert isinstance(still, Added)
    assert next(row for row in still.rows if row.id == short.id).expires_at == NOW_MS + 1_000


def test_a_rotation_keeps_the_organisation_whatever_is_asked_for() -> None:
    """Bound or not: a token can be made neither wider nor another one's by replacing it."""
    for org, asked in ((ACME, None), (ACME, EVIL), (None, ACME)):
        old = BOT.row.model_copy(update={"org": org})
        wanted = replace(WANTED, replaces=old.id, org=asked)
        added = add((old,), wanted, FakeIds().ulid(NOW_MS), NOW_MS)
        assert isinstance(added, Added)
        assert added.new.org == org


def test_two_tokens_of_a_service_live_for_each_organisation() -> None:
    """One organisation's leave room for another's, and for the installation's own."""
    two = tuple(made_token("bot", org=ACME).row for _ in range(2))
    for org, refused in ((ACME, True), (EVIL, False), (None, False)):
        added = add(two, replace(WANTED, org=org), FakeIds().ulid(NOW_MS), NOW_MS)
        assert isinstance(added, NotDone) == refused, org


class SomeOrgs:
    """Those that there are; *away* is SQL being so."""

    def __init__(self, *there: str) -> None:
        self.there, self.away, self.asked = frozenset(there), False, 0

    async def existing(self, orgs: frozenset[str]) -> frozenset[str]:
        self.asked += 1
        if self.away:
            raise AccountsUnavailableError
        return orgs & self.there


async def test_the_tokens_of_an_organisation_end_with_it() -> None:
    """Within a second of the word of it, or when SQL is back; those of others and of none go on."""
    bound, other = made_token("bot", org=ACME).row, made_token("bot", org=EVIL).row
    w = world(ELSE, bound, other)
    orgs = SomeOrgs(ACME, EVIL)
    keeper = TokenKeeper(w.flow, orgs)
    await keeper.look()
    assert len(counting(w)) == 3
    orgs.there, orgs.away = frozenset({EVIL}), True
    keeper.wake()
    await keeper.look()
    assert keeper.is_due
    assert len(counting(w)) == 3
    orgs.away = False
    await keeper.look()
    assert counting(w) == (ELSE, other)
    (event,) = w.events.of(TOKEN_REVOKED.name)
    assert isinstance(event, TokenRevoked)
    assert (event.sid, event.reason, event.actor) == (bound.id, "organisation_ended", "auth")


async def test_nothing_is_asked_of_sql_where_no_token_is_bound() -> None:
    """Most installations; a keeper is woken with every revocation."""
    orgs = SomeOrgs()
    await TokenKeeper(world(ELSE, PAST).flow, orgs).look()
    assert orgs.asked == 0


def test_what_was_replaced_by_a_revoked_one_can_be_rotated_again() -> None:
    """Else a service whose new token leaked within the day could not be given another."""
    left, past = marked((REPLACED, BOT.row), lambda row: row.id == BOT.row.id, NOW_MS)
    assert left.replaced_by is None
    assert left.expires_at == REPLACED.expires_at
    assert (past.id, past.revoked_at) == (BOT.row.id, NOW_MS)


def test_what_was_revoked_stays_so_and_keeps_the_time_of_the_first() -> None:
    """It opens nothing: its scopes go, and take no room. Once it would have run out, its row goes as well."""
    (first,) = marked((BOT.row,), lambda _: True, NOW_MS)
    assert (first.revoked_at, first.scopes) == (NOW_MS, ())
    assert marked((first,), lambda _: True, NOW_MS + 5) == (first,)
    assert marked((first,), lambda _: False, NOW_MS + 5) == (first,)


def test_of_those_that_were_revoked_the_oldest_make_room() -> None:
    """For living ones, of which none ever leaves for that: a thousand rows, and as many bytes as there are."""
    living = tuple(made_token(f"s{n}").row for n in range(3))
    past = tuple(made_token(f"p{n}", revoked_at=NOW_MS - n).row for n in range(MAX_TOKENS))
    rows = marked((*living, *past), lambda _: False, NOW_MS)
    assert rows[:3] == living
    assert rows[3:] == tuple(reversed(past[: MAX_TOKENS - 3]))
    assert without_oldest((*living, *past[:5])) == (*living, past[1], past[0])
    assert without_oldest((*living, past[0])) == without_oldest(living) == living


def test_who_makes_and_revokes_tokens_of_his_own_pushes_out_nobody_elses() -> None:
    """Of each service, and in each organisation, the latest stay: others' stay known as revoked."""
    other, bound = (
        made_token("payroll", revoked_at=NOW_MS - 99).row,
        made_token("till", revoked_at=NOW_MS - 99, org="org-1").row,
    )
    rows = (other, bound)
    for n in range(MAX_TOKENS + 1):
        rows = marked((*rows, made_token("till").row), lambda _: True, NOW_MS + n)
    assert rows[:2] == (other, bound)
    ends = [row.revoked_at for row in rows[2:]]
    assert ends == list(range(NOW_MS + MAX_TOKENS + 1 - REVOKED_KEPT, NOW_MS + MAX_TOKENS + 1))


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("", ("a", "b")),
        ("a", ("a",)),
        ("b a", ("b", "a")),
        ("a a", ("a",)),
        ("c", None),
        ("a c", None),
        ("a  b", None),
        (" ", None),
        ("A", None),
    ],
)
def test_scopes_are_only_ever_narrowed(asked: str, given: tuple[str, ...] | None) -> None:
    """RFC 6749 §3.3: by single spaces, with case."""
    assert narrowed(("a", "b"), asked) == given


async def test_what_others_write_meanwhile_is_kept() -> None:
    """Two at once: the slower one reads again, and neither row is lost."""
    w = world()
    w.registers.by_others = [(ELSE,)]
    kept = await w.flow.keep(WANTED)
    assert isinstance(kept, Kept)
    assert {row.service for row in w.registers.register.rows} == {"bot", "till"}
    assert [e.token_id for e in w.events.of(SERVICE_TOKEN_ISSUED.name)] == [kept.row.id]  # type: ignore[attr-defined]


async def test_who_is_always_slower_hears_that_it_was_not_done() -> None:
    """Not an endless loop, and nothing half done."""
    w = world()
    w.registers.by_others = [(ELSE,)] * 10
    with pytest.raises(BusUnavailableError):
        await w.flow.keep(WANTED)
    assert w.events.published == []


async def test_a_token_that_would_be_refused_is_not_made() -> None:
    """Its service was revoked as a whole: better said now than by every edge."""
    w = world()
    w.revocations.revoke("service", "bot", Record(NOW_MS + DAY_MS))
    assert await w.flow.keep(WANTED) == NotDone("service_revoked")
    w.revocations.stale = True
    with pytest.raises(FeedStaleError):
        await w.flow.keep(replace(WANTED, service="other"))
    assert w.registers.register.rows == ()


async def test_a_token_made_after_all_of_its_service_s_were_revoked_is_good() -> None:
    """At once: the cutoff is as much as two seconds ahead of this clock, so the token is dated after it."""
    w = world(BOT.row)
    w.revocations.revoke("subject", "bot", Record(NOW_MS + DAY_MS, sessions_before=NOW_MS + 2_000))
    kept = await w.flow.keep(WANTED)
    assert isinstance(kept, Kept)
    assert kept.row.created_at == NOW_MS + 2_001
    assert kept.row.expires_at - kept.row.created_at == WANTED.lifetime_ms
    assert w.flow.reader.accepts(kept.row)
    await w.flow.tidy()
    assert (counting(w), revoked(w)) == ((kept.row,), {BOT.row.id: NOW_MS})


async def test_a_document_without_room_takes_nothing_in() -> None:
    """And loses nothing."""
    w = world(ELSE)
    w.registers.room = 1
    assert await w.flow.keep(WANTED) == NotDone("too_many")
    assert w.registers.register.rows == (ELSE,)


async def test_a_document_without_room_forgets_the_oldest_revocations_first() -> None:
    """They are refused all the same, as nobody's; the new token is kept."""
    past = tuple(made_token("old", revoked_at=NOW_MS - n).row for n in range(4))
    w = world(ELSE, *past)
    w.registers.room = 4
    assert isinstance(await w.flow.keep(WANTED), Kept)
    assert [row.service for row in counting(w)] == ["till", "bot"]
    assert revoked(w).keys() == {past[0].id, past[1].id}


async def test_the_revocation_is_said_before_the_row_is_marked() -> None:
    """Without a PubAck the row stays, and the one who asked hears that nothing was done."""
    w = world(BOT.row)
    w.events.away = True
    with pytest.raises(BusUnavailableError):
        await w.flow.revoke(BOT.row.id, "leaked", "operator")
    assert w.registers.register.rows == (BOT.row,)
    w.events.away = False
    struck = await w.flow.revoke(BOT.row.id, "leaked", "operator")
    assert isinstance(struck, Struck)
    (event,) = w.events.of(TOKEN_REVOKED.name)
    assert isinstance(event, TokenRevoked)
    assert (event.scope, event.sid, event.id) == ("session", BOT.row.id, struck.event_id)
    assert event.affected_until == BOT.row.expires_at
    assert (counting(w), revoked(w)) == ((), {BOT.row.id: NOW_MS})
    assert await w.flow.revoke(BOT.row.id, "again", "operator") == NotDone("not_found")


async def test_a_row_that_could_not_be_marked_is_marked_later() -> None:
    """The revocation stands meanwhile; `tidy` finds it by the blocklist."""
    w = world(BOT.row, ELSE)
    w.registers.refuses_writes = True
    struck = await w.flow.revoke(BOT.row.id, "leaked", "operator")
    assert isinstance(struck, Struck)
    assert struck.generation == 0
    assert w.registers.register.rows == (BOT.row, ELSE)
    w.registers.refuses_writes = False
    w.revocations.revoke("session", BOT.row.id, Record(NOW_MS + DAY_MS))
    await w.flow.tidy()
    assert counting(w) == (ELSE,)


@pytest.mark.parametrize(
    ("scope", "name"),
    [("session", BOT.row.id), ("token", BOT.row.id), ("service", "bot")],
    ids=["session", "token", "service"],  # the id is another in each process
)
async def test_whoever_revoked_it_and_however_it_stays_revoked(scope: str, name: str) -> None:
    """A record lapses after days, a token lives a year: what stayed as it was would come back to life."""
    w = world(BOT.row, ELSE)
    await w.uses.note({BOT.row.id: 1, ELSE.id: 2})
    w.revocations.revoke(scope, name, Record(NOW_MS + DAY_MS))
    await w.flow.tidy()
    assert (counting(w), revoked(w)) == ((ELSE,), {BOT.row.id: NOW_MS})
    assert w.uses.at == {BOT.row.id: 1, ELSE.id: 2}  # when a leaked one was last used
    w.clock.advance(2 * DAY_MS)  # the record has lapsed
    await w.flow.tidy()
    row = w.flow.reader.known.find(BOT.text)
    assert row is not None
    assert w.flow.reader.refusal(row) == NotSignedIn("token_revoked")
    w.clock.advance(90 * DAY_MS)  # the token would have run out
    await w.flow.tidy()
    assert w.registers.register.rows == ()
    assert w.uses.at == {}


async def test_a_tidy_register_is_not_written_again() -> None:
    """Only when something left, or another key signs now."""
    w = world(BOT.row)
    before = w.registers.register
    await w.flow.tidy()
    assert w.registers.register is before
    w.registers.signs_with = "k2"
    await w.flow.tidy()
    assert (w.registers.register.kid, w.registers.register.rows) == ("k2", (BOT.row,))
    w.clock.advance(91 * DAY_MS)
    await w.flow.tidy()
    assert w.registers.register.rows == ()
    empty = world()
    await empty.flow.tidy()
    assert empty.registers.register.generation == 0


async def test_the_list_has_what_was_revoked_for_who_asks_for_it() -> None:
    """Until it would have run out; nobody is told the hash of either."""
    gone = made_token("bot", revoked_at=1, expires_at=NOW_MS).row
    w = world(BOT.row, PAST, gone)
    assert (await w.flow.listed("bot")).rows == (BOT.row,)
    assert (await w.flow.listed("bot", revoked=True)).rows == (BOT.row, PAST)


async def test_what_was_revoked_a_moment_ago_is_not_listed_as_living() -> None:
    """The keeper marks its row within a second; it is refused already."""
    w = world(BOT.row)
    w.revocations.revoke("session", BOT.row.id, Record(NOW_MS + DAY_MS))

    assert (await w.flow.listed("bot")).rows == ()
    (row,) = (await w.flow.listed("bot", revoked=True)).rows
    assert (row.id, row.revoked_at) == (BOT.row.id, NOW_MS)


async def test_what_another_process_made_a_moment_ago_is_found_by_its_id() -> None:
    """Not known here yet, it is looked for in the newest document; what is known here is not asked for."""
    gone, ended = made_token("bot", revoked_at=1).row, made_token("till").row
    w, before = world(BOT.row, RUN_OUT, gone, ended), FakeRegisters()
    behind = replace(w.flow, reader=replace(w.flow.reader, known=before))
    w.revocations.revoke("session", ended.id, Record(NOW_MS + DAY_MS))
    assert await behind.find(BOT.row.id) == BOT.row
    for token_id in (gone.id, ended.id, RUN_OUT.id, "x"):
        assert await behind.find(token_id) is None

    before.store((BOT.row, gone))
    w.registers.away = True
    assert (await behind.find(BOT.row.id), await behind.find(gone.id)) == (BOT.row, None)
    with pytest.raises(BusUnavailableError):
        await behind.find(ended.id)


async def test_the_list_is_there_while_redis_is_away() -> None:
    """Without the last uses, and it says so: unknown is not never."""
    w = world(BOT.row, RUN_OUT)
    await w.uses.note({BOT.row.id: NOW_MS})
    assert (await w.flow.listed()).uses == {BOT.row.id: NOW_MS}
    w.uses.away = True
    listed = await w.flow.listed("bot")
    assert (listed.rows, listed.uses) == ((BOT.row,), None)
    assert (await w.flow.listed("till")).rows == ()


REVOKED = NotGranted("invalid_client", "token_revoked")


def access(w: World) -> tuple[ServiceAccess, Signing]:
    """The exchange over *w*."""
    signing = Signing()
    return ServiceAccess(w.flow.reader, w.uses, signing, w.clock, FakeIds()), signing  # type: ignore[arg-type]


async def test_an_access_token_never_outlives_what_it_was_made_of() -> None:
    """A quarter of an hour at most, less where the token itself ends before."""
    short = made_token("bot", expires_at=NOW_MS + 60_000)
    w = world(BOT.row, short.row)
    exchange, signing = access(w)
    for made, seconds in ((BOT, 900), (short, 60)):
        granted = await exchange.grant("bot", made.text, "")
        assert isinstance(granted, Granted)
        claims = signing.claims[-1]
        assert (granted.expires_in, claims["exp"] - claims["iat"]) == (seconds, seconds)  # type: ignore[operator]
        assert claims["sid"] == made.row.id
        assert "email" not in claims
    w.clock.advance(60_000)
    expired = NotGranted("invalid_client", "token_expired")
    assert await exchange.grant("bot", short.text, "") == expired


async def test_no_access_token_for_what_is_revoked_and_none_while_that_is_unknown() -> None:
    """Refused by the blocklist; where nobody can tell, neither yes nor no. Without Redis it works."""
    w = world(BOT.row)
    exchange, _ = access(w)
    w.uses.away = True
    assert isinstance(await exchange.grant("bot", BOT.text, ""), Granted)
    w.revocations.stale = True
    with pytest.raises(FeedStaleError):
        await exchange.grant("bot", BOT.text, "")
    w.revocations.stale = False
    w.revocations.revoke("session", BOT.row.id, Record(NOW_MS + DAY_MS))
    assert await exchange.grant("bot", BOT.text, "") == REVOKED
    await w.flow.tidy()
    w.clock.advance(2 * DAY_MS)
    assert await exchange.grant("bot", BOT.text, "") == REVOKED
    assert await exchange.grant("till", BOT.text, "") == NotGranted("invalid_client")


async def test_the_keeper_looks_when_it_is_woken_and_when_another_key_signs() -> None:
    """And once a minute; what could not be done is tried again at the next look."""
    w = world(BOT.row)
    keeper = TokenKeeper(w.flow)
    await keeper.look()
    assert not keeper.is_due
    w.registers.signs_with = "k2"
    assert keeper.is_due
    await keeper.look()
    w.revocations.revoke("session", BOT.row.id, Record(NOW_MS + DAY_MS))
    keeper.wake()
    w.registers.away = True
    await keeper.look()
    assert keeper.is_due
    w.registers.away = False
    await keeper.look()
    assert counting(w) == ()
    w.clock.advance(61_000)
    assert keeper.is_due


async def test_an_edge_s_word_about_the_future_does_not_stay() -> None:
    """The latest time counts: one of the year 2100 would hide for ever that a token is used, or is not."""
    w = world(BOT.row)
    await on_used(TokensUsed(edge_id="edge-1", used={BOT.row.id: MAX_TIME_MS}), tokens=w.flow)
    assert await w.uses.last() == {BOT.row.id: NOW_MS}
    w.clock.advance(60_000)
    later = NOW_MS + 60_000
    await on_used(TokensUsed(edge_id="edge-2", used={BOT.row.id: later}), tokens=w.flow)
    assert await w.uses.last() == {BOT.row.id: later}


class NoTokens:
    """None of ours, whatever is shown."""

    def read_expired(self, _token: str) -> None:
        return None


@pytest.mark.parametrize("why", ["stale", "lags"])
async def test_a_found_token_that_is_not_known_is_called_revoked_only_by_who_can_tell(
    why: str,
) -> None:
    """A 200 to a scanner means that it is over: 503 where this process may not have heard of the token yet."""
    w = world()
    anything = cast("Any", NoTokens())
    flow = RevokeFlow(anything, anything, anything, anything, w.flow)
    w.revocations.stale, w.registers.lags = why == "stale", why == "lags"
    with pytest.raises(FeedStaleError):
        await flow.revoke(BOT.text)
    for shown in (BOT.text[:-1] + "!", BOT.text + "0", "x"):
        assert await flow.revoke(shown) == Revoked()
    w.revocations.stale = w.registers.lags = False
    assert await flow.revoke(BOT.text) == Revoked()
    assert w.events.published == []


async def test_a_found_token_that_another_process_made_a_moment_ago_is_ended() -> None:
    """Not known here yet, it is looked for in the newest document before a 200 says that it is over."""
    w = world(BOT.row)
    behind = replace(w.flow, reader=replace(w.flow.reader, known=FakeRegisters()))
    anything = cast("Any", NoTokens())
    flow = RevokeFlow(anything, anything, anything, anything, behind)

    w.registers.away = True
    with pytest.raises(BusUnavailableError):
        await flow.revoke(BOT.text)
    assert await flow.revoke("x") == Revoked()
    w.registers.away = False
    assert await flow.revoke(BOT.text) == Revoked()
    assert [subject for subject, _ in w.events.published] == [TOKEN_REVOKED.name]
    assert revoked(w) == {BOT.row.id: NOW_MS}


ANY, ONE = frozenset({MANAGE, MANAGE_ANY}), frozenset({MANAGE, f"{MANAGE}:bot"})
OF_ORGS: tuple[tuple[str, str, str, str | None, frozenset[str], bool], ...] = (
    ("a person, of the active one", "", ACME, ACME, ONE, True),
    ("a person, of another", "", ACME, EVIL, ONE, False),
    ("a person with none active", "", "", ACME, ONE, False),
    ("a person, of none", "", ACME, None, ONE, True),
    ("a person, of the active one, another name", "", ACME, ACME, frozenset({MANAGE}), False),
    ("an operator's, of any", "", "", EVIL, ANY, True),
    ("a bound service, its own", "bot", ACME, ACME, frozenset({MANAGE}), True),
    ("a bound service, of another", "bot", ACME, EVIL, frozenset({MANAGE}), False),
    ("a bound service, of none", "bot", ACME, None, frozenset({MANAGE}), False),
    ("a bound service, of none, by name", "till", ACME, None, ONE, False),
    ("a bound service, any", "till", ACME, None, ANY, True),
    ("a service of none, of one", "bot", "", ACME, frozenset({MANAGE}), False),
)


@pytest.mark.parametrize(
    ("caller", "active", "org", "permissions", "may"),
    [row[1:] for row in OF_ORGS],
    ids=[row[0] for row in OF_ORGS],
)
def test_whose_tokens_of_an_organisation_somebody_may_manage(
    caller: str, active: str, org: str | None, permissions: frozenset[str], may: bool
) -> None:
    """Of the one that is active in his own token; a bound service makes none that is less bound than itself."""
    held = {"caller": caller, "caller_org": active, "permissions": permissions}
    assert may_manage("bot", org, **held) == may  # type: ignore[arg-type]


MANAGERS: tuple[tuple[str, str, frozenset[str], bool], ...] = (
    ("a service, itself", "bot", frozenset({MANAGE}), True),
    ("a service, another", "till", frozenset({MANAGE}), False),
    ("a service, one it is given", "till", frozenset({MANAGE, f"{MANAGE}:bot"}), True),
    ("a service, one that begins alike", "till", frozenset({MANAGE, f"{MANAGE}:bo"}), False),
    ("a service, all", "till", frozenset({MANAGE, MANAGE_ANY}), True),
    ("a person, nobody's", "", frozenset({MANAGE}), False),
    ("a person, one", "", frozenset({MANAGE, f"{MANAGE}:bot"}), True),
    ("a person, all", "", frozenset({MANAGE, MANAGE_ANY}), True),
)


@pytest.mark.parametrize(
    ("caller", "permissions", "may"),
    [row[1:] for row in MANAGERS],
    ids=[row[0] for row in MANAGERS],
)
def test_whose_tokens_somebody_may_manage(
    caller: str, permissions: frozenset[str], may: bool
) -> None:
    """Those of ``bot``: who makes a token of a name can be the service of that name."""
    held = {"caller": caller, "caller_org": "", "permissions": permissions}
    assert may_manage("bot", None, **held) == may  # type: ignore[arg-type]


BOTH, WIDE, NOTHING = (
    frozenset({"books.read", "orders.read"}),
    frozenset({"orders.read"}),
    frozenset[str](),
)
GIVING: tuple[tuple[str, str, str, str | None, frozenset[str]], ...] = (
    ("a person, in the active one", "", ACME, ACME, BOTH),
    ("a person, bound to none", "", ACME, None, WIDE),
    ("a person, in another", "", ACME, EVIL, WIDE),
    ("a person with none active", "", "", None, BOTH),
    ("a bound service, in its own", "bot", ACME, ACME, BOTH),
    ("a bound service, bound to none", "bot", ACME, None, NOTHING),
    ("a bound service, in another", "bot", ACME, EVIL, NOTHING),
    ("a service of none", "bot", "", None, BOTH),
    ("a service of none, in one", "bot", "", ACME, BOTH),
)


@pytest.mark.parametrize(
    ("caller", "active", "org", "given"),
    [row[1:] for row in GIVING],
    ids=[row[0] for row in GIVING],
)
def test_what_somebody_may_in_his_organisation_is_given_in_it_alone(
    caller: str, active: str, org: str | None, given: frozenset[str]
) -> None:
    """Everybody owns the organisation he makes: ``books.read`` is of organisations, and he has it there."""
    held = {"caller": caller, "caller_org": active, "permissions": BOTH}
    assert may_give(org, **held, of_installation=WIDE | {"else"}) == given  # type: ignore[arg-type]


@pytest.mark.parametrize("by", ["tidying", "another token", "a revocation"])
async def test_no_row_of_a_revoked_key_is_signed_anew(by: str) -> None:
    """Whoever had the key could have written any of them, revoked ones too: the next write leaves them out."""
    w = world(BOT.row, ELSE, PAST)
    w.registers.signs_with = "k2"
    w.revocations.revoke("key", "k1", Record(NOW_MS + DAY_MS))
    if by == "tidying":
        await w.flow.tidy()
    elif by == "another token":
        assert isinstance(await w.flow.keep(WANTED), Kept)
    else:
        assert isinstance(await w.flow.revoke(ELSE.id, "", "operator"), Struck)
    left = {row.id for row in w.registers.register.rows}
    assert not left & {BOT.row.id, ELSE.id, PAST.id}
    assert w.registers.register.kid == "k2"


async def test_nothing_is_signed_anew_while_nobody_can_tell_what_is_revoked() -> None:
    """The key that vouches for the rows may be: it stays due."""
    w = world(BOT.row)
    w.registers.signs_with, w.revocations.stale = "k2", True
    keeper = TokenKeeper(w.flow)
    await keeper.look()
    assert w.registers.register.kid == "k1"
    assert keeper.is_due
    w.revocations.stale = False
    await keeper.look()
    assert (w.registers.register.kid, w.registers.register.rows) == ("k2", (BOT.row,))
