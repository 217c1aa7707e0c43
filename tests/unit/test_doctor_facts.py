"""What the doctor makes of facts: each check seen failing, and silent where all is as it should be."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ctl.commands.doctor import exit_code, is_own
from ctl.doctor.asking import Answers, silent
from ctl.doctor.catalogue import judge_catalogue, judge_tokens
from ctl.doctor.checks import CATALOGUE, CHECKS, WORKERS
from ctl.doctor.facts import Told, is_wide, judge_edges, judge_workers
from ctl.doctor.files import judge_files
from ctl.doctor.findings import Examination, Finding, as_json, as_lines
from ctl.doctor.grants import covers, forbidden
from ctl.doctor.pages import judge_cookies, judge_page, leads_to
from ctl.doctor.routes import routes_of
from ctl.doctor.tricks import climbs, spellings
from ctl.doctor.wire import Answer
from ctl.exits import DONE, FAILED, UNREACHABLE
from shared.catalogue import Catalogue, load_catalogue, parse_catalogue
from shared.messages import (
    EdgeList,
    GoneEdge,
    KeyFacts,
    RedisFacts,
    ServiceTokenRow,
    SmtpFacts,
    WorkerFacts,
)
from shared.secrets import write_private
from tests.support.servers import ROOT

NOW = 1_800_000_000_000
DAY_MS = 86_400_000
URL = "https://auth.acme.com"
GOOD_REDIS = RedisFacts(eviction="noeviction", append_only=True, fsync="always", used=0.1)


def made(days_ago: int) -> str:
    """A kid's date."""
    day = datetime.fromtimestamp(NOW / 1000, UTC) - timedelta(days=days_ago)
    return day.strftime("%Y%m%d")


def worker(**facts: object) -> WorkerFacts:
    """A worker with nothing to complain of, but for *facts*."""
    values: dict[str, object] = {"worker": "auth", "at": NOW, "url": URL}
    return WorkerFacts.model_validate({**values, **facts})


def key(days_ago: int) -> KeyFacts:
    """A signing key."""
    return KeyFacts(purpose="signing", kid=f"{made(days_ago)}-sig-1", made_on=made(days_ago))


def redis(**changes: object) -> WorkerFacts:
    """Auth, with Redis changed so."""
    return worker(redis=GOOD_REDIS.model_copy(update=changes))


# One worker's word and the one check that must fail by it.
WRONG: list[tuple[str, WorkerFacts]] = [
    ("worker.problem", worker(problems=("feed: no proof",))),
    ("worker.note", worker(notes=("keys document: refused",))),
    ("worker.clock", worker(at=NOW - 2_001)),
    ("worker.clock", worker(at=NOW + 3_001)),
    ("proxies.wide", worker(trusted_proxies=("10.0.0.0/8",))),
    ("proxies.wide", worker(trusted_proxies=("fd00::/8",))),
    ("allow.everybody", worker(allows_everybody=True)),
    ("edge.assertion_key", worker(worker="edge-1", assertion_key=False)),
    ("edge.staleness", worker(worker="edge-1", max_staleness_ms=60_001)),
    ("redis.away", worker(redis=RedisFacts(problem="no answer"))),
    ("redis.eviction", redis(eviction="allkeys-lru")),
    ("redis.evicted", redis(evicted=1)),
    ("redis.append_only", redis(append_only=False, fsync="")),
    ("redis.fsync", redis(fsync="everysec")),
    ("redis.unknown", redis(append_only=None, fsync="")),
    ("redis.write_failed", redis(last_write_ok=False)),
    ("redis.memory", redis(used=0.81)),
    ("redis.memory", redis(used=0.0, bounded=False)),
    ("redis.clock", redis(ahead_ms=-2_001)),
    ("smtp.away", worker(smtp=SmtpFacts(problem="refuses connections", tls="starttls"))),
    ("smtp.plain", worker(smtp=SmtpFacts(tls="none"))),
    ("keys.old", worker(keys=(key(400), key(181)))),
]
# What looks like one of them and is none.
RIGHT: list[WorkerFacts] = [
    worker(),
    worker(at=NOW - 1_900),
    worker(at=NOW + 2_900, worker="mailer"),
    worker(trusted_proxies=("127.0.0.0/8", "::1/128", "172.31.250.0/24", "fd00:1::/64")),
    worker(allows_everybody=True, url="http://localhost:8080"),
    worker(allows_everybody=False),
    worker(worker="edge-1", assertion_key=True, max_staleness_ms=60_000),
    redis(),
    redis(used=0.8, ahead_ms=2_000),
    worker(smtp=SmtpFacts(tls="none", here=True)),
    worker(smtp=SmtpFacts(tls="implicit")),
    worker(keys=(key(400), key(179))),
    worker(keys=(KeyFacts(purpose="link", kid="mine", made_on="mine"),)),
]

