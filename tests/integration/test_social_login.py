"""Log in at a provider: whose account it is, and when a provider's word about an address is enough."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
import pytest_asyncio
from yarl import URL

from latchwire.tokens import TokenPolicy
from services.auth.adapters.pyjwt_tokens import PyJWTTokens
from shared.contract import LOGIN_REQUESTED
from tests.support.auth_workers import ORIGIN, bearer
from tests.support.lying_provider import SECRET, Person, person
from tests.support.page_visitor import Answer, Visitor, visiting
from tests.support.social import FROM_ELSEWHERE, SocialSite, running_social
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = itertools.count(1)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SocialSite]:
    """One for all; every test has people of its own."""
    async with running_social(tmp_path_factory.mktemp("social")) as running:
        yield running


@pytest.fixture(autouse=True)
def honest(site: SocialSite) -> None:
    """Both providers begin every test without a lie."""
    site.sso.honest()
    site.other.honest()


@pytest.fixture
def number() -> str:
    """A number at the providers that nobody else has."""
    return str(next(_numbers))


async def test_a_new_person_gets_an_account_by_the_word_of_a_provider_that_speaks_for_the_address(
    site: SocialSite, number: str
) -> None:
    """Made once, verified, linked to (iss, sub), and signed in where they wanted to go."""
    email = f"new{number}@acme.com"
    site.sso.who = person(number, email)
    async with visiting(site.auth.doors[0]) as visitor:
        answer = await site.log_in(visitor, next_="/demo")

        assert answer.location == "/demo"
        me = await site.signed_in(visitor)
    account = await site.account(email)
    assert me is not None
    assert account is not None
    assert (me["sub"], me["email"], me["amr"]) == (account.sub, email, ["provider"])
    assert account.verified_at_ms is not None
    assert [(i.iss, i.subject) for i in await site.logins(email)] == [(site.sso.url, number)]
    words = ["user.registered", "user.verified"]
    await eventually(lambda: site.announced(account.sub) == words)


async def test_a_person_is_issuer_and_subject_whatever_the_address_says(
    site: SocialSite, number: str
) -> None:
    """O-06: the same (iss, sub) under another address is the same account, which keeps its own address."""
    email = f"moved{number}@acme.com"
    site.sso.who = person(number, email)
    async with visiting(site.auth.doors[0]) as visitor:
        await site.log_in(visitor)
        before = await site.signed_in(visitor)
    site.sso.who = person(number, f"new-address{number}@acme.com")
    async with visiting(site.auth.doors[0]) as visitor:
        await site.log_in(visitor)
        after = await site.signed_in(visitor)

    assert before is not None
    assert after is not None
    assert (after["sub"], after["email"]) == (before["sub"], email)
    assert await site.account(f"new-address{number}@acme.com") is None


async def test_the_same_number_at_another_provider_is_somebody_else(
    site: SocialSite, number: str
) -> None:
    """Subjects belong to their issuer: two providers may number two people alike."""
    site.sso.who = person(number, f"here{number}@acme.com")
    site.other.who = person(number, f"there{number}@acme.com")
    async with visiting(site.auth.doors[0]) as one, visiting(site.auth.doors[0]) as two:
        await site.log_in(one)
        assert "/auth/login/sent" in (await site.log_in(two, "other")).location
        assert await site.signed_in(two) is None


async def test_a_verified_account_is_linked_on_the_word_of_its_own_provider_and_told_so(
    site: SocialSite, number: str
) -> None:
    """O-07: authoritative, ``true``, and the account's address verified: one account, and a mail about it."""
    email = f"known{number}@acme.com"
    tokens = await site.auth.sign_in(email)
    site.sso.who = person(number, email)
    async with visiting(site.auth.doors[0]) as visitor:
        await site.log_in(visitor)
        me = await site.signed_in(visitor)

    assert me is not None
    assert me["sub"] == (await me_of(site, tokens["access_token"]))["sub"]
    assert len(await site.logins(email)) == 1
    await eventually(lambda: notices(site, email) == [("login_linked", "Acme")])


