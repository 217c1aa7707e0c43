"""The pages over HTTP, as a browser without scripts meets them: auth on real NATS and Redis."""

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

import pytest

from services.auth.domain.session import notice_id
from services.auth.http import page_account_routes, page_routes, social_routes
from tests.support.auth_site import AuthSite, running_auth
from tests.support.html import Form
from tests.support.page_visitor import SAME_ORIGIN, Answer, Visitor, visiting
from tests.support.trust import vouched_for_anew
from tests.support.waiting import eventually

ACCESS, REFRESH, CSRF = "latchwire-dev", "latchwire-dev-refresh", "latchwire-dev-csrf"
LOGIN = "latchwire-dev-login"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthSite]:
    with running_auth(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
async def ada(site: AuthSite) -> AsyncIterator[Visitor]:
    """The browser that asks."""
    async with visiting(site.url) as visitor:
        yield visitor


@pytest.fixture
async def other(site: AuthSite) -> AsyncIterator[Visitor]:
    """A browser that did not ask."""
    async with visiting(site.url, SAFARI) as visitor:
        yield visitor


@pytest.fixture
def email() -> str:
    """An address of this test's own, so that limits never meet."""
    return f"ada{next(_numbers)}@acme.com"


async def sign_in(site: AuthSite, visitor: Visitor, email: str, next_: str = "") -> Answer:
    """From the e-mail form to the redirect after the confirming click."""
    login_id = (await visitor.ask(email, next_)).login_id
    opened = await visitor.open_link(login_id, site.token_of(login_id, email))
    return await visitor.submit(opened.page.form("/auth/form/link"))


def sid_of(visitor: Visitor) -> str:
    payload = visitor.cookie(ACCESS).split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sid"])


async def test_the_link_signs_in_the_browser_that_asked_with_one_tap(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """Ask, open, Continue, and on to where the person wanted to go."""
    sent = await ada.ask(email, "/demo?a=1")
    told = await ada.get(sent.location)
    opened = await ada.open_link(sent.login_id, site.token_of(sent.login_id, email))
    done = await ada.submit(opened.page.form("/auth/form/link"))

    assert f"If {email} can sign in here, a message is on its way" in told.page.text
    assert f"You are signing in as {email}" in opened.page.text
    assert done.location == "/demo?a=1"
    assert ada.cookie(ACCESS)
    assert ada.cookie(REFRESH)


async def test_the_code_signs_in_whoever_reads_the_mail_elsewhere(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """No script and no link: the code as a person types it."""
    sent = await ada.ask(email)
    code = site.code_of(sent.login_id, email).lower()
    page = (await ada.get(sent.location)).page

    done = await ada.submit(page.form("/auth/form/code"), code=f"{code[:4]} - {code[4:]}")

    assert done.location == "/auth/account"
    assert email in (await ada.get("/auth/account")).page.text


async def test_the_code_works_on_the_page_of_the_link_in_a_browser_without_scripts(
    site: AuthSite, ada: Visitor, other: Visitor, email: str
) -> None:
    """The link's page knows the attempt by ``?id=`` and offers the code field."""
    login_id = (await ada.ask(email)).login_id
    page = (await other.get(f"/auth/link?id={login_id}")).page

    done = await other.submit(page.form("/auth/form/code"), code=site.code_of(login_id, email))

    assert done.location == "/auth/account"


async def test_a_scanner_that_opens_and_inspects_leaves_the_link_usable(
    site: AuthSite, ada: Visitor, other: Visitor, email: str
) -> None:
    """GET, HEAD and the page's own script consume nothing; only a click does."""
    login_id = (await ada.ask(email)).login_id
    token = site.token_of(login_id, email)
    for _ in range(3):
        assert (await other.open_link(login_id, token)).status == 200
    async with other.session.head(f"{site.url}/auth/link?id={login_id}") as head:
        assert head.status == 200

    assert not other.cookie(ACCESS)
    opened = await ada.open_link(login_id, token)
    assert (await ada.submit(opened.page.form("/auth/form/link"))).status == 303


async def test_another_browser_is_asked_whether_this_was_them(
    site: AuthSite, ada: Visitor, other: Visitor, email: str
) -> None:
    """Who opens somebody else's link sees who asked, from where and when, before anything happens."""
    login_id = (await ada.ask(email)).login_id
    opened = await other.open_link(login_id, site.token_of(login_id, email))

    assert (
        f"Was this you? Someone asked to sign in as {email} just now, "
        f"from Firefox on Linux, network {ada.address.removesuffix('9')}0/24." in opened.page.text
    )
    done = await other.submit(opened.page.form("/auth/form/link"))
    assert done.location == "/auth/account"


async def test_this_was_not_me_kills_the_link_and_its_code(
    site: AuthSite, ada: Visitor, other: Visitor, email: str
) -> None:
    """After that click the one who asked gets nowhere."""
    login_id = (await ada.ask(email)).login_id
    token = site.token_of(login_id, email)
    mine = await ada.open_link(login_id, token)
    opened = await other.open_link(login_id, token)

    told = await other.submit(opened.page.form("/auth/form/cancel"))

    assert "The link is cancelled" in (await other.get(told.location)).page.text
    refused = await ada.submit(mine.page.form("/auth/form/link"))
    assert (refused.status, ada.cookie(ACCESS)) == (410, "")
    page = (await ada.get(f"/auth/link?id={login_id}")).page
    by_code = await ada.submit(page.form("/auth/form/code"), code=site.code_of(login_id, email))
    assert (by_code.status, ada.cookie(ACCESS)) == (422, "")


async def test_a_second_click_goes_on_where_the_session_is_and_is_spent_elsewhere(
    site: AuthSite, ada: Visitor, other: Visitor, email: str
) -> None:
    """People click twice; thieves click later."""
    login_id = (await ada.ask(email, "/demo")).login_id
    token = site.token_of(login_id, email)
    opened = await ada.open_link(login_id, token)
    await ada.submit(opened.page.form("/auth/form/link"))

    again = await ada.open_link(login_id, token)
    twice = await ada.submit(opened.page.form("/auth/form/link"))
    elsewhere = await other.open_link(login_id, token)

    assert (again.location, twice.location) == ("/demo", "/demo")
    assert elsewhere.status == 410


async def test_used_cancelled_forged_and_unknown_links_are_one_page(
    site: AuthSite, ada: Visitor, other: Visitor, email: str
) -> None:
    """Which of them it was is nobody's business, to the byte."""
    used = (await ada.ask(email)).login_id
    opened = await ada.open_link(used, site.token_of(used, email))
    await ada.submit(opened.page.form("/auth/form/link"))
    not_allowed = (await ada.ask("eve@evil.example")).login_id
    tokens = [
        site.token_of(used, email),
        site.token_of(used, "bob@acme.com"),
        site.token_of("0" * 26, email),
        site.token_of(not_allowed, "eve@evil.example"),
        "nonsense",
        "",
    ]

    answers = [await other.open_link(used, token) for token in tokens]

    assert {a.status for a in answers} == {410}
    assert len({a.body for a in answers}) == 1
    assert "This link no longer works" in answers[0].page.text


async def test_every_address_gets_the_same_answer(ada: Visitor, other: Visitor) -> None:
    """Allowed or not, known or not: same status, headers, cookies, and page but for the address."""
    sent = [await v.ask(e) for v, e in ((ada, "eve@evil.example"), (other, "new1@acme.example"))]
    told = [await v.get(s.location) for v, s in zip((ada, other), sent, strict=True)]

    assert {s.status for s in sent} == {303}
    assert set(sent[0].headers) == set(sent[1].headers)
    assert {len(s.location) for s in sent} == {len(sent[0].location)}
    assert "If eve@evil.example can sign in here" in told[0].page.text
    assert [t for t, _ in told[0].page.tags] == [t for t, _ in told[1].page.tags]


async def test_a_network_that_asks_too_often_is_told_how_long_to_wait(ada: Visitor) -> None:
    """429 with Retry-After, in words too; whichever addresses it asked for."""
    form = (await ada.get("/auth/login")).page.form("/auth/form/login")
    asked = [await ada.submit(form, email=f"x{n}@acme.com") for n in range(30)]

    refused = await ada.submit(form, email="y@acme.com")

    assert {a.status for a in asked} == {303}
    assert refused.status == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 300
    assert "Too many tries Your network asked for too many links. Try again in" in refused.page.text


async def test_the_page_after_asking_shows_the_address_to_the_browser_that_typed_it_only(
    ada: Visitor, other: Visitor, email: str
) -> None:
    """The id in the address of that page opens no address book."""
    sent = await ada.ask(email)

    shown = await other.get(sent.location)

    assert email not in shown.body
    assert "If your address can sign in here" in shown.page.text


async def test_five_wrong_codes_end_the_code_and_not_the_link(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """Guessing is over after five, always in the same words; the owner of the mail is not locked out."""
    sent = await ada.ask(email)
    form = (await ada.get(sent.location)).page.form("/auth/form/code")
    right = site.code_of(sent.login_id, email)
    wrong = [await ada.submit(form, code="0000-0000") for _ in range(5)]

    sixth = await ada.submit(form, code=right)

    assert {a.status for a in (*wrong, sixth)} == {422}
    assert "That code does not work" in sixth.page.text
    opened = await ada.open_link(sent.login_id, site.token_of(sent.login_id, email))
    assert (await ada.submit(opened.page.form("/auth/form/link"))).status == 303


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "https:evil.example",
        "https://evil.example/",
        "/%5cevil.example",
        "/%2f/evil.example",
        "http://localhost@evil.example",
        "javascript:alert(1)",
        "/a\r\nSet-Cookie: a=b",
        "\x00/",
    ],
)
async def test_a_login_never_leads_to_another_site(
    site: AuthSite, ada: Visitor, email: str, target: str
) -> None:
    """Whatever stands in ``?next=`` or in the form's field, one lands on this site."""
    page = (await ada.get(f"/auth/login?next={quote(target)}")).page
    assert page.form("/auth/form/login").fields["next"] == ""

    sent = await ada.submit(page.form("/auth/form/login"), email=email, next=target)
    opened = await ada.open_link(sent.login_id, site.token_of(sent.login_id, email))
    done = await ada.submit(opened.page.form("/auth/form/link"))

    assert done.location == "/auth/account"


async def test_a_mistyped_address_is_said_beside_the_field(ada: Visitor) -> None:
    """What was typed stays, escaped, and no mail is asked for."""
    page = (await ada.get("/auth/login?next=/demo")).page

    answer = await ada.submit(page.form("/auth/form/login"), email='ada@"><script>')

    assert answer.status == 422
    assert answer.page.form("/auth/form/login").fields["email"] == 'ada@"><script>'
    assert answer.page.form("/auth/form/login").fields["next"] == "/demo"
    (script,) = answer.page.all("script")
    assert script["data-at"] == "/auth/login?next=%2Fdemo"
    assert script["src"]


async def test_a_form_that_comes_back_without_our_cookie_is_told_so(
    site: AuthSite, ada: Visitor, other: Visitor, email: str
) -> None:
    """Cookies that are switched off end in a sentence, not in a loop."""
    form = (await ada.get("/auth/login")).page.form("/auth/form/login")

    answer = await other.submit(form, email=email)

    assert answer.status == 403
    assert "Your browser did not keep our cookie" in answer.page.text


async def test_another_browsers_form_token_is_refused(
    ada: Visitor, other: Visitor, email: str
) -> None:
    """An attacker cannot plant a form of their own into a victim's browser."""
    planted = (await other.get("/auth/login")).page.form("/auth/form/login")
    await ada.get("/auth/login")

    answer = await ada.submit(planted, email=email)

    assert answer.status == 403
    assert "This page is out of date" in answer.page.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 303),  # our own pages, in a browser that sends no Sec-Fetch-Site
        ({}, 303),
    ],
)
async def test_another_site_cannot_post_our_forms(
    ada: Visitor, email: str, headers: dict[str, str], status: int
) -> None:
    """Even with the right token, a request that says it comes from elsewhere is refused."""
    form = (await ada.get("/auth/login")).page.form("/auth/form/login")

    assert (await ada.submit(form, headers=headers, email=email)).status == status


