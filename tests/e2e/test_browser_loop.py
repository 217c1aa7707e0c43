"""The loop in a real browser: from the demo's door through the mail and back, and out again."""

import aiohttp
import pytest
from playwright.async_api import Browser, expect

from tests.support.chromium import (
    code_in,
    open_window,
    skip_without_chromium,
)
from tests.support.stack import Stack
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    skip_without_chromium(),
]

ACCESS, REFRESH = "latchwire-dev", "latchwire-dev-refresh"
SIZES = pytest.mark.parametrize("size", ["phone", "desktop"])


@SIZES
async def test_the_whole_loop(chromium: Browser, stack: Stack, size: str, email: str) -> None:
    """Door, mail, link, one tap, demo, log out; the back button shows nothing and the old token is dead."""
    async with open_window(chromium, stack, size) as window:
        page = window.page
        await window.go("/demo")
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        await window.picture("1-log-in")
        await page.get_by_label("E-mail address").fill(email)
        await window.press("Send me a link")
        await expect(page.get_by_text(f"If {email} can sign in here")).to_be_visible()
        await window.picture("2-check-your-mail")
        await window.read_mail(email)
        await window.picture("3-mail")
        await window.click_link()
        await expect(page.get_by_text(f"You are signing in as {email}")).to_be_visible()
        assert "#" not in page.url
        await window.picture("4-confirm")
        await window.press("Continue")
        await expect(page.locator("#who")).to_have_text(email)
        assert page.url == f"{stack.url}/demo"
        await window.picture("5-demo")
        held = await window.cookie(ACCESS)
        assert held

        await window.press("Log out")
        await expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
        await window.picture("6-signed-out")
        assert await window.cookie(ACCESS) == ""

        await page.go_back()
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        await _is_refused(stack, held)
        assert window.foreign() == set()
        assert window.complaints == []


async def _is_refused(stack: Stack, token: str) -> None:
    async with aiohttp.ClientSession() as session:

        async def refused() -> bool:
            headers = {"Authorization": f"Bearer {token}"}
            async with session.get(f"{stack.url}/demo", headers=headers) as answer:
                return (answer.status, answer.headers.get("X-Latchwire-Reason")) == (
                    401,
                    "token_revoked",
                )

        await eventually(refused)


@SIZES
async def test_the_code_works_without_javascript(
    chromium: Browser, stack: Stack, size: str, email: str
) -> None:
    """A browser without scripts: the link's page explains itself, and the code does the rest."""
    async with open_window(chromium, stack, size, java_script_enabled=False) as window:
        page = window.page
        await window.ask(email)
        await window.open_link(email)
        await expect(page.get_by_text("This page could not read your link")).to_be_visible()
        await window.picture("7-link-without-scripts")
        await page.get_by_label("Code from the mail").fill("0000-0000")
        await window.press("Sign in")
        await expect(page.get_by_role("alert")).to_have_text(
            "That code does not work. Check it, or open the link in the mail."
        )
        await window.picture("8-wrong-code")
        await page.get_by_label("Code from the mail").fill(code_in(await stack.mail_to(email)))
        await window.press("Sign in")

        await expect(page.locator("#who")).to_have_text(email)


async def test_a_scanner_with_scripts_that_does_not_click_leaves_the_link_usable(
    chromium: Browser, stack: Stack, email: str
) -> None:
    """Mail gateways run headless Chrome: it sees the question, gets no session, and the link lives."""
    async with (
        open_window(chromium, stack) as window,
        open_window(chromium, stack) as scanner,
    ):
        await window.ask(email)
        for _ in range(2):
            await scanner.open_link(email)
            await expect(scanner.page.get_by_role("heading", name="Was this you?")).to_be_visible()
        assert await scanner.cookie(ACCESS) == ""

        await window.open_link(email)
        await window.press("Continue")
        await expect(window.page.locator("#who")).to_have_text(email)


