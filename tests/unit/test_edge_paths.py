"""Paths an attacker would write, and the rules they must not slip past."""

import posixpath
import re
import unicodedata
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.edge.domain.paths import plain_path
from services.edge.domain.routes import RouteTable
from shared.catalogue import CatalogueError, is_under, parse_catalogue
from tests.support.properties import examples

AMBIGUOUS = [
    "", "demo", "*", "http://evil/demo", "//demo", "//evil.example/demo", "/demo//secret",
    "/demo///", "//", "/demo/..", "/demo/../admin", "/demo/./x", "/demo/.", "/../demo",
    "/demo/%2e%2e/admin", "/demo/%2E%2E/x", "/demo/%2e/x", "/demo/.%2e/x", "/demo/%2e./x",
    "/%2e%2e/demo", "/demo%2fadmin", "/demo%2Fadmin", "/demo/public%2f..%2fadmin",
    "/demo%5cadmin", "/demo\\admin", "/demo/..\\admin", "/demo/..;/admin", "/demo/;x",
    "/demo;jsessionid=1", "/demo%3bx", "/demo%00", "/demo/%00/x", "/demo%0a", "/demo%0d%0aX:1",
    "/demo%09", "/demo%7f", "/demo%252e%252e/admin", "/demo%252fadmin", "/demo/%25", "/demo%",
    "/demo%2", "/demo%zz", "/demo%u002e", "/demo#x", "/demo/public#/../admin", "/demo%23/public",
    "/demo%3fx", "/demo/%c0%ae", "/demo/%c0%af", "/demo/%e0%80%af", "/demo/%ff",
    "/demo/%ed%a0%80", "/demo/é", "/demo/\x00", "/demo/\x7f", "/demo/ x", "/demo/\tx", "/demo/<",
    "/demo/\"", "/demo/{x}", "/demo/|", "/demo/^", "/demo/`", "/demo/[x]", "/demo/%e2%80%a8",
    "/demo/%c2%85", "/demo/" + "a" * 9000,
    *(f"/%{ord(c):02x}open/x" for c in "/;?#[]%\\."),
]  # fmt: skip


# A character beside a protected name, or in it, and what some reader makes of the whole.
DISGUISED = {
    "a space at the end": "/admin ",
    "a space before": "/ admin",
    "before a slash": "/admin /x",
    "a no-break space": "/admin\u00a0",
    "in the middle": "/ad\u00a0min",
    "an ideographic space": "/admin\u3000",
    "a line separator": "/admin\u2028",
    "a tab": "/admin\t",
    "NEL": "/admin\u0085",
    "NUL": "/admin\x00",
    "a zero-width space": "/ad\u200bmin",
    "a zero-width joiner": "/ad\u200dmin",
    "a soft hyphen": "/ad\u00admin",
    "a byte order mark": "/\ufeffadmin",
    "right-to-left override": "/\u202enimda",
    "a tag": "/admin\U000e0041",
    "private use": "/admin\ue000",
    "unassigned": "/admin\u0378",
    "no character": "/admin\uffff",
    "a fullwidth solidus": "/x\uff0fadmin",
    "a fullwidth backslash": "/x\uff3cadmin",
    "fullwidth stops": "/x/\uff0e\uff0e",
    "a two-dot leader": "/x/\u2025",
    "a one-dot leader": "/\u2024",
    "fullwidth percent": "/x\uff052fadmin",
    "a fullwidth semicolon": "/admin\uff1bx",
    "a Greek question mark": "/admin\u037ex",
    "fullwidth question": "/admin\uff1f",
    "a fullwidth number sign": "/admin\uff03",
    "account of": "/x\u2100",
    "a division slash": "/x\u2215admin",
    "a fraction slash": "/x\u2044admin",
    "a set minus": "/x\u2216admin",
    "a fullwidth letter": "/\uff41dmin",
    "a ligature": "/\ufb01le",
    "a long s": "/acce\u017fs",
    "the Kelvin sign": "/\u212aeys",
    "a superscript": "/v\u00b2",
    "a bold letter": "/\U0001d41admin",
    "a circled letter": "/\u24d0dmin",
}