NOT_TRUE: list[Any] = ["true", "false", "True", 1, 0, False, None, [True], {"value": True}, "yes"]


@pytest.mark.parametrize("verified", NOT_TRUE, ids=repr)
@pytest.mark.parametrize("known", [True, False])
async def test_only_the_json_value_true_is_a_verified_address(
    site: SocialSite, number: str, verified: Any, known: bool
) -> None:
    """Anything like it, or nothing, asks the mailbox: nobody is signed in, linked, or given an account."""
    email = f"almost{number}@acme.com"
    if known:
        await site.auth.sign_in(email)
    site.sso.who = person(number, email, verified)
    async with visiting(site.auth.doors[0]) as visitor:
        answer = await site.log_in(visitor)

        assert answer.location.startswith("/auth/login/sent?id=")
        assert await site.signed_in(visitor) is None
    assert await site.logins(email) == []
    assert (await site.account(email) is not None) == known


@pytest.mark.parametrize("known", [True, False])
async def test_a_provider_that_speaks_for_nobody_is_confirmed_by_the_mailbox_in_the_same_browser(
    site: SocialSite, number: str, known: bool
) -> None:
    """The link of the mail signs in and, if told so, links the login: then the provider alone is enough."""
    email = f"asked{number}@acme.com"
    if known:
        await site.auth.sign_in(email)
    site.other.who = person(number, email)
    async with visiting(site.auth.doors[0]) as visitor:
        answer = await site.log_in(visitor, "other", next_="/demo")
        assert await site.logins(email) == []
        opened = await open_link(site, visitor, answer.login_id, email, login="add")

        assert opened.location == "/demo"
        assert await site.signed_in(visitor) is not None
    assert [(i.iss, i.subject) for i in await site.logins(email)] == [(site.other.url, number)]
    await eventually(lambda: notices(site, email) == [("login_linked", "Elsewhere")])
    async with visiting(site.auth.doors[0]) as visitor:
        assert (await site.log_in(visitor, "other", next_="/x")).location == "/x"


CHOICES = [({"login": "without"}, False), ({}, False), ({"login": "add"}, True)]


@pytest.mark.parametrize(("pressed", "linked"), CHOICES)
@pytest.mark.parametrize("way", ["link", "code", "code on the link's page"])
async def test_a_login_is_added_by_a_button_that_names_it_and_by_nothing_else(
    site: SocialSite, number: str, way: str, pressed: dict[str, str], linked: bool
) -> None:
    """An attacker's login at a provider in the victim's own browser: the victim reads of it, and may say no."""
    email = f"asks{number}-{len(way)}{len(pressed)}@acme.com"
    site.other.who = person(email, email, False)
    async with visiting(site.auth.doors[0]) as visitor:
        sent = (await site.log_in(visitor, "other", next_="/demo")).location
        login_id = sent.partition("id=")[2]
        token = site.auth.token_of(login_id, email)
        shown = {
            "link": lambda: visitor.open_link(login_id, token),
            "code": lambda: visitor.get(sent),
            "code on the link's page": lambda: visitor.get(f"/auth/link?id={login_id}"),
        }[way]
        page = (await shown()).page
        assert (
            f"You came here from Elsewhere. If you add that login, it logs in here from now on as {email}"
            in page.text
        )
        assert "without adding it" in page.text
        assert "and add Elsewhere" in page.text
        action = "/auth/form/link" if way == "link" else "/auth/form/code"
        typed = {} if way == "link" else {"code": site.auth.code_of(login_id, email)}
        answer = await visitor.submit(page.form(action), **typed, **pressed)

        assert answer.location == "/demo"
        assert await site.signed_in(visitor) is not None
    assert bool(await site.logins(email)) == linked
    expected = [("login_linked", "Elsewhere")] if linked else []
    await eventually(lambda: notices(site, email) == expected)


