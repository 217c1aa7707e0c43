"""What the ports stand on: Redis scripts, PyJWT, the revocation feed, the clients' file."""
