"""Accounts in a real browser: register, log in, forget, change, organise, leave; with and without scripts."""

import json
from collections.abc import Iterator
from typing import Literal
from urllib.parse import quote_plus

import pytest
from playwright.async_api import Browser, Locator, expect

from shared.secrets import write_private
from tests.e2e.conftest import NAME
from tests.support.chromium import (
    Window,
    code_in,
    link_in,
    open_window,
    skip_without_chromium,
)
from tests.support.stack import Stack, start_stack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    skip_without_chromium(),
]

PASSWORD = "violet anchors under tin"
ANOTHER = "seven quiet lanterns burn"
COMMON = "password12345"
PROVIDERS = "github: {client_id: nobody-goes-there}\n"
MOST_TABS = 40


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One ``./latchwire up --accounts`` for all of these, with a provider that nobody goes to."""
    directory = tmp_path_factory.mktemp("accounts")
    providers, secret = directory / "providers.yaml", directory / "state/secrets/providers"
    providers.write_text(PROVIDERS)
    secret.mkdir(parents=True)
    write_private(secret / "github.secret", "s3cret")
    running = start_stack(
        directory / "state",
        "--accounts",
        LATCHWIRE_LIMIT_NETWORK="100000/5m",
        LATCHWIRE_LOG_LEVEL="debug",
        LATCHWIRE_PROVIDERS=str(providers),
    )
    yield running
    try:
        assert running.up.end() == 0, running.up.text
        assert told_to_logs(running) == []
    finally:
        running.up.kill()


def told_to_logs(running: Stack) -> list[tuple[str, str]]:
    """Which log has something that was typed here."""
    logs = {part: running.logs(part) for part in ("auth", "mailer", "edge", "revocation")}
    typed = (
        PASSWORD,
        ANOTHER,
        COMMON,
        quote_plus(PASSWORD),
        quote_plus(ANOTHER),
        NAME,
        "Robotics",
    )
    return [(part, text) for part, log in logs.items() for text in typed if text in log]


def field(window: Window, label: str) -> Locator:
    """The field that a person finds by its *label*."""
    return window.page.get_by_label(label, exact=True)


async def says(window: Window, heading: str) -> None:
    """Wait for the page of that heading."""
    await expect(window.page.get_by_role("heading", level=1, name=heading)).to_be_visible()


async def register(window: Window, email: str, next_: str = "/auth/account") -> None:
    """Address and password, up to "Check your mail"."""
    await window.go(f"/auth/register?next={next_}")
    await field(window, "E-mail address").fill(email)
    await field(window, "Password").fill(PASSWORD)
    await window.press("Create my account")
    await says(window, "Check your mail")


async def enrol(window: Window, email: str) -> None:
    """Registered and proven in one browser, on the account page."""
    await register(window, email)
    await window.open_link(email)
    await window.press("Continue")
    await says(window, "Your account")


async def log_in(window: Window, email: str, password: str, next_: str = "/auth/account") -> None:
    """By the password."""
    await window.go(f"/auth/login?next={next_}")
    await field(window, "E-mail address").fill(email)
    await field(window, "Password").fill(password)
    await window.press("Log in")


async def no_wider_than_a_phone(window: Window) -> None:
    """At 320 CSS pixels nothing scrolls sideways, and what is pressed is 44 high (WCAG 1.4.10, 2.5.5)."""
    size = window.page.viewport_size
    assert size is not None
    await window.page.set_viewport_size({"width": 320, "height": 640})
    assert await window.page.evaluate("document.documentElement.scrollWidth") <= 320
    low = "b => [...document.querySelectorAll(b)].filter(e => e.offsetHeight < 44).length"
    assert await window.page.evaluate(low, "button, .button, .choice label") == 0
    await window.page.set_viewport_size(size)


async def test_registering_and_logging_in_by_keyboard(
    chromium: Browser, house: Stack, email: str
) -> None:
    """From the demo's door to an account and, with nothing but keys, in again by its password."""
    async with open_window(chromium, house, "phone") as window:
        page, keys = window.page, window.page.keyboard
        await window.go("/demo")
        await says(window, "Log in")
        await expect(field(window, "E-mail address")).to_be_focused()
        await window.picture("20-log-in-any-way")
        await no_wider_than_a_phone(window)
        await page.get_by_role("link", name="Create one").click()
        await expect(field(window, "E-mail address")).to_be_focused()
        await keys.type(email)
        await keys.press("Tab")
        await keys.insert_text(COMMON)  # as a paste does
        await keys.press("Enter")
        told = page.get_by_role("alert")
        await expect(told).to_contain_text("one of the first that anybody would try")
        await expect(field(window, "E-mail address")).to_have_value(email)
        await expect(field(window, "Password")).to_be_focused()
        await expect(field(window, "Password")).to_have_value("")
        await window.picture("21-register-common-password")
        await no_wider_than_a_phone(window)
        await keys.insert_text(PASSWORD)
        await keys.press("Enter")
        await expect(page.get_by_text(f"If {email} can have an account here")).to_be_visible()
        await window.picture("22-registered")
        await window.open_link(email)
        await says(window, "Confirm your address")
        await window.picture("23-confirm-address")
        await keys.press("Tab")
        await expect(page.get_by_role("button", name="Continue")).to_be_focused()
        await keys.press("Enter")
        await expect(page.locator("#who")).to_have_text(email)
        await window.press("Log out")

        await page.get_by_role("link", name="Log in again").click()
        await expect(field(window, "E-mail address")).to_be_focused()
        await keys.type(email)
        await keys.press("Tab")
        await keys.insert_text("not the password")
        await keys.press("Enter")
        await expect(told).to_contain_text("do not go together")
        await expect(field(window, "E-mail address")).to_have_value(email)
        await expect(field(window, "Password")).to_be_focused()
        await window.picture("24-wrong-password")
        await keys.insert_text(PASSWORD)
        await keys.press("Tab")
        await expect(page.get_by_role("button", name="Log in")).to_be_focused()
        await keys.press("Tab")
        await expect(page.get_by_role("button", name="Send me a link instead")).to_be_focused()
        await keys.press("Tab")
        await expect(page.get_by_role("link", name="Continue with GitHub")).to_be_focused()
        await keys.press("Shift+Tab")
        await keys.press("Shift+Tab")
        await keys.press("Enter")
        await says(window, "Your account")
        assert window.foreign() == set()
        assert window.complaints == []


