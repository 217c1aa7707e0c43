"""A person in real Chromium, where nginx, Caddy, HAProxy or Envoy stands at the front door, not Traefik."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.support.chromium import Window, open_window, skip_without_chromium
from tests.support.proxies import Ports, make_proxy, proxy_or_skip
from tests.support.servers import start_in_thread
from tests.support.stack import Lab, start_lab

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    skip_without_chromium(),
]

# The two services that the shipped configurations have: the demo, and one that is nobody's.
CATALOGUE = """\
services:
  app:
    upstream: http://127.0.0.1:{demo}
    public_paths: [/demo/public]
  status:
    paths: [/status]
    upstream: http://127.0.0.1:{demo}
    emails: [nobody@acme.com]
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    """All parts, and nobody at the front door."""
    state = tmp_path_factory.mktemp("proxies") / "lab"
    async with start_lab(state, CATALOGUE, LIMIT_NETWORK="100000/5m") as running:
        await running.stop("traefik")
        yield running


@pytest_asyncio.fixture(params=["nginx", "caddy", "haproxy", "envoy"], loop_scope="module")
async def front(request: pytest.FixtureRequest, lab: Lab, tmp_path: Path) -> AsyncIterator[str]:
    """The proxy's name: it listens at the public address, with its shipped configuration."""
    name = proxy_or_skip(request.param)
    inside = lab.plan.inside
    demo = inside["demo"]
    ports = Ports(edge=inside["edge"], auth=inside["auth"], app=demo, status=demo)
    server = make_proxy(name, tmp_path / name, ports, urlsplit(lab.url).port)
    try:
        await start_in_thread(server)
        yield name
    finally:
        server.kill()


@pytest_asyncio.fixture(loop_scope="module")
async def window(chromium: Browser, lab: Lab) -> AsyncIterator[Window]:
    """A browser of nobody's, on a phone."""
    async with open_window(chromium, lab, "phone") as opened:
        yield opened


async def test_a_person_comes_in_is_told_what_is_not_theirs_and_leaves(
    front: str, lab: Lab, window: Window, email: str
) -> None:
    """Login and way back, the refusal's page, log out and Back: as with Traefik, without a complaint."""
    page = window.page
    await window.sign_in(email)
    assert page.url == f"{lab.url}/demo"

    await window.go("/status")
    await expect(page.get_by_role("heading", name="This is not for you")).to_be_visible()
    assert page.url == f"{lab.url}/status", "no redirect: it would be a loop"
    await window.picture(f"refused-behind-{front}")

    await page.go_back()
    await expect(page.locator("#who")).to_have_text(email)
    await window.press("Log out")
    await expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    await window.is_sent_to_log_in("/demo")
    assert window.foreign() == set()
    assert window.complaints == []
