"""The owner's words for middlewares: each stands for keys of the catalogue, and must agree with them.

Whoever writes ``auth-jwt`` into a service that asks nobody for anything believes that it does. So a word never
decides anything: it repeats what the keys say, and the two named limits may stand for one.
"""

import difflib
from typing import Final

from shared.catalogue.document import ServiceDocument

STANDARD: Final = "100/minute"
STRICT: Final = "20/minute"
# The owner's words for two limits.
NAMED_RATES: Final = {"standard": STANDARD, "strict": STRICT}
LIMITS: Final = {"rate-limit": STANDARD, "rate-limit-strict": STRICT}
# How the names of the gateway's own middlewares begin (`shared.traefik.routers`), whoever provides them.
OURS: Final = "latchwire"
WORDS: Final = ("auth-jwt", "auth-service", *LIMITS, "cors", "security-headers")


def own_middlewares(entry: ServiceDocument) -> tuple[str, ...]:
    """The operator's own, without the words."""
    return tuple(m for m in entry.middlewares if m not in WORDS)


def rate_of(entry: ServiceDocument) -> str | None:
    """``100/minute`` as the key says it, or a word where the key is absent; None: no limit."""
    if entry.rate_limit is not None:
        return NAMED_RATES.get(entry.rate_limit, entry.rate_limit)
    return next((LIMITS[m] for m in entry.middlewares if m in LIMITS), None)


def disagreements(entry: ServiceDocument) -> list[str]:
    """What is wrong with the words of *entry*, each with its cure."""
    found = [f"{m} stands twice: remove one" for m in sorted(_twice(entry.middlewares))]
    for word in entry.middlewares:
        problem = _disagreement(word, entry)
        if problem:
            found.append(f"{word} {problem}")
    return found


def _twice(words: list[str]) -> set[str]:
    return {word for word in words if words.count(word) > 1}


def _disagreement(word: str, entry: ServiceDocument) -> str:
    if word.lower().startswith(OURS):
        return "is a name of the gateway's own, which the keys make: remove it, or give yours another name"
    if "@" in word:
        return ""
    if word not in WORDS:
        close = difflib.get_close_matches(word, WORDS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(WORDS)}"
        return f"is no word of ours; {hint} One of your own needs its full name: {word}@file"
    if word == "auth-jwt" and not (entry.require_auth and "user" in entry.token_types):
        return "lets people in with a token: write require_auth: true and user in token_types, or remove it"
    if word == "auth-service" and not (entry.require_auth and "service" in entry.token_types):
        return "lets services in with a token: write service in token_types, or remove it"
    if word == "cors" and not entry.allowed_origins:
        return "needs allowed_origins: write the origins whose pages may call this service"
    if word == "security-headers" and not entry.security_headers:
        return "contradicts security_headers: false: remove one of them"
    return _other_limit(word, entry)


def _other_limit(word: str, entry: ServiceDocument) -> str:
    if word not in LIMITS or rate_of(entry) == LIMITS[word]:
        return ""
    return f"is {LIMITS[word]}, and this service's limit is {rate_of(entry)}: remove one of them"
