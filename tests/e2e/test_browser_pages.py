"""The pages in a real browser: by keyboard, in the dark, when small; sessions, renewing, and other sites."""

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.support.chromium import open_window, skip_without_chromium
from tests.support.stack import Stack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    skip_without_chromium(),
]

ACCESS, REFRESH = "latchwire-dev", "latchwire-dev-refresh"
ELSEWHERE = "http://elsewhere.example"


async def test_everything_works_by_keyboard_alone(
    chromium: Browser, stack: Stack, email: str
) -> None:
    """The field has the focus, Enter sends, Tab reaches the button, and the focus can be seen."""
    async with open_window(chromium, stack) as window:
        page = window.page
        await window.go("/demo")
        await expect(page.get_by_label("E-mail address")).to_be_focused()
        await page.keyboard.type(email)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()
        await page.keyboard.press("Tab")
        await expect(page.get_by_label("Code from the mail")).to_be_focused()
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Sign in")).to_be_focused()
        # "Send it again" is still in its pause, so it cannot be reached yet.
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Use another address")).to_be_focused()
        await window.open_link(email)
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await page.keyboard.press("Tab")
        button = page.get_by_role("button", name="Continue")
        await expect(button).to_be_focused()
        await expect(button).to_have_css("outline-style", "solid")
        await expect(button).to_have_css("outline-width", "3px")
        await page.keyboard.press("Enter")
        await expect(page.locator("#who")).to_have_text(email)


@pytest.mark.parametrize(("size", "scheme"), [("phone", "dark"), ("desktop", "light")])
async def test_the_account_page_lists_devices_and_ends_them(
    chromium: Browser, stack: Stack, size: str, scheme: str, email: str
) -> None:
    """Two devices, this one marked; the other one ends, then everything does."""
    async with (
        open_window(chromium, stack, size, color_scheme=scheme) as window,
        open_window(chromium, stack, "desktop") as other,
    ):
        await other.sign_in(email)
        await window.go("/auth/login")
        await window.page.get_by_label("E-mail address").fill(email)
        await window.press("Send me a link")
        await window.open_link(email, count=2)
        await window.press("Continue")
        page = window.page
        await expect(page.get_by_role("heading", name="Your account")).to_be_visible()
        await expect(page.get_by_text("This device", exact=True)).to_have_count(1)
        await window.picture(f"11-account-{scheme}")
        await page.get_by_role("button", name="End the session").click()
        await expect(page.get_by_role("button", name="End the session")).to_have_count(0)

        await other.is_sent_to_log_in("/demo")
        await window.press("Sign out everywhere")
        out = page.get_by_role("heading", name="You are signed out everywhere")
        await expect(out).to_be_visible()
        assert window.complaints == []


async def test_the_notice_of_a_new_browser_ends_that_session(
    chromium: Browser, stack: Stack, email: str
) -> None:
    """A sign-in from a new browser is told by mail, and the one button there puts it out."""
    async with (
        open_window(chromium, stack) as owner,
        open_window(chromium, stack) as thief,
    ):
        await owner.sign_in(email)
        await thief.go("/auth/login")
        await thief.page.get_by_label("E-mail address").fill(email)
        await thief.press("Send me a link")
        await thief.open_link(email, count=2)
        await thief.press("Continue")
        await owner.open_link(email, count=3)
        asked = owner.page.get_by_text(f"Someone signed in as {email} just now, from Chrome")
        await expect(asked).to_be_visible()
        await owner.picture("12-notice")
        await owner.press("End that session")
        await expect(owner.page.get_by_role("heading", name="That session is over")).to_be_visible()

        await thief.is_sent_to_log_in("/demo")
        await owner.go("/demo")
        await expect(owner.page.locator("#who")).to_have_text(email)


