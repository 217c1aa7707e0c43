"""An explanation in sentences, and the request that it is asked for."""

import pytest

from ctl.commands.explain import RequestError, read_headers, read_request
from ctl.explanations import MEANING, ago, as_json, sentences, verdict
from services.edge.domain.decision import STATUS
from shared.messages import ExplainedRecord, ExplainedRule, Explanation

NOW_MS = 1_800_000_000_000
SID = "01J00000000000000000000S1D"
JTI = "01J00000000000000000000JT1"


def an_explanation(**fields: object) -> Explanation:
    """Of a good token of Ada's, with *fields* replaced."""
    plain = {
        "edge_id": "edge-1",
        "outcome": "allow",
        "reason": "token",
        "status": 200,
        "kid": "kid-1",
        "sub": "ada@example.com",
        "sid": SID,
        "jti": JTI,
        "expires_at": NOW_MS + 60_000,
        "issued_at": NOW_MS - 60_000,
        "session_began_at": NOW_MS - 90_000,
        "seq": 1182,
        "staleness_ms": 310,
        "keys_generation": 3,
        "catalogue_generation": 7,
    }
    return Explanation.model_validate(plain | fields)


def text_of(told: Explanation) -> str:
    """All its sentences."""
    return "\n".join(sentences(told, NOW_MS))


def a_record(scope: str, **fields: object) -> dict[str, object]:
    """A record of *scope* that was stored four minutes ago."""
    plain = {"scope": scope, "key": "skey", "seq": 1180, "stored_at": NOW_MS - 250_000}
    return {**plain, "until": NOW_MS + 86_400_000, **fields}


def test_a_good_token_is_told_with_whom_it_names_and_how_fresh_the_edge_is() -> None:
    """Verdict, token, edge; the address masked."""
    assert text_of(an_explanation()).splitlines() == [
        "allowed.",
        f"Token: person a…@example.com, session {SID}, jti {JTI}, key kid-1, expires 2027-01-15T08:01:00Z.",
        "Asked edge-1: BLOCKLIST 1182, proven 310 ms ago; keys generation 3, catalogue generation 7.",
    ]


def test_an_account_is_told_with_its_address_and_where_it_works() -> None:
    """The id is what services keep; the address, masked, is whom an operator knows."""
    told = an_explanation(sub="01ADA", email="ada@example.com", org="01ORG", roles=("org:owner",))

    assert "person 01ADA (a…@example.com) in organisation 01ORG with org:owner," in text_of(told)
    assert ("01ADA", "a…@example.com") == (as_json(told)["sub"], as_json(told)["email"])


def test_a_revoked_session_is_told_with_when_where_and_until_when() -> None:
    """What an operator needs to find the event: the age, the sequence and the key."""
    told = an_explanation(
        outcome="deny",
        reason="token_revoked",
        status=401,
        detail="session",
        record=a_record("session"),
    )

    lines = text_of(told).splitlines()

    assert lines[0] == "refused: token_revoked (401): it was revoked (session)."
    assert lines[1] == (
        f"Session {SID} was revoked 4 min ago (BLOCKLIST 1180, skey), until 2027-01-16T08:00:00Z."
    )


def test_a_person_is_told_with_the_watermark_against_the_tokens_own_time() -> None:
    """To the millisecond: whether this session began before the mark decides."""
    record = a_record("subject", sessions_before=NOW_MS - 80_000, tokens_before=NOW_MS - 70_000)
    told = an_explanation(outcome="deny", reason="token_revoked", status=401, record=record)

    text = text_of(told)

    assert "Person a…@example.com was revoked" in text
    assert (
        "It hits sessions begun until 2027-01-15T07:58:40.000Z; "
        "this session began 2027-01-15T07:58:30.000Z." in text
    )
    assert "tokens issued" not in text, "this token was issued after that mark"


def test_a_key_without_an_end_is_for_ever_and_a_place_that_was_not_read_is_said() -> None:
    """No number is made up."""
    key = an_explanation(outcome="deny", record=a_record("key", until=None))
    unread = an_explanation(outcome="deny", record=ExplainedRecord(scope="token", key="jkey"))

    assert "Key kid-1 was revoked 4 min ago (BLOCKLIST 1180, skey), for ever." in text_of(key)
    assert f"Token {JTI} was revoked (its place could not be read just now, jkey)." in text_of(
        unread
    )


