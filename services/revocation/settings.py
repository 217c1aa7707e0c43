"""What the revocation worker reads from the environment."""

from pathlib import Path

from pydantic import Field

from shared.setting_types import Admin, EdgeNames, MaxStaleness, RedisURL
from shared.settings import WorkerSettings


class RevocationSettings(WorkerSettings):
    """`WorkerSettings`, where the projection and the admin door are, how patient edges are, which edges

    there are, and which services may revoke.
    """

    redis_url: RedisURL = "redis://127.0.0.1:6379/0"
    revocation_admin: Admin = "127.0.0.1:9003"
    max_staleness: MaxStaleness = 10.0
    edges: EdgeNames = ()
    revokers: Path = Field(
        default=Path("revokers.yaml"),
        description="the file of the services that may revoke, and in which scopes",
    )
