"""The revocation worker: turns ``token.revoked`` into records of BLOCKLIST, and proves how far it is.

Consumes   token.revoked (TOKEN, durable ``revocation``); its own output (BLOCKLIST, durable ``projection``);
           edge.heartbeat.* (nothing kept: the roll of live edges, in memory)
Publishes  bl.<hashed key> (compare-and-set, never shortened); deadletter.token.* for what cannot be read
Answers    revocation.probe: epoch, the leader's last sequence, the age of what is not in BLOCKLIST yet;
           op.edges.list: the edges that may be live, silent ones included
Owns       the merge into BLOCKLIST (the truth) and Redis ``lw:bl:*`` (a projection of it)
Fails      without NATS nothing is acknowledged and edges close by themselves; without Redis watermarks are
           stamped from the broker's clock and the projection waits. Any number may run: all lose nothing.
"""
