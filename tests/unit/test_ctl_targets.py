"""What may be given to `latchwire revoke`, and the cure for what may not."""

import pytest

from ctl.commands.revoke import matched_in_words
from ctl.targets import TargetError, revocation_of
from shared.messages import Match
from tests.support.tokens import make_claims, sign

SID = "01J00000000000000000000S1D"
TOKEN = sign(make_claims()).decode()


@pytest.mark.parametrize(
    ("what", "given", "cure"),
    [
        ("session", [SID, SID], "one id at a time: run it once for each"),
        ("token", [TOKEN], "give its jti"),
        ("session", [TOKEN], "give its jti"),
        ("person", [TOKEN], "give its jti"),
        ("key", [TOKEN], "give its jti"),
        ("session", ["sid-1"], "named by its sid: 26 digits and capital letters"),
        ("token", [SID.lower()], "named by its jti"),
        ("person", ["a" * 250 + "@example.com"], "longer than 255 characters"),
        ("person", ["ada\x1b[2J@example.com"], "control characters"),
        ("person", ["Ada <ada@example.com>"], "one plain address"),
        ("person", [""], "the id is empty"),
        ("key", ["kid 1"], "named by its kid"),
        ("key", ["k" * 256], "255 characters at most"),
        ("service", ["sh\xf6p"], "named by its client_id"),
        ("service", [""], "named by its client_id"),
    ],
)
def test_what_names_nobody_is_refused_with_the_cure(what: str, given: list[str], cure: str) -> None:
    """What was given is not repeated: it may be a secret, or move the cursor."""
    with pytest.raises(TargetError) as caught:
        revocation_of(what, given, "why")
    told = str(caught.value)
    assert cure in told
    assert TOKEN not in told
    assert "\x1b" not in told


@pytest.mark.parametrize(
    ("reason", "cure"),
    [("", "the reason is empty"), ("x" * 256, "longer than"), ("a\nb", "control characters")],
)
def test_a_reason_that_cannot_be_kept_is_refused(reason: str, cure: str) -> None:
    """The reason is kept with the event, and read by somebody."""
    with pytest.raises(TargetError, match=cure):
        revocation_of("session", [SID], reason)


@pytest.mark.parametrize(
    ("what", "given", "scope", "field", "kept"),
    [
        ("session", f" {SID} ", "session", "sid", SID),
        ("token", SID, "token", "jti", SID),
        ("person", " Ada@Example.COM ", "subject", "sub", "ada@example.com"),
        ("person", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "subject", "sub", "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("key", "refresh/20261122-refresh-1", "key", "kid", "refresh/20261122-refresh-1"),
        ("service", "shop", "service", "service", "shop"),
    ],
)
def test_an_id_becomes_the_event_as_tokens_carry_it(
    what: str, given: str, scope: str, field: str, kept: str
) -> None:
    """One id, that of its scope; the time is the worker's to stamp."""
    event = revocation_of(what, [given], "why")
    assert event.model_dump(exclude_none=True) == {
        "scope": scope,
        field: kept,
        "reason": "why",
        "actor": "operator",
    }


@pytest.mark.parametrize(
    ("match", "scope", "said"),
    [
        (None, "subject", "auth does not answer"),
        (Match(counted=False), "subject", "auth's store is away"),
        (Match(counted=False), "session", "auth's store is away"),
        (Match(counted=False), "token", "auth keeps no list of these"),
        (Match(counted=False), "key", "auth keeps no list of these"),
        (Match(sessions=2, links=1), "subject", "2 sessions, 1 unopened link"),
    ],
)
def test_why_nobody_counts_is_said_as_it_is(match: Match | None, scope: str, said: str) -> None:
    """Auth has a list of people and of sessions, and cannot read it while Redis is away."""
    assert said in matched_in_words(match, scope)
