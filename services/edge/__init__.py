"""The edge: answers a gateway's question "may this request pass?" from memory.

Consumes  ``blocklist.*`` and ``documents.*`` with their streams (through the SDK's feed), ``op.token.explain``.
Publishes ``edge.heartbeat.<edge_id>``, asks ``revocation.probe``.
Owns      nothing: the blocklist is a replica, and so are keys and catalogue; their files are the start state.
Fails     closed: without a proof of freshness within ``max_staleness`` protected routes get 503, never 401;
          public routes go on. No store and no network call is on the path of a check.
"""