GOOD_SERVICE = '{ paths: [/a], upstream: "http://a" }'
SMELLS = {
    "catalogue.open": "require_auth: false, rate_limit: strict",
    "catalogue.no_limit": "public_paths: [/a/open]",
    "catalogue.any_origin": 'allowed_origins: ["*"]',
    "catalogue.any_service": 'token_types: [service], callers: ["*"]',
    "catalogue.local_origin": 'allowed_origins: ["http://localhost:3000"], allow_credentials: true',
    "catalogue.any_org": 'roles: {any: [auditor], all: ["org:owner"]}',
    "catalogue.bare": "security_headers: false",
    "catalogue.staleness": "max_staleness: 61s",
}


def judged(facts: WorkerFacts) -> list[str]:
    """The checks that fail by *facts*, asked at NOW and heard a second later."""
    return [found.check for found in judge_workers([Told(facts, NOW, NOW + 1_000)], NOW)]


@pytest.mark.parametrize(("check", "facts"), WRONG)
def test_a_wrong_fact_fails_its_check_and_no_other(check: str, facts: WorkerFacts) -> None:
    """One fact, one finding."""
    assert judged(facts) == [check]


@pytest.mark.parametrize("facts", RIGHT)
def test_a_right_fact_fails_nothing(facts: WorkerFacts) -> None:
    """A doctor that cries wolf is not called again."""
    assert judged(facts) == []


def test_workers_that_disagree_about_the_address_are_found() -> None:
    """Cookies and tokens of one are refused by the other."""
    told = [Told(worker(url=url), NOW, NOW) for url in (URL, "https://login.acme.com")]

    assert [found.check for found in judge_workers(told, NOW)] == ["worker.url"]


def mailers(*facts: WorkerFacts) -> list[tuple[str, str]]:
    """Check and place of what is found at several processes of one worker."""
    told = [
        Told(one.model_copy(update={"worker": "mailer", "place": f"mail-{n}, process 7"}), NOW, NOW)
        for n, one in enumerate(facts, 1)
    ]
    return [(found.check, found.where) for found in judge_workers(told, NOW)]


def test_the_one_process_of_three_that_is_badly_set_is_named() -> None:
    """Whichever it is: the machine and the process stand beside what is wrong."""
    away = worker(smtp=SmtpFacts(problem="refuses connections", tls="starttls"))

    assert mailers(worker(), away, worker()) == [
        ("smtp.away", "mail server (mailer on mail-2, process 7)")
    ]


def test_what_all_processes_suffer_from_is_said_once() -> None:
    """Three mailers and one mail server that is away: one finding."""
    away = worker(smtp=SmtpFacts(problem="refuses connections", tls="starttls"))

    assert mailers(away, away, away) == [("smtp.away", "mail server")]


DIFFERENT: list[dict[str, object]] = [
    {"version": "9.9.9"},
    {"cookie_domain": "acme.com"},
    {"trusted_proxies": ("172.31.250.0/24",)},
    {"max_staleness_ms": 30_000},
    {"keys": (key(1),)},
]


@pytest.mark.parametrize("changes", DIFFERENT)
def test_processes_of_one_worker_that_are_set_differently_are_found(
    changes: dict[str, object],
) -> None:
    """What is allowed would depend on which of them is asked."""
    assert mailers(worker(), worker(**changes)) == [("worker.differs", "mailer")]


@pytest.mark.parametrize("which", ["missing", "unnamed", "twice"])
def test_an_edge_that_is_not_as_it_is_named_is_found(which: str) -> None:
    """Not there, there without a name, or two under one; an edge that is none of them is not."""
    told = EdgeList.model_validate({which: ("edge-2",), "whole": True})

    assert [(f.check, f.where) for f in judge_edges(told)] == [(f"edge.{which}", "edge-2")]
    assert not list(judge_edges(EdgeList(whole=True)))


