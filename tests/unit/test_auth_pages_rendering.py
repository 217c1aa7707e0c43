"""What every page of auth must be, whatever it says: checked by meaning, not by bytes."""

from dataclasses import fields, is_dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.auth.pages import (
    Assets,
    Renderer,
    View,
    account_views,
    messages,
    org_views,
    social_views,
    views,
)
from tests.support.html import Page, parse_page

POLYGLOT = (
    "jaVasCript:/*-/*`/*\\`/*'/*\"/**/(/* */oNcliCk=alert() )//%0D%0A%0d%0a//</stYle/</titLe/"
    "</teXtarEa/</scRipt/--!>\\x3csVg/<sVg/oNloAd=alert()//>\\x3e"
)
ATTACKS = (
    POLYGLOT,
    '"><script>alert(1)</script>',
    "' onmouseover='alert(1)",
    "<img src=//evil.example/x>",
    "{{ 7*7 }}{% raw %}",
    "0; url=https://evil.example",
)
COMPLETIONS = {
    "email",
    "one-time-code",
    "username",
    "current-password",
    "new-password",
    "organization",
}
OURS = {
    "start_again",
    "log_in",
    "register",
    "href",
    "way_on",
    "more",
    "join",
}  # addresses that we make
ROW = views.SessionRow("h-1", "Firefox on Linux", "Signed in 2 days ago", "192.0.2.0/24", False)
ID = "01J" + "0" * 23
GOOGLE = account_views.ProviderLogin("google", "Google", "/auth/oauth/google")
LOGIN = account_views.LinkedLogin("01JLOGIN", "GitHub", "ada@example.org")
CHOICES = (org_views.RoleChoice("owner"), org_views.RoleChoice("member", chosen=True))
MEMBERS = (
    org_views.MemberRow("ada@acme.com", "owner", me=True),
    org_views.MemberRow("bob@acme.com", "member", href=f"/auth/account/orgs/{ID}/members/{ID}"),
)
INVITED = org_views.InvitationRow(ID, "eve@acme.com", "member", "Invited 2 days ago")
TOKEN = org_views.TokenRow(ID, "bot", "Zz09", "Made just now", "Not used yet", "books.read")
TOKENS = {f"{form}_token": "t" for form in ("invite", "withdraw", "leave")}
PAGES: dict[str, View] = {
    "log in": views.LogIn("t", next="/demo"),
    "log in after a form": views.LogIn("t", logged_in=views.LoggedIn(unsent=True)),
    "not sent": messages.not_sent("/demo"),
    "log in while logged in": views.LogIn("t", logged_in=views.LoggedIn("ada@acme.com", "/demo")),
    "log in again": views.LogIn("t", email="ada@", problem="That is not an e-mail address."),
    "check your mail": views.CheckMail("t", "t2", "01J" + "0" * 23, "ada@acme.com", "/demo"),
    "check your mail, wrong code": views.CheckMail("t", "t2", "01J", problem="No."),
    "open link": views.OpenLink("t", "t2", "01J" + "0" * 23),
    "open link without id": views.OpenLink("t", "t2"),
    "confirm": views.Confirm("t", "t2", "tok", "ada@acme.com", instead_of="bob@acme.com"),
    "confirm, and a login": views.Confirm("t", "t2", "tok", "ada@acme.com", offer="GitHub"),
    "check your mail, and a login": views.CheckMail("t", "t2", ID, "ada@acme.com", offer="GitHub"),
    "open link, and a login": views.OpenLink("t", "t2", ID, offer="GitHub", email="ada@acme.com"),
    "was this you": views.WasThisYou("t", "t2", "tok", "ada@acme.com", "just now, from curl"),
    "notice": views.EndThatSession("t", "tok", "ada@acme.com", "just now, from curl"),
    "account": views.Account("t", "t2", "ada@acme.com", (ROW, replace(ROW, current=True))),
    "hop": views.Hop("/demo"),
    "spent": messages.LinkSpent(),
    "cancelled": messages.LinkCancelled(),
    "signed out": messages.SignedOut(),
    "signed out everywhere": messages.SignedOutEverywhere(),
    "signed out, unsure": messages.SignOutUnsure(),
    "signed out, others untold": messages.Untold(messages.SignedOut.title),
    "session ended": messages.SessionEnded(),
    "cookie": messages.CookieDidNotStick(),
    "too old": messages.FormTooOld(),
    "log in any way": account_views.LogInAnyWay("t", next="/demo", providers=(GOOGLE,)),
    "log in any way while logged in": account_views.LogInAnyWay(
        "t", logged_in=views.LoggedIn("ada@acme.com", "/demo")
    ),
    "log in any way, wrong": account_views.LogInAnyWay(
        "t", email="ada@acme.com", problem="No.", at="password"
    ),
    "register": account_views.Register("t", 12, providers=(GOOGLE,)),
    "register again": account_views.Register(
        "t", 12, email="ada@acme.com", problem="Too short.", at="password"
    ),
    "registered": account_views.RegisterSent("t", "t2", ID, "ada@acme.com"),
    "registered, wrong code": account_views.RegisterSent("t", "t2", ID, problem="No."),
    "verify here": account_views.VerifyHere("t", "t2", "tok", "ada@acme.com", "bob@acme.com"),
    "verify elsewhere": account_views.VerifyElsewhere(
        "t", "t2", "tok", "ada@acme.com", "just now, from curl", "bob@acme.com"
    ),
    "verify elsewhere, wrong": account_views.VerifyElsewhere(
        "t", "t2", "tok", "ada@acme.com", "just now, from curl", problem="No."
    ),
    "forgot": account_views.Forgot("t"),
    "forgot sent": account_views.ForgotSent("t", "t2", ID, 12, "ada@acme.com"),
    "forgot sent, short": account_views.ForgotSent("t", "t2", ID, 12, problem="No.", at="code"),
    "reset": account_views.ResetPassword("t", "t2", "tok", "ada@acme.com", 12),
    "reset elsewhere": account_views.ResetPassword(
        "t", "t2", "tok", "ada@acme.com", 12, "just now, from curl", "Too common."
    ),
    "account with ways": account_views.AccountWithWays(
        "t",
        "t2",
        "ada@acme.com",
        (ROW, replace(ROW, current=True)),
        unlink_token="t3",
        link_token="t4",
        active_org="Robotics",
        has_password=True,
        logins=(LOGIN,),
        offers=(GOOGLE,),
        note="Linked.",
    ),
    "set a password": account_views.ChangePassword("t", "ada@acme.com", 12, has_password=False),
    "change the password": account_views.ChangePassword(
        "t", "ada@acme.com", 12, has_password=True, problem="No.", at="password"
    ),
    "delete": account_views.DeleteAccount("t", "ada@acme.com"),
    "log in again to go on": account_views.LogInAgain(),
    "password set": account_views.PasswordSet(),
    "deleted": account_views.AccountDeleted(),
    "no organisations": org_views.Organisations("t", "t2", ()),
    "organisations": org_views.Organisations(
        "t",
        "t2",
        (
            org_views.OrgRow(ID, "Robotics", "owner", active=True),
            org_views.OrgRow(ID, "Shop", "member", active=False),
        ),
        name="x" * 65,
        problem="Too long.",
    ),
    "organisation": org_views.Organisation(
        ID,
        "Robotics",
        MEMBERS,
        (INVITED,),
        CHOICES,
        settings=True,
        tokens=True,
        more="/auth/account/orgs/x?after=y",
        **TOKENS,
    ),
    "organisation, refused": org_views.Organisation(
        ID, "Robotics", MEMBERS, (INVITED,), CHOICES, email="eve@", problem="No.", **TOKENS
    ),
    "organisation of others": org_views.Organisation(ID, "Robotics", MEMBERS, leave_token="t"),
    "member": org_views.Member(ID, "Robotics", ID, "bob@acme.com", CHOICES, "t", "t2", "No."),
    "organisation settings": org_views.OrgSettings(ID, "Robotics", "t", "t2", "", "No."),
    "no service tokens": org_views.OrgTokens(ID, "Robotics", "t"),
    "service tokens": org_views.OrgTokens(ID, "Robotics", "t", (TOKEN, replace(TOKEN, scopes=""))),
    "open an invitation": org_views.OpenInvitation("t", "t2", ID, join="/auth/account/join?id=x"),
    "join": org_views.Join("t", "tok", "ada@acme.com", "Robotics"),
    "join after log in": org_views.JoinAfterLogIn(
        "t", "ada@acme.com", "Robotics", "/demo", "/auth/login?next=x", "bob@acme.com"
    ),
    "not joined": org_views.NotJoined(),
    "not left": org_views.NotLeft(paragraphs=("No.",)),
    "done, others untold": account_views.DoneUntold(),
    "delete, not possible": account_views.NotDeleted("/x", ("Robotics", "Shop")),
    "deleted, others untold": account_views.DeletedUntold(),
    "reset spent": account_views.ResetSpent(),
    "reset, others untold": account_views.ResetUntold(),
    "password, others untold": account_views.PasswordUntold(),
    "open reset link": account_views.OpenResetLink("t", "t2", ID, reset_token="t3", least=12),
    "confirm a login": social_views.ConfirmLogin("t", "x", "GitHub", "ada@acme.com", "ada@b.org"),
    "ask to leave": social_views.ask_to_leave("GitHub", "/auth/oauth/github"),
    "login not finished": social_views.LoginNotFinished(),
    "login taken": social_views.LoginTaken(),
    "linking spent": social_views.LinkingSpent(),
    "problem": messages.problem_page(503, "unavailable", "01JREQUEST"),
}


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(site_name="Acme", url="https://auth.acme.com", assets=Assets.load())


