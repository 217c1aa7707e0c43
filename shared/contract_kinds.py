"""The kinds of row the contract has: who speaks, on what, kept where. The rows are in `shared.contract`."""

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from shared.messages.base import Message

M = TypeVar("M", bound=Message)
R = TypeVar("R", bound=Message)


class Role(StrEnum):
    """Who holds a credential on the bus."""

    AUTH = "auth"
    MAILER = "mailer"
    REVOCATION = "revocation"
    EDGE = "edge"
    OPERATOR = "operator"
    SERVICE = "service"  # another team's: reads the feed, revokes within its row of revokers.yaml
    PROVISIONER = "provisioner"


@dataclass(frozen=True)
class Subject(Generic[M]):
    """A subject bound to the one model that may travel on it.

    With both `encode` and `decode` the type is invariant in M, so a type checker refuses to publish
    one subject's model on another.
    """

    name: str
    model: type[M]
    producers: tuple[Role, ...]
    consumers: tuple[Role, ...]
    stored: bool = True
    # The field that has to equal the subject's last token: permissions bind the subject, not the body.
    spoken_by: str | None = None

    def spoken_truly(self, name: str, message: M) -> bool:
        """Whether *message*, heard on *name*, speaks for nobody else."""
        return self.spoken_by is None or getattr(message, self.spoken_by) == name.rsplit(".", 1)[1]

    def encode(self, message: M) -> bytes:
        """The body as JSON; fields that are None are left out."""
        return message.model_dump_json(exclude_none=True).encode()

    def decode(self, body: bytes) -> M:
        """The model of *body*; unknown fields are ignored.

        Raises:
            pydantic.ValidationError: the body is not this subject's model.
        """
        return self.model.model_validate_json(body, extra="ignore")

    def of(self, token: str) -> "Subject[M]":
        """This subject with its trailing wildcard filled in by *token*."""
        name = f"{self.name.removesuffix('.>').removesuffix('.*')}.{token}"
        return replace(self, name=name)


@dataclass(frozen=True)
class Question(Generic[M, R]):
    """A request/reply subject on core NATS: *asks* may publish it, *answers* subscribe to it."""

    name: str
    model: type[M]
    reply: type[R]
    asks: tuple[Role, ...]
    answers: tuple[Role, ...]

    def of(self, token: str) -> "Question[M, R]":
        """This question with its trailing wildcard filled in by *token*: to one of those who answer."""
        return replace(self, name=f"{self.name.removesuffix('.*')}.{token}")


@dataclass(frozen=True)
class Stream:
    """A JetStream stream as the provisioner must find it. Sizes in bytes."""

    name: str
    subjects: tuple[str, ...]
    max_age: timedelta | None
    max_bytes: int
    max_msg_size: int = 64 * 1024
    last_per_subject: bool = False
    per_subject: int = -1  # messages kept of each subject; -1: any number
    direct: bool = False  # may be read by direct get, and a message may have a life of its own
    discard_old: bool = False  # when full, forget the oldest instead of refusing the newest
    republish_to: str | None = None


@dataclass(frozen=True)
class Durable:
    """A pull consumer as the provisioner must find it. *ack_wait* in seconds."""

    name: str
    stream: Stream
    filter_subject: str
    role: Role
    ack_wait: float = 30.0
    max_ack_pending: int = 1000
