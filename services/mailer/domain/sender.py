"""Whether the mail server wants our mail at all: what ``/ready`` says about it.

Trouble is forgotten by itself a while after the pause it caused: with several mailers another one may
have found out that it is over.
"""

from shared.emails import limit_address

STRIKES = 3  # conversations in a row that did not come about, before it is said
REFUSED_TEXTS = (
    3  # different recipients in a row whose mail was refused for its text, before it is about us
)


class SenderHealth:
    """The last word on the mail server, kept by one process. Times in ms, monotonic."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._until_ms = 0
        self._strikes = 0
        self._refused_texts: set[str] = set()

    def text_refused(self, recipient: str) -> bool:
        """The server refused the text of a mail to *recipient*; whether that is about us.

        One recipient's own filter may do that as often as somebody types the address, and must not stop
        the others' mail.
        """
        if len(self._refused_texts) < REFUSED_TEXTS:
            self._refused_texts.add(limit_address(recipient))
        return len(self._refused_texts) >= REFUSED_TEXTS

    def accepted(self) -> None:
        """The server took a mail."""
        self._refused_texts.clear()
        self.answered()

    def refused(self, reason: str, until_ms: int) -> None:
        """The server refuses us; *until_ms* is when that is no longer news."""
        self._reason = reason
        self._until_ms = until_ms

    def unreachable(self, until_ms: int) -> None:
        """A conversation did not come about."""
        self._strikes += 1
        if self._strikes >= STRIKES:
            self.refused("the mail server does not answer", until_ms)

    def answered(self) -> None:
        """The server judged one recipient: it talks to us."""
        self._reason = None
        self._strikes = 0

    def problem(self, now_ms: int) -> str | None:
        """What is wrong, or None."""
        return self._reason if now_ms < self._until_ms else None
