"""What every message shares: frozen, strict types, bounded text, no input in an error's text."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_TIME_MS = 4_102_444_800_000  # 2100-01-01: a larger number is a mistake, not a time

Millis = Annotated[int, Field(ge=0, le=MAX_TIME_MS)]
ShortText = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]
Identifier = Annotated[
    str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")
]
ULID_PATTERN = r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
ULID = Annotated[str, StringConstraints(pattern=ULID_PATTERN)]


class Message(BaseModel):
    """A request, a reply or an event."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def __repr_args__(self) -> Any:
        """No values: a message in a traceback or a log line would carry an address."""
        return []


class Event(Message):
    """A fact on a stream: *id* is its ULID and its ``Nats-Msg-Id``, *at* its time in Unix ms."""

    id: ULID
    at: Millis
