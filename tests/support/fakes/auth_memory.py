"""What is remembered of a deleted person, in memory; and services that erase."""

from dataclasses import dataclass, field, replace

from services.auth.ports.deletions import Erasers
from shared.emails import limit_address
from shared.messages import EraseAnswer, EraseUser
from tests.support.fakes.auth_store import FakeAuthStore


class FakeMemory:
    """`services.auth.ports.deletions.Memory`, of a `FakeAuthStore`."""

    def __init__(self, store: FakeAuthStore) -> None:
        self._store = store

    async def forget(self, sub: str, email: str) -> None:
        store, now = self._store, self._store.enter("forget")
        until = max(store.voided.get(sub, 0), store.voided.get(email, 0)) or now
        for login_id, attempt in list(store.attempts.items()):
            if attempt.email == email and attempt.requested_at_ms <= until:
                del store.attempts[login_id]
        for sid, session in list(store.sessions.items()):
            if session.sub == sub and session.sst <= until and not session.ended:
                store.sessions[sid] = replace(session, ended="account_deleted", email="", sub="")
        mailbox = limit_address(email)
        for kept in (
            store.browsers[email],
            store.limits[f"address|{mailbox}"],
            store.limits[f"password|{mailbox}"],
        ):
            for name in [name for name, at in kept.items() if at <= until]:
                del kept[name]


@dataclass
class FakeErasers(Erasers):
    """`services.auth.ports.deletions.Erasers`: *says* what comes next, then ``done``; None: nobody answers."""

    says: list[EraseAnswer | None] = field(default_factory=list)
    asked: list[tuple[str, EraseUser]] = field(default_factory=list)

    async def ask(self, service: str, request: EraseUser) -> EraseAnswer | None:
        self.asked.append((service, request))
        return self.says.pop(0) if self.says else EraseAnswer(state="done")
