"""The documents that auth follows: keys and catalogue of the operator, and who else hangs on to them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from latchwire.documents import CATALOGUE, KEYS, Documents, OnKeys, OnTokens
from latchwire.keys import KeyRing
from services.auth.adapters.live_catalogue import LiveCatalogue
from services.auth.adapters.pyjwt_tokens import PyJWTTokens
from services.auth.settings import AuthSettings
from shared.bus import Bus
from shared.lifecycle import Runtime
from shared.secrets import load_operator_keys


@dataclass(frozen=True)
class Followed:
    """The one `Documents` of auth, and the catalogue it keeps current."""

    documents: Documents
    catalogue: LiveCatalogue


def follow_documents(
    settings: AuthSettings,
    runtime: Runtime,
    bus: Bus,
    access_tokens: PyJWTTokens,
    *,
    on_edges: OnKeys | None = None,
    on_tokens: OnTokens | None = None,
    signers: Callable[[], KeyRing] | None = None,
) -> Followed:
    """Everything auth takes from the stream DOCUMENT; what is refused of it is said in /ready.

    Raises:
        SecretsError: the operators' public keys are missing.
    """
    catalogue = LiveCatalogue.load(settings.catalogue)
    documents = Documents(
        load_operator_keys(settings.secrets_dir),
        on_keys=access_tokens.follow,
        on_catalogue=catalogue.follow,
        on_edges=on_edges,
        on_tokens=on_tokens,
        signers=signers,
        api_prefix=bus.api_prefix,
    )
    for name in (KEYS, CATALOGUE):
        runtime.health.note(f"{name} document", partial(documents.problems.get, name))
    runtime.health.note("catalogue file", catalogue.not_used)
    return Followed(documents, catalogue)
