"""The documents that auth follows: keys and catalogue of the operator, and who else hangs on to them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from latchwire.documents import CATALOGUE, EDGES, KEYS, Documents, OnTokens
from latchwire.keys import KeyRing
from services.auth.adapters.edge_keys import EdgeKeys
from services.auth.adapters.live_catalogue import LiveCatalogue
from services.auth.adapters.pyjwt_tokens import PyJWTTokens
from services.auth.settings import AuthSettings
from shared.bus import Bus
from shared.lifecycle import Runtime
from shared.secrets import load_operator_keys


@dataclass(frozen=True)
class Followed:
    """The one `Documents` of auth, and what it keeps current."""

    documents: Documents
    catalogue: LiveCatalogue
    edge_keys: EdgeKeys


def follow_documents(
    settings: AuthSettings,
    runtime: Runtime,
    bus: Bus,
    access_tokens: PyJWTTokens,
    *,
    on_tokens: OnTokens | None = None,
    signers: Callable[[], KeyRing] | None = None,
) -> Followed:
    """Everything auth takes from the stream DOCUMENT; what is refused of it is said in /ready.

    Raises:
        SecretsError: the operators' public keys are missing, or the edges' cannot be used.
    """
    catalogue = LiveCatalogue.load(settings.catalogue)
    edge_keys = EdgeKeys.load(settings.secrets_dir)
    documents = Documents(
        load_operator_keys(settings.secrets_dir),
        on_keys=access_tokens.follow,
        on_catalogue=catalogue.follow,
        on_edges=edge_keys.follow,
        on_tokens=on_tokens,
        signers=signers,
        api_prefix=bus.api_prefix,
    )
    for name in (KEYS, CATALOGUE, EDGES):
        runtime.health.note(f"{name} document", partial(documents.problems.get, name))
    runtime.health.note("catalogue file", catalogue.not_used)
    return Followed(documents, catalogue, edge_keys)
