"""Auth: people sign in by a link, keep a session, and end it.

Consumes  the revocation feed and the operator's documents, like every edge; answers ``op.users.*`` and
          ``op.revocation.match``; asks ``op.edges.list`` before it tells the gateway of new routes.
Publishes ``login.requested``, ``login.succeeded``, ``login.failed`` and ``token.revoked``.
Owns      login attempts, limits, sessions and blocks (Redis, ``lw:*``; see adapters/redis_scripts.py), and the
          signing, refresh and CSRF keys; shares the link key with the mailer.
Fails     without Redis, or with one that no revocation worker vouches for, no login and no refresh, without
          NATS no login and no acknowledged logout, with a stale feed no new session and no renewal: always
          503, safe to repeat, nobody is logged out by it. An end that NATS could not be told is stored and
          published later, by any process of auth. The gateway keeps the routes it has.
"""