@pytest.mark.parametrize(
    ("said", "linked"), [({}, False), ({"link_login": False}, False), ({"link_login": True}, True)]
)
async def test_a_program_is_told_which_login_waits_and_adds_it_only_when_it_says_so(
    site: SocialSite, number: str, said: dict[str, bool], linked: bool
) -> None:
    """``offered_login`` in the browser that was there only; ``link_login`` is false unless it is true."""
    email = f"json{number}@acme.com"
    site.other.who = person(number, email)
    async with visiting(site.auth.doors[0]) as visitor:
        login_id = (await site.log_in(visitor, "other")).login_id
        body = {"token": site.auth.token_of(login_id, email)}
        held = cookies_of(visitor)
        seen = [
            await (
                await site.auth.call(
                    "POST", "/auth/link/inspect", body, cookies=cookies, headers=ORIGIN
                )
            ).json()
            for cookies in (held, {})
        ]
        assert seen[0]["offered_login"] == {
            "provider": "other",
            "title": "Elsewhere",
            "email": email,
        }
        assert "offered_login" not in seen[1]
        wrong = {**body, "link_login": "yes please"}
        assert (
            await site.auth.call("POST", "/auth/link", wrong, cookies=held, headers=ORIGIN)
        ).status == 400
        answer = await site.auth.call(
            "POST", "/auth/link", body | said, cookies=held, headers=ORIGIN
        )

    assert answer.status == 200
    assert bool(await site.logins(email)) == linked


async def test_a_provider_that_another_site_sent_somebody_to_is_asked_about_here_first(
    site: SocialSite,
) -> None:
    """One page, one button; no redirect of ours makes the other site's link look like that button."""
    there = "/auth/oauth/other"
    async with visiting(site.auth.doors[0]) as visitor:
        for origin in ("cross-site", "same-site"):
            headers = {**FROM_ELSEWHERE, "Sec-Fetch-Site": origin}
            asked = await visitor.get(f"{there}?next=/demo", headers)
            assert asked.status == 200
            assert "Log in with Elsewhere?" in asked.page.text
            (button,) = [a for a in asked.page.all("a") if a.get("class") == "button"]
            assert button["href"] == f"{there}?next=%2Fdemo"
            assert (await visitor.get("/auth/oauth/nobody", headers)).status == 404
        assert (await visitor.get(str(button["href"]))).location.startswith(site.other.url)
        assert (await visitor.get(there, {"Sec-Fetch-Site": "none"})).location.startswith(
            site.other.url
        )
        for detour in ("/auth/continue?next=", "/auth/login?next="):
            landed = await visitor.get(f"{detour}{there}", FROM_ELSEWHERE)
            assert there not in landed.headers.get("Location", "")
            assert f"next={there}" not in landed.body
            assert f'value="{there}"' not in landed.body


async def test_a_stranger_who_opens_the_mail_elsewhere_signs_in_and_links_nothing(
    site: SocialSite, number: str
) -> None:
    """An attacker's provider in the victim's name: the victim's click must not hand over the account."""
    email = f"victim{number}@acme.com"
    await site.auth.sign_in(email)
    site.other.who = person(number, email)
    async with visiting(site.auth.doors[0]) as attacker, visiting(site.auth.doors[0]) as victim:
        answer = await site.log_in(attacker, "other")
        await open_link(site, victim, answer.login_id, email, login="add")

        assert await site.signed_in(victim) is not None
        assert await site.signed_in(attacker) is None
        assert await site.logins(email) == []
        assert "/auth/login/sent" in (await site.log_in(attacker, "other")).location


