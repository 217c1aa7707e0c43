"""The small parts of `up`: refusals for people, the mailbox's pages, what Traefik is told."""

import json
import re
import sys
from pathlib import Path
from typing import get_args

import pytest

from ctl.up.layout import APP_STANZA, Layout, demo_port_of, write_catalogue, write_redis
from ctl.up.mailbox import pages
from ctl.up.mailbox.store import Mailbox
from ctl.up.plan import redis_binary, redis_version
from ctl.up.refusals import readable
from services.auth.domain.link import Muted
from services.edge.domain.decision import STATUS
from shared import traefik
from shared.catalogue import Catalogue, Service, load_catalogue
from tests.support.stack import make_lab

GATEWAY = traefik.Gateway(auth="http://127.0.0.1:1", edge="http://127.0.0.1:2")
DEMO = Service("demo", None, ("/demo",), "http://127.0.0.1:3", public_paths=("/demo/public",))


def test_a_refusal_is_one_readable_line() -> None:
    """Of which service, the code, what it means, and what was done about it."""
    event = {
        "event": "check.refused", "service": "demo", "reason": "no_credentials", "detail": "",
        "outcome": "redirect",
    }  # fmt: skip

    line = readable(json.dumps(event))
    kinds = {"reason": "wrong_token_type", "detail": "user", "outcome": "deny"}
    assert readable(json.dumps(event | kinds)) == (
        "refused  demo  wrong_token_type: a person came, and it takes only services: token_types"
    )

    behind = {"reason": "stale", "detail": "demo.5bee611197f1b5cc", "outcome": "unavailable"}
    assert readable(json.dumps(event | behind)) == (
        "refused  demo  stale: Traefik does not route by this services.yaml yet [demo.5bee611197f1b5cc]"
    )

    sent_on = "(the browser was sent to log in)"
    assert line == f"refused  demo  no_credentials: no login came, and no service token {sent_on}"


def test_a_log_line_cannot_steer_the_terminal() -> None:
    """Escape sequences and line breaks are not printed."""
    event = {"event": "check.refused", "detail": "\x1b[2J\nready", "reason": "x"}

    line = readable(json.dumps(event))

    assert line is not None
    assert line.isprintable()


def test_redis_is_full_before_the_machine_is(tmp_path: Path) -> None:
    """Never evicting means something only where there is a bound."""
    written = write_redis(Layout(tmp_path), 6379).read_text()

    assert "maxmemory 256mb\nmaxmemory-policy noeviction\n" in written


async def test_the_edges_of_up_are_named_to_its_revocation_worker(tmp_path: Path) -> None:
    """All of them and no other: a new service is routed at once, also right after the start."""
    plan = (await make_lab(tmp_path)).plan
    settings = {part.name: part.program.env for part in plan.workers}

    there = [env["LATCHWIRE_EDGE_ID"] for name, env in settings.items() if name == "edge"]
    assert settings["revocation"]["LATCHWIRE_EDGES"].split(",") == there


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ("Redis server v=6.2.14 sha=40305114:0 malloc=libc bits=64", (6, 2, 14)),
        ("Valkey server v=8.0.1 sha=00000000:0 malloc=jemalloc", (8, 0, 1)),
        ("command not found", ()),
    ],
)
def test_the_newest_redis_is_taken(told: str, version: tuple[int, ...]) -> None:
    """What each says of itself."""
    assert redis_version(told) == version


def test_a_machines_old_redis_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one that is newer than the wheel's; the wheel's is old itself."""
    for name, version in (("redis-server", "5.0.7"), ("valkey-server", "8.1.0")):
        script = tmp_path / name
        script.write_text(f"#!/bin/sh\necho 'Server v={version} sha=0'\n")
        script.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))  # not the machine's own, whichever it has

    assert redis_binary() == str(tmp_path / "valkey-server")
    (tmp_path / "valkey-server").unlink()
    assert redis_binary() == str(Path(sys.executable).parent / "redis-server")


@pytest.mark.parametrize("line", ["", "Traceback", "[]", '{"event": "worker.started"}'])
def test_other_log_lines_are_not_refusals(line: str) -> None:
    """Only the edge's own event is told."""
    assert readable(line) is None


def test_a_mail_cannot_put_markup_into_the_mailbox() -> None:
    """Subject, addresses and text are escaped; a link stays a link, without its full stop."""
    mailbox = Mailbox()
    raw = (
        b"From: a@example.com\r\nSubject: <script>alert(1)</script>\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
        b'Open http://localhost:8080/auth/link#abc. <b>"x"</b>\r\n'
    )
    mailbox.receive(['"<i>"@example.com'], raw, at=0)

    [mail] = mailbox.newest_first()
    page = pages.message(mail) + pages.inbox([mail])

    assert "<script>" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert '<a href="http://localhost:8080/auth/link#abc" rel="noreferrer">' in page


def test_every_code_of_the_edge_has_a_meaning_for_people() -> None:
    """A new code without one is noticed here."""
    codes = set(STATUS) - {"internal"}

    assert not [c for c in codes if f"{c}: " not in (readable(_refusal(c)) or "")]


@pytest.mark.parametrize("reason", [reason for reason in get_args(Muted) if reason])
def test_a_login_that_gets_no_mail_is_one_line_with_the_reason(reason: str) -> None:
    """Who waits for a mail in vain sees why; the address is not repeated."""
    line = readable(json.dumps({"event": "link.muted", "login_id": "x", "reason": reason}))

    assert line is not None
    assert line.startswith(f"no mail  login  {reason}: ")


