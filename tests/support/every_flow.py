"""Every flow of the product, the failing ones too, with a canary wherever a secret or an address goes."""

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import jwt

from services.auth.domain.service_tokens import MANAGE, MANAGE_ANY
from shared.contract import LOGIN_REQUESTED, QUESTIONS, TOKEN_REVOKED
from shared.redis import connect_redis
from shared.secrets import load_signing_key, load_symmetric, signing_paths
from tests.support.breakable import Breakable
from tests.support.explorer import Explorer
from tests.support.mailer import login
from tests.support.service_tokens import kept_token, made_token
from tests.support.sinks import redis_keys
from tests.support.smtp import Answer
from tests.support.visitor import Browser, Page, open_browser
from tests.support.waiting import eventually

JSON, FORM = "application/json", "application/x-www-form-urlencoded"


async def signs_in_by_link(e: Explorer) -> None:
    """Inspect, exchange, click again, look around, renew, and renew with a token from before."""
    address, _ = await e.ask("by-link")
    token, _ = await e.mail(address)
    forged = e.canaries.add("forged link", token[:-20] + token[-20:].swapcase())
    await e.refused(410, "POST", "/auth/link/inspect", {"token": forged})
    await e.refused(410, "POST", "/auth/link", {"token": forged})
    await e.refused(410, "POST", "/auth/link", {"token": e.canaries.make("unknown link")})
    await e.refused(200, "POST", "/auth/link/inspect", {"token": token})
    tokens = (await e.send("POST", "/auth/link", {"token": token})).body
    await e.refused(410, "POST", "/auth/link", {"token": token})
    for path in ("/auth/me", "/auth/sessions", "/demo", "/demo?access_token=" + token):
        await e.refused(200, "GET", path, headers=e.bearer(tokens["access_token"]))
    first = tokens["refresh_token"]
    for _ in range(2):
        body = {"refresh_token": tokens["refresh_token"]}
        tokens = (await e.send("POST", "/auth/refresh", body)).body
    await e.refused(401, "POST", "/auth/refresh", {"refresh_token": first})
    await e.house.mail(address, count=2)  # it says so to the person
    bad = e.canaries.add("forged refresh", tokens["refresh_token"].swapcase())
    for body in (bad, e.canaries.make("unknown refresh")):
        await e.refused(401, "POST", "/auth/refresh", {"refresh_token": body})


async def signs_in_by_code(e: Explorer) -> None:
    """Five wrong codes, so that the right one is dead too; the link still works."""
    address, login_id = await e.ask("by-code")
    token, code = await e.mail(address)
    for wrong in [*(e.wrong_code() for _ in range(5)), code]:
        await e.refused(410, "POST", "/auth/link", {"login_id": login_id, "code": wrong})
    await e.refused(200, "POST", "/auth/link", {"token": token})
    address, login_id = await e.ask("by-right-code")
    _, code = await e.mail(address)
    await e.refused(200, "POST", "/auth/link", {"login_id": login_id, "code": code})


async def lets_links_die(e: Explorer) -> None:
    """Cancelled, expired (forgotten by the store, as its own clock would), voided by a sibling."""
    address, login_id = await e.ask("dead-links")
    cancelled, _ = await e.mail(address)
    await e.refused(204, "POST", "/auth/link/cancel", {"token": cancelled})
    await e.refused(410, "POST", "/auth/link", {"token": cancelled})
    address, login_id = await e.ask("expired-link")
    expired, code = await e.mail(address)
    async with connect_redis(e.house.lab.plan.redis_url) as redis:
        await redis.delete(f"lw:attempt:{login_id}")
    await e.refused(410, "POST", "/auth/link", {"token": expired})
    await e.refused(410, "POST", "/auth/link", {"login_id": login_id, "code": code})
    for count in (2, 3):
        await e.send("POST", "/auth/login", {"email": address})
        token, _ = await e.mail(address, count)
    await e.refused(200, "POST", "/auth/link", {"token": token})


