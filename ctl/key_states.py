"""The life of a signing key, as pure steps of the body of the document ``keys``.

    added -> signs -> replaced -> retired          compromised, from anywhere, for ever

A key that was replaced stays accepted until the last token it can have signed has run out.
"""

from collections.abc import Sequence
from typing import Literal

from shared.documents import JWK, KeyHistory, KeysBody

State = Literal["signing", "next", "accepted", "retired", "compromised"]

# A token's life, its leeway, and a minute in which every auth has heard that another key signs.
OVERLAP_MS = (900 + 5 + 60) * 1000
# As long as a session lives: until then a browser may show an expired token of that key.
FORMER_MS = 8 * 24 * 3600 * 1000
MAX_KEYS = 60  # readers take 64


class KeyStateError(Exception):
    """This step is not allowed; the message says why and what to do."""


def from_files(keys: Sequence[JWK], sign_with: str, now_ms: int) -> KeysBody:
    """The body that says what the files say; a key that does not sign may have signed until now."""
    kids = [str(key["kid"]) for key in keys]
    times = {
        kid: KeyHistory(used_at=0, replaced_at=None if kid == sign_with else now_ms) for kid in kids
    }
    return KeysBody(keys=tuple(keys), sign_with=sign_with, history=times)


def state_of(body: KeysBody, kid: str) -> State | None:
    """Where *kid* is in its life; None when it was never there."""
    known = body.since(kid)
    if known.compromised_at is not None:
        return "compromised"
    if kid == body.sign_with:
        return "signing"
    if kid in body.kids:
        return "next" if known.used_at is None else "accepted"
    return "retired" if kid in body.history else None


def next_keys(body: KeysBody) -> list[str]:
    """Keys that are published and have never signed."""
    return [kid for kid in body.kids if state_of(body, kid) == "next"]


def next_key(body: KeysBody) -> str | None:
    """A key that is published and has never signed: a rotation is under way."""
    return next(iter(next_keys(body)), None)


def added(body: KeysBody, key: JWK, now_ms: int, generation: int) -> KeysBody:
    """Publish *key*.

    Raises:
        KeyStateError: there are too many.
    """
    kid = str(key["kid"])
    if len(body.keys) + len(body.former) >= MAX_KEYS:
        raise KeyStateError(f"there are {MAX_KEYS} keys: retire some first")
    return _changed(
        body, kid, generation, keys=(*body.keys, key), times=KeyHistory(added_at=now_ms)
    )


def switched(body: KeysBody, kid: str, now_ms: int, generation: int) -> KeysBody:
    """Sign with *kid*; the key that signed is replaced."""
    before = body.sign_with
    body = _changed(body, before, generation, times=_with(body, before, replaced_at=now_ms))
    times = _with(body, kid, used_at=now_ms)
    return _changed(body, kid, generation, times=times, sign_with=kid)


def retire_at_ms(body: KeysBody, kid: str) -> int:
    """From when on *kid* may be retired (Unix ms).

    Raises:
        KeyStateError: it cannot be at all.
    """
    state = state_of(body, kid)
    if state == "signing":
        raise KeyStateError(f"{kid} signs: rotate first")
    if state not in ("next", "accepted"):
        raise KeyStateError(f"{kid} is {state or 'not known'}")
    replaced_at = body.since(kid).replaced_at
    return 0 if replaced_at is None else replaced_at + OVERLAP_MS


def retired(body: KeysBody, kid: str, now_ms: int, generation: int) -> KeysBody:
    """Accept *kid* no more; auth still recognises whose expired token it signed."""
    mine = tuple(key for key in body.keys if key["kid"] == kid)
    former = tuple(
        key
        for key in body.former
        if (body.since(str(key["kid"])).retired_at or 0) + FORMER_MS > now_ms
    )
    signed_any = body.since(kid).used_at is not None
    return _changed(
        body,
        kid,
        generation,
        keys=_without(body.keys, kid),
        former=(*former, *mine) if signed_any else former,
        times=_with(body, kid, retired_at=now_ms),
    )


def compromised(body: KeysBody, kid: str, now_ms: int, generation: int) -> KeysBody:
    """Take *kid* out, for ever.

    Raises:
        KeyStateError: it signs; nothing could be signed after that.
    """
    if kid == body.sign_with:
        raise KeyStateError(f"{kid} signs: another key has to, first")
    return _changed(
        body,
        kid,
        generation,
        keys=_without(body.keys, kid),
        former=_without(body.former, kid),
        times=_with(body, kid, compromised_at=body.since(kid).compromised_at or now_ms),
    )


def _without(keys: tuple[JWK, ...], kid: str) -> tuple[JWK, ...]:
    return tuple(key for key in keys if key["kid"] != kid)


def _with(body: KeysBody, kid: str, **times: int) -> KeyHistory:
    return body.since(kid).model_copy(update=times)


def _changed(
    body: KeysBody, kid: str, generation: int, *, times: KeyHistory, **changes: object
) -> KeysBody:
    history = body.history | {kid: times.model_copy(update={"generation": generation})}
    return KeysBody.model_validate(body.model_dump() | {"history": history} | changes)
