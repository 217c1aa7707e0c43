"""W3C Trace Context: what is read, what is refused, and what goes on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.mailer.mails import MailWriter
from shared.log import add_trace
from shared.trace import (
    Trace,
    bound_trace,
    current_trace,
    good_request_id,
    make_trace,
    onwards,
    parse_traceparent,
    trace_of,
    within,
)
from tests.support.fakes.ids import FakeIds
from tests.support.mailer import login, mail_writer
from tests.support.properties import damaged

NOW = 1_795_312_000_000
ID, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{ID}-{SPAN}-01"

READ = {
    "the standard's own example": (GOOD, 1),
    "not sampled": (f"00-{ID}-{SPAN}-00", 0),
    "the random flag of level 2": (f"00-{ID}-{SPAN}-03", 3),
    "flags nobody knows are not passed on": (f"00-{ID}-{SPAN}-ff", 3),
    "a later version": (f"01-{ID}-{SPAN}-01", 1),
    "a later version that says more": (f"cc-{ID}-{SPAN}-01-what-the-future-will-be-like", 1),
    "a later version that ends in a hyphen": (f"cc-{ID}-{SPAN}-01-", 1),
}
IGNORED = {
    "nothing": "",
    "version ff": f"ff-{ID}-{SPAN}-01",
    "version 00 with more": GOOD + "-extra",
    "version 00 with a hyphen": GOOD + "-",
    "a later version without a hyphen": f"cc-{ID}-{SPAN}-01.what",
    "a trace of zeros": f"00-{'0' * 32}-{SPAN}-01",
    "a span of zeros": f"00-{ID}-{'0' * 16}-01",
    "upper case": GOOD.upper(),
    "upper case version": f"0A-{ID}-{SPAN}-01",
    "a short trace": f"00-{ID[:-1]}-{SPAN}-01",
    "a long span": f"00-{ID}-{SPAN}0-01",
    "no hex": f"00-{ID[:-1]}g-{SPAN}-01",
    "no flags": f"00-{ID}-{SPAN}",
    "one digit of flags": f"00-{ID}-{SPAN}-1",
    "space before": " " + GOOD,
    "space behind": GOOD + " ",
    "a line behind": GOOD + "\n",
    "two joined": f"{GOOD},{GOOD}",
    "digits of other scripts": f"00-{ID[:-1]}٣-{SPAN}-01",
    "without end": f"cc-{ID}-{SPAN}-01-" + "a" * 10_000,
}


@pytest.mark.parametrize(("text", "flags"), READ.values(), ids=READ)
def test_what_the_standard_accepts_is_read(text: str, flags: int) -> None:
    """The trace's id, the caller's step, and the flags with a meaning."""
    assert parse_traceparent(text) == Trace(ID, SPAN, flags)


@pytest.mark.parametrize("text", IGNORED.values(), ids=IGNORED)
def test_what_the_standard_ignores_begins_a_new_trace(text: str) -> None:
    """Nobody's malformed header becomes part of a log line or a message."""
    assert parse_traceparent(text) is None


@given(st.text() | damaged(GOOD) | damaged(f"cc-{ID}-{SPAN}-01-more"))
def test_no_text_is_an_error_and_what_is_read_can_be_written(text: str) -> None:
    """Whatever comes in: nothing, or a trace that is itself well formed."""
    found = parse_traceparent(text)

    assert found is None or parse_traceparent(found.traceparent) == found


@given(st.integers(0, 2**48 - 1), st.text(min_size=1))
def test_every_trace_that_is_made_is_well_formed(now_ms: int, seed: str) -> None:
    """Made or gone on with, it reads as the same trace."""
    ids = FakeIds(seed)
    made = make_trace(ids, now_ms, "request-1")
    child = made.child(ids, now_ms)

    assert trace_of(made.headers) == made
    assert trace_of(child.headers) == child
    assert (child.trace_id, child.request_id, child.flags) == (made.trace_id, "request-1", 2)
    assert child.span_id != made.span_id


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("01KAND0000ABCDEFGHJKMNPQRS", True),
        ("4b1c9f0e-6f0a-4c8e-9f5e-0a1b2c3d4e5f", True),
        ("1-5759e988-bd862e3fe1be46a994272793", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("short", False),
        ("with space", False),
        ("line\r\nNats-Msg-Id: forged", False),
        ("<script>alert", False),
        ("ünicode-id", False),
        ("", False),
    ],
)
def test_a_request_id_is_kept_only_when_it_is_plain(text: str, *, good: bool) -> None:
    """It goes into headers of messages and into log lines."""
    assert good_request_id(text) == (text if good else "")


def test_a_message_of_an_older_version_belongs_to_no_trace() -> None:
    """No headers, and not the trace of whoever was handled before."""
    with within(Trace(ID, SPAN)), bound_trace(None):
        assert current_trace() is None


def test_a_forged_request_id_in_a_message_is_left_out() -> None:
    """A guest's credential may publish whatever headers it likes."""
    trace = trace_of({"traceparent": GOOD, "X-Request-Id": "x\ny"})

    assert trace is not None
    assert trace.request_id == ""


def test_what_goes_out_is_the_next_step_or_a_new_trace() -> None:
    """Within a request its trace; else one of its own."""
    ids = FakeIds()
    with within(Trace(ID, SPAN, 1, "request-1")):
        child = onwards(ids, NOW)
    alone = onwards(ids, NOW)

    assert (child.trace_id, child.flags, child.request_id) == (ID, 1, "request-1")
    assert alone.trace_id != ID
    assert alone.request_id == ""


def test_a_line_says_which_trace_and_request_it_is_about() -> None:
    """Also a library's; and a line that knows better is left as it is."""
    with within(Trace(ID, SPAN, 0, "request-1")):
        said = add_trace(None, "info", {"event": "a.b"})
        own = add_trace(None, "info", {"event": "a.b", "request_id": "mine"})
    outside = add_trace(None, "info", {"event": "a.b"})

    assert said == {"event": "a.b", "trace_id": ID, "request_id": "request-1"}
    assert own["request_id"] == "mine"
    assert outside == {"event": "a.b"}


def test_a_repeated_delivery_gives_the_same_mail_byte_for_byte() -> None:
    """The header is the message's own trace, so the rare second mail is no other mail."""
    writer: MailWriter = mail_writer()
    request = login(now_ms=NOW)
    letters = []
    for _ in range(2):
        with bound_trace({"traceparent": GOOD}):
            letters.append(writer.compose(request))

    assert letters[0] == letters[1]
    assert letters[0] is not None
    assert f"\r\nTraceparent: {GOOD}\r\n".encode() in letters[0].content


def test_a_mail_without_a_trace_has_no_such_header() -> None:
    """A request that an older auth published is sent all the same."""
    letter = mail_writer().compose(login(now_ms=NOW))

    assert letter is not None
    assert b"Traceparent" not in letter.content