async def test_another_browser_asks_for_the_password_that_was_chosen(
    chromium: Browser, house: Stack, email: str
) -> None:
    """Whoever registers a stranger's address has no password there; the owner's own counts when typed again."""
    stranger_chose = f"x-{email}"
    async with (
        open_window(chromium, house, "desktop", color_scheme="dark") as window,
        open_window(chromium, house, "phone") as other,
    ):
        await register(other, email)
        await window.open_link(email)
        await says(window, "Was this you?")
        await window.picture("25-verify-elsewhere-dark")
        await no_wider_than_a_phone(window)
        await window.press("Continue")
        told = window.page.get_by_role("alert")
        await expect(told).to_contain_text("Type the password you chose")
        await field(window, "The password you chose").fill("something else entirely")
        await window.press("Continue")
        await expect(told).to_contain_text("not the password that was chosen")
        await field(window, "The password you chose").fill(PASSWORD)
        await window.press("Continue")
        await says(window, "Your account")
        await log_in(other, email, PASSWORD)
        await says(other, "Your account")

        await register(other, stranger_chose)
        await window.open_link(stranger_chose)
        await window.press("Go on without a password")
        await says(window, "Your account")
        await expect(window.page.get_by_role("link", name="Set a password")).to_be_visible()
        await log_in(other, stranger_chose, PASSWORD)
        await expect(other.page.get_by_role("alert")).to_contain_text("do not go together")


