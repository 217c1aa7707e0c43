"""Use cases: revoke, prove freshness, project."""