async def sends_bad_bodies(e: Explorer) -> None:
    """A canary as a field's name, value, type, as the whole body, as an address, and far too long."""
    for path in (
        "/auth/login",
        "/auth/link",
        "/auth/link/inspect",
        "/auth/refresh",
        "/auth/logout",
    ):
        make = e.canaries.make
        for body in (
            {make("unknown field"): 1},
            {"token": [make("wrong type")], "email": {make("wrong type"): 1}},
            {"email": make("value"), "token": 7, "refresh_token": {"a": make("value")}},
            [make("list")],
            make("string"),
        ):
            assert (await e.send("POST", path, body)).status in {400, 204}, path
        await e.refused(400, "POST", path, data=make("raw"), headers={"Content-Type": JSON})
        await e.refused(415, "POST", path, data=make("form"), headers={"Content-Type": "text/x"})
        long = make("long") * 1000
        await e.refused(413, "POST", path, data=long, headers={"Content-Type": JSON})
    for address in (
        "A B <{}@example.com>",
        "{}@",
        "{}\r\nBcc: x@example.com",
        "=?utf-8?q?{}?=@x.y",
    ):
        bad = address.format(e.canaries.make("address"))
        await e.refused(400, "POST", "/auth/login", {"email": bad})
    await e.refused(
        400, "POST", "/auth/login", {"email": "a@b.example", "next": "//" + e.canaries.make("n")}
    )


async def shows_bad_tokens(e: Explorer) -> None:
    """Garbage, forged, unsigned, expired, doubled, as a cookie, as Basic: to the edge and to auth."""
    _, tokens = await e.log_in("bad-tokens")
    good = tokens["access_token"]
    expired = _expired(e, good)
    unsigned = ".".join([_b64({"alg": "none"}), good.split(".")[1], ""])
    forged = good[:-40] + good[-40:].swapcase()
    make = e.canaries.make
    for token in (
        make("garbage"),
        f"{make('a')}.{make('b')}.{make('c')}",
        unsigned,
        forged,
        expired,
    ):
        for path in ("/demo", "/auth/me"):
            await e.refused(401, "GET", path, headers=e.bearer(token))
            await e.refused(401, "GET", path, headers={"Cookie": f"latchwire-dev={token}"})
        await e.send("POST", "/auth/logout", headers=e.bearer(token))
    doubled = [("Authorization", f"Bearer {good}"), ("Authorization", f"Bearer {make('second')}")]
    cookies = {"Cookie": f"latchwire-dev={good}; latchwire-dev={make('second cookie')}"}
    basic = {"Authorization": f"Basic {make('basic')}"}
    odd = {"Authorization": f"{make('scheme')} {make('value')}"}
    for headers in (doubled, cookies, basic, odd):
        for path in ("/demo", "/auth/me"):
            assert (await e.send("GET", path, headers=headers)).status in {400, 401, 403}
    cookie = {
        "Cookie": f"latchwire-dev={good}",
        "X-CSRF-Token": make("csrf"),
        "Origin": "http://e.vil",
    }
    await e.refused(403, "POST", "/demo", headers=cookie)
    await e.refused(403, "POST", "/auth/logout", headers=cookie)


def _expired(e: Explorer, good: str) -> str:
    """*good*, an hour later."""
    path = signing_paths(e.house.lab.layout.secrets)[-1]
    claims = jwt.decode(good, options={"verify_signature": False})
    for name in ("iat", "exp", "auth_time"):
        claims[name] -= 3600
    header = {"typ": "at+jwt", "kid": path.stem}
    return jwt.encode(claims, load_signing_key(path), "RS256", headers=header)


