"""The auth worker: people sign in by a link, keep a session, and end it.

Owns: login attempts, limits, sessions and blocks (Redis). Holds the signing, link, refresh and CSRF keys.
Publishes: login.requested, login.succeeded, login.failed, token.revoked. Answers: op.users.
Follows: the revocation feed, like every edge.
Fails: without Redis no logins and no refreshes; without NATS no logins and no logouts (503, and what
was begun is repeated safely); with a stale feed neither sessions begin nor tokens are renewed. None of that
logs anybody out, and none of it answers 401.
"""
