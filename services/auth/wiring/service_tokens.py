"""What service tokens stand on, and what is done with them beside requests."""

from latchwire.feed import RevocationFeed
from services.auth.adapters.document_registers import DocumentRegisters
from services.auth.adapters.live_tokens import LiveTokens
from services.auth.adapters.pyjwt_tokens import PyJWTTokens
from services.auth.adapters.redis_scripts import Scripts
from services.auth.adapters.redis_token_uses import RedisTokenUses
from services.auth.flows.service_tokens import ServiceTokenFlow
from services.auth.flows.token_keeper import TokenKeeper
from services.auth.flows.token_reader import TokenReader
from services.auth.handlers.service_tokens import answer_service_tokens
from services.auth.ports.service_tokens import Organisations, ServiceTokenPorts
from services.auth.settings import AuthSettings
from services.auth.wiring.parts import Ports
from shared.bus import Bus
from shared.bus.documents import DocumentStore
from shared.lifecycle import Runtime


def service_token_ports(
    bus: Bus, live: LiveTokens, signer: PyJWTTokens, scripts: Scripts, runtime: Runtime
) -> ServiceTokenPorts:
    """The document on *bus*, its copy in memory, and the uses in Redis."""
    store = DocumentStore(bus.client, bus.js)
    registers = DocumentRegisters(store, signer, live, runtime.clock)
    return ServiceTokenPorts(registers, live, RedisTokenUses(scripts))


def make_service_tokens(settings: AuthSettings, ports: Ports) -> ServiceTokenFlow:
    """The one place that changes the register."""
    own = ports.service_tokens
    reader = TokenReader(own.known, ports.revocations, settings.url, settings.audience, ports.clock)
    return ServiceTokenFlow(
        reader=reader,
        registers=own.registers,
        uses=own.uses,
        revocations=ports.revocations,
        events=ports.events,
        clock=ports.clock,
        ids=ports.ids,
    )


async def keep_service_tokens(
    runtime: Runtime,
    bus: Bus,
    feed: RevocationFeed,
    tokens: ServiceTokenFlow,
    orgs: Organisations | None,
) -> None:
    """Answer operators, hear edges, and mark what is revoked by anybody, or with its organisation."""
    keeper = TokenKeeper(tokens, orgs)
    feed.on_applied.append(lambda _key, _record: keeper.wake())
    runtime.spawn("service tokens", keeper.run(runtime.stopping), drains=False)
    await answer_service_tokens(bus, tokens)