def test_an_edge_that_was_heard_and_is_gone_is_found() -> None:
    """Where nobody named the edges: with how long ago it spoke, and not as a leak."""
    gone = GoneEdge(edge_id="edge-2", age_ms=7 * 60_000)

    (found,) = judge_edges(EdgeList(whole=True, gone=(gone,)))

    assert (found.check, found.where) == ("edge.gone", "edge-2")
    assert "7 min ago" in found.seen
    assert not found.is_leak


def test_a_process_that_calls_out_and_tells_nothing_is_named() -> None:
    """It is there, and what only it can see was not looked at."""
    answers = Answers()
    for number in (1, 2):
        answers.call(worker(process=f"P{number}", place=f"web-{number}, process 7"))
    answers.told.append(Told(worker(process="P1"), NOW, NOW))

    found = [(finding.check, finding.where) for finding in silent("auth", answers)]
    assert found == [("worker.silent", "auth (web-2, process 7)")]

    answers.told.clear()
    assert len([*silent("auth", answers)]) == 2
    assert [finding.where for finding in silent("auth", Answers())] == ["auth"]


@pytest.mark.parametrize(("check", "keys"), SMELLS.items())
def test_a_smell_of_the_catalogue_is_named_with_its_service(check: str, keys: str) -> None:
    """Each of them was typed by somebody, and may be forgotten."""
    text = f'services: {{ a: {{ paths: [/a], upstream: "http://a", {keys} }} }}'

    found = judge_catalogue(parse_catalogue(text), URL)
    assert [(f.check, f.where) for f in found] == [(check, "a")]


def test_a_plain_service_has_no_smell() -> None:
    """The usual case says nothing."""
    assert judge_catalogue(parse_catalogue(f"services: {{ a: {GOOD_SERVICE} }}"), URL) == []


@pytest.mark.parametrize(
    "keys",
    [
        'roles: ["org:owner"], organisation: "*"',
        'roles: ["org:owner"], organisation: [01ORG]',
        "roles: [auditor]",
        'allowed_origins: ["http://localhost:3000"]',
        'allowed_origins: ["https://app.acme.com"], allow_credentials: true',
    ],
)
def test_what_was_typed_out_has_no_smell(keys: str) -> None:
    """Each of the cures."""
    text = f'services: {{ a: {{ paths: [/a], upstream: "http://a", {keys} }} }}'

    assert judge_catalogue(parse_catalogue(text), URL) == []


def test_pages_of_this_machine_are_fine_where_everything_is_on_it() -> None:
    """`make up`."""
    text = (
        'services: { a: { upstream: "http://a", allowed_origins: ["http://localhost:3000"], '
        "allow_credentials: true } }"
    )

    assert judge_catalogue(parse_catalogue(text), "http://localhost:8080") == []


def row(created: int, expires: int, **more: object) -> ServiceTokenRow:
    """A token, in days from now."""
    values = {"id": "0" * 26, "service": "bot", "last_four": "abcd"}
    times = {"created_at": NOW + created * DAY_MS, "expires_at": NOW + expires * DAY_MS}
    return ServiceTokenRow.model_validate({**values, **times, **more})


@pytest.mark.parametrize(
    ("token", "checks"),
    [
        (row(-1, 90), []),
        (row(-1, 13), ["tokens.expires"]),
        (row(-1, 13, replaced_by="1" * 26), []),
        (row(-1, 182), ["tokens.far"]),
        (row(-40, 50), ["tokens.unused"]),
        (row(-40, 50, last_used_at=NOW - DAY_MS), []),
        (row(-90, 50, last_used_at=NOW - 40 * DAY_MS), ["tokens.unused"]),
    ],
)
def test_a_service_token_nobody_looks_after_is_found(
    token: ServiceTokenRow, checks: list[str]
) -> None:
    """Ends soon, lives long, or is used by nobody."""
    assert [found.check for found in judge_tokens([token], NOW)] == checks


