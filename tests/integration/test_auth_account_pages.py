"""The pages of accounts over HTTP, as a browser without scripts meets them: auth on real stores."""

import asyncio
import base64
import itertools
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any

import pytest

from latchwire.tokens import TokenPolicy
from services.auth.adapters.pyjwt_tokens import PyJWTTokens
from services.auth.http import page_account_routes, social_routes
from services.auth.http.form_tokens import FormTokens
from services.auth.http.throttles import PER_ACTOR
from shared.clock import SystemClock
from shared.secrets import load_symmetric
from tests.support.auth_site import AuthSite, running_auth
from tests.support.html import Form
from tests.support.page_visitor import Answer, Visitor, visiting
from tests.support.waiting import eventually

ACCESS, REFRESH, LOGIN = "latchwire-dev", "latchwire-dev-refresh", "latchwire-dev-login"
PASSWORD, ANOTHER = "violet anchors under tin", "seven quiet lanterns burn"
ORG = "01J" + "0" * 23
FORMS = {
    path: path.rpartition("/")[2] for path in page_account_routes.POSTED | social_routes.POSTED
}
SIGNED_IN_FORMS = sorted(path for path in FORMS if not re.search(r"/(register|forgot|reset)", path))
SIGNED_IN_PAGES = sorted(
    path.format(org=ORG, sub=ORG)
    for path in page_account_routes.SHOWN
    if path.startswith("/auth/account")
)
ODD = ["", "x" * 5000, "a\x00b", "💣" * 400, "\r\nSet-Cookie: a=b", "<b>'\"", "../../etc"]
_numbers = itertools.count()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthSite]:
    with running_auth(tmp_path_factory.mktemp("site"), accounts=True) as site:
        yield site


@pytest.fixture
async def ada(site: AuthSite) -> AsyncIterator[Visitor]:
    """The browser that asks."""
    async with visiting(site.url) as visitor:
        yield visitor


@pytest.fixture
async def other(site: AuthSite) -> AsyncIterator[Visitor]:
    """Another browser."""
    async with visiting(site.url) as visitor:
        yield visitor


@pytest.fixture
def email() -> str:
    """An address of this test's own."""
    return f"ada{next(_numbers)}@acme.com"


def form_of(site: AuthSite, visitor: Visitor, path: str, **fields: str) -> Form:
    """The form that posts to *path*, as a page would have shown it to *visitor*."""
    tokens = FormTokens(load_symmetric(site.secrets_dir, "csrf"))
    token = tokens.issue(path.rpartition("/")[2], visitor.cookie(LOGIN))
    return Form(path, "post", {"form_token": token, **fields})


async def register(visitor: Visitor, email: str, password: str = PASSWORD) -> Answer:
    page = (await visitor.get("/auth/register")).page
    return await visitor.submit(page.form("/auth/form/register"), email=email, password=password)


async def enrol(site: AuthSite, visitor: Visitor, email: str) -> None:
    """Registered, proven and signed in."""
    login_id = (await register(visitor, email)).login_id
    opened = await visitor.open_link(login_id, site.token_of(login_id, email, "verify_email"))
    done = await visitor.submit(opened.page.form("/auth/form/link"))
    assert done.location == "/auth/account"


async def log_in(visitor: Visitor, email: str, password: str) -> Answer:
    form = (await visitor.get("/auth/login")).page.form("/auth/form/login")
    return await visitor.submit(form, email=email, password=password, way="password")


def claims_of(visitor: Visitor) -> dict[str, Any]:
    payload = visitor.cookie(ACCESS).split(".")[1]
    claims: dict[str, Any] = json.loads(
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    )
    return claims


def with_an_old_token(site: AuthSite, visitor: Visitor, hours: int = 1) -> dict[str, str]:
    """What a browser sends that was left open for *hours*: an access token that has run out, and the rest."""
    tokens = PyJWTTokens.load(site.secrets_dir, TokenPolicy(issuer=site.url, audience="latchwire"))
    claims = claims_of(visitor)
    times = {n: claims[n] - hours * 3600 for n in ("iat", "nbf", "exp") if n in claims}
    old = tokens.sign({**claims, **times, "iat_ms": claims["iat_ms"] - hours * 3_600_000})
    held = {ACCESS: old, REFRESH: visitor.cookie(REFRESH), LOGIN: visitor.cookie(LOGIN)}
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in held.items())}


