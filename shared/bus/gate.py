"""Who decides what becomes of messages nobody should have sent, when they are too many to keep."""

from typing import Protocol

from shared.bus.consumer import Delivery


class Gate(Protocol):
    """Asked about each message, often tens of thousands of times a second."""

    def turns_away(self, delivery: Delivery) -> bool:
        """Whether it is ended unread, without a dead letter: where it came from says enough."""
        ...

    def keeps(self, delivery: Delivery) -> bool:
        """Whether this one, which was refused, becomes a dead letter; else it is ended without."""
        ...


class OpenGate:
    """Everything is read, and whatever is refused is kept."""

    def turns_away(self, _delivery: Delivery) -> bool:
        return False

    def keeps(self, _delivery: Delivery) -> bool:
        return True
