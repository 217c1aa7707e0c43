"""How facts are put into a person's words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.pages import phrases

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0 Safari/537.36"
EDGE = CHROME + " Edg/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1"
MAC = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15"
)
ANDROID = (
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36"
)


@pytest.mark.parametrize(
    ("user_agent", "said"),
    [
        (FIREFOX, "Firefox on Linux"),
        (CHROME, "Chrome on Windows"),
        (EDGE, "Edge on Windows"),
        (SAFARI, "Safari on iPhone"),
        (MAC, "Safari on macOS"),
        (ANDROID, "Chrome on Android"),
        ("curl/8.5.0", "curl"),
        ("Firefox on Linux", "Firefox on Linux"),
        ("", "an unknown device"),
        ("\u202e<script>/1", "script"),
    ],
)
def test_a_browser_is_named_as_its_owner_would(user_agent: str, said: str) -> None:
    """A person recognises "Firefox on Linux" and nobody recognises a user agent."""
    assert phrases.device(user_agent) == said


@given(st.text(max_size=300))
def test_no_user_agent_puts_a_sentence_or_an_address_into_the_page(user_agent: str) -> None:
    """What a client says of itself stays short and free of marks that make a link or a tag."""
    said = phrases.device(user_agent)

    assert 0 < len(said) <= 60
    assert not set(said) & set("<>\"'&:/\\@\n\r")


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
    """ "3 minutes ago" until it is four; a clock that is ahead gives no "-1 minutes"."""
    assert phrases.ago(1_700_000_000_000 - past_ms, 1_700_000_000_000) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "a minute"), (60, "a minute"), (61, "2 minutes")]
)
def test_a_wait_is_never_told_shorter_than_it_is(seconds: float, said: str) -> None:
    """Who waits as long as told is not refused again."""
    assert phrases.wait(seconds) == said


def test_the_origin_of_a_request_is_one_phrase() -> None:
    """The sentence of the page "Was this you?"."""
    said = phrases.origin(0, 180_000, user_agent=FIREFOX, network="192.0.2.0/24")

    assert said == "3 minutes ago, from Firefox on Linux, network 192.0.2.0/24"