async def test_a_waiting_password_of_a_stranger_is_gone_once_a_provider_proves_the_address(
    site: SocialSite, number: str
) -> None:
    """O-08, pre-hijacking: who registered the address before its owner came gains nothing."""
    email = f"hijacked{number}@acme.com"
    body = {"email": email, "password": "the attacker chose this one"}
    registered = await site.auth.call("POST", "/auth/register", body)
    login_id = (await registered.json())["login_id"]
    assert await site.accounts.registration(login_id) is not None
    site.sso.who = person(number, email)
    async with visiting(site.auth.doors[0]) as visitor:
        await site.log_in(visitor)
        assert await site.signed_in(visitor) is not None

    assert await site.accounts.registration(login_id) is None
    account = await site.account(email)
    assert account is not None
    assert account.password_hash == ""
    assert (await site.auth.call("POST", "/auth/login", body)).status == 401
    assert len(await site.logins(email)) == 1


@pytest.mark.parametrize("name", ["sso", "github"])
async def test_a_person_who_is_not_on_the_list_gets_no_account(
    site: SocialSite, number: str, name: str
) -> None:
    """ALLOW counts here too: proven or not, an address off the list leaves no trace and gets no mail."""
    email = f"off{number}@partner.org"
    site.sso.who = person(number, email)
    async with visiting(site.auth.doors[0]) as visitor:
        answer = await site.log_in(visitor, name)

        assert "/auth/login/sent" in answer.location
        assert await site.signed_in(visitor) is None
    assert await site.account(email) is None
    assert [e for e in site.auth.said(LOGIN_REQUESTED) if e.email == email] == []


async def test_an_account_that_is_kept_out_is_kept_out_at_every_provider(
    site: SocialSite, number: str
) -> None:
    """Blocked: the login that was linked before opens nothing."""
    email = f"blocked{number}@acme.com"
    site.sso.who = person(number, email)
    async with visiting(site.auth.doors[0]) as visitor:
        await site.log_in(visitor)
        account = await site.account(email)
        assert account is not None
        await site.accounts.block(account.sub, 1)
        answer = await site.log_in(visitor)

        assert (answer.status, answer.headers["X-Latchwire-Reason"]) == (403, "login_refused")


async def test_github_is_a_number_and_its_verified_primary_address(
    site: SocialSite, number: str
) -> None:
    """Not the public address, not another verified one; and its word alone links nothing."""
    email = f"hub{number}@acme.com"
    site.sso.who = person(number, email)
    async with visiting(site.auth.doors[0]) as visitor:
        answer = await site.log_in(visitor, "github")
        await open_link(site, visitor, answer.login_id, email, login="add")

    assert [(i.iss, i.subject, i.email) for i in await site.logins(email)] == [
        (f"{site.sso.url}/github", number, email)
    ]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("github", {"email": "un@acme.com", "email_verified": False}),
        ("github", {"email": "un@acme.com", "email_verified": "true"}),
        ("facebook", {}),
        ("facebook", {"email": "not an address"}),
        ("sso", {}),
        ("sso", {"email": ["a@acme.com"], "email_verified": True}),
        ("sso", {"email": "a@acme.com,b@acme.com", "email_verified": True}),
    ],
)
async def test_without_an_address_a_new_person_is_told_what_to_do(
    site: SocialSite, number: str, name: str, given: dict[str, Any]
) -> None:
    """No account without an address; a page says how to get one and link the login then."""
    site.sso.who = Person(number, given)
    async with visiting(site.auth.doors[0]) as visitor:
        answer = await site.log_in(visitor, name)

        assert answer.headers["X-Latchwire-Reason"] == "provider_no_email"
        assert "Log in another way" in answer.page.text


async def test_facebook_says_nothing_about_its_addresses_so_the_mailbox_is_asked(
    site: SocialSite, number: str
) -> None:
    """Its number is the person; the address only who to ask."""
    email = f"face{number}@acme.com"
    site.sso.who = person(number, email)
    async with visiting(site.auth.doors[0]) as visitor:
        answer = await site.log_in(visitor, "facebook")
        await open_link(site, visitor, answer.login_id, email, login="add")

    assert [i.provider for i in await site.logins(email)] == ["facebook"]


