"""Auth as people meet it: its own process on real NATS and Redis, with the revocation worker beside it.

There is no mailer: `AuthSite.token_of` and `AuthSite.code_of` derive what its mail would carry.
"""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from shared.links import link_token, login_code
from shared.secrets import load_symmetric
from tests.support.servers import (
    ROOT,
    NatsServer,
    RedisServer,
    Server,
    free_port,
    make_nats,
    make_redis,
    make_secrets,
)
from tests.support.trust import vouched_for

ADDRESS = "ada@acme.com"


@dataclass
class AuthSite:
    """A running auth: *url* is its public base URL and where it listens."""

    url: str
    secrets_dir: Path
    nats: NatsServer
    redis: RedisServer
    workers: list[Server] = field(default_factory=list)

    @property
    def doors(self) -> list[str]:
        """Where each process of auth listens."""
        return [f"http://127.0.0.1:{worker.port}" for worker in self.workers[1:]]

    def token_of(self, login_id: str, email: str = ADDRESS, purpose: str = "sign_in") -> str:
        """The token in the link of the mail for *login_id*."""
        return link_token(self._key, purpose, login_id, email)

    def code_of(self, login_id: str, email: str = ADDRESS, purpose: str = "sign_in") -> str:
        """The code in that mail."""
        return login_code(self._key, purpose, login_id, email)

    @property
    def _key(self) -> bytes:
        keys = load_symmetric(self.secrets_dir, "link")
        return keys.by_kid[keys.current]


@contextmanager
def running_auth(
    directory: Path,
    processes: int = 1,
    *,
    accounts: bool = False,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[AuthSite]:
    """Auth (so many *processes*) with everything it needs in *directory*, ended with the block.

    With *accounts* they are kept in SQLite there. *settings* are more of its variables.
    """
    secrets_dir = make_secrets(directory / "secrets")
    nats, redis = make_nats(directory / "nats", secrets_dir), make_redis(directory / "redis")
    port = free_port()
    url = f"sqlite:///{directory / 'accounts.db'}"
    store = {"LATCHWIRE_ACCOUNTS_URL": url} if accounts else {}
    site = AuthSite(f"http://localhost:{port}", secrets_dir, nats, redis)
    with ExitStack() as stack:
        for server in (nats, redis):
            server.start()
            stack.callback(server.kill)
        asyncio.run(nats.provision())
        more = [("auth", free_port()) for _ in range(processes - 1)]
        for name, door in [("revocation", free_port()), ("auth", port), *more]:
            own = (*store.items(), *settings.items()) if name == "auth" else ()
            worker = _worker(name, door, directory, site, dict(own))
            stack.callback(worker.kill)
            worker.start()
            site.workers.append(worker)
        asyncio.run(vouched_for(redis.url))
        yield site


def _worker(
    name: str, port: int, directory: Path, site: AuthSite, settings: Mapping[str, str]
) -> Server:
    environment = {
        "LATCHWIRE_URL": site.url,
        "LATCHWIRE_ALLOW": "@acme.com",
        "LATCHWIRE_SITE_NAME": "Acme",
        "LATCHWIRE_LOG_LEVEL": "debug",
        "LATCHWIRE_SECRETS_DIR": str(site.secrets_dir),
        "LATCHWIRE_NATS_URL": site.nats.url,
        "LATCHWIRE_REDIS_URL": site.redis.url,
        "LATCHWIRE_AUTH_LISTEN": f"127.0.0.1:{port}",
        "LATCHWIRE_AUTH_ADMIN": f"127.0.0.1:{free_port()}",
        "LATCHWIRE_REVOCATION_ADMIN": f"127.0.0.1:{port}",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'sdk' / 'src'}",
        **settings,
    }
    command = [
        "/usr/bin/env",
        *(f"{key}={value}" for key, value in environment.items()),
        sys.executable,
        "-m",
        f"services.{name}",
    ]
    return Server(command, port, directory / f"{name}-{port}.log")
