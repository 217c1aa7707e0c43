"""Auth with accounts and providers, and people who log in at them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.auth.adapters.sql import Database
from services.auth.adapters.sql_accounts import SQLAccounts
from services.auth.adapters.sql_identities import SQLIdentities
from services.auth.domain.account import Account
from services.auth.domain.provider import Identity
from shared.contract import USER_REGISTERED, USER_VERIFIED
from shared.secrets import load_blocklist_key
from tests.support.auth_workers import AuthWorkers, running_workers
from tests.support.lying_provider import CLIENT_ID, SECRET, LyingProvider, running_provider
from tests.support.page_visitor import Answer, Visitor
from tests.support.servers import make_nats, make_redis, make_secrets, start_in_thread

NAVIGATION = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
FROM_ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}


@dataclass(frozen=True)
class SocialSite:
    """*sso* may speak for acme.com and for github and facebook as well, *other* for nobody."""

    auth: AuthWorkers
    sso: LyingProvider
    other: LyingProvider
    accounts: SQLAccounts
    identities: SQLIdentities
    providers: Path

    async def leave(
        self, visitor: Visitor, name: str = "sso", *, next_: str = "", **query: str
    ) -> str:
        """Press "Continue with …": where the browser is sent."""
        wanted = "&".join(f"{k}={v}" for k, v in {**query, "next": next_}.items() if v)
        return (await visitor.get(f"/auth/oauth/{name}?{wanted}")).location

    async def log_in(
        self, visitor: Visitor, name: str = "sso", *, next_: str = "", **query: str
    ) -> Answer:
        """There and back; what the return is answered with."""
        provider = self.other if name == "other" else self.sso
        away = await self.leave(visitor, name, next_=next_, **query)
        return await visitor.get(provider.answer(away), FROM_ELSEWHERE)

    async def signed_in(self, visitor: Visitor) -> dict[str, Any] | None:
        """Who this browser is, None: nobody."""
        cookies = {c.key: c.value for c in visitor.session.cookie_jar}
        response = await self.auth.call("GET", "/auth/me", cookies=cookies)
        return await response.json() if response.status == 200 else None

    async def account(self, email: str) -> Account | None:
        """What is stored of an address."""
        return await self.accounts.by_email(email)

    async def logins(self, email: str) -> list[Identity]:
        """The logins that are linked to its account."""
        account = await self.accounts.by_email(email)
        return await self.identities.of(account.sub) if account else []

    def announced(self, sub: str) -> list[str]:
        """What was said of *sub* on the bus."""
        subjects = (USER_REGISTERED, USER_VERIFIED)
        return [s.name for s in subjects for event in self.auth.said(s) if event.sub == sub]


PROVIDERS = """\
sso:
  title: Acme
  issuer: {sso}
  authoritative: [acme.com]
other:
  title: Elsewhere
  issuer: {other}
github:
  preset: github
  issuer: {sso}/github
  endpoints: {{authorize: "{sso}/authorize", token: "{sso}/token", user: "{sso}/user", emails: "{sso}/emails"}}
facebook:
  preset: facebook
  issuer: {sso}/facebook
  endpoints: {{authorize: "{sso}/authorize", token: "{sso}/token", user: "{sso}/me"}}
"""


def write_providers(directory: Path, secrets_dir: Path, text: str, *, more: str = "") -> Path:
    """providers.yaml with every provider's secret: on this machine, and given two seconds."""
    common = f"  client_id: {CLIENT_ID}\n  allow_private: true\n  timeout: 2\n"
    blocks = text.split("\n")
    names = [line[:-1] for line in blocks if line and not line.startswith(" ")]
    filled = "\n".join(line + ("\n" + common[:-1] if line[:-1] in names else "") for line in blocks)
    path = directory / "providers.yaml"
    path.write_text(filled + more)
    (secrets_dir / "providers").mkdir(mode=0o700)
    more_names = [line[:-1] for line in more.split("\n") if line and not line.startswith(" ")]
    for name in [*names, *more_names]:
        secret = secrets_dir / "providers" / f"{name}.secret"
        secret.touch(mode=0o600)
        secret.write_text(SECRET)
    return path


@asynccontextmanager
async def running_social(
    directory: Path, *, more: str = "", **changes: Any
) -> AsyncIterator[SocialSite]:
    """Everything, ended with the block. *more* are further providers, *changes* auth's settings."""
    secrets_dir = make_secrets(directory / "secrets")
    nats, redis = make_nats(directory / "nats", secrets_dir), make_redis(directory / "redis")
    url = f"sqlite:///{directory / 'accounts.db'}"
    async with running_provider() as sso, running_provider() as other:
        text = PROVIDERS.format(sso=sso.url, other=other.url)
        settings = {
            "accounts_url": url,
            "providers": write_providers(
                directory, secrets_dir, text, more=more.replace("{url}", sso.url)
            ),
            "allow": "@acme.com,@gmail.com",
            "doors": 1,
            **changes,
        }
        for server in (nats, redis):
            await start_in_thread(server)
        try:
            await nats.provision()
            async with (
                running_workers(nats, redis, secrets_dir, **settings) as auth,
                Database(url) as database,
            ):
                accounts = SQLAccounts(database, load_blocklist_key(secrets_dir))
                yield SocialSite(
                    auth, sso, other, accounts, SQLIdentities(database), settings["providers"]
                )
        finally:
            for server in (nats, redis):
                server.kill()


def port_of(url: str) -> int:
    """The port in an address."""
    return urlsplit(url).port or 0