async def test_a_forgotten_password_is_replaced_and_everybody_is_out(
    chromium: Browser, house: Stack, email: str
) -> None:
    """The message's link asks for a new password; the old one, and every session, is over."""
    async with (
        open_window(chromium, house, "phone", color_scheme="dark") as window,
        open_window(chromium, house, "desktop") as other,
    ):
        await enrol(other, email)
        await window.go("/auth/login")
        await window.page.get_by_role("link", name="Choose a new one").click()
        await field(window, "E-mail address").fill(f"{NAME}@")
        await window.page.locator("form").evaluate("form => form.noValidate = true")
        await window.press("Send me the message")
        await expect(window.page.get_by_role("alert")).to_contain_text("not an address")
        await expect(field(window, "E-mail address")).to_have_value(f"{NAME}@")
        await field(window, "E-mail address").fill(email)
        await window.picture("26-forgot-dark")
        await window.press("Send me the message")
        await expect(window.page.get_by_text(f"If {email} has an account here")).to_be_visible()
        await window.picture("27-forgot-sent-dark")
        await no_wider_than_a_phone(window)
        await window.open_link(email, count=2)
        await says(window, "Choose a new password")
        await expect(field(window, "New password")).to_be_focused()
        await window.picture("28-reset-dark")
        await field(window, "New password").fill(COMMON)
        await window.press("Set this password")
        await expect(window.page.get_by_role("alert")).to_contain_text("anybody would try")
        await window.page.reload()  # which asks nothing, and the link is in no address
        await expect(window.page.get_by_text("This link was opened here already")).to_be_visible()
        await window.open_link(email, count=2)
        await field(window, "New password").fill(ANOTHER)
        await window.press("Set this password")
        await says(window, "Your new password counts")
        await window.picture("29-password-set-dark")

        await other.go("/auth/account")
        await says(other, "Log in")
        await log_in(other, email, PASSWORD)
        await expect(other.page.get_by_role("alert")).to_contain_text("do not go together")
        await log_in(other, email, ANOTHER)
        await says(other, "Your account")


async def test_everything_works_without_javascript(
    chromium: Browser, house: Stack, email: str
) -> None:
    """Register and reset by the codes, log in and out: a browser without scripts misses nothing."""
    async with open_window(chromium, house, "desktop", java_script_enabled=False) as window:
        page = window.page
        await register(window, email)
        mail = await house.mail_to(email)
        await field(window, "Code from the mail").fill("0000-0000")
        await window.press("Confirm my address")
        await expect(page.get_by_role("alert")).to_contain_text("That code does not work")
        await field(window, "Code from the mail").fill(code_in(mail))
        await window.press("Confirm my address")
        await says(window, "Your account")
        await expect(page.get_by_role("link", name="Change your password")).to_be_visible()
        await window.press("Sign out")
        await log_in(window, email, PASSWORD)
        await says(window, "Your account")
        await window.press("Sign out")

        await window.go("/auth/password/forgot")
        await field(window, "E-mail address").fill(email)
        await window.press("Send me the message")
        mail = await house.mail_to(email, count=2)
        await page.goto(link_in(mail))
        await expect(page.get_by_text("This page could not read your link")).to_be_visible()
        await window.picture("30-reset-without-scripts")
        await field(window, "Code from the mail").fill(code_in(mail))
        await field(window, "New password").fill(ANOTHER)
        await window.press("Set this password")
        await says(window, "Your new password counts")
        await log_in(window, email, ANOTHER)
        await says(window, "Your account")


