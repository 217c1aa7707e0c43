"""services.yaml: what it means, and what it says about a mistake."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.catalogue import (
    CatalogueDocument,
    CatalogueError,
    Needs,
    Service,
    is_under,
    load_catalogue,
    parse_catalogue,
)
from shared.durations import parse_duration
from tests.support.properties import examples

UP = "upstream: http://127.0.0.1:9100"


def problems(text: str) -> list[str]:
    """What the catalogue says of *text*."""
    with pytest.raises(CatalogueError) as caught:
        parse_catalogue(text)
    return caught.value.problems


def one(*lines: str) -> str:
    """A catalogue of the one service ``a`` with these lines."""
    return "services:\n  a:\n" + "".join(f"    {line}\n" for line in lines)


def test_a_service_with_everything_reads_as_written() -> None:
    """Every key of the first subset."""
    text = one(
        "host: App.Example.com",
        "paths: [/demo, /x/y]",
        UP,
        "roles: [admin]",
        'emails: ["@acme.com"]',
        "public_paths: [/demo/public]",
        "max_staleness: 30s",
    )

    assert parse_catalogue(text).services == (
        Service(
            "a",
            "app.example.com",
            ("/demo", "/x/y"),
            "http://127.0.0.1:9100",
            True,
            Needs(any=("admin",)),
            ("@acme.com",),
            ("/demo/public",),
            30.0,
        ),
    )


def test_the_defaults_protect() -> None:
    """Nothing but an upstream: the whole of every host, behind a login."""
    assert parse_catalogue(one(UP)).services == (
        Service("a", None, ("/",), "http://127.0.0.1:9100"),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            one("pats: [/a]", UP),
            "services.yaml:3: services.a.pats: unknown key; did you mean paths?",
        ),
        (one(UP, "zzz: 1"), "known: host, paths, upstream"),
        (
            "services:\n  a:\n",
            "services.yaml:2: services.a: must have keys of its own: upstream at least",
        ),
        ("services: 1", "services: must have keys of its own"),
        ("servcies: {}", "services.yaml:1: servcies: unknown key; did you mean services?"),
        (one("paths: [/a]"), "services.a.upstream: is missing: add it"),
        (
            one(UP, "paths:", "  - /ok", "  - demo"),
            "services.yaml:6: services.a.paths.1: is not right",
        ),
        (one(UP, "paths: [/a/]"), "ends without one"),
        (one(UP, "paths: ['/a*']"), "no wildcard"),
        (one(UP, "paths: ['^/a$']"), "begins with /"),
        (one(UP, "paths: [/a//b]"), "is not right"),
        (one(UP, "paths: [/a/..]"), "is not right"),
        (one(UP, "paths: ['/a%2fb']"), "is not right"),
        (one(UP, "paths: ['/a;b']"), "is not right"),
        (one(UP, "paths: ['/@open']"), "letters, digits, - . _ ~"),
        (one(UP, "paths: ['/a(b']"), "letters, digits, - . _ ~"),
        (one(UP, "paths: []"), "is empty: write a value, or remove the key"),
        (one(UP, "paths: [/a, /a]"), "stands twice: remove one"),
        (one(UP, "host: https://a.b"), "write the bare host name"),
        (one(UP, "host: a.b:8080"), "write the bare host name"),
        (one(UP, "host: a.b."), "or last dot"),
        (one(UP, "host: a..b"), "write the bare host name"),
        (one(UP, "host: '*.a.b'"), "write the bare host name"),
        (one("upstream: http://a/b"), "without a path"),
        (one("upstream: file:///etc"), "write http://host:port"),
        (one(UP, "require_auth: 'yes'"), "must be true or false"),
        (one(UP, "emails: [Ada@acme.com]"), "in lower case"),
        (one(UP, "roles: ['a,b']"), "no space or comma"),
        (one(UP, "max_staleness: 10"), "write a number and a unit: 10s"),
        (one(UP, "max_staleness: 1d"), "write a number and a unit: 10s"),
        (one(UP, "max_staleness: 16m"), "from 1s to 15m"),
        (one(UP, "max_staleness: 1ms"), "from 1s to 15m"),
        (one(UP, "paths: [/a]", "public_paths: [/b]"), "outside the service's paths"),
        (one(UP, "paths: [/a]", "public_paths: [/ab]"), "outside the service's paths"),
        (one(UP, "paths: [/a]", "public_paths: [/a]"), "write require_auth: false instead"),
        (one(UP, "require_auth: false", "roles: [x]"), "contradicts roles"),
        (one(UP, UP), "services.yaml:4: upstream stands twice: remove one"),
        ("services:\n  A: {}\n", "lower-case letters"),
        ("services: {a: &x {}, b: *x}", "anchors and aliases"),
        ("services:\n  a:\n    <<: {}\n", "plain text"),
        ("services: !!python/object/apply:os.system [x]", "services"),
        ("a: b: c", "services.yaml:1:"),
        ("- 1", "services.yaml:1:"),
        ("", "services: is missing"),
        ("\x00", "services.yaml:1:"),
        ("services: {}\n---\nservices: {}\n", "services.yaml:"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_its_cure(text: str, expected: str) -> None:
    """Nobody has to guess what an installation refuses."""
    assert any(expected in problem for problem in problems(text)), problems(text)


def two(a: str, b: str) -> str:
    """Two services with these flow mappings."""
    return f"services:\n  a: {{{UP}, {a}}}\n  b: {{{UP}, {b}}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (two("paths: [/x]", "paths: [/x]"), "services.b.paths: /x belongs to services.a too"),
        (two("host: h.x, paths: [/x]", "host: H.x, paths: [/x]"), "belongs to services.a too"),
        (
            two("paths: [/x], public_paths: [/x/y]", "paths: [/x/y]"),
            "/x/y belongs to services.a too",
        ),
        (
            two("paths: [/x], public_paths: [/x/y/z]", "paths: [/x/y]"),
            "services.a.public_paths: /x/y/z lies under services.b's /x/y: open it there",
        ),
        (
            two("host: h.x, paths: [/]", "paths: [/b]"),
            "services.b.paths: /b lies under services.a's / on h.x: give it a host",
        ),
    ],
)
def test_rules_with_two_readings_are_refused(text: str, expected: str) -> None:
    """Exact host first and longest prefix first never have to be weighed against each other."""
    assert any(expected in problem for problem in problems(text))


@pytest.mark.parametrize(
    "text",
    [
        two("paths: [/]", "paths: [/b]"),
        two("paths: [/x, /x/y/z], public_paths: [/x/y/z/w]", "paths: [/x/y]"),
        two("host: h.x, paths: [/]", "host: i.x, paths: [/]"),
        two("host: h.x, paths: [/b/c]", "paths: [/b]"),
        two("host: h.x, paths: [/]", "paths: [/]"),
    ],
)
def test_nested_and_separate_rules_are_fine(text: str) -> None:
    """The longest prefix wins; an exact host wins."""
    assert len(parse_catalogue(text).services) == 2


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    """With its name, not its whole path."""
    with pytest.raises(CatalogueError, match=r"^services\.yaml: there is no such file$"):
        load_catalogue(tmp_path / "services.yaml")


def test_an_alias_bomb_costs_nothing() -> None:
    """Ten lines that would unfold to gigabytes are refused at the first alias."""
    bomb = "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(9))

    assert problems(bomb) == [
        "services.yaml:2: anchors and aliases are not used here: write it out"
    ]


SERVED = one(
    *("host: a.b", "paths: [/demo, '/x']", UP, "roles: {any: [a], all: [b]}", "emails: ['@a.b']"),
    *(
        "rate_limit: 5/second",
        "login_age: 15m",
        "headers: {X-A: sub}",
        "public_paths:",
        "  - /demo/open",
    ),
)
# What means something to YAML, and to whoever reads numbers and dates out of it.
_MEANT = st.sampled_from(
    [
        *(
            "\n",
            "\n    ",
            "\n  b:\n    ",
            "\t",
            " ",
            ": ",
            "- ",
            "? ",
            "[",
            "]",
            "{",
            "}",
            ",",
            "#",
            "'",
            '"',
        ),
        *(
            "|\n",
            ">",
            "&a ",
            "*a",
            "!!python/object:x ",
            "!!set ",
            "!!binary ",
            "%YAML 9\n",
            "---\n",
            "...\n",
        ),
        *(
            "<<: ",
            "=",
            "~",
            "null",
            "yes",
            "0x_",
            "1_0",
            "1e999",
            ".inf",
            ".nan",
            "190:20:30",
            "2026-13-45",
        ),
        *(
            "2026-11-22",
            "9" * 5_000,
            "\ufeff",
            "\x85",
            "\u2028",
            "\x00",
            "\ud800",
            "services:",
            "  a:\n",
        ),
    ]
)


@st.composite
def edited(draw: st.DrawFn) -> str:
    """A file that was right, after a few slips of the hand."""
    text = SERVED
    for _ in range(draw(st.integers(0, 3))):
        at, cut = draw(st.integers(9, len(text))), draw(st.integers(0, 12))
        text = text[:at] + draw(_MEANT | st.text(max_size=3)) + text[at + cut :]
    return text


@given(st.text(max_size=200).map("services:\n".__add__) | edited())
@settings(max_examples=examples(200))
def test_no_text_raises_anything_but_its_own_error(text: str) -> None:
    """Whatever an editor leaves behind."""
    with suppress(CatalogueError):
        parse_catalogue(text)


def test_segments_are_compared_whole() -> None:
    """/demo never covers /demonstration."""
    assert is_under("/demo", "/demo")
    assert is_under("/demo/x", "/demo")
    assert is_under("/anything", "/")
    assert not is_under("/demonstration", "/demo")


def test_durations_have_units() -> None:
    """Milliseconds, seconds, minutes and hours."""
    spans = [parse_duration(t) for t in ("500ms", "10s", "2m", "12h")]
    assert spans == [0.5, 10.0, 120.0, 43_200.0]


def test_editors_get_a_schema() -> None:
    """The model describes itself, strictly."""
    schema = CatalogueDocument.model_json_schema()

    assert schema["additionalProperties"] is False
    assert schema["$defs"]["ServiceDocument"]["additionalProperties"] is False


MANY = """\
services:
  z:
    upstream: http://z
    upstream: http://y
    headers: {X-A: subb}
  a:
    upstream: http://a
    rate_burst: 0
  b:
    upstream: http://b
    require_auth: false
    roles: [x]
  c: {upstream: "http://c", paths: [/c], public_paths: [/d]}
