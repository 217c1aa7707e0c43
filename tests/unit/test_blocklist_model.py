"""The compact blocklist says what a plain dictionary would, whatever happens to it in whatever order."""

import gc
import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from latchwire._table import Table, hash_of
from latchwire.blocklist import Blocklist, entry_bytes
from latchwire.claims import build_claims
from latchwire.records import SCOPE_LETTERS, Record, record_key
from tests.support.properties import examples
from tests.support.tokens import NOW_MS, make_claims

KEY = b"0123456789abcdef0123456789abcdef"
SCOPES = tuple(SCOPE_LETTERS)
TIMES = st.integers(0, 40)
APPLY = st.tuples(
    st.just("apply"),
    st.sampled_from(SCOPES),
    st.integers(0, 60),
    st.builds(Record, TIMES, TIMES, TIMES),
)
GROW = st.tuples(st.just("grow"), st.sampled_from(SCOPES), st.integers(0, 400), TIMES)
SWEEP = st.tuples(st.just("sweep"), TIMES, st.integers(1, 300))
STEPS = st.lists(st.one_of(APPLY, APPLY, GROW, SWEEP), max_size=25)
Model = dict[str, Record]


def stored(key: str, record: Record) -> Record:
    """Only subjects keep watermarks."""
    return record if key[0] == "u" else Record(record.until_ms)


def put(blocklist: Blocklist, model: Model, key: str, record: Record) -> None:
    """Both get the record, and agree on whether it was news."""
    known, record = model.get(key), stored(key, record)
    model[key] = record if known is None else known.merged(record)
    assert blocklist.apply(key, record) == (model[key] != known)


def grow(blocklist: Blocklist, model: Model, scope: str, number: int, until_ms: int) -> None:
    """Many more records of one scope: buckets split, rounds begin."""
    for n in range(number):
        put(blocklist, model, record_key(KEY, scope, f"{number} {n}"), Record(until_ms))


def whole_sweep(blocklist: Blocklist, now_ms: int) -> None:
    """A round and more: everything that has lapsed is gone."""
    for _ in range(3):
        blocklist.sweep(now_ms, 1_000_000)


@settings(max_examples=examples(120))
@given(STEPS)
def test_it_equals_a_dictionary(steps: list[tuple[object, ...]]) -> None:
    """Applying, merging, growing and partial sweeps; lapsed records may stay for a while, live ones do."""
    blocklist, model = Blocklist(KEY), Model()
    for name, *arguments in steps:
        if name == "apply":
            scope, number, record = arguments
            put(blocklist, model, record_key(KEY, str(scope), str(number)), record)  # type: ignore[arg-type]
        elif name == "grow":
            grow(blocklist, model, *arguments)  # type: ignore[arg-type]
        else:
            now_ms, limit = arguments
            blocklist.sweep(now_ms, limit)  # type: ignore[arg-type]
            gone = [k for k, r in model.items() if r.until_ms < now_ms and blocklist.get(k) is None]  # type: ignore[operator]
            for key in gone:
                del model[key]

    assert dict(blocklist.records()) == model
    assert len(blocklist) == len(model)
    assert all(blocklist.get(key) == record for key, record in model.items())
    whole_sweep(blocklist, 20)
    assert dict(blocklist.records()) == {k: r for k, r in model.items() if r.until_ms >= 20}


@settings(max_examples=examples(40))
@given(st.integers(0, 600), st.integers(0, 600), st.integers(1, 40))
def test_a_walk_misses_nothing_that_was_there_all_along(
    before: int, during: int, every: int
) -> None:
    """However the list grows and is swept meanwhile: every record present at the start is yielded."""
    blocklist, model = Blocklist(KEY), Model()
    grow(blocklist, model, "session", before, 40)
    expected = set(model)
    seen = set()
    arriving = iter(range(during))
    for number, (letter, blob) in enumerate(blocklist.pieces()):
        width = entry_bytes(letter)
        seen |= {blob[at : at + 16] for at in range(0, len(blob), width)}
        blocklist.sweep(20, every)
        for n in [next(arriving, None) for _ in range(every if number % 2 else 1)]:
            if n is not None:
                blocklist.apply(record_key(KEY, "session", f"new {n}"), Record(10 + n % 30))

    assert {record_key_digest(key) for key in expected} <= seen


def record_key_digest(key: str) -> bytes:
    """The raw key, by the list itself."""
    alone = Blocklist(KEY)
    alone.apply(key, Record(1))
    return next(blob[:16] for _, blob in alone.pieces())


@settings(max_examples=examples(60))
@given(st.lists(st.integers(0, 2_000), max_size=600), st.integers(0, 3_000))
def test_loading_packed_entries_equals_applying_them(numbers: list[int], reserved: int) -> None:
    """Whether room was made for too few or too many; duplicates merge."""
    one, other = Blocklist(KEY), Blocklist(KEY)
    packed = b""
    for n in numbers:
        one.apply(record_key(KEY, "token", str(n)), Record(n))
        packed += record_key_digest(record_key(KEY, "token", str(n))) + n.to_bytes(8, "big")
    for _ in other.reserve("j", reserved):
        if numbers and reserved % 2:  # something comes in first
            other.apply(record_key(KEY, "token", str(numbers[0])), Record(0))
    for _ in other.load("j", packed):
        pass

    assert dict(one.records()) == dict(other.records())
    assert len(one) == len(other)


def test_among_thousands_nobody_is_refused_but_those_who_are_revoked() -> None:
    """Not one false hit, not one miss, in any scope."""
    blocklist = Blocklist(KEY)
    claims = [
        build_claims(make_claims(jti=f"j{n}", sid=f"s{n}", sub=f"u{n}"), "k") for n in range(4_000)
    ]
    for n, who in enumerate(claims[:3_000]):
        scope = ("token", "session", "subject")[n % 3]
        identifier = (who.jti, who.sid, who.sub)[n % 3]
        blocklist.apply(record_key(KEY, scope, identifier), Record(NOW_MS, NOW_MS, 0))

    hits = [blocklist.find(blocklist.fingerprint(who), NOW_MS) for who in claims]

    found = [hit.scope if hit else None for hit in hits]
    assert found == ["token", "session", "subject"] * 1_000 + [None] * 1_000


def test_the_bytes_of_a_key_across_two_entries_are_no_key() -> None:
    """Exact at every offset: a look-up never mistakes the end of one entry and the start of the next."""
    table = Table(24)
    first = hashlib.sha256(b"first").digest()[:16] + bytes(8)
    second = first[:8] + bytes(7) + first[15:16] + bytes(8)  # the same slot of the filter
    table.merge(first, hash_of(first))
    table.merge(second, hash_of(first))
    for offset in range(1, 32):
        across = (first + second)[offset : offset + 16]
        if across not in (first[:16], second[:16]):
            assert table.get(across, hash_of(first)) is None
    assert table.get(first[:16], hash_of(first)) == first


def test_the_garbage_collector_does_not_walk_the_records() -> None:
    """A million of them in objects that it tracks would be a pause of ten milliseconds, again and again."""
    blocklist = Blocklist(KEY)
    grow(blocklist, {}, "session", 400, 40)

    assert not gc.is_tracked(blocklist._tables["s"]._buckets)