async def test_the_account_page_changes_the_password_and_ends_the_account(
    chromium: Browser, house: Stack, email: str
) -> None:
    """A changed password leaves this browser signed in and no other; a deleted account leaves nobody."""
    async with (
        open_window(chromium, house, "desktop") as window,
        open_window(chromium, house, "phone") as other,
    ):
        page = window.page
        await enrol(other, email)
        await log_in(window, email, PASSWORD)
        await says(window, "Your account")
        await expect(page.get_by_role("button", name="Link GitHub")).to_be_visible()
        await window.picture("31-account-with-ways", whole=True)
        await no_wider_than_a_phone(window)
        await page.get_by_role("link", name="Change your password").click()
        await field(window, "Your password now").fill("not the password")
        await field(window, "New password").fill(ANOTHER)
        await window.press("Save")
        await expect(page.get_by_role("alert")).to_contain_text("not your password now")
        await window.picture("32-change-password")
        await field(window, "Your password now").fill(PASSWORD)
        await field(window, "New password").fill(ANOTHER)
        await window.press("Save")
        await says(window, "Your account")
        await other.go("/auth/account")
        await says(other, "Log in")

        await page.get_by_role("link", name="Delete your account").click()
        await says(window, "Delete your account?")
        await window.picture("33-delete-account")
        await no_wider_than_a_phone(window)
        await window.press("Delete my account")
        await says(window, "Your account is deleted")
        await window.picture("34-deleted")
        await window.go("/auth/account")
        await says(window, "Log in")
        await log_in(window, email, ANOTHER)
        await expect(page.get_by_role("alert")).to_contain_text("do not go together")


async def reach(window: Window, target: Locator) -> None:
    """Press Tab until *target* has the focus, which can be seen there (WCAG 2.1.1, 2.4.7)."""
    for _ in range(MOST_TABS):
        if await target.evaluate("e => e === document.activeElement"):
            break
        await window.page.keyboard.press("Tab")
    await expect(target).to_be_focused()
    assert await target.evaluate("e => getComputedStyle(e).outlineStyle") != "none"


async def test_organisation_password_and_deletion_by_keyboard(
    chromium: Browser, house: Stack, email: str
) -> None:
    """Make one, invite somebody as its admin, change the password, leave for good: with nothing but keys."""
    async with open_window(chromium, house, "desktop") as window:
        page, keys = window.page, window.page.keyboard

        async def follow(role: Literal["link", "button"], name: str) -> None:
            await reach(window, page.get_by_role(role, name=name, exact=True))
            await keys.press("Enter")

        await enrol(window, email)
        await follow("link", "Your organisations")
        await says(window, "Your organisations")
        await reach(window, field(window, "Its name"))
        await keys.type("Robotics")
        await keys.press("Enter")
        await says(window, "Robotics")
        await reach(window, field(window, "E-mail address"))
        await keys.type(f"guest-{email}")
        await reach(window, page.get_by_label("admin"))
        await keys.press("Space")
        await expect(page.get_by_label("admin")).to_be_checked()
        await follow("button", "Send the invitation")
        await expect(page.get_by_text("Invited just now")).to_be_visible()
        await follow("link", "All your organisations")
        await follow("link", "Back to your account")

        await follow("link", "Change your password")
        await says(window, "Change your password")
        await reach(window, field(window, "Your password now"))
        await keys.insert_text(PASSWORD)
        await reach(window, field(window, "New password"))
        await keys.insert_text(ANOTHER)
        await keys.press("Enter")
        await says(window, "Your account")

        await follow("link", "Delete your account")
        await says(window, "Delete your account?")
        await follow("button", "Delete my account")
        await says(window, "Your account is deleted")
        assert window.complaints == []