@pytest.fixture(params=PAGES, ids=lambda name: name.replace(" ", "-"))
def page(request: pytest.FixtureRequest, renderer: Renderer) -> Page:
    return parse_page(renderer.render(PAGES[request.param]))


def test_every_page_says_whose_it_is_and_has_one_heading_a_language_and_a_title(page: Page) -> None:
    """Screen readers and people with many tabs find their way on each page."""
    assert {"lang": "en"} in page.all("html")
    assert len(page.all("h1")) == 1
    assert len(page.all("title")) == 1
    assert len(page.all("main")) == 1
    assert "Acme auth.acme.com" in page.text


def test_no_page_names_the_product(renderer: Renderer) -> None:
    """The person logging in sees the site's name, never ours."""
    assert not [n for n, view in PAGES.items() if "latchwire" in renderer.render(view).lower()]


def test_no_page_asks_another_origin_for_anything(page: Page) -> None:
    """No tracker, no font, no image: every address in a page is a path of this site."""
    addresses = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in {"href", "src", "action", "formaction", "poster", "data"} and value
    ]

    assert addresses
    assert all(a.startswith("/") and not urlsplit(a).netloc for a in addresses)
    assert not page.all("img")


def test_no_page_needs_an_inline_script_or_style(page: Page) -> None:
    """The content security policy has no exception, so nothing may need one."""
    assert all(script.get("src") for script in page.all("script"))
    assert not page.all("style")
    assert not [
        a for _, attributes in page.tags for a in attributes if a == "style" or a[:2] == "on"
    ]