async def test_send_it_again_appears_after_a_pause_and_sends(
    chromium: Browser, stack: Stack, email: str
) -> None:
    """The pause is an animation, so that it needs no script; here it is wound forward."""
    async with open_window(chromium, stack, "phone") as window:
        await window.go("/auth/login")
        await window.page.get_by_label("E-mail address").fill(email)
        await window.press("Send me a link")
        again = window.page.get_by_role("button", name="Send it again")
        await expect(window.page.get_by_role("heading", name="Check your mail")).to_be_visible()
        await expect(again).to_have_count(0)

        await window.page.evaluate("document.getAnimations().forEach((a) => a.finish())")
        await window.picture("15-send-again")
        await again.click()

        await stack.mail_to(email, count=2)


async def test_back_and_reload_after_a_mistake_send_no_form_again(
    chromium: Browser, stack: Stack, email: str
) -> None:
    """A page that answers a form is in the history as the form's page: nothing to confirm, no error."""
    async with open_window(chromium, stack) as window:
        page = window.page
        methods: list[str] = []
        page.on(
            "request", lambda r: methods.append(r.method) if r.is_navigation_request() else None
        )
        await window.ask(email)
        sent = page.url
        for step in ("reload", "back"):
            await page.get_by_label("Code from the mail").fill("AAAA-AAAA")
            await window.press("Sign in")
            await expect(page.get_by_role("alert")).to_contain_text("That code does not work")
            await expect(page).to_have_url(sent)
            methods.clear()
            if step == "reload":
                await page.reload()
            else:
                await window.go("/auth/login")
                await page.go_back()
            await expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()
            await expect(page.get_by_role("alert")).to_have_count(0)
            assert set(methods) <= {"GET"}, step
        assert window.complaints == []


async def test_a_session_survives_a_click_on_another_site(
    chromium: Browser, stack: Stack, email: str
) -> None:
    """The strict cookie stays at home on the first request; our own page in between brings it along."""
    async with open_window(chromium, stack) as window:
        await window.sign_in(email)
        before = await window.cookie(REFRESH)
        await window.context.route(f"{ELSEWHERE}/**", _foreign_page(stack))
        await window.page.goto(f"{ELSEWHERE}/")
        await window.page.get_by_role("link", name="to the demo").click()

        await expect(window.page.locator("#who")).to_have_text(email)
        assert await window.cookie(REFRESH) not in {"", before}


def _foreign_page(stack: Stack) -> "object":
    async def answer(route: Route) -> None:
        body = f'<a href="{stack.url}/auth/continue?next=/demo">to the demo</a>'
        await route.fulfill(content_type="text/html", body=body)

    return answer


async def test_another_site_cannot_sign_anybody_out(
    chromium: Browser, stack: Stack, email: str
) -> None:
    """A form of another site, posted by its own script, ends nothing."""
    async with open_window(chromium, stack) as window:
        await window.sign_in(email)

        async def answer(route: Route) -> None:
            body = f'<form method="post" action="{stack.url}/auth/form/logout"><button>x</button>'
            await route.fulfill(content_type="text/html", body=body)

        await window.context.route(f"{ELSEWHERE}/**", answer)
        await window.page.goto(f"{ELSEWHERE}/")
        await window.press("x")

        refused = window.page.get_by_role("heading", name="This page is out of date")
        await expect(refused).to_be_visible()
        await window.go("/demo")
        await expect(window.page.locator("#who")).to_have_text(email)


async def test_the_script_renews_and_repeats_in_a_real_page(
    chromium: Browser, stack: Stack, email: str
) -> None:
    """Three requests at once meet an expired token: one renewal, new cookies, three answers."""
    async with open_window(chromium, stack) as window:
        await window.sign_in(email)
        before = await window.cookie(ACCESS)
        refused: list[str] = []

        async def expire(route: Route) -> None:
            if len(refused) < 3:
                refused.append(route.request.url)
                reason = {"X-Latchwire-Reason": "token_expired"}
                await route.fulfill(status=401, headers=reason)
            else:
                await route.continue_()

        await window.context.route("**/demo/api*", expire)
        await window.page.add_script_tag(url="/auth/latchwire.js")
        window.asked.clear()
        statuses = await window.page.evaluate(
            """async () => Promise.all([1, 2, 3].map(async (n) =>
                 (await latchwire.fetch(`/demo/api?${n}`)).status))"""
        )

        assert statuses == [200, 200, 200]
        assert len([url for url in window.asked if url.endswith("/auth/refresh")]) == 1
        assert await window.cookie(ACCESS) not in {"", before}