def _b64(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


async def browses(e: Explorer) -> None:
    """The pages: a wrong code, the right one, the account, renewal, signing out; a link in another browser."""
    address = e.canaries.address("browser")
    async with open_browser(e.house.url) as browser:
        step = _steps(e, browser)
        page = await step(browser.open("/demo"))
        page = await step(browser.submit(page, "/auth/form/login", email=e.canaries.make("typed")))
        sent = await step(browser.submit(page, "/auth/form/login", email=address))
        token, code = await e.mail(address)
        await step(browser.submit(sent, "/auth/form/code", code=e.wrong_code()))
        await step(browser.submit(sent, "/auth/form/code", code=code))
        await step(browser.open("/auth/continue?next=/demo"))
        account = await step(browser.open("/auth/account"))
        await _click_elsewhere(e, address)
        await step(browser.submit(account, "/auth/form/sessions", handle=e.canaries.make("handle")))
        demo = await step(browser.open("/demo"))
        await step(browser.submit(demo, "/auth/form/logout"))
        link = await step(browser.open("/auth/link?id=" + e.canaries.make("login id")))
        await step(browser.submit(link, "/auth/form/inspect", token=token))


async def _click_elsewhere(e: Explorer, address: str) -> None:
    """The same person in a second browser: inspect, confirm; then the notice's button."""
    await e.send("POST", "/auth/login", {"email": address})
    token, _ = await e.mail(address, 2)
    async with open_browser(e.house.url) as other:
        step = _steps(e, other)
        page = await step(other.open("/auth/link"))
        asked = await step(other.submit(page, "/auth/form/inspect", token=token))
        await step(other.submit(asked, "/auth/form/link"))
        notice, _ = await e.mail(address, 3)
        page = await step(other.open("/auth/link"))
        asked = await step(other.submit(page, "/auth/form/inspect", token=notice))
        await step(other.submit(asked, "/auth/form/notice"))


def _steps(e: Explorer, browser: Browser) -> Callable[[Awaitable[Page]], Awaitable[Page]]:
    async def step(action: Awaitable[Page]) -> Page:
        page = await action
        assert page.status < 500, page
        e.learn(page.text)
        e.learn_cookies(browser.cookies())
        return page

    return step


async def is_a_confidential_client(e: Explorer) -> None:
    """With its secret, with a wrong one, and with no Base64 at all."""
    person = {"address": "192.0.2.7", "user_agent": "Firefox"}
    address = e.canaries.address("client")
    body = {"email": address, "client": person}
    wrong = e.as_client(e.canaries.make("wrong client secret"))
    odd = {"Authorization": f"Basic {e.canaries.make('no base64')}!"}
    await e.refused(401, "POST", "/auth/login", body, headers=wrong)
    await e.refused(401, "POST", "/auth/login", body, headers=odd)
    await e.refused(202, "POST", "/auth/login", body, headers=e.basic)
    token, _ = await e.mail(address)
    exchange = {"token": token, "client": person}
    await e.refused(401, "POST", "/auth/link", exchange, headers=wrong)
    tokens = (await e.send("POST", "/auth/link", exchange, headers=e.basic)).body
    renew = {"refresh_token": tokens["refresh_token"]}
    await e.refused(401, "POST", "/auth/refresh", renew, headers=wrong)
    await e.refused(200, "POST", "/auth/refresh", renew, headers=e.basic)


async def is_a_service(e: Explorer) -> None:
    """Its token as it is, exchanged, managing others, wrong ones, and given back by whoever found one."""
    async with e.house.bus("operator") as bus:
        token = e.canaries.add(
            "service token", await kept_token(bus, "canary-bot", MANAGE, MANAGE_ANY)
        )
    own = e.bearer(token)

    async def is_known() -> bool:
        return (await e.send("GET", "/auth/service-tokens", headers=own)).status == 200

    await eventually(is_known)
    wrong = e.canaries.add("wrong service token", made_token("canary-bot").text)
    for shown in (token, wrong):
        await e.send("GET", "/demo", headers=e.bearer(shown))
        await e.send("GET", "/demo", cookies={"latchwire-dev": shown})
        pair = base64.b64encode(f"canary-bot:{shown}".encode()).decode()
        basic = {"Authorization": e.canaries.add("basic", f"Basic {pair}")}
        form = {"grant_type": "client_credentials"}
        await e.send("POST", "/auth/token", headers=basic, data=form)
        await e.send("POST", "/auth/token", data={**form, "client_secret": shown})
    body = {"service": "canary-till", "lifetime": e.canaries.make("lifetime")[:8]}
    await e.send("POST", "/auth/service-tokens", body, headers=own)
    made = await e.send("POST", "/auth/service-tokens", {"service": "canary-till"}, headers=own)
    e.canaries.add("service token", made.body["token"])
    path = f"/auth/service-tokens/{made.body['id']}"
    turned = await e.send("POST", f"{path}/rotate", headers=own)
    e.canaries.add("service token", turned.body["token"])
    await e.send("DELETE", path, headers=own)
    await e.send("POST", "/auth/revoke", data={"token": turned.body["token"]})
    await e.command("tokens", "list")
    await e.command("explain", "--token-stdin", stdin=token)


async def ends_sessions(e: Explorer) -> None:
    """Logout by either token, one by its handle, all of them; cookies in and out by JSON."""
    _, tokens = await e.log_in("leaves")
    await e.refused(204, "POST", "/auth/logout", {"refresh_token": tokens["refresh_token"]})
    _, tokens = await e.log_in("leaves-by-delete")
    await e.refused(204, "DELETE", "/auth/logout", headers=e.bearer(tokens["access_token"]))
    await eventually(lambda: _refuses(e, tokens))
    _, tokens = await e.log_in("leaves-everywhere")
    mine = e.bearer(tokens["access_token"])
    await e.refused(404, "DELETE", "/auth/sessions/" + e.canaries.make("handle"), headers=mine)
    await e.refused(204, "DELETE", "/auth/sessions", headers=mine)
    address, _ = await e.ask("by-json-cookies")
    token, _ = await e.mail(address)
    body, origin = {"token": token, "cookies": True}, {"Origin": e.house.url}
    await e.refused(403, "POST", "/auth/link", body)
    await e.refused(200, "POST", "/auth/link", body, headers=origin)


async def _refuses(e: Explorer, tokens: Mapping[str, str]) -> bool:
    reply = await e.send("GET", "/demo", headers=e.bearer(tokens["access_token"]))
    return reply.status == 401


async def operates(e: Explorer) -> None:
    """Revoke by several scopes, explain, block, look."""
    address, tokens = await e.log_in("revoked")
    access = tokens["access_token"]
    claims = jwt.decode(access, options={"verify_signature": False})
    garbage, why = e.canaries.make("explained"), ("--reason", "test")
    async with asyncio.TaskGroup() as group:
        for arguments, stdin in (
            (("explain", "--token-stdin"), access),
            (("explain", "--token-stdin", "--request", "https://x/demo"), garbage),
            (("explain", "--token-stdin", "--all"), garbage),
            (("revoke", "token", claims["jti"], *why), ""),
            (("revoke", "session", claims["sid"], *why), ""),
            (("revoke", "person", address, *why), ""),
            (("users", "block", address, *why), ""),
            (("status",), ""),
        ):
            group.create_task(e.command(*arguments, stdin=stdin))
    await e.command("--json", "explain", "--token-stdin", stdin=f"Bearer {access}")
    await e.send("POST", "/auth/login", {"email": address})


async def gets_lost(e: Explorer) -> None:
    """A canary in paths and queries of nothing."""
    make = e.canaries.make
    for path in (
        "/{}",
        "/auth/{}",
        "/auth/static/{}",
        "/demo/../{}",
        "/.well-known/{}",
        "/%2e%2e/{}",
    ):
        assert (await e.send("GET", path.format(make("path")))).status in {400, 401, 403, 404}, path
    for path in (
        "/auth/link?token={}",
        "/auth/login?next=//{}",
        "/auth/continue?next={}",
        "/demo?t={}",
    ):
        await e.send("GET", path.format(make("query")))
        await e.send("PATCH", path.format(make("query")))


async def is_refused_by_the_mail_server(e: Explorer) -> None:
    """The server's answers repeat the address and say a canary, at every step and with every verdict."""
    steps = [
        ("RCPT", 550, "5.1.1"),
        ("RCPT", 450, "4.2.0"),
        ("DATA", 451, "4.3.0"),
        ("DOT", 554, "5.7.1"),
    ]
    for number, (verb, code, status) in enumerate(steps):
        address = e.canaries.address(f"mail-{number}-{verb}")
        text = f"{status} <{address}> {e.canaries.make('smtp reply')}"
        e.house.smtp.once(
            verb, Answer(code, text), match=address if verb != "DATA" else "", times=1
        )
        await e.refused(202, "POST", "/auth/login", {"email": address})
        await _tried(e)
    address, _ = await e.ask("mail-dropped")
    for verb, code in (("AUTH", 535), ("MAIL", 550)):
        reply = Answer(code, f"5.7.8 {e.canaries.make('smtp reply')} <{address}>")
        e.house.smtp.once(verb, reply)
        address, _ = await e.ask(f"mail-after-{verb}")
        await _tried(e)
    await e.house.mail_is_settled()


async def _tried(e: Explorer) -> None:
    await eventually(lambda: not any(rule.times for rule in e.house.smtp.rules))


async def publishes_nonsense(e: Explorer) -> None:
    """Bodies that are not the contract's, on the subjects that are stored and on the questions."""
    make, now_ms = e.stored.make, int(time.time() * 1000)
    kid = load_symmetric(e.house.lab.layout.secrets, "link").current
    async with e.house.bus("auth") as bus:
        for body in (
            make("no json"),
            json.dumps({"email": make("field"), "id": make("id")}),
            "\xff",
        ):
            await bus.js.publish(LOGIN_REQUESTED.name, body.encode())
        odd = f"{make('recipient')} <x@people.example.com>"
        await bus.publish(LOGIN_REQUESTED, login(odd, now_ms=now_ms, link_kid=kid))
        await bus.client.publish("revocation.probe", make("probe").encode())
    async with e.house.bus("operator") as bus:
        for body in (make("no json"), json.dumps({"scope": make("scope"), "sub": make("sub")})):
            await bus.js.publish(TOKEN_REVOKED.name, body.encode())
        for question in (asked.name.replace("*", "edge-1") for asked in QUESTIONS):
            with contextlib.suppress(Exception):
                await bus.client.request(question, make("question").encode(), timeout=0.5)
                await bus.client.request(question, b'{"token": 1}', timeout=0.5)


async def writes_malformed_http(e: Explorer) -> None:
    """Straight to the doors, as another proxy might: what no HTTP parser takes."""
    doors = [part.address for part in e.house.lab.plan.parts if part.name in {"auth", "edge"}]
    for door in [*doors, *admin_doors(e.house).values()]:
        for request in (
            "GET /{} HTTP/1.1\r\nAuthorization Bearer {}\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\x00\r\nCookie: {}\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\n{} : {}\r\n\r\n",
            "POST /auth/link HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{}\r\n{}\r\n",
            "POST /auth/link HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}",
            "{} {} HTTP/9.9\r\n\r\n",
            "GET /auth/login?next={} HTTP/1.1\r\nHost: x\r\nX: " + "{}" * 2000 + "\r\n\r\n",
        ):
            count = request.count("{}")
            made = [e.canaries.make("malformed") for _ in range(2)]
            await _write(door, request.format(*(made * count)[:count]).encode())
        for path in ("/auth/login", "/auth/link/inspect", "/auth/form/login", "/check/traefik"):
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            head += f"Sec-Fetch-Site: same-origin\r\nCookie: latchwire-dev-login={'n' * 43}\r\n"
            kind = FORM if "form" in path else JSON
            late = f"{e.canaries.make('late chunk')}\r\n".encode()
            await _write(door, f"{head}Content-Type: {kind}\r\n\r\n".encode(), late)


async def _write(url: str, request: bytes, late: bytes = b"") -> None:
    """Send *request*, and *late* when its handler has begun to read."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        if late:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await reader.read(4096)
                    return  # answered before it read a body
            writer.write(late)
        async with asyncio.timeout(0.5):
            await reader.read(4096)
    except (ConnectionError, TimeoutError):
        pass  # closed without a word, or waiting for more: both are refusals
    finally:
        writer.close()


async def loses_its_stores(e: Explorer) -> None:
    """Everything again while a part is away: what fails must not say with what."""
    _, tokens = await e.log_in("store-away")
    _, quitting = await e.log_in("quits-unheard")
    address, login_id = await e.ask("store-away-link")
    token, code = await e.mail(address)
    bodies = {
        "/auth/login": {"email": e.canaries.address("store-away-login")},
        "/auth/link/inspect": {"token": token},
        "/auth/link": {"login_id": login_id, "code": code},
        "/auth/refresh": {"refresh_token": tokens["refresh_token"]},
    }
    for part in ("redis", "nats", "auth", "edge", "demo"):
        await e.house.lab.kill9(part)
        async with asyncio.TaskGroup() as group:
            for path in _needing(part, list(bodies)):
                group.create_task(_is_away(e, path, bodies[path]))
            if part == "nats":
                group.create_task(_end_unheard(e, quitting))
        query = e.canaries.make("query")
        await e.send("GET", f"/demo?access_token={query}", headers=e.bearer(tokens["access_token"]))
        await e.send("GET", f"/auth/link?token={query}")
        await e.house.lab.start(part)
        await e.house.whole()


def _needing(part: str, paths: list[str]) -> list[str]:
    if part == "nats":
        return ["/auth/login"]
    return paths if part in {"redis", "auth"} else []


async def _is_away(e: Explorer, path: str, body: Any) -> None:
    reply = await e.send("POST", path, body)
    assert reply.status in {502, 503}, (path, reply)


async def _end_unheard(e: Explorer, tokens: Mapping[str, str]) -> None:
    """Without the bus an end is noted in Redis until it can be published: look while it is there."""
    reply = await e.send("DELETE", "/auth/sessions", headers=e.bearer(tokens["access_token"]))
    assert (reply.status, reply.body["missing"]) == (503, "bus"), reply
    e.redis += await redis_keys(e.house.lab.plan.redis_url)


def admin_doors(house: Breakable) -> dict[str, str]:
    """Where each worker's admin door is."""
    names = ("auth", "edge", "mailer", "revocation")
    return {n: "http://" + house.lab.env(n)[f"LATCHWIRE_{n.upper()}_ADMIN"] for n in names}


FLOWS: tuple[Callable[[Explorer], Awaitable[None]], ...] = (
    signs_in_by_link,
    signs_in_by_code,
    lets_links_die,
    sends_bad_bodies,
    shows_bad_tokens,
    browses,
    is_a_confidential_client,
    is_a_service,
    ends_sessions,
    operates,
    gets_lost,
    writes_malformed_http,
    publishes_nonsense,
    is_refused_by_the_mail_server,
    loses_its_stores,
)