async def test_an_organisation_from_its_first_day_to_its_last(
    chromium: Browser, house: Stack, email: str
) -> None:
    """Make it, invite, join, give roles, stay the last owner, switch, remove, rename, delete."""
    guest = f"guest-{email}"
    async with (
        open_window(chromium, house, "desktop") as window,
        open_window(chromium, house, "phone") as other,
    ):
        page = window.page
        await enrol(window, email)
        await page.get_by_role("link", name="Your organisations").click()
        await window.picture("35-no-organisations")
        await field(window, "Its name").fill("see www.acme.com")
        await window.press("Make it")
        await expect(page.get_by_role("alert")).to_contain_text("looks like an address")
        await expect(field(window, "Its name")).to_have_value("see www.acme.com")
        await field(window, "Its name").fill("Robotics")
        await window.press("Make it")
        await says(window, "Robotics")
        await window.press("Leave this organisation")
        await expect(page.get_by_text("An organisation needs an owner")).to_be_visible()
        await page.go_back()
        await field(window, "E-mail address").fill(guest)
        await window.press("Send the invitation")
        await expect(page.get_by_text("Invited just now")).to_be_visible()
        await window.picture("36-organisation", whole=True)
        await no_wider_than_a_phone(window)

        await _join(other, guest)

        await window.page.reload()
        await page.get_by_role("link", name=f"Change {guest}").click()
        await page.get_by_label("admin").check()
        await window.picture("38-member")
        await no_wider_than_a_phone(window)
        await window.press("Save the roles")
        await expect(page.get_by_text("admin, member")).to_be_visible()
        await other.go("/auth/account/orgs")
        await other.page.get_by_role("button", name="Switch to Robotics").click()
        await expect(other.page.get_by_text("Active")).to_be_visible()
        await other.picture("39-organisations")
        await no_wider_than_a_phone(other)
        await other.go("/auth/me")
        said = json.loads(await other.page.locator("pre").inner_text())
        assert {"org:admin", "org:member"} <= set(said["roles"])

        await page.get_by_role("link", name=f"Change {guest}").click()
        await window.press("Remove from Robotics")
        await expect(page.get_by_text(guest)).to_have_count(0)
        await other.go("/auth/account/orgs")
        await expect(other.page.get_by_text("You are in none")).to_be_visible()
        await page.get_by_role("link", name="Rename or delete").click()
        await field(window, "Its name").fill("Robots")
        await window.picture("40-organisation-settings", whole=True)
        await no_wider_than_a_phone(window)
        await window.press("Save the name")
        await says(window, "Robots")
        await page.get_by_role("link", name="Rename or delete").click()
        await window.press("Delete Robots")
        await expect(page.get_by_text("You are in none")).to_be_visible()


async def test_an_owner_ends_a_service_token_of_the_organisation(
    chromium: Browser, house: Stack, email: str
) -> None:
    """A page of its own, one button for each token; whoever has the token is refused from then on."""
    async with open_window(chromium, house, "phone") as window:
        page = window.page
        await enrol(window, email)
        await window.go("/auth/account/orgs")
        await field(window, "Its name").fill("Robotics")
        await window.press("Make it")
        await says(window, "Robotics")
        org = page.url.rpartition("/")[2]
        made = house.command("tokens", "create", "bot", "--org", org, "--scope", "books.read")
        assert made.returncode == 0, made.stderr
        await page.get_by_role("link", name="Service tokens of this organisation").click()
        await says(window, "Service tokens")
        await expect(page.get_by_text("runs out in 89 days")).to_be_visible()
        await window.picture("41-organisation-service-tokens", whole=True)
        await no_wider_than_a_phone(window)
        last = made.stdout.strip()[-4:]
        await page.get_by_role("button", name=f"End the token of bot that ends with {last}").click()
        await expect(page.get_by_text("There are none.")).to_be_visible()
        assert "revoked" in house.command("tokens", "list", "--all", "--service", "bot").stdout
        await page.get_by_role("link", name="Back to Robotics").click()
        await says(window, "Robotics")
        assert window.complaints == []


async def _join(other: Window, guest: str) -> None:
    """A stranger with an invitation: the mail's link, a login, and the button."""
    await other.open_link(guest)
    await says(other, "Join Robotics")
    await other.picture("37-join-after-log-in")
    await other.press("Send me a link")
    await other.open_link(guest, count=2)
    await other.press("Continue")
    await says(other, "Join Robotics")
    await other.press("Join")
    await says(other, "Robotics")
    await expect(other.page.get_by_text("You", exact=True)).to_be_visible()