def test_a_key_that_was_taken_away_is_told_with_its_revocation_or_as_unknown() -> None:
    """Not as a stranger's token: after a compromise that is what every holder of a good one brings."""
    nobody = {"outcome": "deny", "reason": "token_invalid", "status": 401, "detail": "kid unknown"}
    unknown = an_explanation(**nobody, sub="", sid="", jti="", expires_at=None)
    revoked = unknown.model_copy(
        update={"record": ExplainedRecord(**a_record("key", until=None))}  # type: ignore[arg-type]
    )
    stranger = unknown.model_copy(update={"kid": ""})

    assert text_of(revoked).splitlines()[:2] == [
        "refused: token_invalid (401): its key was revoked, and what it signed counts nowhere (kid unknown).",
        "Key kid-1 was revoked 4 min ago (BLOCKLIST 1180, skey), for ever.",
    ]
    assert text_of(unknown).splitlines()[0] == (
        "refused: token_invalid (401): its key kid-1 is not known here (any more): if it is ours at all, it "
        "was retired, or it is so new that this edge has not heard of it (kid unknown)."
    )
    assert "this is no token of this installation (kid unknown)" in text_of(stranger)
    for told in (unknown, revoked, stranger):
        assert "Token: " not in text_of(told), "nobody checked what it says of itself"


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (ExplainedRule(service="a", path="/x", public=True), "Rule a: /x is open to everybody."),
        (ExplainedRule(service="a", host="h.org", path="/"), "Rule a: h.org/ is for everybody signed in."),
        (
            ExplainedRule(service="a", path="/", roles=("admin", "editor"), emails=("@acme.com", "sam@b.org")),
            "for people with one of the roles admin, editor and one of the addresses @acme.com, s…@b.org.",
        ),
        (
            ExplainedRule(
                service="a", path="/", all_roles=("x", "y"), organisations=("*",), login_age_ms=900_000,
            ),
            "all of the roles x, y and any active organisation, logged in at most 15 min ago.",
        ),
        (
            ExplainedRule(
                service="a", path="/", token_types=("service",), callers=("*",), all_permissions=("p.q",),
            ),
            "Rule a: / is for any service, with the permission p.q.",
        ),
        (
            ExplainedRule(
                service="a", path="/", token_types=("user", "service"), callers=("bot", "shop"),
                permissions=("p", "q"),
            ),
            "Rule a: / is for everybody signed in or the services bot, shop, with one of the permissions p, q.",
        ),
        (
            ExplainedRule(service="a", path="/", roles=("admin",), organisations=("o1",)),
            "Rule a: / is for people with the role admin and the active organisation o1.",
        ),
        (
            ExplainedRule(service="a", path="/", exposed=False, login_age_ms=90_000),
            "at most 90 s ago. It is not for the internet: only the internal entry point has a route to it.",
        ),
        (
            ExplainedRule(service="a", path="/", origins=("https://x.y",), credentials=True),
            "Pages of https://x.y may call it, with the visitor's cookies.",
        ),
        (
            ExplainedRule(service="a", path="/", origins=("*",)),
            "Pages of any origin may call it, without the visitor's cookies.",
        ),
    ],
)  # fmt: skip
def test_the_rule_is_told_with_whom_it_lets_in(rule: ExplainedRule, told: str) -> None:
    """Service, host, path, and who."""
    assert told in text_of(an_explanation(rule="a", route=rule))


