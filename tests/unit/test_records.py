"""Records: whatever order and however often they come, the result is the same and only refuses more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchwire.blocklist import Blocklist
from latchwire.records import Record, RecordError, is_record_key, record_key

KEY = b"0123456789abcdef0123456789abcdef"
TIMES = st.integers(0, 2**63)
RECORDS = st.builds(Record, TIMES, TIMES, TIMES)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["token", "session", "subject", "service", "key"]),
        st.sampled_from(["a", "b"]),
        RECORDS,
    ),
    max_size=8,
)


@given(RECORDS)
def test_a_record_survives_packing(record: Record) -> None:
    """unpack(pack(x)) == x, in 25 bytes."""
    assert (Record.unpack(record.pack()), len(record.pack())) == (record, 25)


@given(RECORDS, RECORDS, RECORDS)
def test_merging_does_not_care_for_order_or_repetition(a: Record, b: Record, c: Record) -> None:
    """Commutative, associative, idempotent."""
    assert a.merged(b) == b.merged(a)
    assert a.merged(b).merged(c) == a.merged(b.merged(c))
    assert a.merged(b).merged(b) == a.merged(b)


@given(EVENTS, st.randoms(use_true_random=False))
def test_lists_converge_whatever_the_order_and_the_duplicates(
    events: list[tuple[str, str, Record]], random: object
) -> None:
    """Two edges that heard the same facts in other orders, some twice, hold the same list."""
    shuffled = events + events[: len(events) // 2]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = Blocklist(KEY), Blocklist(KEY)
    for blocklist, order in ((first, events), (second, shuffled)):
        for scope, name, record in order:
            blocklist.apply(record_key(KEY, scope, name), record)

    assert dict(first.records()) == dict(second.records())
    assert len(first) == len(second) == len({(scope, name) for scope, name, _ in events})


# Bytes of chance are almost never a record: those that could be one are asked for as well.
@given(st.binary(max_size=40) | st.binary(min_size=23, max_size=25).map(b"\x01".__add__))
def test_foreign_bytes_are_refused_and_never_misread(body: bytes) -> None:
    """Anything but 25 bytes of version 1 raises RecordError and nothing else."""
    if len(body) == 25 and body[0] == 1:
        assert Record.unpack(body).pack() == body
    else:
        with pytest.raises(RecordError):
            Record.unpack(body)


def test_a_time_that_does_not_fit_is_refused() -> None:
    """A negative or a huge time is an error, not another time."""
    for time in (-1, 2**64):
        with pytest.raises(RecordError):
            Record(time).pack()


@given(st.text(max_size=30), st.sampled_from(["token", "session", "subject", "service", "key"]))
def test_keys_have_one_form_and_show_nothing(identifier: str, scope: str) -> None:
    """One letter and 26 characters that are safe in a subject, whatever the identifier."""
    assert is_record_key(record_key(KEY, scope, identifier))


def test_the_same_id_under_another_scope_or_key_is_another_record() -> None:
    """A session named like a token does not revoke the token."""
    keys = {record_key(KEY, scope, "x") for scope in ("token", "session", "subject", "key")}
    keys |= {record_key(b"another key", "token", "x")}

    assert len(keys) == 5


@pytest.mark.parametrize("text", ["", "j", "probe", "j" + "a" * 25, "J" + "a" * 26, "x" + "a" * 26])
def test_other_tokens_are_no_keys(text: str) -> None:
    """A word is not a record."""
    assert not is_record_key(text)
