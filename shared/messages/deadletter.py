"""``deadletter.<subject>``: a message that no retry can help, kept for an operator."""

from shared.messages.base import Event, ShortText


class DeadLetter(Event):
    """Where it came from and why it stopped.

    *payload* is the original text when it decoded as the contract's model; of anything else only
    *payload_sha256* and *payload_bytes* are kept, because it could be or hold a secret.
    """

    subject: ShortText
    stream: ShortText
    sequence: int
    consumer: ShortText
    deliveries: int
    reason: ShortText
    payload: str | None = None
    payload_sha256: ShortText
    payload_bytes: int