@pytest.mark.parametrize("path", DISGUISED.values(), ids=DISGUISED)
def test_what_is_not_seen_or_is_another_spelling_matches_nothing(path: str) -> None:
    """A service behind that strips or normalises would serve another path than was looked up."""
    assert plain_path(quote(path, safe="/")) is None


@pytest.mark.parametrize(
    "path",
    [
        "/été",
        "/e\u0301te\u0301",
        "/ärger/straße",
        "/日本語",
        "/كتاب",
        "/हिन्दी",
        "/файл 1 (neu)",
        "/a b/c d",
        "/\U0001f600",
        "/€",
        "/ada@acme.com+1",
    ],
)
def test_other_peoples_letters_are_letters(path: str) -> None:
    """However they are composed."""
    assert plain_path(quote(path, safe="/")) == path


@pytest.mark.parametrize("target", AMBIGUOUS)
def test_a_path_two_readers_could_understand_differently_matches_nothing(target: str) -> None:
    """Dots, doubled slashes, encoded separators, double encoding, controls, fragments: refused."""
    assert plain_path(target) is None


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/demo", "/demo"),
        ("/demo/", "/demo/"),
        ("/demo?x=/public&y=..%2f", "/demo"),
        ("/demo?", "/demo"),
        ("/.well-known/x", "/.well-known/x"),
        ("/a.b/...c/~x/(1)/a@b:c=d,e+f!*'", "/a.b/...c/~x/(1)/a@b:c=d,e+f!*'"),
        ("/%61dmin", "/admin"),
        ("/demo/a%20b", "/demo/a b"),
        ("/users/ada%40acme.com", "/users/ada@acme.com"),
        ("/demo/%C3%A9t%C3%A9", "/demo/été"),
    ],
)
def test_plain_paths_are_decoded_once(target: str, path: str) -> None:
    """The query is not part of it, and an encoded letter is the letter."""
    assert plain_path(target) == path


@pytest.mark.parametrize("character", "!$&'()*+,:=@")
def test_a_reserved_character_is_in_no_prefix_so_escaped_or_not_is_one_rule(character: str) -> None:
    """Traefik routes on the escaped form, the edge reads the decoded one: no rule can tell them apart."""
    escaped = plain_path(f"/%{ord(character):02x}open/x")

    assert escaped == plain_path(f"/{character}open/x") == f"/{character}open/x"
    with pytest.raises(CatalogueError):
        parse_catalogue(
            f"services: {{s: {{paths: ['/{character}open'], upstream: 'http://127.0.0.1:1'}}}}"
        )


@given(st.text(max_size=40))
def test_no_text_makes_a_path_with_a_way_out(text: str) -> None:
    """Whatever comes, what is accepted has no dot segment, empty segment, separator or control."""
    path = plain_path("/" + text)

    if path is not None:
        segments = path[1:].split("/")
        assert not {".", ".."} & set(segments)
        assert "" not in segments[:-1]
        assert not set(path) & set("\\;#?%\x00\r\n")