def test_every_visible_field_has_a_label_and_says_what_to_complete(page: Page) -> None:
    """Password managers, phones and screen readers all need to know what a field is for."""
    labels = {label["for"] for label in page.all("label")}
    visible = [i for i in page.all("input") if i.get("type") != "hidden" and "hidden" not in i]
    typed = [i for i in visible if i.get("type") != "checkbox"]

    assert {i["id"] for i in visible} == labels
    assert all(i.get("autocomplete") in COMPLETIONS for i in typed)


def test_a_password_manager_learns_whose_password_it_is(page: Page) -> None:
    """Each form with a password has the address beside it, and tells a new password from an old one."""
    for form in page.inputs:
        kinds = {i.get("autocomplete") for i in form if i.get("type") == "password"}
        assert kinds <= {"current-password", "new-password"}
        # A code that is typed elsewhere than it was asked for: the page knows nobody's address.
        assert not kinds or {"username", "one-time-code"} & {i.get("autocomplete") for i in form}


def test_nothing_keeps_anybody_from_pasting(page: Page) -> None:
    """No length that cuts a pasted password off, no field that refuses to be filled in."""
    passwords = [i for i in page.all("input") if i.get("type") == "password"]

    assert not [i for i in passwords if i.keys() & {"maxlength", "pattern", "readonly"}]
    assert not [a for _, a in page.tags if a.get("autocomplete") == "off"]


def test_every_form_posts_to_a_form_route_with_a_token(page: Page) -> None:
    """A form without a token could be posted by any site."""
    forms = page.all("form")
    tokens = [i for i in page.all("input") if i.get("name") == "form_token"]

    assert all(str(f["action"]).startswith("/auth/form/") and f["method"] == "post" for f in forms)
    assert len(tokens) == len(forms)
    assert all(t["value"] for t in tokens)


def test_a_page_has_one_main_button_at_most(renderer: Renderer) -> None:
    """One thing to do per page; whatever else there is looks quieter."""
    for name, view in PAGES.items():
        page = parse_page(renderer.render(view))
        loud = [b for b in page.all("button") if "quiet" not in (b.get("class") or "")]
        links = [a for a in page.all("a") if a.get("class") == "button"]
        assert len(loud) + len(links) <= 1, name


