"""The stores of auth in memory, on a test's clock: one object behind three ports."""

from collections import defaultdict
from dataclasses import replace

from services.auth.domain.client import UNKNOWN, Client
from services.auth.domain.ending import PendingEnd, reuse_of
from services.auth.domain.link import CODE_TRIES, OPENING, Attempt, Muted
from services.auth.domain.outcomes import Person
from services.auth.domain.session import EndReason, Session, judge_counter
from services.auth.ports import (
    Advanced,
    Budget,
    Budgets,
    Exchange,
    Exchanged,
    NetworkLimited,
    NotExchanged,
    Opened,
    OpenSession,
    Over,
    StoreUnsettledError,
    UsedBefore,
)
from shared.clock import Clock
from shared.emails import limit_address
from shared.redis import StoreUnavailableError


class FakeAuthStore:
    """State and time; *away* makes every call fail. `calls` counts them.

    Without *settled* nobody vouches for what is here; it is whole *since* an instant (ms).
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.away = False
        self.settled = True
        self.since = 0
        self.calls: list[str] = []
        self.attempts: dict[str, Attempt] = {}
        self.typed: dict[str, int] = defaultdict(int)  # passwords sent with an attempt
        self.sessions: dict[str, Session] = {}
        self.limits: dict[str, dict[str, int]] = defaultdict(dict)
        self.blocked: dict[str, int] = {}
        self.voided: dict[str, int] = {}
        self.browsers: dict[str, dict[str, int]] = defaultdict(dict)
        self.pending: dict[tuple[str, str], PendingEnd] = {}
        self.instants: dict[str, int] = {}
        self.floor = 0

    def enter(self, call: str) -> int:
        """The store's time, or its absence."""
        self.calls.append(call)
        if self.away:
            raise StoreUnavailableError
        return max(self.clock.now_ms(), self.floor)

    def require_settled(self) -> None:
        """Raises: StoreUnsettledError."""
        if not self.settled:
            raise StoreUnsettledError

    def wait_for_room(self, budget: Budget, now: int) -> int:
        taken = self.limits[budget.subject]
        for login_id, at in list(taken.items()):
            if at <= now - budget.rate.window_ms:
                del taken[login_id]
        if len(taken) < budget.rate.count:
            return 0
        return min(taken.values()) + budget.rate.window_ms - now

    def is_blocked(self, sub: str) -> bool:
        """Under its own name or its mailbox's."""
        return bool({sub, limit_address(sub)} & self.blocked.keys())

    def bury(self, session: Session, reason: EndReason) -> None:
        """The tombstone of *session*; a reuse that is not announced keeps what that takes."""
        ended = replace(session, ended=session.ended or reason)
        self.sessions[session.sid] = _stripped(ended) if ended.announced else ended

    def end_person(self, end: PendingEnd, email: str, reason: EndReason) -> PendingEnd:
        end = replace(end, at_ms=end.at_ms or max(self.clock.now_ms(), self.floor))
        for name in (end.target, email):
            self.voided[name] = max(self.voided.get(name, 0), end.at_ms)
        for session in [s for s in self.sessions.values() if s.sub == end.target]:
            if session.sst <= end.at_ms:
                self.bury(session, reason)
        known = self.pending.get((end.scope, end.target))
        if known is None or end.at_ms >= known.at_ms:
            self.pending[end.scope, end.target] = end
        return end

    def voided_before(self, sub: str, email: str) -> int:
        """The instant up to which a person's sessions and links are void."""
        return max(self.voided.get(sub, 0), self.voided.get(email, 0))

    def begin(self, session: Session, session_ms: int, sst: int) -> Session:
        """Store *session* with its times."""
        self.floor = max(self.floor, sst)
        session = replace(session, sst=sst, expires_at_ms=sst + session_ms, advanced_at_ms=sst)
        self.sessions[session.sid] = session
        return session

    def remember(self, email: str, browser: str, now: int) -> bool:
        """Whether the person was seen before, but never in this browser."""
        known = self.browsers[email]
        new = bool(known) and browser not in known
        known[browser] = now
        return new


