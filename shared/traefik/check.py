"""``forwardAuth``: the question to the edge, and which of its answer's headers the service gets."""

from collections.abc import Iterable
from typing import Any, Final

from shared.catalogue.headers import IDENTITY_HEADERS as IDENTITY_HEADERS

# All that a decision may depend on. X-Forwarded-* are Traefik's own and always sent.
CHECK_HEADERS: Final = (
    "Accept",
    "Access-Control-Request-Method",
    "Authorization",
    "Cookie",
    "Origin",
    "Referer",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "Sec-WebSocket-Key",
    "Traceparent",
    "X-CSRF-Token",
    "X-Latchwire-Assertion",  # of a service that passes a person on; counts beside its own token alone
    "X-Request-Id",
    "X-Requested-With",
)
# The edge's answers are short; one that is not is not the edge's.
MAX_ANSWER_BYTES: Final = 4096


def forward_auth(edge: str, chosen: str, own: Iterable[str] = ()) -> dict[str, Any]:
    """The middleware of one service: ask the edge at *edge* (a URL without a path) about each request.

    *chosen*: the service's name, or the stamp of its entry (`shared.catalogue.stamp_of`).

    *own*: the names of the service's own headers, beside the usual ones. Traefik deletes a client's own before
    it sets those of the answer; what is not listed it would let pass.
    """
    names = (*IDENTITY_HEADERS, *own)
    return {
        "address": f"{edge}/check/traefik/{chosen}",
        # What a client says about the original request is dropped, aliases with _ too.
        "trustForwardHeader": False,
        "authRequestHeaders": list(CHECK_HEADERS),
        "authResponseHeaders": list(names),
        "authResponseHeadersRegex": aliases_of(names),
        "maxResponseBodySize": MAX_ANSWER_BYTES,
    }


def aliases_of(names: Iterable[str]) -> str:
    """*names* in every spelling that CGI-like upstreams fold into one (X.User_Id, X~User~Id): deleted too."""
    return "(?i)^(" + "|".join(name.replace("-", "[^A-Za-z0-9]") for name in names) + ")$"
