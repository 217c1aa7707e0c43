"""Auth's flows on fakes: links, sessions and operators, on a clock that stands still."""

from dataclasses import dataclass, field
from typing import Any

import jwt

from latchwire.claims import Claims, build_claims
from services.auth.domain.client import Client
from services.auth.domain.limits import Rate
from services.auth.domain.link import LinkAsk, LinkSent, TokenProof
from services.auth.domain.outcomes import Refreshed, SessionOpened, Tokens
from services.auth.domain.tries import TryLimits
from services.auth.flows.asking import Asking, LinkPolicy
from services.auth.flows.ending import Ending
from services.auth.flows.link import LinkFlow
from services.auth.flows.opening import Opening
from services.auth.flows.proving import Proving
from services.auth.flows.session import SessionFlow
from services.auth.flows.subjects import EmailSubjects
from services.auth.flows.tokens import Issuer
from services.auth.flows.typed import TypedPasswords
from services.auth.flows.users import UserFlow
from services.auth.ports import Keys
from services.auth.ports.accounts import Subjects
from shared.allow import parse_allow
from shared.links import link_token
from shared.secrets import SymmetricKeys
from tests.support.fakes.auth_ports import FakeEvents, FakeRevocations
from tests.support.fakes.auth_store import FakeAttempts, FakeAuthStore, FakePeople, FakeSessions
from tests.support.fakes.auth_tries import FakeTries
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.ids import FakeIds

ADA = "ada@acme.com"
ANYBODY = Client("203.0.113.0/24", "Firefox on Linux")
PLENTY = Rate(1_000_000, 1000)
SECRET = "s" * 32


class PlainTokens:
    """`AccessTokens` with a symmetric key: what is signed is not this test's business."""

    def sign(self, claims: Any) -> str:
        return jwt.encode(dict(claims), SECRET, "HS256")

    def read(self, token: str, now_ms: int) -> Claims | str:
        claims = self.read_expired(token)
        if claims is None:
            return "token_invalid"
        return claims if now_ms < claims.exp * 1000 else "token_expired"

    def read_expired(self, token: str) -> Claims | None:
        try:
            options = {"verify_exp": False, "verify_aud": False, "verify_iat": False}
            return build_claims(jwt.decode(token, SECRET, ["HS256"], options), "k")
        except jwt.InvalidTokenError:
            return None


@dataclass
class Auth:
    """The flows on fakes."""

    clock: FakeClock = field(default_factory=FakeClock)
    ids: FakeIds = field(default_factory=FakeIds)
    events: FakeEvents = field(default_factory=FakeEvents)
    revocations: FakeRevocations = field(default_factory=FakeRevocations)
    subjects: Subjects = field(default_factory=EmailSubjects)

    def __post_init__(self) -> None:
        self.store = FakeAuthStore(self.clock)
        one = SymmetricKeys({"20261122-a": b"k" * 32})
        keys = Keys(one, one, one, b"i" * 32)
        attempts, sessions = FakeAttempts(self.store), FakeSessions(self.store)
        tokens = PlainTokens()
        issuer = Issuer("https://a", "latchwire", tokens, keys, self.clock, self.ids)
        ending = Ending(attempts, sessions, self.events, keys, self.clock, self.ids)
        policy = LinkPolicy(parse_allow("@acme.com"), PLENTY, PLENTY, PLENTY)
        subjects = self.subjects
        events, revocations, clock, ids = self.events, self.revocations, self.clock, self.ids
        self.asking = Asking(attempts, events, revocations, keys, policy, clock, ids)
        self.links = LinkFlow(
            attempts=attempts,
            sessions=sessions,
            events=events,
            revocations=revocations,
            proving=Proving(attempts, keys),
            opening=Opening(sessions, events, revocations, issuer, ending, clock, ids),
            ending=ending,
            subjects=subjects,
            typed=TypedPasswords(attempts, FakeTries(self.store, TryLimits(PLENTY, PLENTY))),
            clock=clock,
            ids=ids,
        )
        self.sessions = SessionFlow(
            sessions, revocations, tokens, issuer, ending, keys, subjects, clock
        )
        self.users = UserFlow(
            FakePeople(self.store), sessions, self.revocations, ending, subjects, self.clock
        )

    async def ask(self) -> str:
        """Ask for a link; its token."""
        sent = await self.asking.ask(LinkAsk(ADA, ANYBODY))
        assert isinstance(sent, LinkSent)
        return link_token(b"k" * 32, "sign_in", sent.login_id, ADA)

    async def click(self, token: str) -> Tokens | None:
        result = await self.links.exchange_link(TokenProof(token), client=ANYBODY)
        return result.tokens if isinstance(result, SessionOpened) else None

    async def sign_in(self) -> Tokens:
        tokens = await self.click(await self.ask())
        assert tokens is not None
        return tokens

    async def refresh(self, token: str) -> Tokens | None:
        result = await self.sessions.refresh(token, client=ANYBODY, cookies=False)
        return result.tokens if isinstance(result, Refreshed) else None
