"""The edge: answers a gateway's question "may this request pass?" from memory.

Consumes  ``blocklist.*`` deltas and the stream BLOCKLIST (through the SDK's feed), ``op.token.explain``.
Publishes ``edge.heartbeat.<edge_id>``, asks ``revocation.probe``.
Owns      nothing: public keys and the catalogue are read at start, the blocklist is a replica.
Fails     closed: without a proof of freshness within ``max_staleness`` protected routes get 503, never 401;
          public routes go on. No store and no network call is on the path of a check.
"""
