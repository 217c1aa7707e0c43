"""Real Chromium, driven by Playwright: windows of two sizes, what they ask for and complain of."""

import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.support.servers import ROOT
from tests.support.waiting import eventually

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",  # whatever the environment names: all is on this machine
]
SIZES = {"phone": (390, 844), "desktop": (1280, 800)}
ARTIFACTS = ROOT / "test-artifacts"
# Of patience, for what is done and for what is looked for: a busy machine may take long over a page.
DEADLINE_MS = 30_000
START_MS = 90_000  # its first start on a machine reads it from the disk


def link_in(mail: Mapping[str, Any]) -> str:
    """The link of a mail."""
    found = re.search(r"https?://\S+/auth/link\?\S+", mail["text"])
    assert found is not None
    return found[0]


def code_in(mail: Mapping[str, Any]) -> str:
    """The code of a mail."""
    found = re.search(r"^\s*([0-9A-Z]{4}-[0-9A-Z]{4})\s*$", mail["text"], re.MULTILINE)
    assert found is not None
    return found[1]


def find_chromium() -> str | None:
    """Where Chromium is, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def browser_missing(environ: Mapping[str, str], found: str | None) -> str | None:
    """Why browser tests cannot run here, or None.

    Raises:
        RuntimeError: in CI (any value of ``CI``), where a test that was skipped proves nothing.
    """
    if found is not None:
        return None
    if environ.get("CI"):
        raise RuntimeError("CI is set and Chromium is missing: the browser tests have to run here")
    return "MISSING: Chromium. No browser test runs. On Debian: apt-get install chromium"


def skip_without_chromium() -> pytest.MarkDecorator:
    """A mark for browser tests: skipped with a warning that the summary shows, never in CI."""
    missing = browser_missing(os.environ, find_chromium())
    if missing:
        print(f"\n{missing}", file=sys.__stderr__)
    return pytest.mark.skipif(missing is not None, reason=missing or "")


@asynccontextmanager
async def running_chromium() -> AsyncIterator[Browser]:
    """One Chromium; every window of a test is a browser of its own in it."""
    async with async_playwright() as playwright:
        expect.set_options(timeout=DEADLINE_MS)
        chromium = await playwright.chromium.launch(
            executable_path=find_chromium(), args=ARGUMENTS, timeout=START_MS
        )
        try:
            yield chromium
        finally:
            await chromium.close()


class Site(Protocol):
    """What a window looks at: a `Stack`, or a `Lab` with whatever listens at its front door."""

    @property
    def url(self) -> str: ...

    @property
    def mail_url(self) -> str: ...

    async def mail_to(self, address: str, *, count: int = 1) -> dict[str, Any]: ...


@dataclass
class Window:
    """A person's window on the *stack*: everything it asked for and every complaint is kept."""

    stack: Site
    page: Page
    context: BrowserContext
    size: str
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def go(self, path: str) -> None:
        """Type an address of the front door."""
        await self.page.goto(self.stack.url + path)

    async def is_sent_to_log_in(self, path: str) -> None:
        """Open *path* until it asks for a login: an edge hears that a session is over within milliseconds."""

        async def asked() -> bool:
            await self.go(path)
            return urlsplit(self.page.url).path == "/auth/login"

        await eventually(asked)
        await expect(self.page.get_by_role("heading", name="Log in")).to_be_visible()

    async def press(self, name: str) -> None:
        """Press the button *name*."""
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def ask(self, address: str) -> None:
        """From the demo's door to "Check your mail"."""
        await self.go("/demo")
        await self.page.get_by_label("E-mail address").fill(address)
        await self.press("Send me a link")
        await expect(self.page.get_by_role("heading", name="Check your mail")).to_be_visible()

    async def sign_in(self, address: str) -> None:
        """All of it, by the link, to the demo's own page."""
        await self.ask(address)
        await self.open_link(address)
        await self.press("Continue")
        await expect(self.page.locator("#who")).to_have_text(address)

    async def read_mail(self, address: str, subject: str = "Sign in") -> None:
        """Open the newest mail to *address* in the mailbox's page, as a developer does."""
        await self.stack.mail_to(address)
        await self.page.goto(self.stack.mail_url)
        row = self.page.get_by_role("listitem").filter(has_text=f"to {address},")
        await row.get_by_role("link", name=subject).first.click()

    async def click_link(self) -> None:
        """Click the link in the open mail."""
        await self.page.locator("pre a[href*='/auth/link']").first.click()

    async def open_link(self, address: str, *, count: int = 1) -> None:
        """Open the link of the newest mail to *address*, once there are *count*."""
        await self.page.goto(link_in(await self.stack.mail_to(address, count=count)))

    async def cookie(self, name: str) -> str:
        """The value of a cookie of the front door, "" when there is none."""
        cookies = await self.context.cookies([f"{self.stack.url}/auth/"])
        return next((c.get("value", "") for c in cookies if c.get("name") == name), "")

    async def picture(self, name: str, *, whole: bool = False) -> None:
        """Keep what is seen, or (*whole*) could be by scrolling, under test-artifacts/: at every width."""
        ARTIFACTS.mkdir(exist_ok=True)
        others = [size for size in SIZES if size != self.size]
        for size in (*others, self.size):  # its own last: it goes on as it was
            width, height = SIZES[size]
            await self.page.set_viewport_size({"width": width, "height": height})
            await self.page.screenshot(path=ARTIFACTS / f"{name}-{size}.png", full_page=whole)

    def foreign(self) -> set[str]:
        """The origins it asked for anything, but for the front door and the mailbox."""
        origins = {f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in self.asked}
        return origins - {self.stack.url, self.stack.mail_url}


@asynccontextmanager
async def open_window(
    chromium: Browser, stack: Site, size: str = "desktop", **options: Any
) -> AsyncIterator[Window]:
    """A new browser's window; *options* as of Playwright's ``new_context``."""
    width, height = SIZES[size]
    context = await chromium.new_context(viewport={"width": width, "height": height}, **options)
    context.set_default_timeout(DEADLINE_MS)
    try:
        page = await context.new_page()
        window = Window(stack, page, context, size)
        page.on("request", lambda request: window.asked.append(request.url))
        page.on("console", lambda said: _keep(window, said.type, said.text))
        page.on("pageerror", lambda error: window.complaints.append(str(error)))
        yield window
    finally:
        await context.close()


def _keep(window: Window, kind: str, text: str) -> None:
    # A page that is refused with 4xx is noted by Chromium too; that is no complaint about the page.
    if kind in {"error", "warning"} and "Failed to load resource" not in text:
        window.complaints.append(text)
