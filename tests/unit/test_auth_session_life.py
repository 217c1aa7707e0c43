"""The life of a session, played by hypothesis against a plain model, on fakes and a clock that obeys."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from latchwire.records import Record
from services.auth.domain.link import LinkSpent, TokenProof
from services.auth.domain.outcomes import Credentials, NotSignedIn, SignedIn, Tokens
from services.auth.domain.session import SESSION_MS
from services.auth.handlers.users import on_set
from services.auth.ports import FeedStaleError
from shared.bus import BusUnavailableError
from shared.contract import TOKEN_REVOKED
from shared.links import link_token
from shared.messages import SetUser
from tests.support.auth_flows import ADA, ANYBODY, Auth, PlainTokens
from tests.support.fakes.auth_store import FakeSessions
from tests.support.properties import examples

GRACE_MS = 10_000


@dataclass
class Model:
    """What must be true of one session: its newest token, the one before, when it advanced, if it lives."""

    newest: str
    previous: str
    advanced_at: int
    expires_at: int
    alive: bool = True


class SessionLife(RuleBasedStateMachine):
    """Ask, click, renew in and out of turn, log out, revoke, let time pass; in any order."""

    shown = Bundle("shown")  # (sid, refresh token) that was ever given out
    links = Bundle("links")

    @initialize(target=shown)
    def begin(self) -> tuple[str, str]:
        self.auth = Auth()
        self.models: dict[str, Model] = {}
        self.open_links: dict[str, int] = {}
        return self._opened(self.run(self.auth.sign_in()))

    def run(self, work: Any) -> Any:
        return asyncio.run(work)

    @rule(target=links)
    def ask(self) -> str:
        token: str = self.run(self.auth.ask())
        self.open_links[token] = self.auth.clock.now_ms() + 600_000
        return token

    @rule(target=shown, token=links)
    def click(self, token: str) -> Any:
        now = self.auth.clock.now_ms()
        tokens = self.run(self.auth.click(token))
        usable = now < self.open_links.get(token, 0)
        assert usable == (tokens is not None)
        if tokens is None:
            return multiple()
        self.open_links.clear()
        return self._opened(tokens)

    def _opened(self, tokens: Tokens) -> tuple[str, str]:
        now = self.auth.clock.now_ms()
        self.models[tokens.sid] = Model(tokens.refresh, "", now, now + SESSION_MS)
        return (tokens.sid, tokens.refresh)

    @rule(target=shown, pair=shown)
    def refresh(self, pair: tuple[str, str]) -> Any:
        return multiple(*self._refresh(pair))

    def _refresh(self, pair: tuple[str, str]) -> list[tuple[str, str]]:
        sid, token = pair
        model, now = self.models[sid], self.auth.clock.now_ms()
        result = self.run(self.auth.refresh(token))
        living = model.alive and now < model.expires_at
        repeated = token == model.previous and now - model.advanced_at <= GRACE_MS
        MET[self._kind(living, token == model.newest, repeated)] += 1
        if living and token == model.newest:
            assert result is not None
            model.previous, model.newest, model.advanced_at = token, result.refresh, now
        elif living and repeated:
            assert result is not None
            assert model.newest == result.refresh
        else:
            assert result is None
            model.alive = False
        return [(sid, result.refresh)] if result else []

    def _kind(self, living: bool, newest: bool, repeated: bool) -> str:
        if not living:
            return "of a dead session"
        return "in turn" if newest else "repeated" if repeated else "reused"

    @rule(target=shown, pair=shown, ms=st.sampled_from([0, 500, GRACE_MS, GRACE_MS + 1]))
    def refresh_twice(self, pair: tuple[str, str], ms: int) -> Any:
        """Two tabs, or a thief: what chance would hardly ever do with one token."""
        first = self._refresh(pair)
        self.auth.clock.advance(ms)
        return multiple(*first, *self._refresh(pair))

    @rule(pair=consumes(shown))
    def logout(self, pair: tuple[str, str]) -> None:
        sid, token = pair
        self.run(self.auth.sessions.logout(Credentials(refresh=token)))
        if self.auth.clock.now_ms() < self.models[sid].expires_at:
            self.models[sid].alive = False

    @rule(really=st.sampled_from([False, False, False, True]))
    def revoke_the_person(self, really: bool) -> None:
        if not really:  # it ends everything, so it is rare
            return
        now = self.auth.clock.now_ms()
        self.auth.revocations.revoke("subject", ADA, Record(now + SESSION_MS, sessions_before=now))
        self.open_links.clear()
        for model in self.models.values():
            model.alive = False
        self.auth.clock.advance(1)

    @rule(ms=st.sampled_from([1, 500, GRACE_MS, GRACE_MS + 1, 700_000, SESSION_MS // 3]))
    def time_passes(self, ms: int) -> None:
        self.auth.clock.advance(ms)

    @invariant()
    def every_reuse_is_published_once(self) -> None:
        if not hasattr(self, "auth"):
            return
        ids = [m.id for m in self.auth.events.of(TOKEN_REVOKED.name) if m.reason == "refresh_reuse"]
        assert len(ids) == len(set(ids))


MET: Counter[str] = Counter()  # refreshes by their kind
LIVES = settings(max_examples=examples(60), stateful_step_count=30)


@pytest.mark.hypothesis
def test_a_session_lives_as_the_model_says() -> None:
    """Any order of sign-ins, renewals, logouts and revocations."""
    run_state_machine_as_test(SessionLife, settings=LIVES)

    kinds = ("in turn", "repeated", "reused", "of a dead session")
    assert min(MET[kind] for kind in kinds) >= 5, MET  # or it would be a model of nothing


async def test_the_grace_window_does_not_slide() -> None:
    """Repeating within the window, again and again, does not make it longer."""
    auth = Auth()
    tokens = await auth.sign_in()
    assert await auth.refresh(tokens.refresh)
    for _ in range(2):
        auth.clock.advance(5_000)
        assert await auth.refresh(tokens.refresh)
    auth.clock.advance(1)

    assert await auth.refresh(tokens.refresh) is None


async def test_a_session_ends_after_seven_days_however_busy() -> None:
    """Rotation does not prolong it, and no access token outlives it."""
    auth = Auth()
    tokens = await auth.sign_in()
    end_ms = auth.clock.now_ms() + SESSION_MS
    for _ in range(7 * 24):
        auth.clock.advance(3_600_000 - 1)
        renewed = await auth.refresh(tokens.refresh)
        assert renewed is not None
        claims = PlainTokens().read_expired(renewed.access)
        assert claims is not None
        assert claims.exp * 1000 <= end_ms
        tokens = renewed
    auth.clock.advance(1000)

    assert await auth.refresh(tokens.refresh) is None


async def test_a_token_is_issued_after_the_watermark_of_a_role_change() -> None:
    """Access tokens so far are refused, the session goes on, and its next token counts."""
    auth = Auth()
    tokens = await auth.sign_in()
    now = auth.clock.now_ms()
    auth.revocations.revoke("subject", ADA, Record(now + SESSION_MS, tokens_before=now + 2000))

    before = auth.sessions.identify(Credentials(access=tokens.access))
    renewed = await auth.refresh(tokens.refresh)

    assert NotSignedIn("token_revoked") == before
    assert renewed is not None
    assert isinstance(auth.sessions.identify(Credentials(access=renewed.access)), SignedIn)


async def test_a_session_survives_a_logout_that_could_not_be_published_only_on_paper() -> None:
    """The tombstone is written first: it renews nothing, and the repetition publishes."""
    auth = Auth()
    tokens = await auth.sign_in()
    auth.events.away = True
    with pytest.raises(BusUnavailableError):
        await auth.sessions.logout(Credentials(access=tokens.access))
    auth.events.away = False

    assert await auth.refresh(tokens.refresh) is None
    for _ in range(2):
        await auth.sessions.logout(Credentials(access=tokens.access))
    revoked = auth.events.of(TOKEN_REVOKED.name)
    assert 2 == len(revoked)
    assert 1 == len({event.id for event in revoked})


async def test_a_reuse_that_could_not_be_published_is_published_by_the_next_use() -> None:
    """Neither edges nor the person may miss it."""
    auth = Auth()
    tokens = await auth.sign_in()
    for _ in range(2):
        renewed = await auth.refresh(tokens.refresh)
    assert renewed is not None
    auth.clock.advance(GRACE_MS + 1)
    auth.events.away = True
    with pytest.raises(BusUnavailableError):
        await auth.refresh(tokens.refresh)
    auth.events.away = False

    assert await auth.refresh(renewed.refresh) is None
    assert await auth.refresh(renewed.refresh) is None
    assert 1 == len(auth.events.of(TOKEN_REVOKED.name))


async def test_a_stale_feed_neither_opens_nor_renews() -> None:
    """Raised as "not now", so that no caller can take it for a refusal."""
    auth = Auth()
    tokens, link = await auth.sign_in(), await auth.ask()
    auth.revocations.stale = True

    with pytest.raises(FeedStaleError):
        await auth.refresh(tokens.refresh)
    with pytest.raises(FeedStaleError):
        await auth.click(link)
    auth.revocations.stale = False
    assert await auth.click(link)


@pytest.mark.parametrize(("scope", "name"), [("session", "sid"), ("key", "refresh/20261122-a")])
async def test_a_revoked_session_or_refresh_key_renews_nothing(scope: str, name: str) -> None:
    """The feed is asked before the store."""
    auth = Auth()
    tokens = await auth.sign_in()
    identifier = tokens.sid if name == "sid" else name
    auth.revocations.revoke(scope, identifier, Record(auth.clock.now_ms() + SESSION_MS))

    assert await auth.refresh(tokens.refresh) is None


async def test_a_block_ends_what_there_is_and_stops_what_comes() -> None:
    """Until it is lifted."""
    auth = Auth()
    tokens, link = await auth.sign_in(), await auth.ask()
    state = await on_set(
        SetUser(email="ADA@acme.com", action="block", reason="left"), users=auth.users
    )

    assert state.blocked
    assert await auth.refresh(tokens.refresh) is None
    assert await auth.click(link) is None
    assert await auth.click(await auth.ask()) is None
    await on_set(SetUser(email=ADA, action="unblock"), users=auth.users)
    auth.clock.advance(1)
    assert await auth.sign_in()


async def test_a_notice_ends_exactly_the_session_it_is_about() -> None:
    """Its own token does, and a sign-in token does not."""
    auth = Auth()
    mine, thiefs = await auth.sign_in(), await auth.click(await auth.ask())
    assert thiefs is not None
    session = await FakeSessions(auth.store).find(thiefs.sid)
    assert session is not None
    await auth.links.ending.notify(session, ANYBODY, "new_browser")
    notice = next(a for a in auth.store.attempts.values() if a.purpose == "notice")
    token = link_token(b"k" * 32, "notice", notice.login_id, ADA)

    assert not await auth.links.end_by_notice(await auth.ask())
    assert await auth.links.end_by_notice(token)
    assert await auth.links.end_by_notice(token)
    assert isinstance(await auth.links.exchange_link(TokenProof(token), client=ANYBODY), LinkSpent)
    assert await auth.refresh(thiefs.refresh) is None
    assert await auth.refresh(mine.refresh)


async def test_an_operator_sees_no_session_that_was_revoked_over_the_bus() -> None:
    """`revoke person` reaches auth by the feed alone; the store still holds the sessions."""
    auth = Auth()
    await auth.sign_in()
    before = await auth.users.show(ADA)
    now = auth.clock.now_ms()
    auth.revocations.revoke("subject", ADA, Record(now + SESSION_MS, sessions_before=now))
    auth.clock.advance(1)
    revoked = await auth.users.show(ADA)
    await auth.sign_in()

    assert (1, 0) == (before.sessions, revoked.sessions)
    assert 1 == (await auth.users.show(ADA)).sessions


async def test_a_link_asked_for_after_a_watermark_is_not_voided_by_it() -> None:
    """A watermark may lie a little ahead of the store's clock: asked for after it arrived is after it."""
    auth = Auth()
    now = auth.clock.now_ms()
    before = await auth.ask()
    auth.revocations.revoke("subject", ADA, Record(now + SESSION_MS, sessions_before=now + 2000))
    after = await auth.ask()

    assert await auth.click(before) is None
    assert await auth.click(after)
