"""How facts are put into a person's words."""

import pytest

from services.auth.domain.client import Client
from services.auth.pages import phrases

NOW = 1_700_000_000_000
LAPTOP = Client(network="192.0.2.0/24", user_agent="Firefox on Linux")


@pytest.mark.parametrize(
    ("past_ms", "said"),
    [
        (-5_000, "just now"),
        (59_999, "just now"),
        (60_000, "1 minute ago"),
        (3 * 60_000 + 59_000, "3 minutes ago"),
        (3_600_000, "1 hour ago"),
        (47 * 3_600_000, "47 hours ago"),
        (48 * 3_600_000, "2 days ago"),
    ],
)
def test_the_past_is_rounded_down_and_the_future_is_now(past_ms: int, said: str) -> None:
    """It is "3 minutes ago" until it is four; a clock that is ahead gives no "-1 minutes"."""
    assert phrases.ago(NOW - past_ms, NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "a minute"), (60, "a minute"), (61, "2 minutes")]
)
def test_a_wait_is_never_told_shorter_than_it_is(seconds: float, said: str) -> None:
    """Who waits as long as told is not refused again."""
    assert phrases.wait(seconds) == said


def test_the_origin_of_a_request_is_one_phrase() -> None:
    """The sentence of the page "Was this you?"."""
    said = phrases.origin(NOW - 180_000, NOW, LAPTOP)

    assert said == "3 minutes ago, from Firefox on Linux, network 192.0.2.0/24"


def test_what_is_not_known_is_left_out_or_said() -> None:
    """No "from , network " for a client that told nothing."""
    assert phrases.origin(NOW, NOW, Client()) == "just now, from an unknown browser"


@pytest.mark.parametrize(
    ("left_ms", "said"),
    [
        (-5_000, "less than a minute"),
        (59_999, "less than a minute"),
        (60_000, "1 minute"),
        (3_599_999, "59 minutes"),
        (3_600_000, "1 hour"),
        (2 * 86_400_000 - 1, "47 hours"),
        (90 * 86_400_000 - 1, "89 days"),
    ],
)
def test_a_token_is_never_said_to_live_longer_than_it_does(left_ms: int, said: str) -> None:
    """Who makes the next one before that is in time."""
    made = phrases.token_times(NOW - 2 * 86_400_000, NOW + left_ms, NOW)

    assert made == f"Made 2 days ago, runs out in {said}"


@pytest.mark.parametrize(
    ("uses", "said"),
    [
        ({"t": NOW - 180_000, "u": NOW}, "Last used 3 minutes ago"),
        ({"u": NOW}, "Not used yet"),
        (None, "When it was last used cannot be said now"),
    ],
)
def test_a_token_that_is_not_known_to_be_used_is_not_said_to_be_unused(
    uses: dict[str, int] | None, said: str
) -> None:
    """What was used is kept in Redis, which can be away."""
    assert phrases.last_used(uses, "t", NOW) == said


def test_a_session_is_told_by_when_it_began_and_was_used() -> None:
    """A person recognises an old session by these."""
    said = phrases.session_times(NOW - 2 * 86_400_000, NOW, NOW)

    assert said == "Signed in 2 days ago, last used just now"