async def test_an_address_in_userinfo_counts_like_one_in_the_token(
    site: SocialSite, number: str
) -> None:
    """Providers that keep the ID Token small say it there."""
    email = f"info{number}@acme.com"
    site.sso.who = person(number, email)
    site.sso.claims = lambda said: {k: v for k, v in said.items() if not k.startswith("email")}
    async with visiting(site.auth.doors[0]) as visitor:
        await site.log_in(visitor)

        assert await site.signed_in(visitor) is not None


# ---- linking from the account page ----


async def arrive(site: SocialSite, visitor: Visitor, number: str) -> str:
    """Sign in by a link; the address."""
    email = f"member{number}@acme.com"
    answer = await visitor.ask(email)
    await open_link(site, visitor, answer.login_id, email)
    return email


async def test_a_signed_in_person_adds_a_login_by_a_button_after_seeing_whose_it_is(
    site: SocialSite, number: str
) -> None:
    """Nothing is added by the return itself; then the login works, is listed, and can be taken away."""
    async with visiting(site.auth.doors[0]) as visitor:
        email = await arrive(site, visitor, number)
        site.other.who = person(number, f"private{number}@elsewhere.example")
        back = await site.log_in(visitor, "other", link="1")
        page = (await visitor.get(back.location)).page
        assert f"private{number}@elsewhere.example" in page.text
        assert await site.logins(email) == []

        form = page.form("/auth/form/confirm-login")
        assert (await visitor.submit(form)).location == "/auth/account"
        assert [(i.iss, i.subject) for i in await site.logins(email)] == [(site.other.url, number)]
        await eventually(lambda: notices(site, email) == [("login_linked", "Elsewhere")])
        assert (await visitor.submit(form)).status == 410

        async with visiting(site.auth.doors[0]) as elsewhere:
            assert (await site.log_in(elsewhere, "other", next_="/in")).location == "/in"
        account = (await visitor.get("/auth/account")).page
        unlinked = await visitor.submit(account.form("/auth/form/unlink"))

        assert unlinked.location == "/auth/account"
        assert await site.logins(email) == []
    await eventually(lambda: ("login_unlinked", "Elsewhere") in notices(site, email))


async def test_the_button_of_the_account_page_goes_to_the_provider_by_a_page_of_ours(
    site: SocialSite, number: str
) -> None:
    """A form may not end at another site (form-action), so a page goes on by itself."""
    async with visiting(site.auth.doors[0]) as visitor:
        await arrive(site, visitor, number)
        account = (await visitor.get("/auth/account")).page
        form = account.form("/auth/form/link-login", provider="other")
        hop = await visitor.submit(form)

        assert hop.status == 200
        (refresh,) = [m for m in hop.page.all("meta") if m.get("http-equiv") == "refresh"]
        assert f"url={site.other.url}/authorize" in str(refresh["content"])


async def test_a_login_of_another_account_is_not_taken_from_it(
    site: SocialSite, number: str
) -> None:
    """Nobody can move a login here by being signed in as somebody else."""
    owner = f"owner{number}@acme.com"
    site.sso.who = person(number, owner)
    async with visiting(site.auth.doors[0]) as visitor:
        await site.log_in(visitor)
    async with visiting(site.auth.doors[0]) as visitor:
        email = await arrive(site, visitor, number)
        back = await site.log_in(visitor, "sso", link="1")
        page = (await visitor.get(back.location)).page
        answer = await visitor.submit(page.form("/auth/form/confirm-login"))

        assert answer.status == 409
        assert await site.logins(email) == []
        assert len(await site.logins(owner)) == 1