async def test_a_link_in_a_browser_that_is_signed_in_as_somebody_else_says_so(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """Login CSRF fails at the sentence that names both; after the click the old session is over."""
    bob = f"bob-{email}"
    await sign_in(site, ada, bob)
    before = ada.cookie(REFRESH)
    login_id = (await ada.ask(email)).login_id
    opened = await ada.open_link(login_id, site.token_of(login_id, email))

    await ada.submit(opened.page.form("/auth/form/link"))

    assert f"You are signed in as {bob} now. That ends on this device." in opened.page.text
    assert email in (await ada.get("/auth/account")).page.text
    async with ada.session.post(f"{site.url}/auth/refresh", json={"refresh_token": before}) as old:
        assert old.status == 401


async def test_signing_out_clears_the_cookies_and_ends_the_session(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """The token that just worked is refused, and the account page asks to log in."""
    await sign_in(site, ada, email)
    kept = {ACCESS: ada.cookie(ACCESS), REFRESH: ada.cookie(REFRESH)}
    form = (await ada.get("/auth/account")).page.form("/auth/form/logout")

    out = await ada.submit(form)

    assert "You are signed out" in (await ada.get(out.location)).page.text
    assert (ada.cookie(ACCESS), ada.cookie(REFRESH)) == ("", "")
    headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in kept.items()), "Accept": "text/html"}

    async def refused() -> bool:
        async with visiting(site.url) as thief:
            answer = await thief.get("/auth/account", headers | SAME_ORIGIN)
            return answer.status == 303 and answer.location.startswith("/auth/continue")

    await eventually(refused)
    async with ada.session.post(
        f"{site.url}/auth/refresh", json={"refresh_token": kept[REFRESH]}
    ) as old:
        assert old.status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