def as_if_long_ago(site: AuthSite, visitor: Visitor) -> dict[str, str]:
    """What a browser sends whose session began an hour ago."""
    tokens = PyJWTTokens.load(site.secrets_dir, TokenPolicy(issuer=site.url, audience="latchwire"))
    claims = claims_of(visitor)
    old = tokens.sign({**claims, "auth_time": claims["auth_time"] - 3600})
    return {"Cookie": f"{ACCESS}={old}; {LOGIN}={visitor.cookie(LOGIN)}"}


def without(answer: Answer, email: str) -> tuple[int, str, str, list[str]]:
    """What an onlooker sees of *answer*, the address and the ids of its own taken out."""
    ids = r"[0-7][0-9A-HJKMNP-TV-Z]{25}|[A-Za-z0-9_-]{8}\.[A-Za-z0-9_-]{43}"
    body = re.sub(ids, "ID", answer.body.replace(email, "ADDRESS"))
    location = re.sub(ids, "ID", answer.headers.get("Location", ""))
    return answer.status, location, body, sorted({name.lower() for name in answer.headers})


async def test_register_and_forgot_say_the_same_of_every_address(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """Known, unknown, not allowed: one redirect, one page behind it, and one page behind the mail's link."""
    await enrol(site, ada, email)
    seen: dict[str, list[object]] = {"register": [], "forgot": [], "wrong": []}
    for address in (email, f"nobody-{email}", f"{email}.example"):
        async with visiting(site.url) as onlooker:
            asked = await register(onlooker, address)
            told = await onlooker.get(asked.location)
            link = await onlooker.get(f"/auth/link?id={asked.login_id}")
            seen["register"].append([without(a, address) for a in (asked, told, link)])
            form = (await onlooker.get("/auth/password/forgot")).page.form("/auth/form/forgot")
            asked = await onlooker.submit(form, email=address)
            told = await onlooker.get(asked.location)
            link = await onlooker.get(f"/auth/link?id={asked.login_id}")
            seen["forgot"].append([without(a, address) for a in (asked, told, link)])
            seen["wrong"].append(without(await log_in(onlooker, address, ANOTHER), address))

    assert {name: [a == answers[0] for a in answers] for name, answers in seen.items()} == {
        name: [True] * 3 for name in seen
    }
    assert "Set this password" in str(seen["forgot"][0])


async def test_the_login_page_keeps_what_was_typed_but_for_the_password(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """Address and target are still there after a mistake; the password is not in the page.

    Who is logged in already is told so, and may go on without.
    """
    await enrol(site, ada, email)
    page = (await ada.get("/auth/login?next=/demo")).page
    assert f"You are logged in as {email}." in page.text
    assert "/demo" in [a["href"] for a in page.all("a")]

    wrong = await ada.submit(
        page.form("/auth/form/login"), email=email, password=ANOTHER, way="password"
    )

    assert wrong.status == 422
    assert wrong.page.form("/auth/form/login").fields["email"] == email
    assert wrong.page.form("/auth/form/login").fields["next"] == "/demo"
    assert ANOTHER not in wrong.body
    again = wrong.page.form("/auth/form/login")
    done = await ada.submit(again, password=PASSWORD, way="password")
    assert done.location == "/demo"


async def test_a_login_by_password_ends_the_session_it_replaces(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """One browser, one session: the one before does not live on where nobody sees it."""
    await enrol(site, ada, email)
    before = claims_of(ada)["sid"]
    assert (await log_in(ada, email, PASSWORD)).status == 303

    page = (await ada.get("/auth/account")).page
    assert claims_of(ada)["sid"] != before
    assert [i["value"] for i in page.all("input") if i.get("name") == "handle"] == ["all"]


async def test_a_link_does_only_what_its_mail_was_for(
    site: AuthSite, ada: Visitor, other: Visitor, email: str
) -> None:
    """A reset's link opens no session, and a registration's sets no password."""
    await enrol(site, ada, email)
    page = (await other.get("/auth/password/forgot")).page
    sent = await other.submit(page.form("/auth/form/forgot"), email=email)
    reset = site.token_of(sent.login_id, email, "reset_password")
    asked = f"new-{email}"
    verify = site.token_of((await register(other, asked)).login_id, asked, "verify_email")

    opened = await other.submit(form_of(site, other, "/auth/form/link", token=reset))
    assert (opened.status, other.cookie(ACCESS)) == (410, "")
    form = form_of(site, other, "/auth/form/reset", token=verify, new_password=ANOTHER)
    assert (await other.submit(form)).status == 410
    by_code = form_of(
        site,
        other,
        "/auth/form/code",
        login_id=sent.login_id,
        code=site.code_of(sent.login_id, email, "reset_password"),
    )
    assert (await other.submit(by_code)).status == 422
    form = form_of(site, other, "/auth/form/reset", token=reset, new_password=ANOTHER)
    assert (await other.submit(form)).location == "/auth/password/set"
    assert (await other.submit(form)).status == 303  # the same again: its answer may have been lost
    assert (await log_in(other, email, ANOTHER)).status == 303


async def test_a_spent_reset_leads_to_a_new_one(site: AuthSite, ada: Visitor) -> None:
    """Nobody is left without a way on."""
    await ada.get("/auth/login")
    form = form_of(site, ada, "/auth/form/reset", token="x" * 43, new_password=ANOTHER)

    spent = await ada.submit(form)

    assert spent.status == 410
    assert "/auth/password/forgot" in [a.get("href") for a in spent.page.all("a")]


async def test_what_needs_a_fresh_login_asks_for_one(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """Deletion with a session of an hour ago: nothing happens but the way to a login and back."""
    await enrol(site, ada, email)
    old = as_if_long_ago(site, ada)
    async with visiting(site.url) as later:
        shown = await later.get("/auth/account/delete", headers=old)
        form = form_of(site, ada, "/auth/form/delete")
        headers = {**old, "Sec-Fetch-Site": "same-origin"}
        sent = await later.submit(form, headers=headers)
        still = await later.get("/auth/account", headers=old)

    for answer in (shown, sent):
        assert "Log in once more" in answer.page.text
        (way_on,) = [a["href"] for a in answer.page.all("a")]
        assert way_on == "/auth/login?next=%2Fauth%2Faccount%2Fdelete&again=1"
    assert email in still.page.text


async def test_a_first_password_needs_a_fresh_login_too(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """A stolen session must not become a password of the thief's."""
    login_id = (await ada.ask(email)).login_id
    opened = await ada.open_link(login_id, site.token_of(login_id, email))
    assert (await ada.submit(opened.page.form("/auth/form/link"))).status == 303
    headers = {**as_if_long_ago(site, ada), "Sec-Fetch-Site": "same-origin"}
    form = form_of(site, ada, "/auth/form/password", new_password=ANOTHER)
    async with visiting(site.url) as thief:
        shown = await thief.get("/auth/account/password", headers=headers)
        sent = await thief.submit(form, headers=headers)

    assert "Log in once more" in shown.page.text
    assert "Log in once more" in sent.page.text
    page = (await ada.get("/auth/account/password")).page
    assert "Set a password" in page.text
    assert (await ada.submit(page.form("/auth/form/password"), new_password=ANOTHER)).status == 303
    assert "Change your password" in str((await ada.get("/auth/account")).page.tags)


async def test_the_only_owner_of_others_cannot_be_deleted(
    site: AuthSite, ada: Visitor, other: Visitor, email: str
) -> None:
    """The page names what would be without an owner, and the account stays."""
    await enrol(site, ada, email)
    await enrol(site, other, f"guest-{email}")
    made = await ada.submit(form_of(site, ada, "/auth/form/org-create", name="Robotics"))
    org = made.location.rpartition("/")[2]
    fields = {"org": org, "email": f"guest-{email}", "role-member": "yes"}
    await ada.submit(form_of(site, ada, "/auth/form/org-invite", **fields))
    page = (await ada.get(f"/auth/account/orgs/{org}")).page
    invitation = page.form("/auth/form/org-withdraw").fields["invitation"]
    opened = (await other.get(f"/auth/link?id={invitation}")).page  # as a browser without scripts
    (way_on,) = [a["href"] or "" for a in opened.all("a")]
    offered = (await other.get(way_on)).page
    assert (await other.submit(offered.form("/auth/form/join"))).location.endswith(org)

    kept = await ada.submit(form_of(site, ada, "/auth/form/delete"))

    assert "Your account is not deleted" in kept.page.text
    assert "Robotics" in kept.page.text
    assert (await log_in(ada, email, PASSWORD)).status == 303


async def test_an_organisation_of_many_shows_a_page_at_a_time(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """Everybody of a hundred and twenty is on one of three pages, once, and can be changed from there."""
    await enrol(site, ada, email)
    made = await ada.submit(form_of(site, ada, "/auth/form/org-create", name="Many"))
    org = made.location.rpartition("/")[2]
    crowd = [(f"{email}-{n:03}", f"m{n}-{email}") for n in range(119)]
    with closing(sqlite3.connect(site.secrets_dir.parent / "accounts.db")) as database:
        account = (
            "INSERT INTO accounts (sub, email, created_at, password_hash) VALUES (?, ?, 1, '')"
        )
        database.executemany(account, crowd)
        member = "INSERT INTO members (org, sub, joined_at) VALUES (?, ?, 1)"
        database.executemany(member, [(org, sub) for sub, _ in crowd])
        database.commit()

    shown, at = [], made.location
    while at:
        page = (await ada.get(at)).page
        shown.append([a["href"] for a in page.all("a") if "/members/" in (a.get("href") or "")])
        at = next((a["href"] or "" for a in page.all("a") if "after=" in (a["href"] or "")), "")

    assert [len(links) for links in shown] == [50, 50, 20]
    assert len({link for links in shown for link in links}) == 120
    one = (await ada.get(next(link or "" for link in shown[2] if "%40" in (link or "")))).page
    assert "Save the roles" in one.text


async def test_a_page_that_answers_a_form_is_a_page_with_an_address(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """Its script puts that into the history: a GET of it shows the form again, empty, and sends nothing."""
    sent = (await register(ada, f"new-{email}")).login_id
    await enrol(site, ada, email)
    org = (await ada.submit(form_of(site, ada, "/auth/form/org-create", name="Robotics"))).location
    org_id, sub = org.rpartition("/")[2], claims_of(ada)["sub"]
    forgot = (await ada.submit(form_of(site, ada, "/auth/form/forgot", email=email))).login_id
    token, short = site.token_of(forgot, email, "reset_password"), {"new_password": "short"}
    code, member = {"code": "AAAA-AAAA"}, {"org": org_id, "member": sub}
    table: list[tuple[str, dict[str, str], str]] = [
        ("login", {"email": "x", "next": "/demo"}, "/auth/login?next=%2Fdemo"),
        ("login", {"email": email, "way": "password"}, "/auth/login"),
        ("code", {"login_id": sent, **code}, f"/auth/login/sent?id={sent}"),
        ("register", {"email": "x", "next": "/demo"}, "/auth/register?next=%2Fdemo"),
        ("register-code", {"login_id": sent, **code}, f"/auth/register/sent?id={sent}"),
        ("forgot", {"email": "x"}, "/auth/password/forgot"),
        ("reset-code", {"login_id": forgot, **code, **short}, f"/auth/password/forgot/sent?id={forgot}"),
        ("reset", {"token": token, **short}, f"/auth/link?id={forgot}"),
        ("password", {"password": PASSWORD, **short}, "/auth/account/password"),
        ("org-create", {"name": ""}, "/auth/account/orgs"),
        ("org-invite", {"org": org_id, "email": "x"}, org),
        ("org-roles", member, f"{org}/members/{sub}"),
        ("org-rename", {"org": org_id, "name": ""}, f"{org}/settings"),
    ]  # fmt: skip
    for form, typed, at in table:
        answer = await ada.submit(form_of(site, ada, f"/auth/form/{form}", **typed))
        (script,) = (s for s in answer.page.all("script") if "posted.js" in (s["src"] or ""))
        assert (answer.status, script["data-at"]) == (422, at), form
        shown = await ada.get(at)
        assert shown.status == 200, form
        assert "posted.js" not in shown.body, form
        # The link of a mail is in no address: who reloads there is told to open it again, or types the code.
        there = "reset-code" if form == "reset" else form
        assert f'action="/auth/form/{there}"' in shown.body, form


async def test_an_invitation_without_a_role_keeps_the_address(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """The mistake is the roles', and the address stays as typed."""
    await enrol(site, ada, email)
    made = await ada.submit(form_of(site, ada, "/auth/form/org-create", name="Robotics"))
    form = (await ada.get(made.location)).page.form("/auth/form/org-invite")
    del form.fields["role-owner"], form.fields["role-admin"], form.fields["role-member"]

    refused = await ada.submit(form, email="eve@acme.com")

    assert refused.status == 422
    assert "Choose at least one role." in refused.page.text
    (typed,) = [i for i in refused.page.all("input") if i.get("name") == "email"]
    assert typed["value"] == "eve@acme.com"
    assert "aria-invalid" not in typed


async def test_to_a_stranger_an_organisation_is_not_there(
    site: AuthSite, ada: Visitor, other: Visitor, email: str
) -> None:
    """Somebody else's organisation and none at all: the same 404 on every page and every form."""
    await enrol(site, ada, email)
    await enrol(site, other, f"stranger-{email}")
    made = await ada.submit(form_of(site, ada, "/auth/form/org-create", name="Robotics"))
    org, sub = made.location.rpartition("/")[2], claims_of(ada)["sub"]
    got: dict[str, list[int]] = {}
    for asked in (org, ORG, "no-id", "%00"):
        for path in (p for p in page_account_routes.SHOWN if "{org}" in p):
            answer = await other.get(path.format(org=asked, sub=sub))
            got.setdefault(path, []).append(answer.status)
        for path in (p for p in FORMS if "/org-" in p and p != "/auth/form/org-create"):
            fields = {"org": asked, "member": sub, "invitation": ORG, "name": "Mine"}
            fields |= {"email": "eve@acme.com", "role-owner": "yes"}
            answer = await other.submit(form_of(site, other, path, **fields))
            got.setdefault(path, []).append(answer.status)

    assert got == dict.fromkeys(got, [404] * 4)
    assert "Robotics" in (await ada.get(f"/auth/account/orgs/{org}")).page.text
    assert claims_of(other)["org"] == ""
    switched = await other.submit(form_of(site, other, "/auth/form/switch", org=org))
    assert switched.status == 303
    assert claims_of(other)["org"] == ""


async def test_a_page_of_the_signed_in_sends_everybody_else_to_log_in(
    site: AuthSite, ada: Visitor
) -> None:
    """By way of renewing, and back to the page that was asked for."""
    await ada.get("/auth/login")
    for path in SIGNED_IN_PAGES:
        assert (await ada.get(path)).location.startswith("/auth/continue?next=%2Fauth%2Faccount")
    for path in SIGNED_IN_FORMS:
        answer = await ada.submit(form_of(site, ada, path))
        assert answer.location.startswith("/auth/continue?next=%2Fauth%2Faccount"), path


async def test_a_form_counts_only_in_the_browser_it_was_shown_to(
    site: AuthSite, ada: Visitor, other: Visitor, email: str
) -> None:
    """Another browser's token, another form's, and another site's request: each is refused at every form."""
    await enrol(site, ada, email)
    await other.get("/auth/login")
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    refused: dict[str, list[int]] = {}
    for path in FORMS:
        theirs = Form(path, "post", form_of(site, other, path).fields)
        wrong = Form(path, "post", form_of(site, ada, "/auth/form/notice").fields)
        answers = [
            await ada.submit(theirs),
            await ada.submit(wrong),
            await ada.submit(form_of(site, ada, path), headers=elsewhere),
        ]
        refused[path] = [answer.status for answer in answers]

    assert refused == dict.fromkeys(FORMS, [403] * 3)
    assert email in (await ada.get("/auth/account")).page.text


async def test_nothing_that_is_typed_breaks_a_form(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """Nothing, too much, what no database takes, what no header takes: an answer each time, never a failure."""
    await enrol(site, ada, email)
    names = ["email", "password", "new_password", "token", "login_id", "code", "name"]
    more = ["org", "member", "invitation", "provider", "login", "ticket", "role-<b>"]
    broken = []
    for path, odd, fields in itertools.product(FORMS, ODD, (names, more)):
        form = form_of(site, ada, path, **dict.fromkeys(fields, odd))
        answer = await ada.submit(form) if path != "/auth/form/delete" else None
        if answer is not None and answer.status >= 500:
            broken.append((path, odd[:20], answer.status))

    assert broken == []


async def test_a_form_that_was_left_open_for_an_hour_is_not_lost(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """The token ran out meanwhile: what was typed is done, and the browser has new cookies."""
    await enrol(site, ada, email)
    headers = {**with_an_old_token(site, ada), "Sec-Fetch-Site": "same-origin"}
    form = form_of(site, ada, "/auth/form/org-create", name="Robotics")
    async with visiting(site.url) as later:
        page = await later.get("/auth/account/orgs", headers=headers)
        made = await later.submit(form, headers=headers)
        renewed = claims_of(later)

    assert page.location.startswith("/auth/continue?")
    assert re.fullmatch(r"/auth/account/orgs/[0-9A-Z]{26}", made.location)
    assert renewed["sid"] == claims_of(ada)["sid"]


async def test_this_was_not_me_ends_a_registration_and_a_reset(
    site: AuthSite, ada: Visitor, other: Visitor, email: str
) -> None:
    """The owner of the mailbox closes what somebody else began in their name."""
    await enrol(site, ada, f"known-{email}")
    registered = await register(other, email)
    page = (await other.get("/auth/password/forgot")).page
    forgot = await other.submit(page.form("/auth/form/forgot"), email=f"known-{email}")
    for asked, address, purpose, words in (
        (registered, email, "verify_email", "Someone asked for an account for"),
        (forgot, f"known-{email}", "reset_password", "Someone asked for a new password for"),
    ):
        token = site.token_of(asked.login_id, address, purpose)
        opened = await ada.open_link(asked.login_id, token)
        assert f"{words} {address} just now, from Firefox on Linux" in opened.page.text
        cancelled = await ada.submit(opened.page.form("/auth/form/cancel"))
        assert cancelled.location == "/auth/cancelled"
        assert (await other.open_link(asked.login_id, token)).status == 410


async def test_the_mail_can_be_sent_again_to_who_asked_only(
    site: AuthSite, ada: Visitor, other: Visitor, email: str
) -> None:
    """The password waits for the new mail as well; another browser gets nothing out of the id."""
    first = await register(ada, email)
    told = (await ada.get(first.location)).page
    elsewhere = (await other.get(first.location)).page
    assert email in told.text
    assert email not in elsewhere.text
    stolen = form_of(site, other, "/auth/form/register-again", login_id=first.login_id)
    assert (await other.submit(stolen)).location == "/auth/register"

    again = await ada.submit(told.form("/auth/form/register-again"))

    token = site.token_of(again.login_id, email, "verify_email")
    opened = await ada.open_link(again.login_id, token)
    assert (await ada.submit(opened.page.form("/auth/form/link"))).status == 303
    assert (await log_in(other, email, PASSWORD)).status == 303


async def test_what_is_done_but_not_told_yet_is_said_so(
    site: AuthSite, ada: Visitor, other: Visitor, email: str
) -> None:
    """Without NATS it is done and nobody hears of it yet: no "all is well", no session of the deleted."""
    await enrol(site, ada, email)
    await enrol(site, other, f"owner-{email}")
    made = await other.submit(form_of(site, other, "/auth/form/org-create", name="Robotics"))
    org = made.location.rpartition("/")[2]
    site.nats.kill()
    try:
        async with asyncio.TaskGroup() as tasks:
            gone = tasks.create_task(ada.submit(form_of(site, ada, "/auth/form/delete")))
            form = form_of(site, other, "/auth/form/org-delete", org=org)
            changed = tasks.create_task(other.submit(form))
    finally:
        site.nats.start()
    answer, ended = gone.result(), changed.result()

    assert (ended.status, answer.status) == (503, 503)
    assert "It is done here" in ended.page.text
    assert "Your account is deleted" in answer.page.text
    assert "We could not tell every other service yet." in answer.page.text
    assert not ada.cookie(ACCESS)

    async def back() -> bool:
        """Auth has heard the bus again: the next test begins where this one did."""
        return (await other.get("/auth/account")).status == 200

    await eventually(back)


async def test_forms_of_one_person_have_a_budget_and_a_page_says_so(
    site: AuthSite, ada: Visitor, other: Visitor, email: str
) -> None:
    """Also those that change nothing; whoever else is there goes on, and signing out is never refused."""
    await enrol(site, ada, email)
    await enrol(site, other, f"other-{email}")
    form = form_of(site, ada, "/auth/form/unlink", login="none")
    began = SystemClock().monotonic()
    answers = [await ada.submit(form)]
    while answers[-1].status == 303 and len(answers) < 2 * PER_ACTOR.count:
        answers.append(await ada.submit(form))
    answer = answers[-1]

    assert answer.status == 429
    one_more_ms = PER_ACTOR.window_ms / PER_ACTOR.count  # a slow machine makes room meanwhile
    passed_ms = (SystemClock().monotonic() - began) * 1000
    assert len(answers) <= PER_ACTOR.count + 1 + passed_ms / one_more_ms
    assert "You changed a lot in a short time." in answer.body
    assert 1 <= int(answer.headers["Retry-After"]) <= 12
    made = form_of(site, other, "/auth/form/org-create", name="Robotics")
    assert (await other.submit(made)).status == 303
    assert (await ada.submit(form_of(site, ada, "/auth/form/logout"))).status == 303
