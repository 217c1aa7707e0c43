"""Run with the installed wheel's Python: a service's whole day. Reads JSON on standard input.

Prints "ready" when the feed has proven itself, then the scope of the first revocation it is told.
"""

import asyncio
import json
import sys

from latchwire import Claims, Refused, RevocationFeed, Revoked, Verifier
from latchwire.testing import FakeFeed, FakeIssuer


def check_the_fake(issuer: FakeIssuer) -> None:
    """What a user's tests do."""
    feed = FakeFeed(clock=issuer.clock)
    verifier, token = issuer.verifier(feed), issuer.token(sid="s")
    assert isinstance(verifier.verify(token), Claims)
    feed.revoke_session("s")
    assert verifier.verify(token) == Refused("token_revoked", "session")


async def follow(given: dict[str, str], issuer: FakeIssuer) -> None:
    """What a service does."""
    verifier = Verifier(issuer.keys, issuer.policy, now_ms=issuer.clock)
    async with RevocationFeed.open(**given) as feed:
        verifier.attach(feed)
        await feed.wait_ready(20)
        assert isinstance(verifier.verify(issuer.token(sid="before")), Refused)
        assert isinstance(verifier.verify(issuer.token(sid="another")), Claims)
        events = feed.events()
        print("ready", flush=True)
        event = await anext(events)
        assert isinstance(event, Revoked)
        print(event.scope, flush=True)


if __name__ == "__main__":
    check_the_fake(FakeIssuer())
    asyncio.run(follow(json.load(sys.stdin), FakeIssuer()))