"""


def test_all_mistakes_are_told_at_once_and_in_the_order_of_the_file() -> None:
    """Of one service they hide none of another; no words of Python or of a library."""
    found = problems(MANY)

    assert [problem.split(": ")[0] for problem in found] == [
        f"services.yaml:{line}" for line in (4, 5, 6, 8, 9, 9, 11, 13, 13, 13, 13)
    ]
    assert "must be one of sub, email, org" in found[1]
    assert "must be 1 at least" in found[3]
    assert not any(word in p for p in found for word in ("validation", "input should", "Error"))


SERVICE = "services: {{a: {{upstream: 'http://a', {}}}, b: {{upstream: 'http://b', paths: [/b]}}}}"


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        # A mistake of one key hides nothing of the others,
        ("rate_burst: 0, require_auth: false, roles: [x]", ["rate_burst", "require_auth"]),
        ("roles: 7, allow_credentials: true", ["allow_credentials", "roles"]),
        ("headers: {X-A: subb}, max_staleness: 1h", ["headers.X-A", "max_staleness"]),
        (
            "callerz: [x], token_types: [user, user], callers: [x]",
            ["callers", "callerz", "token_types"],
        ),
        # and is no reason to say that the key is missing:
        ("paths: [b], public_paths: [/b/x], host: a.example", ["paths.0"]),
        ("token_types: [service], callers: 7", ["callers"]),
        ("token_types: [service], caller: [b]", ["caller"]),
        ("token_types: [servant], callers: [b]", ["token_types.0"]),
        ("token_types: [service], permissions: [A B], paths: [/a]", ["permissions.any.0"]),
        ("require_auth: maybe, token_types: [service]", ["require_auth"]),
        ("allow_credentials: true, allowed_origins: [x]", ["allowed_origins.0"]),
        ("middlewares: [cors], allowed_origins: [x]", ["allowed_origins.0"]),
        ("rate_burst: 3, rate_limit: many", ["rate_limit"]),
        ("path: [/b]", ["path"]),
        ("host: 'http://x', paths: [/b]", ["host"]),
        # What was meant by a key like no other, nobody can say.
        ("api_gateway: {paths: [/b]}", ["api_gateway"]),
    ],
)
def test_a_mistake_in_a_key_hides_no_contradiction_and_invents_none(
    entry: str, told: list[str]
) -> None:
    """What is told of the service, by key."""
    found = problems(SERVICE.format(entry))

    assert sorted(p.split(": ")[1].removeprefix("services.a.") for p in found if ".a." in p) == told
    assert all(".a." in p for p in found)


def test_two_services_that_want_the_same_path_are_told_of_beside_another_mistake() -> None:
    """What a service has to do with the others counts although one of its other keys cannot be read."""
    told = problems(SERVICE.format("rate_burst: 0, paths: [/b]"))

    assert [problem.split(": ", 1)[1].partition(":")[0] for problem in told] == [
        "services.a.rate_burst",
        "services.b.paths",
    ]


def test_what_is_no_file_of_text_is_told_in_words(tmp_path: Path) -> None:
    """Not by the names of Python's exceptions; by the name that was given, where one was."""
    (tmp_path / "latin").write_bytes(b"services: {\xe9: 1}")

    for path, said in (
        (tmp_path, "is a folder: name a file"),
        (tmp_path / "latin", "is not UTF-8 text"),
    ):
        with pytest.raises(CatalogueError) as refused:
            load_catalogue(path, "here/x.yaml")
        assert str(refused.value) == f"here/x.yaml: {said}"
