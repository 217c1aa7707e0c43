"""An auth with accounts to be measured, and people in its store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from services.auth.adapters.argon2_hasher import Argon2Hasher
from services.auth.adapters.sql import Database
from services.auth.adapters.sql_accounts import SQLAccounts
from services.auth.domain.account import Account
from shared.clock import SystemClock
from shared.ids import SystemIds
from tests.bench.bench_auth import Site, running_site

PASSWORD = "tall green bicycle"


@dataclass(frozen=True)
class AccountSite:
    """*site* with accounts in the SQLite file *url*."""

    site: Site
    url: str

    async def add(self, *emails: str, password: str = PASSWORD, **changes: int | None) -> None:
        """Accounts with a proven address and *password* ("": none); *changes* are fields of `Account`."""
        clock, ids, hasher = SystemClock(), SystemIds(), Argon2Hasher(1)
        now_ms = clock.now_ms()
        fields = {"verified_at_ms": now_ms} | changes
        async with Database(self.url) as database:
            accounts = SQLAccounts(database, b"never asked" * 3, clock)
            stored = await hasher.hash(password) if password else ""
            for email in emails:
                account = Account(ids.ulid(now_ms), email, now_ms, password_hash=stored, **fields)
                await accounts.adopt(account, [])
        hasher.close()


@asynccontextmanager
async def accounts_site(
    *workers: str,
    algorithm: str = "RS256",
    auth: tuple[str, ...] = ("services.auth",),
    **changes: str,
) -> AsyncIterator[AccountSite]:
    """`running_site` with accounts switched on."""
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'accounts.db'}"
        settings = {"LATCHWIRE_ACCOUNTS_URL": url, "LATCHWIRE_LIMIT_PASSWORD": "1000000/m"}
        async with running_site(
            workers or ("revocation", "auth"),
            algorithm=algorithm,
            auth=auth,
            **settings,
            **changes,
        ) as site:
            yield AccountSite(site, url)