class FakeAttempts:
    """`services.auth.ports.Attempts`."""

    def __init__(self, store: FakeAuthStore) -> None:
        self._store = store

    async def open(
        self, attempt: Attempt, ttl_ms: int, budgets: Budgets, *, after_ms: int = 0
    ) -> Opened | NetworkLimited:
        store, now = self._store, self._store.enter("open")
        store.require_settled()
        known = store.attempts.get(attempt.login_id)
        if known is not None:
            return Opened(known.requested_at_ms, known.muted)
        wait = max(store.wait_for_room(budget, now) for budget in budgets.networks)
        if wait > 0:
            return NetworkLimited(wait)
        known_browser = attempt.browser in store.browsers[attempt.email]
        address = budgets.known if known_browser else budgets.address
        address_room = store.wait_for_room(address, now) == 0
        muted = attempt.muted or self._muted(attempt, budgets, now, address_room)
        for budget in budgets.networks:
            store.limits[budget.subject][attempt.login_id] = now
        if address_room:
            store.limits[address.subject][attempt.login_id] = now
        if not muted:
            store.limits[budgets.whole.subject][attempt.login_id] = now
        voided = store.voided.get(attempt.email, 0)
        asked = max(now, after_ms + 1, store.since + 1, voided + 1)
        self._keep(replace(attempt, muted=muted), asked, ttl_ms)
        return Opened(asked, muted)

    def _muted(self, attempt: Attempt, budgets: Budgets, now: int, address_room: bool) -> Muted:
        if self._store.is_blocked(attempt.email):
            return "blocked"
        if not address_room:
            return "address_limit"
        return "global_limit" if self._store.wait_for_room(budgets.whole, now) > 0 else ""

    async def open_notice(self, attempt: Attempt, ttl_ms: int) -> Opened:
        now = self._store.enter("open_notice")
        known = self._store.attempts.get(attempt.login_id)
        if known is not None:
            return Opened(known.requested_at_ms, "")
        self._keep(attempt, now, ttl_ms)
        return Opened(now, "")

    async def find(self, login_id: str) -> Attempt | None:
        now = self._store.enter("find")
        found = self._store.attempts.get(login_id)
        if found is None or now >= found.expires_at_ms:
            self._store.require_settled()
            return None
        return found

    async def unopened(self, email: str, watermark: int) -> int:
        store, now = self._store, self._store.enter("unopened")
        if store.is_blocked(email):
            return 0
        voided = max(watermark, store.voided.get(email, 0), store.since)
        return sum(
            found.state == "open" and not found.muted and now < found.expires_at_ms
            for found in store.attempts.values()
            if found.email == email and found.purpose in OPENING
            if found.requested_at_ms > voided
        )

    async def cancel(self, login_id: str) -> bool:
        self._store.enter("cancel")
        found = self._store.attempts.get(login_id)
        if found is None or found.state != "open":
            return False
        self._store.attempts[login_id] = replace(found, state="cancelled")
        return True

    async def exchange(self, exchange: Exchange) -> Exchanged | UsedBefore | NotExchanged:
        store, now = self._store, self._store.enter("exchange")
        store.require_settled()
        attempt, session = exchange.attempt, exchange.session
        voided = max(exchange.watermark, store.voided_before(session.sub, attempt.email))
        refusal = self._refusal(
            attempt, now, voided, by_code=exchange.by_code, right=exchange.right
        )
        if isinstance(refusal, UsedBefore) and refusal.sid == session.sid:
            return Exchanged(store.sessions[refusal.sid], new_browser=False)
        if refusal is not None:
            return refusal
        opened = store.begin(session, exchange.session_ms, max(now, voided + 1))
        self._consume(store.attempts[attempt.login_id], session.sid)
        return Exchanged(opened, store.remember(attempt.email, exchange.browser, now))

    async def judge(
        self, attempt: Attempt, *, by_code: bool, right: bool, watermark: int
    ) -> UsedBefore | NotExchanged | None:
        now = self._store.enter("judge")
        self._store.require_settled()
        voided = max(watermark, self._store.voided.get(attempt.email, 0))
        return self._refusal(attempt, now, voided, by_code=by_code, right=right)

    async def type_password(self, attempt: Attempt) -> bool:
        self._store.enter("type_password")
        typed = self._store.typed
        if attempt.login_id not in self._store.attempts or typed[attempt.login_id] >= CODE_TRIES:
            return False
        typed[attempt.login_id] += 1
        return True

    async def untype_password(self, attempt: Attempt) -> None:
        self._store.enter("untype_password")
        typed = self._store.typed
        typed[attempt.login_id] = max(0, typed[attempt.login_id] - 1)

    async def consume(
        self, attempt: Attempt, *, by_code: bool, right: bool, watermark: int, mark: str = ""
    ) -> bool:
        refusal = await self.judge(attempt, by_code=by_code, right=right, watermark=watermark)
        if refusal is None:
            self._consume(self._store.attempts[attempt.login_id], mark)
        return refusal is None or (bool(mark) and refusal == UsedBefore(mark))

    async def remembers(self, email: str) -> bool:
        self._store.enter("remembers")
        return bool(self._store.browsers[email])

    def _refusal(
        self, attempt: Attempt, now: int, voided: int, *, by_code: bool, right: bool
    ) -> UsedBefore | NotExchanged | None:
        found = self._store.attempts.get(attempt.login_id)
        if found is None or now >= found.expires_at_ms:
            return NotExchanged("unknown")
        if by_code and found.tries >= CODE_TRIES:
            return NotExchanged("too_many_tries")
        if not right:
            if by_code:
                self._store.attempts[found.login_id] = replace(found, tries=found.tries + 1)
            return NotExchanged("wrong")
        if found.state == "used":
            return UsedBefore(found.sid)
        if found.state != "open" or found.muted or self._store.is_blocked(found.email):
            return NotExchanged("closed")
        voided = max(voided, self._store.since)
        return NotExchanged("voided") if found.requested_at_ms <= voided else None

    def _consume(self, found: Attempt, sid: str) -> None:
        purposes = OPENING if found.purpose in OPENING else (found.purpose,)
        for login_id, other in self._store.attempts.items():
            same = other.email == found.email and other.purpose in purposes
            if same and other.state == "open":
                self._store.attempts[login_id] = replace(other, state="voided")
        self._store.attempts[found.login_id] = replace(found, state="used", sid=sid)

    def _keep(self, attempt: Attempt, now: int, ttl_ms: int) -> None:
        self._store.attempts[attempt.login_id] = replace(
            attempt, requested_at_ms=now, expires_at_ms=now + ttl_ms
        )


