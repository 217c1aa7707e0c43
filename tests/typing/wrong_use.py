"""Mistakes that a type checker must find: each marked line is one error, for mypy and for basedpyright."""

from latchwire import Claims, Event, Refused, RevocationFeed, Verifier
from latchwire.testing import FakeFeed


def use(verifier: Verifier, feed: RevocationFeed, event: Event, claims: Claims) -> None:
    """One mistake a line."""
    verifier.verify("token").sub  # error: it may have been refused
    event.hits(claims)  # error: a Resync names nobody
    feed.is_revoked("token")  # error: claims, not the token
    RevocationFeed.open("nats://a", name="service-shop")  # error: no seed, no key
    FakeFeed().revoke_subject("ada", "everything")  # error: sessions or access
    claims.sub = "eve"  # error: frozen
    Refused("gone", "")  # error: no such code
    verifier.attach(verifier)  # error: no feed
