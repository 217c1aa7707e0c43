"""People with an account: what is kept of them, and what a token may say of them.

An address is *proven* by a link, a code, or a provider that speaks for it. Nothing that is not proven opens a
session: a password that came with a registration waits, bound to that registration's mail, until the address
is proven by that very mail; any other proof throws it away (whoever registers a stranger's address gains
nothing, GHSA "pre-hijacking").
"""

import hmac
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Account:
    """An account as stored. Times in Unix ms; *sub* is its id for ever. ``password_hash`` "": none."""

    sub: str
    email: str
    created_at_ms: int
    verified_at_ms: int | None = None
    blocked_at_ms: int | None = None
    password_hash: str = field(default="", repr=False)


@dataclass(frozen=True)
class Registration:
    """A password that waits for the proof of its address, by the mail of the attempt *login_id*."""

    login_id: str
    expires_at_ms: int
    password_hash: str = field(repr=False)


@dataclass(frozen=True)
class Rights:
    """What the store knows for a token, read in one step.

    *org_roles* is None where the person is no member of the organisation that was asked about (or it is gone);
    *installation_roles* are those an operator granted.
    """

    account: Account
    installation_roles: tuple[str, ...] = ()
    org_roles: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Standing:
    """What a token may say of a person now. *org* is the active organisation, "" for none."""

    sub: str
    email: str
    org: str = ""
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()


def email_hash(key: bytes, email: str) -> str:
    """The name under which the store remembers a canonical address that it must not keep: 64 hex digits."""
    return hmac.digest(key, f"account/v1|{email}".encode(), "sha256").hex()