async def test_another_site_cannot_begin_to_link_a_login(site: SocialSite, number: str) -> None:
    """Nor can anybody who is not signed in, nor one browser finish what another began."""
    path = "/auth/oauth/other?link=1"
    async with visiting(site.auth.doors[0]) as visitor, visiting(site.auth.doors[0]) as stranger:
        assert (await visitor.get(path)).status == 401
        await arrive(site, visitor, number)
        for said in ("cross-site", "same-site"):
            refused = await visitor.get(path, {**FROM_ELSEWHERE, "Sec-Fetch-Site": said})
            assert refused.status == 403
        site.other.who = person(number)
        back = await site.log_in(visitor, "other", link="1")
        await arrive(site, stranger, f"{number}-stranger")

        assert (await stranger.get(back.location)).status == 410
        assert (await visitor.get(back.location)).status == 200


async def test_a_login_asked_for_by_one_person_is_not_added_to_the_next_in_that_browser(
    site: SocialSite, number: str
) -> None:
    """A shared computer: whoever is signed in by the time the button is pressed is not who asked."""
    async with visiting(site.auth.doors[0]) as visitor:
        first = await arrive(site, visitor, number)
        site.other.who = person(number)
        back = await site.log_in(visitor, "other", link="1")
        form = (await visitor.get(back.location)).page.form("/auth/form/confirm-login")
        second = await arrive(site, visitor, f"{number}-next")

        assert (await visitor.get(back.location)).status == 410
        assert (await visitor.submit(form)).status == 410
    assert await site.logins(first) == await site.logins(second) == []


async def test_an_old_login_links_and_unlinks_nothing(site: SocialSite, number: str) -> None:
    """Whoever found a browser signed in this morning cannot add a login of their own, nor take one away."""
    async with visiting(site.auth.doors[0]) as visitor:
        email = await arrive(site, visitor, number)
        site.other.who = person(number)
        offered = await site.log_in(visitor, "other", link="1")
        button = (await visitor.get(offered.location)).page.form("/auth/form/confirm-login")
        account = (await visitor.get("/auth/account")).page
        age(site, visitor)
        link = account.form("/auth/form/link-login", provider="other")

        for answer in (
            await visitor.get("/auth/oauth/other?link=1"),
            await visitor.submit(link),
            await visitor.submit(button),
        ):
            assert "Log in once more" in answer.page.text
        again = await site.auth.call(
            "DELETE", "/auth/identities/x", cookies=cookies_of(visitor), headers=ORIGIN
        )
        assert (again.status, (await again.json())["code"]) == (401, "reauthentication_required")
        assert await site.logins(email) == []


async def test_linked_logins_are_listed_and_taken_away_by_their_handles(
    site: SocialSite, number: str
) -> None:
    """JSON for programs: one's own only; somebody else's handle is not there."""
    site.sso.who = person(number, f"list{number}@acme.com")
    async with visiting(site.auth.doors[0]) as visitor, visiting(site.auth.doors[0]) as other:
        await site.log_in(visitor)
        site.sso.who = person(f"{number}-other", f"list-other{number}@acme.com")
        await site.log_in(other)
        mine, theirs = cookies_of(visitor), cookies_of(other)
        answer = await site.auth.call("GET", "/auth/identities", cookies=mine)
        (listed,) = (await answer.json())["identities"]

        assert (listed["provider"], listed["title"]) == ("sso", "Acme")
        assert listed["email"] == f"list{number}@acme.com"
        assert site.sso.url not in str(listed)
        path = f"/auth/identities/{listed['handle']}"
        for cookies, headers, status in (
            (theirs, ORIGIN, 404),
            (mine, {}, 403),
            ({}, ORIGIN, 401),
            (mine, ORIGIN, 204),
            (mine, ORIGIN, 404),
        ):
            again = await site.auth.call("DELETE", path, cookies=cookies, headers=headers)
            assert again.status == status
        assert (await site.auth.call("GET", "/auth/identities", cookies=mine)).status == 200


