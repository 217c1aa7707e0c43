"""What is replicated beside the blocklist: it shares the feed's connection and its proof of freshness."""

from typing import Protocol

from nats.aio.client import Client


class Companion(Protocol):
    """Something else that an edge must know to be current, kept in the stream DOCUMENT.

    The feed starts it with its own subscription and, before it takes an answer to a probe as a proof, has it
    catch up with that answer: so freshness covers both.
    """

    @property
    def seq(self) -> int:
        """The stream sequence up to which everything is applied."""
        ...

    async def start(self, client: Client) -> None:
        """Subscribe over *client*; called again after `stop` only."""
        ...

    async def stop(self) -> None:
        """Unsubscribe; what is known stays."""
        ...

    async def catch_up(self, seq: int) -> None:
        """Read on until `seq` is at least *seq*; less than `seq` may mean another stream than it was.

        Raises:
            latchwire.feed.FeedReadError: it could not be read just now; there is no proof then.
        """
        ...