PUBLIC = RouteTable(
    parse_catalogue(
        "services:\n  demo:\n    paths: [/demo]\n    upstream: http://x\n"
        "    public_paths: [/demo/public]\n"
    )
)
PIECES = [
    *("/x", "/y.z", "/%7ea", "/caf%C3%A9", "/a%20b", "/b", "/%61", "/...", "~", ".a", "x", "-"),
    *("/", "/", "/x", "/a.b", "/...", "/%61", "/caf%C3%A9", "/a%20b", "?a=/..", "?"),
    *("..", ".", "/..", "/.", "%2e", "%2E%2e", "/%2e%2e", "%2f", "%2F..", "%5c", "\\", "/..\\"),
    *(
        ";",
        "/..;",
        "/..;x=y",
        "%3b",
        "#",
        "%23",
        "%3f",
        "%3f/../",
        "%00",
        "%0a",
        "%20",
        "%09",
        "%7f",
    ),
    *(
        "%25",
        "%252e",
        "%252f",
        "%25252e",
        "%c0%ae",
        "%c0%af",
        "%ef%bc%8f",
        "%ef%bc%8e",
        "%e2%80%a5",
    ),
    *("admin", "~", "%7e", "%", "%2", "%u002e"),
    *(
        "/%e2%80%a5",
        "%ef%bc%8f..",
        "/%ef%bc%8e%ef%bc%8e",
        "%ef%bc%bc..",
        "/%ef%bc%8e.",
        "/.%ef%bc%8e",
    ),
]


def readings(path: str) -> set[str]:
    """What somebody behind the gateway could make of *path*."""
    found = set()
    for _ in range(4):
        for text in (path, unicodedata.normalize("NFKC", path)):
            for whole in (text, text.partition("?")[0], text.partition("#")[0]):
                for one in (whole, whole.replace("\\", "/"), re.sub(r";[^/]*", "", whole)):
                    found.add(posixpath.normpath(one.partition("\0")[0].rstrip(" .")))
        path = unquote(path)
    return found


@given(
    st.lists(st.sampled_from(PIECES), max_size=4).map("/".join).map("/".__add__)
    | st.lists(st.sampled_from(PIECES), max_size=4).map("".join)
)
@settings(max_examples=examples(400))
def test_no_encoding_of_a_protected_path_reaches_a_public_rule(tail: str) -> None:
    """What matches /demo/public is below it for every reader: decoded again, tidied up, cut off."""
    target = f"/demo/public{tail}"
    path = plain_path(target)

    if path is not None and (route := PUBLIC.find("any", path)) is not None and route.public:
        read = readings(target.partition("?")[0])
        assert [one for one in read if not is_under(one, "/demo/public")] == []


def test_the_longest_prefix_wins_by_segment_and_an_exact_host_before_any() -> None:
    """/demo is not /demonstration; the host is compared without case and port."""
    table = RouteTable(
        parse_catalogue(
            "services:\n"
            "  any:\n    paths: [/demo, /x]\n    upstream: http://a\n    public_paths: [/demo/public]\n"
            "  app:\n    host: App.example.com\n    paths: [/demo/app, /y]\n    upstream: http://b\n"
        )
    )

    def found(host: str, path: str) -> tuple[str, bool] | None:
        route = table.find(host, path)
        return (route.service.name, route.public) if route else None

    assert found("a.example", "/demo") == ("any", False)
    assert found("a.example", "/demo/") == ("any", False)
    assert found("a.example", "/demo/public/x") == ("any", True)
    assert found("a.example", "/demo/publicity") == ("any", False)
    assert found("a.example", "/demonstration") is None
    assert found("a.example", "/y") is None
    assert found("APP.example.com:8443", "/y/z") == ("app", False)
    assert found("app.example.com", "/demo/app/z") == ("app", False)
    assert found("app.example.com", "/demo/x") == ("any", False)
    assert found("app.example.com.", "/y") == ("app", False)
    assert found("App.example.com.:8443", "/y") == ("app", False)
    assert found("app.example.com..", "/y") is None
    assert found("evilapp.example.com", "/y") is None


def test_a_service_at_the_root_takes_the_rest() -> None:
    """/ is a prefix like any other, only the shortest."""
    table = RouteTable(
        parse_catalogue(
            "services:\n  all:\n    upstream: http://a\n  b:\n    paths: [/b]\n    upstream: http://b\n"
        )
    )

    names = {p: table.find("h", p).service.name for p in ("/", "/c", "/b", "/b/c", "/bc")}  # type: ignore[union-attr]

    assert names == {"/": "all", "/c": "all", "/b": "b", "/b/c": "b", "/bc": "all"}
