"""What the revocation worker reads from the environment."""

from shared.settings import WorkerSettings


class RevocationSettings(WorkerSettings):
    """`WorkerSettings` and where the projection and the admin door are."""

    redis_url: str = "redis://127.0.0.1:6379/0"
    revocation_admin: str = "127.0.0.1:9003"
