"""``gateway logs``: what Traefik wrote, in the owner's words, and nothing that a person could be known by."""

import json
from pathlib import Path

import pytest

from ctl.access_log import (
    FIELDS,
    MAX_READ,
    TOO_LONG,
    NoAccessLogError,
    Tail,
    access_log,
    last_lines,
    traefik_access_log,
)

ENTRY = {
    "StartUTC": "2026-11-22T12:00:00.123456789Z",
    "RequestMethod": "GET",
    "DownstreamStatus": 200,
    "Duration": 45_400_000,
    "RouterName": "service-dash-0@http",
}
SAID = "2026-11-22T12:00:00Z dash GET 200 45ms"
WHOLE = {**ENTRY, "RequestHost": "dash.example.com", "RequestPath": "/api/services"}


def log_of(folder: Path, *entries: object) -> Path:
    """A state directory with such a log."""
    path = folder / "logs" / "access.log"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def test_a_request_is_one_line_as_in_the_owners_document(tmp_path: Path) -> None:
    """Time, service, method, status, duration; host and path where the operator's own log has them."""
    path = log_of(tmp_path, WHOLE, ENTRY)
    assert last_lines(path, 1, raw=False) == [SAID]
    whole = "2026-11-22T12:00:00Z dash.example.com GET /api/services 200 45ms"
    assert last_lines(path, 20, raw=False) == [whole, SAID]
    assert json.loads(last_lines(path, 1, raw=True)[0]) == ENTRY


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "-Z - -"),
        ([], "[]"),
        ({**ENTRY, "RouterName": "auth@http"}, SAID.replace("dash", "auth")),
        ({**ENTRY, "RequestPath": "/a\x1b[31mb"}, None),
    ],
)
def test_what_is_odd_in_it_does_no_harm(tmp_path: Path, entry: object, said: str | None) -> None:
    """Fields that are missing, what is no object, and what a terminal would obey."""
    (line,) = last_lines(log_of(tmp_path, entry), 5, raw=False)
    assert "\x1b" not in line
    assert said in {None, line}


def test_a_line_of_nested_brackets_is_shown_as_it_is(tmp_path: Path) -> None:
    """Deeper than a reader of JSON goes."""
    path = log_of(tmp_path)
    path.write_text("[" * 200_000 + "\n")
    (line,) = last_lines(path, 5, raw=False)
    assert line.startswith("[[[")


def test_following_shows_each_new_request_once_also_after_a_new_start(tmp_path: Path) -> None:
    """Half a line waits for its end; a file that takes the place of the old one is read from its start."""
    path, line = log_of(tmp_path, ENTRY), json.dumps(ENTRY)
    tail = Tail(path)
    assert tail.more(raw=False) == []
    with path.open("a") as file:
        file.write(line[:20])
    assert tail.more(raw=False) == []
    with path.open("a") as file:
        file.write(line[20:] + "\n" + line + "\n")
    assert tail.more(raw=False) == [SAID, SAID]
    path.rename(path.with_suffix(".log.1"))
    assert tail.more(raw=False) == []
    log_of(tmp_path, ENTRY)
    assert tail.more(raw=False) == [SAID]
    path.write_text("")
    assert tail.more(raw=False) == []
    log_of(tmp_path, ENTRY)
    assert tail.more(raw=False) == [SAID]


def test_a_line_that_is_too_long_is_left_out_and_what_comes_after_is_shown(tmp_path: Path) -> None:
    """Traefik writes six characters for one of a client's; a line without an end holds up nothing either."""
    path = log_of(tmp_path)
    tail, long = Tail(path), json.dumps({**ENTRY, "RequestPath": "/" + "x" * 2 * MAX_READ})
    with path.open("a") as file:
        file.write(long)
    assert [tail.more(raw=False) for _ in range(4)] == [[TOO_LONG], [], [], []]
    with path.open("a") as file:
        file.write(f"\n{json.dumps(ENTRY)}\n")
    assert [line for _ in range(4) for line in tail.more(raw=False)] == [SAID]


def test_the_longest_line_that_is_read_is_shown(tmp_path: Path) -> None:
    """To the byte; one more is left out."""
    path = log_of(tmp_path)
    for beyond, shown in ((0, 1), (1, 0)):
        tail = Tail(path)
        with path.open("a") as file:
            file.write("x" * (MAX_READ - 1 + beyond) + "\n")
        assert len([line for _ in range(3) for line in tail.more(raw=True)]) == shown


def test_no_log_says_where_one_would_be(tmp_path: Path) -> None:
    """With the cure."""
    with pytest.raises(NoAccessLogError, match="--file"):
        access_log(tmp_path)
    path = log_of(tmp_path, ENTRY)
    assert access_log(tmp_path) == access_log(None, path) == path


def test_what_up_lets_traefik_write_holds_none_of_the_clients_words(tmp_path: Path) -> None:
    """Everything is dropped but what is named."""
    fields = traefik_access_log(tmp_path)["fields"]
    assert fields["defaultMode"] == "drop"
    assert fields["names"] == dict.fromkeys(FIELDS, "keep")
    assert fields["headers"] == fields["queryParameters"] == {"defaultMode": "drop"}
    words = {
        "ClientAddr",
        "ClientHost",
        "ClientUsername",
        "RequestHost",
        "RequestPath",
        "RequestLine",
    }
    assert not words & set(FIELDS)
