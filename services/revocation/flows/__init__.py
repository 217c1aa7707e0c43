"""Use cases: revoke, prove freshness, project, know the edges."""
