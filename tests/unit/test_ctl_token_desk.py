"""What is said when one more token of a service cannot be made."""

import pytest

from ctl.commands.revoke import _tell_unsafe
from ctl.documents import EdgeWord, Words, tell
from ctl.heartbeats import OTHERS_MAY_BE_LIVE
from ctl.receipts import Receipts
from ctl.token_desk import NotKeptError, edges_in_words, too_many
from shared.messages import ServiceTokenRow


def row(token_id: str, last_four: str) -> ServiceTokenRow:
    """One that lives."""
    return ServiceTokenRow(
        id=token_id,
        service="shop",
        scopes=(),
        last_four=last_four,
        created_at=1_800_000_000_000,
        created_by="operator",
        expires_at=1_800_000_900_000,
    )


def test_the_two_that_live_are_named_with_the_command_that_ends_one() -> None:
    """Nobody has to look them up first."""
    ids = ("01J00000000000000000000S1D", "01J00000000000000000000S2D")
    said = str(NotKeptError(too_many("shop", (row(ids[0], "aaaa"), row(ids[1], "bbbb")))))

    assert f"two tokens of shop live, and two may: {ids[0]} (…aaaa) and {ids[1]} (…bbbb)." in said
    assert "`latchwire tokens revoke ID`" in said
    assert "thousand" not in said


def test_a_service_with_fewer_has_come_to_the_limit_of_all() -> None:
    """That is another cure."""
    said = too_many("shop", (row("01J00000000000000000000S1D", "aaaa"),))

    assert said.startswith("a thousand tokens live")
    assert "`latchwire tokens list`" in said


BEHIND = "edge edge-2 does not know it yet, and refuses it until it does: `latchwire edges list`"
KNOWS, LAGS = EdgeWord("edge-1", 7, 3.0), EdgeWord("edge-2", 5, None)


@pytest.mark.parametrize(
    ("edges", "whole", "said"),
    [
        ((KNOWS,), True, ["every live edge knows it (1)"]),
        ((), True, ["no edge is live"]),
        ((KNOWS, LAGS), True, [BEHIND]),
        ((KNOWS,), False, [OTHERS_MAY_BE_LIVE]),
        ((KNOWS, LAGS), False, [BEHIND, OTHERS_MAY_BE_LIVE]),
        ((), False, [OTHERS_MAY_BE_LIVE]),
    ],
)
def test_who_made_a_token_hears_where_it_does_not_work_yet(
    edges: tuple[EdgeWord, ...], whole: bool, said: list[str]
) -> None:
    """The edges that lag, by name; where one may be missing, that too."""
    assert edges_in_words(Words(7, edges, whole)) == said


@pytest.mark.parametrize(
    ("missing", "said", "unsaid"),
    [
        (("edge-2",), "edge edge-2 is missing: LATCHWIRE_EDGES names it", OTHERS_MAY_BE_LIVE),
        ((), OTHERS_MAY_BE_LIVE, "LATCHWIRE_EDGES"),
    ],
)
def test_the_edge_that_is_waited_for_is_named(
    capsys: pytest.CaptureFixture[str], missing: tuple[str, ...], said: str, unsaid: str
) -> None:
    """By `catalogue apply`, `keys`, `tokens create` and `revoke`, while nobody knows that it has closed."""
    words = Words(7, (KNOWS,), whole=False, missing=missing)
    tell(words)
    _tell_unsafe(Receipts(None, (), 0, 0, whole=False, missing=missing))
    told = capsys.readouterr().out
    assert (told.count(said), unsaid in told) == (2, False)
    assert edges_in_words(words)[0].startswith(said)
    assert words.answer()["missing"] == list(missing)