FORM = """<form method="post" action="/demo/save"><input name="text" aria-label="Text">
<button>Save</button></form>"""
HELD = """<script src="/auth/latchwire.js" data-patch="forms"></script>"""


@pytest.mark.parametrize("script", ["", HELD])
async def test_a_form_that_was_open_for_too_long_is_held_or_told_to_be_lost(
    chromium: Browser, stack: Stack, email: str, script: str
) -> None:
    """With our script it arrives; without it the person reads that it did not, goes back and sends it again."""
    async with open_window(chromium, stack) as window:
        await window.sign_in(email)
        page = window.page

        async def form(route: Route) -> None:
            await route.fulfill(content_type="text/html", body=f"<!doctype html>{script}{FORM}")

        await window.context.route("**/demo/form", form)
        await window.go("/demo/form")
        await page.get_by_label("Text").fill("an hour of work")
        await window.context.clear_cookies(name=ACCESS)
        if not script:
            await window.press("Save")
            told = page.get_by_role("heading", name="What you sent is not saved")
            await expect(told).to_be_visible()
            way_on = page.get_by_role("link", name="Open the page anew")
            await expect(way_on).to_have_attribute("href", "/demo/form")
            await window.picture("16-not-sent")
            await page.go_back()
            await expect(page.get_by_label("Text")).to_have_value("an hour of work")
        async with page.expect_request(lambda r: r.url.endswith("/demo/save")) as sent:
            await window.press("Save")
        arrived = await (await sent.value).response()

        assert arrived is not None
        assert (arrived.status, (await sent.value).method) == (200, "POST")
        assert (await sent.value).post_data == "text=an+hour+of+work"


async def test_cookies_that_do_not_stick_are_said_instead_of_a_loop(
    chromium: Browser, stack: Stack, email: str
) -> None:
    """A browser that refuses our cookie reads why."""
    async with open_window(chromium, stack) as window:
        await window.go("/auth/login")
        await window.context.clear_cookies()
        await window.page.get_by_label("E-mail address").fill(email)
        await window.press("Send me a link")

        told = window.page.get_by_role("heading", name="Your browser did not keep our cookie")
        await expect(told).to_be_visible()
        await window.picture("13-no-cookie")


PATHS = ["/auth/login", "/auth/login/sent?id=" + "0" * 26, "/auth/link?id=" + "0" * 26]


@pytest.mark.parametrize("path", [*PATHS, "/auth/signed-out", "/auth/nothing-here"])
async def test_a_page_fits_a_small_screen_and_a_thumb(
    chromium: Browser, stack: Stack, path: str
) -> None:
    """At 320 CSS pixels nothing scrolls sideways (WCAG 1.4.10), and what is pressed is 44 high."""
    async with open_window(chromium, stack, "phone") as window:
        await window.page.set_viewport_size({"width": 320, "height": 640})
        await window.go(path)

        width = await window.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 320
        assert await _heights(window.page) == []


async def _heights(page: Page) -> list[float]:
    boxes = [await e.bounding_box() for e in await page.locator("button:visible, .button").all()]
    return [box["height"] for box in boxes if box and box["height"] < 44]


async def test_the_column_is_no_wider_than_it_should_be(chromium: Browser, stack: Stack) -> None:
    """One column of 24 rem in the middle of a wide screen, in the dark too."""
    async with open_window(chromium, stack, "desktop", color_scheme="dark") as window:
        await window.go("/auth/login")
        box = await window.page.locator("main").bounding_box()
        await window.picture("14-log-in-dark")

        assert box is not None
        assert box["width"] == pytest.approx(24 * 16, abs=1)
        assert box["x"] + box["width"] / 2 == pytest.approx(1280 / 2, abs=1)
