"""Whom an operator names to revoke, read strictly: an event that names nobody would be stored for nothing."""

import re

from pydantic import ValidationError

from shared.emails import InvalidEmailError, canonical_subject
from shared.messages import RevocationScope, TokenRevoked
from shared.messages.token import ID_FIELD

SCOPES: dict[str, RevocationScope] = {
    "session": "session",
    "person": "subject",
    "token": "token",
    "service": "service",
    "key": "key",
}
_MAX = 255
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)
_WHOLE_TOKEN = re.compile(r"[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
_PLAIN = re.compile(r"[!-~]+", re.ASCII)


class TargetError(ValueError):
    """What was given names nobody; the message is the cure, and repeats nothing that may be a secret."""


def revocation_of(what: str, given: list[str], reason: str) -> TokenRevoked:
    """The event that revokes the *what* that is named by *given*.

    Its time and its watermark are left to the worker: this machine's clock is nobody's business.

    Raises:
        TargetError: none, several, or not that kind of id; or a reason that cannot be kept.
    """
    if len(given) != 1:
        raise TargetError("one id at a time: run it once for each")
    _check_text("reason", reason, "say why in a few words: it is kept with the event")
    identifier = given[0].strip()
    if _WHOLE_TOKEN.fullmatch(identifier):
        raise TargetError(
            "that is a token, and an argument shows in the process list: give its jti "
            "(`latchwire explain --token-stdin` reads a token)"
        )
    scope = SCOPES[what]
    try:
        return TokenRevoked.model_validate(
            {
                "scope": scope,
                ID_FIELD[scope]: _identifier(what, identifier),
                "reason": reason,
                "actor": "operator",
            }
        )
    except ValidationError:
        raise TargetError("the id cannot be kept: is it complete?") from None


def _identifier(what: str, given: str) -> str:
    if what == "person":
        return _person(given)
    if what in ("session", "token"):
        if not _ULID.fullmatch(given):
            raise TargetError(
                f"a {what} is named by its {ID_FIELD[what]}: 26 digits and capital letters, "
                "as `explain` shows it"
            )
        return given
    if not _PLAIN.fullmatch(given) or len(given) > _MAX:
        cure = "its kid, as jwks.json shows it" if what == "key" else "its client_id"
        raise TargetError(f"a {what} is named by {cure}: no spaces, {_MAX} characters at most")
    return given


def _person(given: str) -> str:
    _check_text("id", given, "give an address like ada@example.com, or an account id")
    try:
        return canonical_subject(given)
    except InvalidEmailError as error:
        raise TargetError(
            f"that is not one plain address like ada@example.com ({error.code})"
        ) from None


def _check_text(name: str, text: str, cure: str) -> None:
    if not text.strip():
        raise TargetError(f"the {name} is empty: {cure}")
    if len(text) > _MAX:
        raise TargetError(f"the {name} is longer than {_MAX} characters: {cure}")
    if not text.isprintable():
        raise TargetError(f"the {name} has control characters in it: {cure}")
