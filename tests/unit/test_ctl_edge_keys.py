"""The edges' keys on disk: made once, certified, renewed without a gap, withdrawn; and what cannot be used."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from ctl.commands.edge_keys import certified_at
from ctl.edge_certificates import MAX_KEYS, EdgeFiles, EdgeKeyError, with_keys, without
from ctl.main import main
from latchwire.documents import Document
from latchwire.keys import KeyRing
from services.edge.flows.assertions import Assertions
from services.edge.wiring import key_remark
from shared.edge_keys import (
    EDGES_JWKS,
    EdgeKey,
    edge_of,
    key_path,
    make_edge_keys,
    read_edge_jwks,
    ring_of,
)
from shared.secrets import SecretsError, write_private
from tests.support.edge import EDGE_KEY, make_desk
from tests.support.tokens import ISSUER


def mode(path: Path) -> int:
    """Who may read it."""
    return stat.S_IMODE(path.stat().st_mode)


def own(directory: Path, edge_id: str = "edge-1") -> EdgeKey:
    """The key that edge would sign with."""
    found = EdgeKey.load(directory, edge_id)
    assert found is not None
    return found


def test_an_installation_gets_a_key_for_each_edge_and_keeps_it(tmp_path: Path) -> None:
    """Private ones are nobody else's; the file has the public halves alone; a second run changes nothing."""
    make_edge_keys(tmp_path, ("edge-1", "edge-2"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    make_edge_keys(tmp_path, ("edge-1", "edge-2"))

    assert {path: path.read_bytes() for path in before} == before
    assert mode(key_path(tmp_path, "edge-1")) == 0o600
    assert [edge_of(key["kid"]) for key in read_edge_jwks(tmp_path)] == ["edge-1", "edge-2"]
    assert '"d"' not in (tmp_path / EDGES_JWKS).read_text()
    assert ring_of(read_edge_jwks(tmp_path)).find(own(tmp_path).kid) is not None


def test_a_further_edge_is_added_to_those_that_are_there(tmp_path: Path) -> None:
    """`init --edges 3` in an installation of two."""
    make_edge_keys(tmp_path, ("edge-1",))
    first = read_edge_jwks(tmp_path)

    make_edge_keys(tmp_path, ("edge-1", "edge-3"))

    assert read_edge_jwks(tmp_path)[:1] == first
    assert len(read_edge_jwks(tmp_path)) == 2


PRODUCTION = (
    "init", "--url", "https://auth.acme.com", "--allow", "@acme.com", "--smtp", "smtp://mail.acme.com",
    "--mail-from", "login@acme.com", "--site-name", "Acme",
)  # fmt: skip


def test_an_installation_of_another_number_of_edges_names_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two are named in compose.yaml; where .env is kept, what is to stand in it is said."""
    here = ("--dir", str(tmp_path))
    assert main([*PRODUCTION, *here]) == 0
    assert "LATCHWIRE_EDGES" not in (tmp_path / ".env").read_text() + capsys.readouterr().out

    names = "edge-1,edge-2,edge-3"
    assert main([*PRODUCTION, *here, "--edges", "3"]) == 0
    assert f"LATCHWIRE_EDGES={names}" in capsys.readouterr().out

    (tmp_path / ".env").unlink()
    assert main([*PRODUCTION, *here, "--edges", "3"]) == 0
    assert f"LATCHWIRE_EDGES='{names}'" in (tmp_path / ".env").read_text().splitlines()


def test_a_name_says_which_key_it_is(tmp_path: Path) -> None:
    """Two keys of one edge never share a kid, and the same key never has two."""
    make_edge_keys(tmp_path, ("edge-1",))
    key = own(tmp_path)

    assert key.kid == EdgeKey.named("edge-1", key.private).kid
    assert key.kid != EDGE_KEY.kid
    assert repr(key) == object.__repr__(key), "no key material in a log"


def test_an_edge_without_a_key_has_none_and_one_readable_by_others_is_refused(
    tmp_path: Path,
) -> None:
    """Missing is an answer; careless is not."""
    assert EdgeKey.load(tmp_path, "edge-1") is None
    make_edge_keys(tmp_path, ("edge-1",))
    key_path(tmp_path, "edge-1").chmod(0o644)

    with pytest.raises(SecretsError, match="chmod 600"):
        EdgeKey.load(tmp_path, "edge-1")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"keys": 1}', '{"keys": [{"kid": "a"}]}'])
def test_a_file_that_cannot_be_used_is_named_with_its_cure(tmp_path: Path, text: str) -> None:
    """Never read as "no edge counts"."""
    (tmp_path / EDGES_JWKS).write_text(text)

    with pytest.raises(SecretsError, match="edges certify"):
        read_edge_jwks(tmp_path)


def test_a_missing_file_and_one_without_keys_are_no_keys(tmp_path: Path) -> None:
    """An installation from before there were any; nobody is believed."""
    assert read_edge_jwks(tmp_path) == []
    (tmp_path / EDGES_JWKS).write_text('{"keys": []}')
    assert len(ring_of(read_edge_jwks(tmp_path))) == 0


def test_a_renewed_key_waits_until_the_one_before_is_withdrawn(tmp_path: Path) -> None:
    """Services hear of it first; then it takes the place in the very same file."""
    files = EdgeFiles(tmp_path)
    old = files.make("edge-1", renew=False)
    inode = key_path(tmp_path, "edge-1").stat().st_ino
    new = files.make("edge-1", renew=True)
    assert files.make("edge-1", renew=True) == new, "one that waits is enough"
    assert own(tmp_path).kid == old["kid"]
    # Which one to withdraw need not be remembered.
    kids = (old["kid"], new["kid"], "edge-1.00000000", "edge-9.00000000")
    assert [files.state_of(kid) for kid in kids] == ["in use", "waiting", "not here", "not here"]

    files.put_away([old["kid"]])

    assert own(tmp_path).kid == new["kid"]
    assert key_path(tmp_path, "edge-1").stat().st_ino == inode, "a container has this file mounted"
    assert {mode(path) for path in (tmp_path / "edges").iterdir()} == {0o600}
    files.put_away([old["kid"]])
    assert own(tmp_path).kid == new["kid"], "safe to repeat"


def test_an_edge_that_is_withdrawn_has_no_key_any_more(tmp_path: Path) -> None:
    """With the one that waited, when both go."""
    files = EdgeFiles(tmp_path)
    kids = [files.make("edge-1", renew=renew)["kid"] for renew in (False, True)]

    files.put_away(kids)

    assert EdgeKey.load(tmp_path, "edge-1") is None
    assert [path.suffix for path in (tmp_path / "edges").iterdir()] == [".withdrawn"]


def test_the_edges_of_an_installation_are_those_with_a_credential_or_a_key(tmp_path: Path) -> None:
    """Where `certify` is told no name."""
    write_private(tmp_path / "nats" / "edge-7.seed", "x")
    write_private(tmp_path / "nats" / "auth.seed", "x")
    EdgeFiles(tmp_path).make("edge-1", renew=True)

    assert EdgeFiles(tmp_path).known() == ["edge-1", "edge-7"]


def test_when_a_key_was_certified_is_known_of_all_but_the_first_document() -> None:
    """That one may have taken it over from the file of the start."""
    bodies = (["a"], ["a", "b"], ["b", "c"])
    documents = [
        Document("edges", n, n * 1000, {"keys": [{"kid": kid} for kid in kids]})
        for n, kids in enumerate(bodies, 1)
    ]

    assert [certified_at(documents, kid) for kid in "abcd"] == [None, 2000, 3000, None]


KEYS = [EdgeKey.named(name, EDGE_KEY.private).public for name in ("edge-1", "edge-2")]
FURTHER = {**KEYS[0], "kid": "edge-1.00000000"}


def test_keys_are_added_once_and_not_without_end() -> None:
    """A reader takes 64 at most; the document that has more would be refused by everybody."""
    assert with_keys(KEYS, [KEYS[1], FURTHER]) == [*KEYS, FURTHER]
    many = [{**KEYS[0], "kid": f"edge-{n}.0"} for n in range(MAX_KEYS)]
    assert len(with_keys([], many)) == MAX_KEYS
    with pytest.raises(EdgeKeyError, match="64"):
        with_keys(many, [FURTHER])


def test_one_key_or_all_of_an_edge_are_taken_out() -> None:
    """By its kid, or by the edge's name; never the last one."""
    known = [*KEYS, FURTHER]
    assert without(known, FURTHER["kid"]) == (KEYS, [FURTHER["kid"]])
    assert without(known, "edge-1") == ([KEYS[1]], [KEYS[0]["kid"], FURTHER["kid"]])
    with pytest.raises(EdgeKeyError, match="no certified key"):
        without(known, "edge-11")
    with pytest.raises(EdgeKeyError, match="certify another key first"):
        without(KEYS[:1], "edge-1")


def test_readiness_says_why_services_refuse_what_an_edge_lets_through() -> None:
    """No key, or one that nobody certified: the edge works on, and an operator is told."""
    desk = make_desk()
    told: Callable[[EdgeKey | None], str | None] = lambda key: key_remark(  # noqa: E731
        "edge-1", Assertions(key, issuer=ISSUER, clock=desk.clock), desk.checker
    )

    assert told(EDGE_KEY) is None
    assert "edges certify edge-1" in (told(None) or "")
    desk.checker.passing.use(KeyRing(()), 1)
    assert EDGE_KEY.kid in (told(EDGE_KEY) or "")


def test_the_file_is_kept_in_step_in_place(tmp_path: Path) -> None:
    """A container has it mounted; what is the same is not written again."""
    files = EdgeFiles(tmp_path)
    assert files.publish(KEYS)
    before = (tmp_path / EDGES_JWKS).stat()
    assert files.publish([*KEYS, FURTHER])
    assert (tmp_path / EDGES_JWKS).stat().st_ino == before.st_ino
    assert len(json.loads((tmp_path / EDGES_JWKS).read_text())["keys"]) == 3
    assert not EdgeFiles(tmp_path / "nowhere").publish(KEYS)
