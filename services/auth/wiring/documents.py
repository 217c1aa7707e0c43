"""The documents that auth follows: keys and catalogue of the operator, and who else hangs on to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from latchwire.documents import CATALOGUE, EDGES, KEYS, TOKENS, Documents
from services.auth.adapters.edge_keys import EdgeKeys
from services.auth.adapters.live_catalogue import LiveCatalogue
from services.auth.adapters.live_tokens import LiveTokens
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
    tokens: LiveTokens


def follow_documents(
    settings: AuthSettings,
    runtime: Runtime,
    bus: Bus,
    access_tokens: PyJWTTokens,
) -> Followed:
    """Everything auth takes from the stream DOCUMENT; what is refused of it is said in /ready.

    Raises:
        SecretsError: the operators' public keys are missing, or the edges' cannot be used.
    """
    catalogue = LiveCatalogue.load(settings.catalogue)
    edge_keys = EdgeKeys.load(settings.secrets_dir)
    tokens = LiveTokens(runtime.clock)

    def on_keys(body: Mapping[str, Any], generation: int) -> None:
        access_tokens.follow(body, generation)
        documents.judge_again()  # service tokens may have waited for the key that signs them

    documents = Documents(
        load_operator_keys(settings.secrets_dir),
        on_keys=on_keys,
        on_catalogue=catalogue.follow,
        on_edges=edge_keys.follow,
        on_tokens=tokens.follow,
        signers=lambda: access_tokens.recognised,
        api_prefix=bus.api_prefix,
    )
    tokens.waits = partial(documents.is_waiting, TOKENS)
    for name in (KEYS, CATALOGUE, EDGES, TOKENS):
        runtime.health.note(f"{name} document", partial(documents.problems.get, name))
    runtime.health.note("catalogue file", catalogue.not_used)
    return Followed(documents, catalogue, edge_keys, tokens)