def test_a_secret_that_others_can_read_is_found(tmp_path: Path) -> None:
    """Keys, seeds and passwords alike; what is public is nobody's secret."""
    for name in ("link/k.key", "signing/s.pem", "nats/auth.seed", "smtp.password", "good.key"):
        write_private(tmp_path / name, "secret")
        (tmp_path / name).chmod(0o600 if name.startswith("good") else 0o640)
    (tmp_path / "jwks.json").write_text("{}")

    found = [f.where for f in judge_files(tmp_path)]

    assert found == ["link/k.key", "nats/auth.seed", "signing/s.pem", "smtp.password"]


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("__Host-latchwire=x; Path=/; Secure; HttpOnly; SameSite=Lax", []),
        ("__Host-latchwire-csrf=x; Path=/; Secure; SameSite=Lax", []),
        ("__Host-latchwire=x; Path=/; Secure; SameSite=Lax", ["httponly is missing"]),
        ("__Host-latchwire=x; Path=/; HttpOnly; SameSite=Lax", ["secure is missing"]),
        ("__Host-latchwire=x; Path=/; Secure; HttpOnly", ["samesite is missing"]),
        (
            "latchwire=x; Secure; HttpOnly; SameSite=Lax",
            ["no __Host- or __Secure- prefix on https"],
        ),
        (
            "__Host-latchwire=x; Domain=acme.com; Secure; HttpOnly; SameSite=Lax",
            ["a __Host- cookie with a Domain: browsers drop it"],
        ),
    ],
)
def test_a_cookie_without_a_flag_is_found(line: str, missing: list[str]) -> None:
    """As the browser gets it, so also what a proxy took off."""
    assert [found.seen for found in judge_cookies([line], secure=True)] == missing


@pytest.mark.parametrize(
    ("age", "checks"), [("31536000", []), ("600", ["door.hsts"]), (None, ["door.hsts"])]
)
def test_hsts_for_less_than_half_a_year_is_found(age: str | None, checks: list[str]) -> None:
    """Only on https: browsers ignore it on http."""
    headers = {
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'self'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
        **({"strict-transport-security": f"max-age={age}; includeSubDomains"} if age else {}),
    }
    page = Answer(200, tuple(headers.items()))

    assert [found.check for found in judge_page(page, "/", secure=True)] == checks
    assert list(judge_page(page, "/", secure=False)) == []


@pytest.mark.parametrize(
    ("location", "leads"),
    [
        ("//evil.invalid", True),
        ("https://evil.invalid/x", True),
        ("/\\evil.invalid", True),
        ("https:evil.invalid", True),
        ("/\t/evil.invalid", True),
        ("https://good@evil.invalid:443/", True),
        ("/login?next=//evil.invalid", False),
        ("https://good.example/evil.invalid", False),
        ("https://evil.invalid.good.example/", False),
    ],
)
def test_where_a_redirect_leads_is_read_as_browsers_read_it(location: str, leads: bool) -> None:
    """Backslashes are slashes, tabs are nothing, and a scheme needs no slashes."""
    assert leads_to("evil.invalid", location) is leads


@pytest.mark.parametrize(
    ("pattern", "subject", "covered"),
    [
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.*", "a.*", True),
        ("a.>", "a.b.c", True),
        (">", "a", True),
        ("a.*", "a.b.c", False),
        ("a.*", "a.>", False),
        ("a.>", "a", False),
        ("a.b", "a.*", False),
    ],
)
def test_what_a_grant_covers_is_read_as_nats_reads_it(
    pattern: str, subject: str, covered: bool
) -> None:
    """Else an allowed subject would be called a leak, or a leak allowed."""
    assert covers(pattern, subject) is covered


@pytest.mark.parametrize("name", ["auth", "edge-1", "service-shop", "provisioner", "operator"])
def test_nothing_is_tried_that_would_destroy_where_it_is_allowed(name: str) -> None:
    """Calls of JetStream's API go to a stream nobody has, but for those that read."""
    publish, _ = forbidden(name)
    calls = [s for s in publish if ".API." in s and "MSG.GET" not in s and "DIRECT.GET" not in s]

    assert calls
    assert all("LATCHWIRE_DOCTOR" in call for call in calls)