async def test_any_service_of_this_site_may_offer_a_sign_out_button_and_no_other_site(
    site: AuthSite, ada: Visitor, email: str, headers: dict[str, str], status: int
) -> None:
    """A form without our token ends the session only when the browser says it is from here."""
    await sign_in(site, ada, email)

    answer = await ada.submit(Form("/auth/form/logout", "post"), headers=headers, x="")

    assert answer.status == status
    assert bool(ada.cookie(ACCESS)) == (status == 403)


async def test_the_account_page_ends_one_session_or_all(
    site: AuthSite, ada: Visitor, other: Visitor, email: str
) -> None:
    """The stolen laptop goes first, then everything."""
    await sign_in(site, other, email)
    await sign_in(site, ada, email)
    page = (await ada.get("/auth/account")).page
    forms = [f for f in page.forms if f.action == "/auth/form/sessions"]
    assert "Safari on iPhone" in page.text
    assert page.text.index("This device") < page.text.index("Safari on iPhone")

    assert (await ada.submit(forms[0])).location == "/auth/account"
    after = (await ada.get("/auth/account")).page
    assert "Safari on iPhone" not in after.text

    out = await ada.submit(after.form("/auth/form/sessions", handle="all"))
    assert "You are signed out everywhere" in (await ada.get(out.location)).page.text
    assert ada.cookie(ACCESS) == ""