def _attacked(view: Any, text: str) -> Any:
    hostile = {
        f.name: _hostile(getattr(view, f.name), text) for f in fields(view) if f.name not in OURS
    }
    return replace(view, **hostile)


def _hostile(value: Any, text: str) -> Any:
    if isinstance(value, str):
        return text
    if isinstance(value, tuple):
        return tuple(_hostile(item, text) for item in value)
    return _attacked(value, text) if is_dataclass(value) else value


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("name", PAGES)
def test_text_from_outside_never_becomes_markup(renderer: Renderer, name: str, attack: str) -> None:
    """An address, a user agent or a session's name adds no tag and no attribute to any page."""
    plain = parse_page(renderer.render(_attacked(PAGES[name], "x")))
    attacked = parse_page(renderer.render(_attacked(PAGES[name], attack)))

    assert [(t, sorted(a)) for t, a in plain.tags] == [(t, sorted(a)) for t, a in attacked.tags]


@pytest.mark.parametrize("attack", ATTACKS)
def test_where_a_page_is_never_becomes_markup(renderer: Renderer, attack: str) -> None:
    """The address that a script puts into the history is one attribute, whatever is in it."""
    view = views.LogIn("t", problem="No.")

    assert parse_page(renderer.render(view)).all("script") == []
    (script,) = parse_page(renderer.render(view, at=attack)).all("script")
    assert (script["data-at"], script.keys()) == (attack, {"src", "data-at"})


def test_an_attack_is_shown_to_the_reader_as_the_text_it_is(renderer: Renderer) -> None:
    """Escaping keeps the text readable: nothing is silently cut."""
    html = renderer.render(views.Confirm("t", "t2", "tok", ATTACKS[1]))

    assert ATTACKS[1] in parse_page(html).text
    assert "<script>alert" not in html


def test_the_site_name_is_escaped_too(renderer: Renderer) -> None:
    """A site called "Fish & Chips" is spelled that way, and cannot open a tag."""
    odd = Renderer(site_name="Fish & <b>Chips", url="https://a.example", assets=Assets.load())

    page = parse_page(odd.render(messages.SignedOut()))

    assert "Fish & <b>Chips" in page.text
    assert not page.all("b")


def test_the_pages_speak_the_agreed_words(renderer: Renderer) -> None:
    """The sentences people were promised, word for word."""

    def text(name: str) -> str:
        return parse_page(renderer.render(PAGES[name])).text

    assert "No password. You get a link and a code. Either works once, for 10 minutes." in text(
        "log in"
    )
    assert "If ada@acme.com can sign in here, a message is on its way" in text("check your mail")
    assert "You are signing in as ada@acme.com" in text("confirm")
    assert "Was this you? Someone asked to sign in as ada@acme.com just now, from curl" in text(
        "was this you"
    )
    assert "Sign in on this device" in text("was this you")
    assert "This was not me" in text("was this you")
    assert "This link no longer works" in text("spent")
    assert "unavailable · 01JREQUEST" in text("problem")


def test_words_around_a_name_keep_their_spaces(renderer: Renderer) -> None:
    """A template's line that ends in a condition would glue two words together."""
    text = parse_page(renderer.render(PAGES["confirm a login"])).text

    assert "From now on GitHub ( ada@b.org ) logs you in as ada@acme.com" in text


def test_the_account_page_marks_this_device_and_offers_to_end_the_others(
    renderer: Renderer,
) -> None:
    """This device ends by signing out, each other one by its own labelled button."""
    page = parse_page(renderer.render(PAGES["account"]))

    handles = [i["value"] for i in page.all("input") if i.get("name") == "handle"]
    assert handles == ["h-1", "all"]
    assert page.text.count("This device") == 1
    labelled = [b["aria-label"] for b in page.all("button") if "aria-label" in b]
    assert labelled == ["End the session on Firefox on Linux: Signed in 2 days ago"]


def test_a_mistake_is_announced_beside_its_field(renderer: Renderer) -> None:
    """A person who cannot see red hears what is wrong, in the title, as an alert and at the field."""
    page = parse_page(renderer.render(PAGES["log in again"]))

    (email,) = [i for i in page.all("input") if i.get("id") == "email"]
    assert email["aria-invalid"] == "true"
    assert email["aria-describedby"] == "problem"
    assert email["value"] == "ada@"
    assert [p for p in page.all("p") if p.get("role") == "alert" and p.get("id") == "problem"]
    assert "Error: Log in · Acme" in page.text