def test_the_example_of_ten_services_gives_a_path_to_attack_for_each_that_is_protected() -> None:
    """None is forgotten, and none that is open is called a leak."""
    routes = routes_of(load_catalogue(ROOT / "deploy" / "proxies" / "services.yaml"))
    closed = {route.name: route.closed for route in routes}

    assert [name for name, path in closed.items() if not path] == ["status"]
    assert {route.name for route in routes if route.climb} == {"shop", "workspace"}
    assert [route.name for route in routes if not route.exposed] == ["ledger"]
    assert closed["workspace"] == "/"


def test_no_spelling_is_the_plain_path_itself() -> None:
    """It would only be refused, and prove nothing."""
    assert "/demo" not in set(spellings("/demo"))
    assert len(set(spellings("/demo")) | set(climbs("/demo/open", "x"))) >= 40


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("auth.acme.com", True),
        ("shop.acme.com", True),
        ("www.acme.com", False),
        ("93.184.216.34", False),
    ],
)
def test_it_attacks_nobody_else(host: str, own: bool) -> None:
    """Only names of the installation and addresses of private networks."""
    text = 'services: { a: { host: shop.acme.com, upstream: "http://a" } }'

    assert is_own(host, URL, parse_catalogue(text)) is own
    assert is_own("shop.acme.com", URL, Catalogue(())) is False


@pytest.mark.parametrize(
    ("checks", "unreachable", "code"),
    [
        ([], [], DONE),
        (["catalogue.open", "door.unclear"], [], DONE),
        (["catalogue.open", "worker.silent"], [], UNREACHABLE),
        (["catalogue.unread"], [], UNREACHABLE),
        (["redis.eviction"], [], FAILED),
        ([], ["https://auth.acme.com"], UNREACHABLE),
        (["redis.eviction"], ["https://auth.acme.com"], FAILED),
    ],
)
def test_only_a_leak_fails_and_what_was_out_of_reach_is_not_clean(
    checks: list[str], unreachable: list[str], code: int
) -> None:
    """For CI: 0 clean, 1 leaks, 4 out of reach."""
    findings = [Finding(check, "x", "y") for check in checks]

    assert exit_code(Examination(findings, unreachable=unreachable)) == code


def test_the_worst_comes_first_with_what_leaks_and_its_cure() -> None:
    """For people a paragraph, for machines the same words."""
    examination = Examination([Finding("catalogue.open", "shop", "require_auth: false")])
    examination.add([Finding("redis.eviction", "redis", "policy allkeys-lru")] * 2)
    lines, answer = as_lines(examination), as_json(examination)

    assert lines[0] == "LEAK     redis.eviction"
    assert lines[1:4] == [
        "    redis: policy allkeys-lru",
        f"    leaks: {CHECKS['redis.eviction'].leaks}",
        f"    cure:  {CHECKS['redis.eviction'].cure}",
    ]
    assert lines[-1] == "1 leaks, 1 warnings"
    assert (answer["leaks"], answer["warnings"]) == (1, 1)


def test_a_terminal_obeys_nothing_that_was_seen() -> None:
    """Others' words are in findings: headers, names, errors."""
    examination = Examination([Finding("worker.note", "auth", "\x1b[2Jgone")])

    assert "\x1b" not in "\n".join(as_lines(examination))


def test_every_check_of_facts_is_seen_failing() -> None:
    """With the tables above; `worker.silent` and `catalogue.unread` in the tests of the whole command."""
    seen = {check for check, _ in WRONG} | {"worker.url", "worker.differs", *SMELLS}
    seen |= {"edge.missing", "edge.gone", "edge.unnamed", "edge.twice"}
    seen |= {"catalogue.echo"}  # test_doctor_echo.py
    seen |= {"tokens.expires", "tokens.far", "tokens.unused"}

    assert (WORKERS.keys() | CATALOGUE.keys()) - seen == {"worker.silent", "catalogue.unread"}


def test_a_network_that_cannot_be_read_is_wide() -> None:
    """Nothing is known to be narrow about it."""
    assert is_wide("everyone")


def test_the_page_names_every_check_with_its_severity_what_leaks_and_the_cure() -> None:
    """Operators look up what CI said."""
    page = (ROOT / "docs" / "doctor.md").read_text()
    rows = {
        f"| `{name}` | {check.severity.name.lower()} | {check.leaks} | {check.cure} |"
        for name, check in CHECKS.items()
    }

    assert {line for line in page.splitlines() if line.startswith("| `")} == rows
