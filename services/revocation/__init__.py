"""The revocation worker: turns ``token.revoked`` into records of BLOCKLIST, and proves how far it is.

Consumes   token.revoked (TOKEN, durable ``revocation``) and, from services, token.revoked.by.<name> (TOKEN_BY,
           durable ``revocation-by``, within their rows of revokers.yaml); blocklist.* (its own copy, as an
           edge keeps one); edge.heartbeat.* (nothing kept: the roll of live edges, in memory)
Publishes  bl.<hashed key> (compare-and-set, never shortened); revocation.applied.<event> once that is true;
           snapshot.head and its parts (SNAPSHOT); deadletter.token.* for what cannot be read or may not be said
Answers    revocation.probe: epoch, the leader's last sequence, the age of what is not in BLOCKLIST yet;
           revocation.receipts: which live edges are that far;
           op.edges.list: the edges that may be live, silent ones included
Owns       the merge into BLOCKLIST (the truth) and Redis ``lw:bl:*`` (a projection of it, written from its own
           copy), with ``lw:bl:trusted``: auth opens and renews sessions only while a worker vouches for Redis
Fails      without NATS nothing is acknowledged and edges close by themselves; without Redis watermarks are
           stamped from the broker's clock and the projection waits. Any number may run: all lose nothing.
"""