async def test_a_second_click_in_the_same_browser_goes_on_to_the_target(
    chromium: Browser, stack: Stack, email: str
) -> None:
    """People click twice and are not told off; elsewhere the link is spent."""
    async with (
        open_window(chromium, stack) as window,
        open_window(chromium, stack) as other,
    ):
        await window.sign_in(email)
        await window.open_link(email)
        await expect(window.page.locator("#who")).to_have_text(email)

        await other.open_link(email)
        spent = other.page.get_by_role("heading", name="This link no longer works")
        await expect(spent).to_be_visible()
        await other.picture("9-link-spent")
        await other.page.get_by_role("link", name="Get a new link").click()
        await expect(other.page.get_by_role("heading", name="Log in")).to_be_visible()


async def test_the_back_button_after_a_login_shows_a_page(
    chromium: Browser, stack: Stack, email: str
) -> None:
    """Not the browser's "Confirm Form Resubmission"; the link's page says that it was opened, and leads on."""
    async with open_window(chromium, stack) as window:
        await window.sign_in(email)
        await window.page.go_back()
        await expect(window.page.get_by_text("This link was opened here already")).to_be_visible()
        await expect(window.page.get_by_text(f"You are logged in as {email}")).to_be_visible()
        await window.page.get_by_role("link", name="Go on as this account").click()
        await expect(window.page.get_by_role("heading", name="Your account")).to_be_visible()
        assert window.complaints == []


async def test_another_link_may_be_pasted_over_the_page_of_the_first(
    chromium: Browser, stack: Stack, email: str
) -> None:
    """Only the fragment changes, so nothing is loaded: the page asks about the new one all the same."""
    async with open_window(chromium, stack) as window:
        await window.ask(email)
        await window.open_link(email)
        await expect(window.page.get_by_text(f"You are signing in as {email}")).to_be_visible()
        await window.page.evaluate("location.hash = 'x'.repeat(43)")
        spent = window.page.get_by_role("heading", name="This link no longer works")
        await expect(spent).to_be_visible()
        assert "#" not in window.page.url


async def test_a_link_that_lost_its_end_is_said_to_be_incomplete(
    chromium: Browser, stack: Stack
) -> None:
    """Mail programs cut links; a person with scripts is not told that they are missing."""
    async with open_window(chromium, stack) as window:
        await window.go("/auth/link?id=" + "0" * 26)
        told = window.page.get_by_text("Your link is incomplete: open it from the mail again.")
        await expect(told).to_be_visible()


@SIZES
async def test_another_browser_is_asked_was_this_you(
    chromium: Browser, stack: Stack, size: str, email: str
) -> None:
    """It says who asked, from where and when; "This was not me" ends it for everybody."""
    async with (
        open_window(chromium, stack, size) as window,
        open_window(chromium, stack, size) as other,
    ):
        await window.ask(email)
        await other.open_link(email)
        asked = other.page.get_by_text(f"Someone asked to sign in as {email} just now, from Chrome")
        await expect(asked).to_be_visible()
        await other.picture("10-was-this-you")
        await other.press("This was not me")
        cancelled = other.page.get_by_role("heading", name="The link is cancelled")
        await expect(cancelled).to_be_visible()

        await window.open_link(email)
        spent = window.page.get_by_role("heading", name="This link no longer works")
        await expect(spent).to_be_visible()


async def test_another_browser_can_sign_in_on_its_own_device(
    chromium: Browser, stack: Stack, email: str
) -> None:
    """Asked on the laptop, opened on the phone: the phone is signed in, the laptop is not."""
    async with (
        open_window(chromium, stack) as laptop,
        open_window(chromium, stack, "phone") as phone,
    ):
        await laptop.ask(email)
        await phone.open_link(email)
        await phone.press("Sign in on this device")

        await expect(phone.page.locator("#who")).to_have_text(email)
        assert await laptop.cookie(ACCESS) == ""
