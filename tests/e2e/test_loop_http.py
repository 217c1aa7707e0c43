"""The whole loop over HTTP: refused, mail, link, in, out, and the very token is refused."""

import contextlib

from tests.support.stack import Stack
from tests.support.visitor import code_in, log_in, open_browser, open_client, path_of
from tests.support.waiting import eventually


async def test_a_token_opens_the_demo_until_logout_and_never_after(stack: Stack) -> None:
    """With a bearer token: the headers say who; after the 204 of the logout the edge refuses it."""
    async with open_client(stack.url) as client:
        status, headers = await client.get("/demo")
        assert (status, headers["X-Latchwire-Reason"]) == (401, "no_credentials")

        tokens = await log_in(client, stack.inbox, "loop@example.com")
        access = tokens["access_token"]
        status, seen = await client.get("/demo", access)
        assert (status, seen["X-User-Email"]) == (200, "loop@example.com")
        assert seen["X-User-Id"] == "loop@example.com"

        status, _ = await client.post("/auth/logout", token=access)
        assert status == 204

        async def refused() -> str | None:
            status, headers = await client.get("/demo", access)
            return headers["X-Latchwire-Reason"] if status == 401 else None

        assert await eventually(refused) == "token_revoked"
        status, _ = await client.post("/auth/refresh", {"refresh_token": tokens["refresh_token"]})
        assert status == 401


async def test_a_browser_without_scripts_goes_round_the_loop(stack: Stack) -> None:
    """Pages and forms only: sent to log in, the code from the mail, back at the demo, and out."""
    async with open_browser(stack.url) as browser:
        page = await browser.open("/demo")
        assert path_of(page) == "/auth/login"

        sent = await browser.submit(page, "/auth/form/login", email="pages@example.com")
        code = code_in(await stack.mail_to("pages@example.com"))
        demo = await browser.submit(sent, "/auth/form/code", code=code)
        assert path_of(demo) == "/demo"
        assert "pages@example.com" in demo.text
        held = browser.cookies()["latchwire-dev"]

        out = await browser.submit(demo, "/auth/form/logout")
        assert path_of(out) == "/auth/signed-out"
        assert path_of(await browser.open("/demo")) == "/auth/login"

    async with open_client(stack.url) as client:

        async def refused() -> bool:
            status, _ = await client.get("/demo", held)
            return status == 401

        assert await eventually(refused)


async def test_the_open_path_needs_no_login_and_names_nobody(stack: Stack) -> None:
    """Not even somebody the visitor claims to be."""
    async with (
        open_client(stack.url) as client,
        client.session.get(
            f"{stack.url}/demo/public", headers={"X-User-Email": "root@example.com"}
        ) as answer,
    ):
        seen = await answer.json()

    assert answer.status == 200
    assert seen["X-User-Email"] == ""


async def test_what_no_service_owns_is_refused(stack: Stack) -> None:
    """Default deny: Traefik knows no such route."""
    async with open_client(stack.url) as client:
        status, _ = await client.get("/elsewhere")

    assert status == 404


async def test_a_refusal_is_told_in_the_terminal_of_up(stack: Stack) -> None:
    """One line, with what it means; a second with more than twenty refusals keeps some to itself."""
    line = ""
    async with open_client(stack.url) as client:
        for _second in range(20):
            await client.get("/demo", "not.a.token")
            with contextlib.suppress(AssertionError):
                line = stack.up.wait_for("refused  demo  token_invalid", within=1.1)
                break

    assert line.startswith("refused  demo  token_invalid: not a token of this installation")
