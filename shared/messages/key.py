"""What happened to signing keys."""

from typing import Literal

from shared.messages.base import Event, Identifier, ShortText


class KeyRotated(Event):
    """``key.rotated``: *kid* was ``added`` (published, not used yet), is ``used`` to sign from now on, was

    ``retired`` (its last token has expired) or ``compromised`` (its tokens are refused). *generation* is
    that of the keys document.
    """

    kid: Identifier
    change: Literal["added", "used", "retired", "compromised"]
    generation: int
    actor: ShortText = "operator"