PREFLIGHTS = [
    (
        "allow", "preflight", 200, ("https://x.y",),
        ("allowed: a preflight of a page that may call this service.\n"
        "A preflight brings no credentials and passes without; what the page then asks is checked as usual."),
    ),
    (
        "deny", "preflight_refused", 403, ("https://x.y",),
        "refused: preflight_refused (403): a page of that origin may not call this service.\n",
    ),
    (
        "deny", "preflight_refused", 403, (),
        ("refused: preflight_refused (403): no page of another origin may call this service (it has no "
        "allowed_origins).\n"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("outcome", "reason", "status", "origins", "said"), PREFLIGHTS)
def test_a_preflight_is_told_with_whose_pages_may_call(
    outcome: str, reason: str, status: int, origins: tuple[str, ...], said: str
) -> None:
    """Allowed is not open to everybody: the request after it is checked."""
    rule = ExplainedRule(service="a", path="/", origins=origins)
    told = text_of(
        an_explanation(outcome=outcome, reason=reason, status=status, sub="", route=rule)
    )

    assert told.startswith(said)
    assert ("Pages of https://x.y may call it" in told) is bool(origins)


PAGE = "Origin: https://app.example.com"
HEADERS = [
    ([], "", {}),
    ([], "OPTIONS", {}),
    ([PAGE], "OPTIONS", {"origin": "https://app.example.com", "asks_method": "GET"}),
    ([PAGE], "POST", {"origin": "https://app.example.com"}),
    (["origin:null"], "OPTIONS", {"origin": "null", "asks_method": "GET"}),
    (
        [PAGE, "access-control-request-METHOD:  PUT "], "OPTIONS",
        {"origin": "https://app.example.com", "asks_method": "PUT"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "method", "said"), HEADERS)
def test_a_preflight_is_described_by_its_headers(
    lines: list[str], method: str, said: dict[str, str]
) -> None:
    """As the browser writes them, in any case and with any spaces around; GET unless said."""
    assert read_headers(lines, method) == said


@pytest.mark.parametrize(
    ("lines", "method", "cure"),
    [
        (["Cookie: a=b"], "OPTIONS", "--header is one of"),
        (["Origin"], "OPTIONS", "--header is one of"),
        (["Origin:"], "OPTIONS", "--header is one of"),
        ([PAGE, PAGE], "OPTIONS", "--header is one of"),
        ([PAGE], "", "--header goes with --request"),
        (["Origin: https://app.example.com/"], "OPTIONS", "an origin is a scheme"),
        (["Origin: app.example.com"], "OPTIONS", "an origin is a scheme"),
        (["Origin: https://ada@app.example.com"], "OPTIONS", "an origin is a scheme"),
    ],
)
def test_a_header_that_no_answer_depends_on_is_refused_with_the_cure(
    lines: list[str], method: str, cure: str
) -> None:
    """And an origin that no browser would write; what was given is not repeated."""
    with pytest.raises(RequestError, match=cure) as refused:
        read_headers(lines, method)

    assert "a=b" not in str(refused.value)


SERVICES_ONLY = ExplainedRule(service="a", path="/", token_types=("service",), callers=("*",))


@pytest.mark.parametrize(
    ("reason", "detail", "said"),
    [
        (
            "token_invalid", "service token unknown",
            "(403): this service token has run out, or was never one of this installation's.",
        ),
        ("no_credentials", "", "(403): the service wants a service token, and the request brings none."),
        ("wrong_token_type", "user", "and the service takes only services (token_types: service)."),
        ("wrong_token_type", "service", "and the service takes only people (token_types: user)."),
        (
            "stale", "app.5bee611197f1b5cc",
            "routes by another services.yaml than this edge, and is to ask again (app.5bee611197f1b5cc).",
        ),
    ],
)  # fmt: skip
def test_a_refusal_says_who_came_and_what_the_service_wants(
    reason: str, detail: str, said: str
) -> None:
    """A service-only route never speaks of a sign-in, a revoked token is not called a stranger's."""
    told = an_explanation(
        outcome="deny",
        reason=reason,
        status=403,
        detail=detail,
        route=SERVICES_ONLY,
        sub="",
        kid="",
    )

    first = text_of(told).splitlines()[0]
    assert first.endswith(said)
    assert "sign" not in first.replace("signed", "")


def test_what_an_edge_says_cannot_move_a_terminals_cursor() -> None:
    """An edge may be stolen: its words are shown, not obeyed."""
    told = an_explanation(outcome="deny", reason="token_invalid", detail="ok")
    evil = told.model_copy(update={"edge_id": "\x1b[2J", "detail": "\x1b[1A", "kid": "\x07"})

    assert "\x1b" not in text_of(evil)
    assert "\x07" not in text_of(evil)


def test_in_json_everything_is_there_and_the_address_masked() -> None:
    """For machines."""
    told = as_json(an_explanation(record=a_record("session"), outcome="deny"))
    assert (told["sub"], told["jti"], told["status"]) == ("a…@example.com", JTI, 200)
    record = told["record"]
    assert isinstance(record, dict)
    assert record["seq"] == 1180
    assert verdict(an_explanation(reason="public", kid="")) == "allowed: open to everybody"


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (-5, "just now"), (1_999, "just now"), (40_000, "40 s ago"), (119_000, "119 s ago"),
        (240_000, "4 min ago"), (3 * 3_600_000, "3 h ago"), (2 * 86_400_000, "2 days ago"),
    ],
)  # fmt: skip
def test_an_age_is_told_in_its_largest_unit(ms: int, words: str) -> None:
    """Also when the two clocks disagree."""
    assert ago(ms) == words


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("GET https://app.example.com/path?x=1", ("GET", "https", "app.example.com", "/path?x=1")),
        ("POST http://localhost:8080/demo", ("POST", "http", "localhost:8080", "/demo")),
        ("https://app.example.com", ("GET", "https", "app.example.com", "/")),
        ("  DELETE  https://app.example.com/a%2fb ", ("DELETE", "https", "app.example.com", "/a%2fb")),
    ],
)  # fmt: skip
def test_a_request_is_read_as_it_is_written(text: str, read: tuple[str, ...]) -> None:
    """The target goes to the edge raw: how it reads an odd one is what is asked."""
    assert tuple(read_request(text).values()) == read


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("", "that is no request"),
        ("get https://a.example/", "that is no request"),
        ("GET /path", "the address has no host"),
        ("GET ftp://a.example/", "the address has no host"),
        ("GET https://ada:secret@a.example/", "no user or password"),
        ("GET https://a.example/ HTTP/1.1", "that is no request"),
        ("GET https://[::1", "that is no address"),
    ],
)
def test_what_is_no_request_is_refused_with_the_cure(text: str, cure: str) -> None:
    """And not repeated."""
    with pytest.raises(RequestError, match=cure) as caught:
        read_request(text)
    assert "secret" not in str(caught.value)