async def test_no_log_line_has_what_opens_something_or_whose_it_is(
    site: SocialSite, number: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither state, nonce, verifier, code, token nor secret, nor an address, whatever comes of the login."""
    email = f"canary{number}@acme.com"
    site.sso.who = site.other.who = person(number, email)
    async with visiting(site.auth.doors[0]) as visitor:
        await site.log_in(visitor)
        await site.log_in(visitor, "other")
        site.sso.back = lambda query: {**query, "code": "a-code-of-nobody"}
        await site.log_in(visitor)
    said = "".join(capfd.readouterr())

    asked = [*site.sso.authorized, *site.other.authorized]
    redeemed = [*site.sso.redeemed, *site.other.redeemed]
    secrets = {query[name] for query in asked for name in ("state", "nonce")}
    secrets |= {form[name] for form in redeemed for name in ("code", "code_verifier")}
    assert len(secrets) >= 11  # the two providers may have given one code alike
    assert "session.opened" in said
    for secret in {*secrets, "at-code", SECRET, email}:
        assert secret not in said


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def narrow(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SocialSite]:
    """One that lets few in: nobody of acme.com, and two departures a minute from one network."""
    directory = tmp_path_factory.mktemp("narrow")
    async with running_social(directory, limit_network="2/1m", allow="@gmail.com") as running:
        yield running


async def test_too_many_from_one_network_are_told_to_wait(narrow: SocialSite) -> None:
    """Going to a provider costs a row in a store, so it is counted as asking for a link is."""
    async with (
        visiting(narrow.auth.doors[0]) as visitor,
        visiting(narrow.auth.doors[0]) as neighbour,
    ):
        seen = [(await visitor.get("/auth/oauth/sso")).status for _ in range(3)]
        assert seen == [303, 303, 429]
        assert (await neighbour.get("/auth/oauth/sso")).status == 303


async def test_a_provider_that_speaks_for_a_domain_lets_nobody_in_who_is_not_on_the_list(
    narrow: SocialSite, number: str
) -> None:
    """A page says so; the address was proven, and still leaves no account behind."""
    narrow.sso.who = person(number, f"proven{number}@acme.com")
    async with visiting(narrow.auth.doors[0]) as visitor:
        answer = await narrow.log_in(visitor)

        assert (answer.status, answer.headers["X-Latchwire-Reason"]) == (403, "login_refused")
        assert await narrow.signed_in(visitor) is None
    assert await narrow.account(f"proven{number}@acme.com") is None


# ---- helpers ----


def cookies_of(visitor: Visitor) -> dict[str, str]:
    """What this browser holds."""
    return {c.key: c.value for c in visitor.session.cookie_jar}


def age(site: SocialSite, visitor: Visitor) -> None:
    """Let the login of this browser be eleven minutes ago, as its token says it."""
    token = visitor.cookie("latchwire-dev")
    claims = jwt.decode(token, options={"verify_signature": False})
    policy = TokenPolicy(issuer=claims["iss"], audience=claims["aud"])
    signer = PyJWTTokens.load(site.auth.secrets_dir, policy)
    older = signer.sign({**claims, "auth_time": claims["auth_time"] - 660})
    visitor.session.cookie_jar.update_cookies({"latchwire-dev": older}, URL(visitor.url))


def notices(site: SocialSite, email: str) -> list[tuple[str | None, str]]:
    """The notices that were sent to *email*: the reason and what it is about."""
    said = [e for e in site.auth.said(LOGIN_REQUESTED) if e.email == email]
    return [(e.notice, e.about) for e in said if e.purpose == "notice" and e.about]


async def me_of(site: SocialSite, token: str) -> dict[str, Any]:
    """What a bearer token says."""
    answer = await site.auth.call("GET", "/auth/me", headers=bearer(token))
    found: dict[str, Any] = await answer.json()
    return found


async def open_link(
    site: SocialSite, visitor: Visitor, login_id: str, email: str, **pressed: str
) -> Answer:
    """Open the mail's link in this browser and press the button."""
    shown = await visitor.open_link(login_id, site.auth.token_of(login_id, email))
    return await visitor.submit(shown.page.form("/auth/form/link"), **pressed)
