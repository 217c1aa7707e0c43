"""docs/owner-map.md: everything the owner's documents name is there, and what it is here exists."""

import argparse
import re
from collections.abc import Iterator

import pytest

from ctl.main import parser
from services.auth.http.policy import ROWS
from services.edge.http.contracts import CONTRACTS
from shared.catalogue import IDENTITY_HEADERS, schema
from shared.contract import QUESTIONS, SUBJECTS
from tests.support.servers import ROOT

PAGE = (ROOT / "docs" / "owner-map.md").read_text("utf-8")
CELLS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("|") and "---" not in line and not line.startswith("| there")
]
HERS, OURS = [row[0] for row in CELLS], [row[1] for row in CELLS]

# What the five documents name, typed off them by hand.
NAMED = (
    "POST /login", "GET /login", "POST /refresh", "POST /logout",
    "POST /auth/register", "POST /auth/login", "DELETE /auth/logout", "DELETE /auth/delete", "GET /auth/me",
    "POST /api/v1/auth/login", "POST /api/v1/auth/validate", "POST /api/v1/auth/service-token/generate",
    "POST /api/v1/auth/service-token/validate", "GET /api/v1/auth/tokens", "GET /health",
    "gateway status", "gateway tokens", "gateway generate-token", "gateway logs", "gateway logs --follow",
    "X-User-Id", "X-User-Role", "X-User-Roles", "X-User-Channel-Id", "X-User-Clerk-Id", "X-Token-Type",
    "X-Service-Name", "X-Request-Id", "user.registered",
    "auth-jwt", "auth-service", "rate-limit", "rate-limit-strict", "cors", "security-headers", "api_gateway:",
    "SERVICE_TOKEN_<NAME>", "JWT_SECRET", "JWT_EXPIRY_HOURS", "LETSENCRYPT_EMAIL", "TRAEFIK_DASHBOARD_AUTH",
)  # fmt: skip
_ROUTE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/\S+)")
_ADMIN = {"/health", "/ready", "/metrics"}


def spans() -> list[str]:
    """Everything in code spans that is said to be here."""
    return [span for cell in OURS for span in re.findall(r"`([^`]+)`", cell)]


def words_of(top: argparse.ArgumentParser, words: list[str]) -> Iterator[str]:
    """The words of a command that nobody has registered."""
    for word in words:
        if word.startswith("--"):
            if word not in top._option_string_actions:
                yield word
            continue
        commands = [a for a in top._actions if isinstance(a, argparse._SubParsersAction)]
        if not commands or word not in commands[0].choices:
            yield word
            return
        top = commands[0].choices[word]


def exists(span: str) -> bool:
    """Whether what *span* names is there."""
    route = _ROUTE.fullmatch(span)
    if route is not None:
        return (route[1], route[2]) in ROWS
    if span.startswith("/check/"):
        return span.removeprefix("/check/") in {contract.proxy for contract in CONTRACTS}
    if span.startswith("latchwire "):
        return not list(words_of(parser(), span.split()[1:]))
    if span.startswith("X-"):
        own = {*IDENTITY_HEADERS, "X-Request-Id", "X-CSRF-Token"}
        return span in own
    if "." in span and "/" not in span:
        return span in {s.name for s in SUBJECTS} | {q.name for q in QUESTIONS}
    if span.startswith("/"):
        return span in _ADMIN
    if "/" in span:
        return (ROOT / span).exists()
    return span.rstrip(":") in str(schema())


@pytest.mark.parametrize("span", sorted(set(spans())))
def test_what_the_page_says_is_here_is_here(span: str) -> None:
    """Routes in the table of policies, commands in the parser, subjects in the contract, keys in the schema."""
    assert exists(span)


def test_nothing_of_the_documents_is_left_out() -> None:
    """Each of their routes, commands, headers, events, middlewares and variables has a line."""
    there = {span for cell in HERS for span in re.findall(r"`([^`]+)`", cell)}
    assert [
        name for name in NAMED if not any(s == name or s.startswith(f"{name}?") for s in there)
    ] == []


@pytest.mark.parametrize(
    "made_up",
    [
        "POST /auth/nothing",
        "/check/apache",
        "latchwire gateway dance",
        "X-Who",
        "user.sneezed",
        "auth_jwt",
    ],
)
def test_the_look_up_notices_what_is_not_there(made_up: str) -> None:
    """Else the first test could not fail."""
    assert not exists(made_up)