def test_a_service_is_no_person() -> None:
    """By its name and scopes, without an address or a key that it does not have."""
    told = an_explanation(
        outcome="allow", reason="token", sub="bot", service="bot", permissions=("orders.read",), kid=""
    )  # fmt: skip

    assert "Token: service bot with orders.read, session" in text_of(told)
    assert "key " not in text_of(told)


def test_a_persons_login_is_told_with_its_age() -> None:
    """It is what login_age counts from."""
    told = an_explanation(
        outcome="allow", reason="token", sub="01ADA", logged_in_at=NOW_MS - 7_200_000
    )

    assert ", logged in 2 h ago, session" in text_of(told)


def test_every_code_of_the_edge_has_a_meaning_in_words() -> None:
    """A new one without is noticed here."""
    assert set(MEANING) == set(STATUS)


def test_all_tokens_of_a_service_are_told_as_the_service_s() -> None:
    """It is the subject of its tokens, and no person."""
    record = a_record("subject", sessions_before=NOW_MS - 90_000)
    told = an_explanation(
        outcome="deny", reason="token_revoked", sub="bot", service="bot", record=record
    )

    assert (
        text_of(told)
        .splitlines()[1]
        .startswith("Service bot was revoked 4 min ago (BLOCKLIST 1180,")
    )


def test_a_service_token_that_was_revoked_long_ago_is_told_with_when() -> None:
    """Its record has lapsed; the register keeps it, and the sentence has no place in the blocklist."""
    told = an_explanation(
        outcome="deny", reason="token_revoked", status=401, detail="register", sub="bot", service="bot",
        revoked_at=NOW_MS - 9 * 86_400_000,
    )  # fmt: skip

    lines = text_of(told).splitlines()

    assert lines[0] == "refused: token_revoked (401): it was revoked."
    assert lines[1].startswith(
        f"Service token {SID} was revoked 9 days ago, on 2027-01-06T08:00:00Z,"
    )
    assert lines[2].startswith("Token: service bot, ")