class FakeSessions:
    """`services.auth.ports.Sessions`."""

    def __init__(self, store: FakeAuthStore) -> None:
        self._store = store

    async def require_settled(self) -> None:
        self._store.enter("settled")
        self._store.require_settled()

    async def now(self, *, after_ms: int = 0) -> int:
        store = self._store
        store.floor = max(store.enter("now"), after_ms + 1)
        return store.floor

    async def instant(self, entry_id: str, *, keep_ms: int | None = None) -> int:
        now = self._store.enter("instant")
        if entry_id not in self._store.instants:
            self._store.instants[entry_id], self._store.floor = now, now + 1
        return self._store.instants[entry_id]

    async def open(self, opening: OpenSession) -> Exchanged | NotExchanged:
        store, now = self._store, self._store.enter("open_session")
        store.require_settled()
        session = opening.session
        if session.sid in store.sessions:
            return Exchanged(store.sessions[session.sid], new_browser=False)
        if store.is_blocked(session.email):
            return NotExchanged("blocked")
        voided = max(opening.watermark, store.voided_before(session.sub, session.email))
        if opening.asked_at_ms <= max(voided, store.since):
            return NotExchanged("voided")
        opened = store.begin(session, opening.session_ms, max(now, voided + 1))
        return Exchanged(opened, store.remember(session.email, opening.browser, now))

    async def find(self, sid: str) -> Session | None:
        now = self._store.enter("find")
        found = self._store.sessions.get(sid)
        if found is None or now >= found.expires_at_ms:
            self._store.require_settled()
            return None
        return found

    async def look(self, sid: str) -> tuple[Session | None, int]:
        return await self.find(sid), await self.now()

    async def advance(
        self,
        session: Session,
        counter: int,
        grace_ms: int,
        *,
        after_ms: int = 0,
        client: Client = UNKNOWN,
        org: str | None = None,
    ) -> Advanced | Over:
        store, now = self._store, self._store.enter("advance")
        store.require_settled()
        found = await self.find(session.sid)
        if found is None:
            return Over("")
        if found.ended:
            return Over(found.ended, found.announced)
        if store.is_blocked(found.email):
            return self._finish(found, "blocked")
        if found.sst <= store.voided_before(found.sub, found.email):
            return self._finish(found, "everywhere")
        verdict = judge_counter(counter, found.counter, now - found.advanced_at_ms, grace_ms)
        if verdict == "reuse":
            self._store.pending.setdefault(("session", found.sid), reuse_of(found))
            return self._finish(replace(found, announced=False, client=client), "refresh_reuse")
        if verdict == "advance":
            found = replace(found, counter=found.counter + 1, advanced_at_ms=now)
        if org is not None:
            found = replace(found, org=org)
        store.sessions[found.sid] = found
        return Advanced(found.counter, max(now, found.sst, after_ms + 1))

    async def end(self, sid: str, sub: str, reason: EndReason, actor: str) -> PendingEnd:
        self._store.enter(f"end {sub}")
        found = self._store.sessions.get(sid)
        if found is not None:
            self._store.bury(found, reason)
        end = PendingEnd("session", sid, reason, actor, found.expires_at_ms if found else 0)
        self._store.pending.setdefault((end.scope, sid), end)
        return end

    async def unannounced(self) -> list[PendingEnd]:
        self._store.enter("unannounced")
        return list(self._store.pending.values())

    async def announced(self, end: PendingEnd) -> None:
        self._store.enter("announced")
        key = (end.scope, end.target)
        if self._store.pending.get(key) == end:
            del self._store.pending[key]
        found = self._store.sessions.get(end.target)
        if end.is_reuse and found and not found.announced:
            self._store.sessions[end.target] = _stripped(replace(found, announced=True))

    async def of(self, sub: str) -> list[Session]:
        self._store.enter("of")
        living = [s for s in self._store.sessions.values() if s.sub == sub and not s.ended]
        return sorted(living, key=lambda session: session.sst, reverse=True)

    async def end_all(
        self, sub: str, email: str, reason: EndReason, actor: str, *, at_ms: int | None = None
    ) -> PendingEnd:
        self._store.enter("end_all")
        end = PendingEnd("subject", sub, reason, actor, at_ms or 0)
        return self._store.end_person(end, email, reason)

    def _finish(self, session: Session, reason: EndReason) -> Over:
        self._store.bury(session, reason)
        return Over(reason, session.announced)


class FakePeople:
    """`services.auth.ports.People`."""

    def __init__(self, store: FakeAuthStore) -> None:
        self._store = store

    async def block(self, email: str, reason: str, actor: str) -> PendingEnd:
        now = self._store.enter("block")
        self._store.blocked.setdefault(email, now)
        end = PendingEnd("subject", email, reason, actor, 0)
        return self._store.end_person(end, email, "blocked")

    async def unblock(self, email: str) -> None:
        self._store.enter("unblock")
        self._store.blocked.pop(email, None)

    async def find(self, email: str) -> Person:
        self._store.enter("person")
        living = [s for s in self._store.sessions.values() if s.sub == email and not s.ended]
        return Person(email, self._store.blocked.get(email), len(living))


def _stripped(session: Session) -> Session:
    nobody = replace(session, sub="", email="", secret="", client=UNKNOWN)
    return replace(nobody, client_id="", amr="", org="", advanced_at_ms=0)