def test_refusals_that_were_withheld_are_counted_in_a_line() -> None:
    """A flood is not shown whole, and not passed over either."""
    line = readable(json.dumps({"event": "check.refusals_withheld", "count": 341}))

    assert line == "refused  341 more in one second, not shown"


def _refusal(code: str) -> str:
    return json.dumps({"event": "check.refused", "reason": code, "service": "demo"})


def test_the_mailbox_finds_the_newest_mail_to_an_address_first() -> None:
    """Whatever the case it is asked in; each recipient has a copy."""
    mailbox = Mailbox()
    mailbox.receive(["ada@example.com", "bob@example.com"], b"Subject: one\r\n\r\n", at=1)
    mailbox.receive(["ada@example.com"], b"Subject: two\r\n\r\n", at=2)

    assert [m.subject for m in mailbox.newest_first("ADA@example.com")] == ["two", "one"]
    assert list(mailbox.newest_first("bob@example.com")[0].as_json()) == [
        "from", "id", "to", "subject", "text", "html", "at",
    ]  # fmt: skip


def test_a_catalogue_that_was_changed_by_hand_is_kept_and_tells_where_the_demo_is(
    tmp_path: Path,
) -> None:
    """An untouched one follows the demo to whatever port is free."""
    layout = Layout(tmp_path)
    write_catalogue(layout, 9100, None)
    write_catalogue(layout, 9200, None)
    assert "127.0.0.1:9200" in layout.services.read_text()
    assert demo_port_of(layout) is None

    mine = layout.services.read_text() + "    max_staleness: 5s\n"
    layout.services.write_text(mine)
    write_catalogue(layout, 9300, "http://localhost:3000")

    assert layout.services.read_text() == mine
    assert demo_port_of(layout) == 9200
    assert [s.name for s in load_catalogue(layout.services_with_app).services] == ["demo", "app"]


def test_an_application_that_services_yaml_names_is_as_it_says_there(tmp_path: Path) -> None:
    """The copied stanza may have got rules: the one that `up` would add has none, and would let more in."""
    layout, app = Layout(tmp_path), "http://localhost:3000"
    write_catalogue(layout, 9100, None)
    rules = "    emails: [ada@example.com]\n"
    own = layout.services.read_text() + APP_STANZA.format(upstream=app) + rules
    layout.services.write_text(own)

    assert write_catalogue(layout, 9100, app) == layout.services
    assert layout.services.read_text() == own

    layout.services.write_text(own.replace("  app:", "  shop:"))
    assert write_catalogue(layout, 9100, app) == layout.services, "under whatever name"

    # Another address than the file's: that of this start, by the file's rules.
    layout.services.write_text(own)
    moved = load_catalogue(write_catalogue(layout, 9100, "http://localhost:4000"))
    (found,) = (service for service in moved.services if service.name == "app")
    assert (found.upstream, found.emails) == ("http://localhost:4000", ("ada@example.com",))


def test_every_service_of_the_catalogue_goes_through_the_edge() -> None:
    """The open paths too: only the edge's answer removes identity headers a client sent."""
    routers = traefik.render(Catalogue((DEMO,)), GATEWAY)["http"]["routers"]

    unchecked = {name for name, router in routers.items() if "middlewares" not in router}

    assert unchecked == {"auth"}
    rule = routers["service-demo-0"]["rule"]
    assert rule.startswith("(Path(`/demo`) || PathPrefix(`/demo/`)) && ")


def test_the_most_specific_route_wins_as_it_does_at_the_edge() -> None:
    """The way to log in above all, then an exact host, then the longest path."""
    app = Service("app", None, ("/",), "http://127.0.0.1:4")
    bound = Service("bound", "app.example.com", ("/demo",), "http://127.0.0.1:5")
    routers = traefik.render(Catalogue((app, DEMO, bound)), GATEWAY)["http"]["routers"]

    ordered = sorted(routers, key=lambda name: routers[name]["priority"], reverse=True)

    assert ordered == ["auth", "service-bound-0", "service-demo-0", "service-app-0"]


def test_traefik_believes_no_client_and_removes_every_spelling_of_an_identity_header() -> None:
    """F-01 and F-02: every header the edge owns is listed; dots and underscores are matched too."""
    middleware = traefik.forward_auth("http://edge:9000", "demo")

    assert middleware["trustForwardHeader"] is False
    assert set(middleware["authResponseHeaders"]) == set(traefik.IDENTITY_HEADERS)
    aliases = re.compile(middleware["authResponseHeadersRegex"])
    assert all(aliases.search(name) for name in ("X_User_Id", "x.user.id", "X-User_Email"))
    assert not aliases.search("X-Powered-By")
    # A service's own assertion counts beside its own token only (ADR 0028).
    kept = {"X-Request-Id", "X-Latchwire-Assertion"}
    assert set(middleware["authRequestHeaders"]) & set(traefik.IDENTITY_HEADERS) == kept


def test_a_path_that_would_break_out_of_a_rule_is_refused() -> None:
    """Rules quote with backticks."""
    with pytest.raises(ValueError, match="backtick"):
        traefik.path_rule("/a`) || PathPrefix(`/")