async def test_the_button_of_a_sign_in_notice_ends_that_session(
    site: AuthSite, ada: Visitor, other: Visitor, email: str
) -> None:
    """A thief signs in from a new browser; the owner reads the notice and ends it, not signed in at all."""
    await sign_in(site, ada, email)
    await sign_in(site, other, email)
    stolen = other.cookie(REFRESH)
    login_id = notice_id(sid_of(other), "new_browser")
    token = site.token_of(login_id, email, "notice")
    async with visiting(site.url) as owner:
        page = (await owner.open_link(login_id, token)).page
        done = await owner.submit(page.form("/auth/form/notice"))

        assert f"Someone signed in as {email} just now, from Safari on iPhone" in page.text
        assert len(page.all("button")) == 1
        assert "That session is over" in (await owner.get(done.location)).page.text
        assert owner.cookie(ACCESS) == ""
    async with ada.session.post(
        f"{site.url}/auth/refresh", json={"refresh_token": stolen}
    ) as refused:
        assert refused.status == 401


async def test_continue_renews_the_cookies_and_goes_back(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """Where the edge sends a browser whose access cookie has run out."""
    await sign_in(site, ada, email)
    before = ada.cookie(REFRESH)

    answer = await ada.get("/auth/continue?next=/demo")

    assert answer.location == "/demo"
    assert ada.cookie(REFRESH) not in {"", before}


async def test_continue_from_another_site_hops_over_our_own_page_once(ada: Visitor) -> None:
    """A strict cookie stays at home on the first request; the second one, ours, decides."""
    first = await ada.get("/auth/continue?next=/demo", {"Sec-Fetch-Site": "cross-site"})
    (refresh,) = [m for m in first.page.all("meta") if m.get("http-equiv") == "refresh"]
    target = str(refresh["content"]).removeprefix("0; url=")
    second = await ada.get(target, {"Sec-Fetch-Site": "cross-site"})

    assert first.status == 200
    assert second.location == "/auth/login?next=%2Fdemo&again=1"


# what a browser holds, where its way here began, and where it is led from the login form on; "": a page of ours
# that goes on by itself
WAYS_ON = [
    ((), "none", []),
    ((ACCESS, REFRESH, CSRF), "none", []),
    ((REFRESH, CSRF), "none", ["/auth/continue", "/demo"]),
    ((REFRESH, CSRF), "same-site", ["/auth/continue", "/demo"]),
    ((ACCESS, CSRF), "none", []),
    ((REFRESH,), "none", []),
    ((CSRF,), "none", ["/auth/continue", "/auth/login"]),
    # another site's link: the browser may be keeping a strict cookie to itself
    ((CSRF,), "cross-site", ["/auth/continue", "", "/auth/login"]),
    ((), "cross-site", []),
]


@pytest.mark.parametrize(("held", "begun", "expected"), WAYS_ON)
async def test_the_login_form_sends_who_may_renew_on_and_nobody_round(
    site: AuthSite, ada: Visitor, email: str, held: tuple[str, ...], begun: str, expected: list[str]
) -> None:
    """Whatever a browser sends, and though this one keeps nothing of ours: three steps at most, then a page."""
    await sign_in(site, ada, email)
    headers = {
        "Sec-Fetch-Site": begun,
        "Sec-Fetch-Mode": "navigate",
        "Cookie": "; ".join(f"{name}={ada.cookie(name)}" for name in held),
    }
    way: list[str] = []
    path = "/auth/login?next=/demo"
    async with visiting(site.url) as later:
        while path and path != "/demo" and len(way) < 5:
            answer = await later.get(path, headers)
            later.session.cookie_jar.clear()
            path = _led_to(answer)
            if path:
                way.append(answer.headers.get("Location", "").partition("?")[0])

    assert way == expected
    if path != "/demo":
        assert answer.page.form("/auth/form/login").fields["next"] == "/demo"


def _led_to(answer: Answer) -> str:
    """Where a redirect, or a page that goes on by itself, leads; "" for a page that stays."""
    if answer.status != 200:
        return answer.location
    hops = [m for m in answer.page.all("meta") if m.get("http-equiv") == "refresh"]
    return str(hops[0]["content"]).removeprefix("0; url=") if hops else ""


# where a browser comes with a form that is lost, what it holds, and the address or title it ends at
LOST = [
    ("/auth/continue", (ACCESS, REFRESH, CSRF), "same-origin", "What you sent is not saved"),
    ("/auth/continue", (), "same-origin", "/auth/login?next=%2Fdemo&again=1&unsent=1"),
    ("/auth/continue", (), "cross-site", "/auth/continue?next=%2Fdemo&unsent=1&hop=1"),
    ("/auth/login", (REFRESH, CSRF), "same-origin", "/auth/continue?next=%2Fdemo&unsent=1"),
    ("/auth/login", (), "same-origin", "Log in"),
    ("/auth/login", (ACCESS, REFRESH, CSRF), "same-origin", "Log in"),
]


@pytest.mark.parametrize(("path", "held", "begun", "end"), LOST)
async def test_who_sent_a_form_that_is_lost_is_told_on_every_way(
    site: AuthSite, ada: Visitor, email: str, path: str, held: tuple[str, ...], begun: str, end: str
) -> None:
    """Whether the session goes on or not; and what they came from is one click away."""
    await sign_in(site, ada, email)
    headers = {
        "Sec-Fetch-Site": begun,
        "Sec-Fetch-Mode": "navigate",
        "Cookie": "; ".join(f"{name}={ada.cookie(name)}" for name in held),
    }
    async with visiting(site.url) as later:
        answer = await later.get(f"{path}?next=/demo&unsent=1", headers)

    if onwards := _led_to(answer):
        assert onwards == end
        return
    assert f"<h1>{end}</h1>" in answer.body
    assert "What you sent is not saved" in answer.body
    assert "/demo" in answer.body
    renewed = [c for c in answer.headers.getall("Set-Cookie", []) if c.startswith(f"{ACCESS}=")]
    assert bool(renewed) == (path == "/auth/continue")


async def test_who_opens_the_login_form_while_logged_in_is_told_and_may_go_on(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """And sees no way on where a new login is what was asked for."""
    await sign_in(site, ada, email)
    plain, way_back, again = [
        (await ada.get(f"/auth/login{query}")).page
        for query in ("", "?next=/demo", "?next=/demo&again=1")
    ]

    ways = [[a["href"] for a in page.all("a")] for page in (plain, way_back, again)]
    assert ways == [["/auth/account"], ["/demo"], []]
    for page in (plain, way_back, again):
        assert f"You are logged in as {email}." in page.text
        assert page.form("/auth/form/login")


async def test_two_access_cookies_do_not_keep_anybody_from_the_login_form(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """A planted twin: the form says nothing of either, and works."""
    await sign_in(site, ada, email)
    twins = {"Cookie": f"{ACCESS}={ada.cookie(ACCESS)}; {ACCESS}=x"}
    async with visiting(site.url) as later:
        answer = await later.get("/auth/login", {**SAME_ORIGIN, **twins})

    assert answer.status == 200
    assert answer.page.form("/auth/form/login")
    assert "You are logged in" not in answer.page.text


async def test_a_target_that_never_sees_the_cookie_is_not_a_loop(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """A browser sent round and round for one target is told; other targets still work."""
    await sign_in(site, ada, email)
    answers = [await ada.get("/auth/continue?next=/demo") for _ in range(6)]
    elsewhere = await ada.get("/auth/continue?next=/other")

    assert [a.status for a in answers] == [303] * 5 + [403]
    assert "Your browser did not keep our cookie" in answers[-1].page.text
    assert elsewhere.status == 303


async def test_a_fetch_does_not_renew_by_continue(site: AuthSite, ada: Visitor, email: str) -> None:
    """An image or a script of another site renews nothing; the route is for navigations."""
    await sign_in(site, ada, email)

    answer = await ada.get("/auth/continue?next=/demo", {"Sec-Fetch-Mode": "no-cors"})

    assert answer.status == 403


async def test_a_broken_session_goes_to_the_form_and_loses_its_cookies(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """What will never work again is not sent round again."""
    await sign_in(site, ada, email)
    form = (await ada.get("/auth/account")).page.form("/auth/form/sessions", handle="all")
    kept = f"{ACCESS}={ada.cookie(ACCESS)}; {REFRESH}={ada.cookie(REFRESH)}"
    await ada.submit(form)
    async with visiting(site.url) as again:
        answer = await again.get("/auth/continue?next=/demo", {"Cookie": kept})

    assert answer.location == "/auth/login?next=%2Fdemo&again=1"
    assert any(c.startswith(f'{REFRESH}=""') for c in answer.headers.getall("Set-Cookie"))


PATHS = [
    "/auth/login",
    "/auth/link",
    "/auth/signed-out",
    "/auth/continue",
    "/auth/nothing-here",
    "/auth/static/pages.css",
    "/auth/latchwire.js",
]


@pytest.mark.parametrize("path", PATHS)
async def test_every_page_and_file_is_locked_up(ada: Visitor, path: str) -> None:
    """No frame, no foreign origin, no sniffing, no referrer, also on errors."""
    headers = (await ada.get(path)).headers

    assert headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Server" not in headers
    if not path.endswith((".css", ".js")):
        assert headers["Cache-Control"] == "no-store"


async def test_static_files_are_kept_by_version_and_asked_for_without(ada: Visitor) -> None:
    """A new release is seen at once, and an old one costs nothing."""
    page = (await ada.get("/auth/login")).page
    (sheet,) = [str(a["href"]) for a in page.all("link")]
    kept = await ada.get(sheet)
    fresh = await ada.get("/auth/latchwire.js")
    same = await ada.get("/auth/latchwire.js", {"If-None-Match": fresh.headers["ETag"]})

    assert "immutable" in kept.headers["Cache-Control"]
    assert fresh.headers["Cache-Control"] == "no-cache"
    assert (same.status, same.body) == (304, "")
    assert (await ada.get("/auth/static/..%2fviews.py")).status == 404


async def test_a_browser_gets_a_page_and_a_program_a_problem_document(
    site: AuthSite, ada: Visitor
) -> None:
    """Both carry the stable code and the request's id."""
    page = await ada.get("/auth/nothing-here")
    async with ada.session.get(
        f"{site.url}/auth/nothing-here", headers={"Accept": "*/*"}
    ) as response:
        document = await response.json(content_type="application/problem+json")

    assert page.status == 404
    assert f"not_found · {page.headers['X-Request-Id']}" in page.page.text
    assert document["code"] == "not_found"


@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        (b'{"email":"a"}', {"Content-Type": "application/json"}, 415),
        (b"email=a&email=b", {"Content-Type": "application/x-www-form-urlencoded"}, 400),
        (b"email=%ff", {"Content-Type": "application/x-www-form-urlencoded"}, 400),
        (b"a=1&" * 50, {"Content-Type": "application/x-www-form-urlencoded"}, 400),
        (b"a=" + b"x" * 200_000, {"Content-Type": "application/x-www-form-urlencoded"}, 413),
    ],
)
async def test_what_is_no_form_of_ours_is_refused_with_a_page(
    site: AuthSite, ada: Visitor, data: bytes, headers: dict[str, str], status: int
) -> None:
    """Never a 500, never a bare text."""
    await ada.get("/auth/login")
    async with ada.session.post(
        f"{site.url}/auth/form/login", data=data, headers={**SAME_ORIGIN, **headers}
    ) as response:
        assert response.status == status
        assert response.content_type == "text/html"


async def test_two_of_our_cookies_in_one_request_are_refused(ada: Visitor) -> None:
    """Nobody can say which one counts (yardstick S-08)."""
    answer = await ada.get("/auth/login", {"Cookie": f"{LOGIN}=a; {LOGIN}=b"})

    assert answer.status == 400
    assert "two_credentials" in answer.page.text


async def test_a_store_that_is_away_is_said_and_nobody_is_logged_out(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """503 with the code and the id; the cookies stay, and afterwards all goes on."""
    await sign_in(site, ada, email)
    form = (await ada.get("/auth/login")).page.form("/auth/form/login")
    site.redis.kill()
    try:
        asked = await ada.submit(form, email=email)
        renewed = await ada.get("/auth/continue?next=/demo")
    finally:
        await asyncio.to_thread(site.redis.start)

    for answer in (asked, renewed):
        assert answer.status == 503
        assert f"unavailable · {answer.headers['X-Request-Id']}" in answer.page.text
        assert "Set-Cookie" not in answer.headers
    assert ada.cookie(REFRESH)

    async def back() -> bool:
        return (await ada.get("/auth/continue?next=/demo")).status == 303

    await eventually(back)
    await vouched_for_anew(site.redis.url)  # before the next test


async def test_no_secret_of_a_page_reaches_the_log(
    site: AuthSite, ada: Visitor, email: str
) -> None:
    """Tokens, codes, cookies and addresses of a whole visit are in no line, at debug level."""
    login_id = (await ada.ask(email)).login_id
    token, code = site.token_of(login_id, email), site.code_of(login_id, email)
    opened = await ada.open_link(login_id, token)
    await ada.submit(opened.page.form("/auth/form/link"))

    logs = "".join(worker.log.read_text() for worker in site.workers)

    secrets = [token, code, email, *(c.value for c in ada.session.cookie_jar)]
    assert not [s for s in secrets if s and s in logs]


async def test_without_accounts_none_of_their_pages_is_there(ada: Visitor) -> None:
    """Nothing can be registered, and the login page offers a link alone, as it always did."""
    page = (await ada.get("/auth/login")).page
    shown = page_account_routes.SHOWN.keys() | social_routes.SHOWN.keys() | {"/auth/oauth/google"}
    posted = page_account_routes.POSTED.keys() | social_routes.POSTED.keys()

    for path in shown - page_routes.SHOWN.keys():
        assert (await ada.get(path.format(org="o", sub="s"))).status == 404, path
    for path in posted - page_routes.POSTED.keys():
        assert (await ada.submit(Form(path, "post"))).status == 404, path
    assert "No password. You get a link and a code." in page.text
    assert not [i for i in page.all("input") if i.get("type") == "password"]
    ask = page.form("/auth/form/login")
    sent = await ada.submit(ask, email="ada@acme.com", password="x", way="password")
    assert sent.location.startswith("/auth/login/sent?id=")
