"""What keeps a feed from proving anything, in its log: when it begins, becomes another, and is over."""

import logging

_log = logging.getLogger("latchwire.feed")


class Trouble:
    """The last thing that was said."""

    def __init__(self) -> None:
        self.said = ""

    def say(self, trouble: str) -> None:
        """Log *trouble*, "" for none, unless that is what was said last."""
        if trouble != self.said:
            level = logging.WARNING if trouble else logging.INFO
            _log.log(level, "feed.trouble %s", trouble or "-")
            self.said = trouble
