"""The composition root of logins at providers: imported only where accounts are switched on."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.auth.adapters.oauth2_provider import OAuth2Provider
from services.auth.adapters.oidc_provider import OIDCProvider
from services.auth.adapters.outbound import Outbound
from services.auth.adapters.providers_file import load_providers
from services.auth.adapters.sql import Database
from services.auth.adapters.sql_identities import SQLIdentities
from services.auth.domain.provider import ProviderConfig
from services.auth.flows.identities import IdentityFlow
from services.auth.flows.social import SocialFlow
from services.auth.flows.subjects import Deliver
from services.auth.ports.accounts import Accounts, Subjects
from services.auth.ports.providers import Provider
from services.auth.settings import AuthSettings
from services.auth.wiring.parts import Core, Ports
from shared.clock import Clock
from shared.lifecycle import Runtime


@dataclass(frozen=True)
class Social:
    """Logging in at a provider, and the logins that are linked to an account."""

    social: SocialFlow
    identities: IdentityFlow


async def open_social(
    settings: AuthSettings,
    runtime: Runtime,
    ports: Ports,
    core: Core,
    database: Database,
    accounts: Accounts,
    subjects: Subjects,
    deliver: Deliver,
) -> Social:
    """The flows over the providers of the file. Raises: ProvidersFileError."""
    providers = await open_providers(settings, runtime)
    identities = SQLIdentities(database)
    linking = IdentityFlow(
        providers=providers,
        identities=identities,
        handshakes=ports.handshakes,
        accounts=accounts,
        deliver=deliver,
        keys=ports.keys,
        clock=ports.clock,
        ids=ports.ids,
    )
    social = SocialFlow(
        providers=providers,
        handshakes=ports.handshakes,
        identities=identities,
        accounts=accounts,
        attempts=ports.attempts,
        sessions=ports.sessions,
        subjects=subjects,
        asking=core.asking,
        opening=core.opening,
        linking=linking,
        events=ports.events,
        allow=settings.allow_list,
        network=settings.rates[1],
        clock=ports.clock,
        ids=ports.ids,
    )
    return Social(social, linking)


async def open_providers(settings: AuthSettings, runtime: Runtime) -> Mapping[str, Provider]:
    """Every provider of the file, with a way out that fits it. Nothing is asked of one before it is needed."""
    made: dict[str, Provider] = {}
    needed = settings.names("providers")
    for config in load_providers(settings.providers, settings.secrets_dir, needed=needed):
        # Half of a login's time for each request: keys that hang still leave time to go on with those we have.
        http = Outbound(allow_private=config.allow_private, seconds=config.seconds / 2)
        made[config.name] = _provider(
            config, settings.url, await runtime.enter(http), runtime.clock
        )
    return made


def _provider(config: ProviderConfig, url: str, http: Outbound, clock: Clock) -> Provider:
    redirect_uri = f"{url}/auth/oauth/{config.name}/callback"  # one for each: RFC 9700 §4.4.2.2
    if config.kind == "oidc":
        return OIDCProvider(config, redirect_uri, http, clock)
    return OAuth2Provider(config, redirect_uri, http)
