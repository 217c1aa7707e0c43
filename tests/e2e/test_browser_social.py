"""Log in at a real provider in a real browser: there, back, refused, added, taken away, and when it is down."""

from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, expect

from shared.secrets import write_private
from tests.support.chromium import Window, open_window, skip_without_chromium
from tests.support.real_provider import CLIENT_ID, SECRET, running_real_provider
from tests.support.servers import free_port
from tests.support.stack import Stack, start_stack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    skip_without_chromium(),
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """``./latchwire up --accounts`` with a provider that speaks for acme.com, and one that is down."""
    directory = tmp_path_factory.mktemp("social")
    port, nobody = free_port(), free_port()
    providers, secrets = directory / "providers.yaml", directory / "state" / "secrets"
    common = f"  client_id: {CLIENT_ID}\n  allow_private: true\n"
    providers.write_text(
        f"house:\n  title: The other house\n  issuer: http://127.0.0.1:{port}\n"
        f"  authoritative: [acme.com]\n{common}"
        f"ruin:\n  title: The ruin\n  issuer: http://127.0.0.1:{nobody}\n{common}"
    )
    for name in ("house", "ruin"):
        write_private(secrets / "providers" / f"{name}.secret", SECRET)
    running = start_stack(
        directory / "state",
        "--accounts",
        LATCHWIRE_LIMIT_NETWORK="100000/5m",
        LATCHWIRE_PROVIDERS=str(providers),
    )
    try:
        with running_real_provider(f"{running.url}/auth/oauth/house/callback", port):
            yield running
        assert running.up.end() == 0, running.up.text
    finally:
        running.up.kill()


async def leave(window: Window, title: str = "The other house") -> None:
    """Ask for the demo and press the provider's button."""
    await window.go("/auth/login?next=/demo")
    await window.page.get_by_role("link", name=f"Continue with {title}").click()


async def log_in_there(window: Window, address: str) -> None:
    """Fill in the provider's form."""
    await window.page.get_by_label("Address").fill(address)
    await window.press("Log in")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
async def test_a_person_logs_in_at_the_provider_and_arrives_where_they_wanted(
    chromium: Browser, house: Stack, email: str, scripts: bool
) -> None:
    """Across two sites, with and without JavaScript; the second time without a word."""
    async with open_window(chromium, house, java_script_enabled=scripts) as window:
        await leave(window)
        await log_in_there(window, email)
        await window.page.wait_for_url(f"{house.url}/demo")
        await window.go("/auth/account")
        await expect(window.page.get_by_text(email).first).to_be_visible()
        await expect(window.page.get_by_text("The other house")).to_be_visible()
        await window.picture("account-with-provider")
        await window.press("Sign out")

        await leave(window)
        await window.page.wait_for_url(f"{house.url}/demo")
        assert window.complaints == []


async def test_a_person_who_says_no_there_is_told_so_and_can_go_on(
    chromium: Browser, house: Stack, email: str
) -> None:
    """access_denied is a page with a way on, and not a word of the provider's."""
    async with open_window(chromium, house) as window:
        await leave(window)
        await window.press("No thanks")
        heading = window.page.get_by_role("heading", name="You did not log in")
        await expect(heading).to_be_visible()
        await expect(window.page.get_by_text("they said no")).not_to_be_visible()
        await window.picture("provider-denied")
        await window.page.get_by_role("link", name="Log in another way").click()

        await expect(window.page.get_by_role("heading", name="Log in")).to_be_visible()
        assert await window.cookie("latchwire-dev") == ""


async def test_an_address_the_provider_does_not_vouch_for_is_confirmed_by_mail(
    chromium: Browser, house: Stack, email: str
) -> None:
    """The mail's link in the same browser signs in and adds the login; the next time it is enough."""
    address = f"unverified-{email}"
    async with open_window(chromium, house) as window:
        await leave(window)
        await log_in_there(window, address)
        await expect(window.page.get_by_role("heading", name="Check your mail")).to_be_visible()
        await window.picture("check-mail-with-login")
        await window.open_link(address)
        await window.picture("confirm-with-login")
        await window.press("Continue and add The other house")
        await window.page.wait_for_url(f"{house.url}/demo")
        await window.go("/auth/account")
        await window.press("Sign out")

        await leave(window)
        await window.page.wait_for_url(f"{house.url}/demo")


async def test_a_link_on_another_site_leads_to_a_page_of_ours_first(
    chromium: Browser, house: Stack, email: str
) -> None:
    """Chromium says where the link was; one button goes on, and the login ends where the link wanted."""
    async with open_window(chromium, house) as window:
        await window.page.set_content(f'<a href="{house.url}/auth/oauth/house?next=/demo">Go</a>')
        await window.page.get_by_role("link", name="Go").click()
        heading = window.page.get_by_role("heading", name="Log in with The other house?")
        await expect(heading).to_be_visible()
        await window.picture("asked-before-leaving")
        await window.page.get_by_role("link", name="Continue with The other house").click()
        await log_in_there(window, email)
        await window.page.wait_for_url(f"{house.url}/demo")


async def test_a_login_is_added_and_taken_away_on_the_account_page(
    chromium: Browser, house: Stack, email: str
) -> None:
    """By a button, after seeing whose login it is; the form's own policy lets the browser leave."""
    async with open_window(chromium, house) as window:
        await window.go("/auth/login?next=/auth/account")
        await window.page.get_by_label("E-mail address").fill(email)
        await window.press("Send me a link instead")
        await window.open_link(email)
        await window.press("Continue")
        await window.page.wait_for_url(f"{house.url}/auth/account")
        await window.press("Link The other house")
        await log_in_there(window, f"private-{email}")
        await expect(window.page.get_by_text(f"private-{email}")).to_be_visible()
        await window.picture("confirm-login")
        await window.press("Add it")
        await window.page.wait_for_url(f"{house.url}/auth/account")
        await window.press(f"Unlink The other house private-{email}")

        await expect(window.page.get_by_role("button", name="Link The ruin")).to_be_visible()
        await expect(window.page.get_by_text(f"private-{email}")).not_to_be_visible()
        assert window.complaints == []


async def test_a_provider_that_is_down_is_a_page_and_not_a_wait(
    chromium: Browser, house: Stack
) -> None:
    """Nothing is lost: the other ways to log in are a click away."""
    async with open_window(chromium, house) as window:
        await leave(window, "The ruin")
        heading = window.page.get_by_role("heading", name="The ruin does not answer")

        await expect(heading).to_be_visible()
        await expect(window.page.get_by_role("link", name="Log in another way")).to_be_visible()
