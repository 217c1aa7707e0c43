"""What can go wrong on the bus, and how a handler says what should happen to its message."""


class BusUnavailableError(Exception):
    """NATS did not acknowledge in time."""


class NoAnswerError(Exception):
    """Nobody answered the question in time."""


class Retry(Exception):
    """Deliver this message again after *after* seconds."""

    def __init__(self, after: float, reason: str) -> None:
        super().__init__(reason)
        self.after = after
        self.reason = reason


class Reject(Exception):
    """No retry can help: copy this message to the dead letters and end it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Pause(Exception):
    """Stop delivering to this consumer, in every process, for *seconds*; then deliver this again."""

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.seconds = seconds
        self.reason = reason
