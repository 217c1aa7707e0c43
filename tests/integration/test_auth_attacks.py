"""What an attacker tries against auth over HTTP, on real NATS and Redis."""

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from multidict import CIMultiDict
from redis.asyncio import Redis

from services.auth.http.middleware import HEADERS
from shared.contract import LOGIN_FAILED, LOGIN_REQUESTED, OP_USERS_SET
from shared.messages import SetUser
from shared.redis import connect_redis
from tests.support.auth_workers import ADA, ORIGIN, AuthWorkers, bearer, running_workers
from tests.support.raw import answer_of
from tests.support.servers import NatsServer, RedisServer
from tests.support.waiting import PATIENCE, eventually

ACCESS, REFRESH, CSRF = "latchwire-dev", "latchwire-dev-refresh", "latchwire-dev-csrf"
BOB, EVE, STRANGER, FLOODED = "bob@acme.com", "eve@acme.com", "x@evil.test", "flo@acme.com"
# Said differently each time, for everybody: an id, and a browser's name.
VARYING = {"x-request-id", "date", "set-cookie"}


@pytest.fixture
async def auth(nats_server: NatsServer, redis_server: RedisServer) -> AsyncIterator[AuthWorkers]:
    """One auth worker."""
    secrets_dir = nats_server.secrets_dir
    async with running_workers(nats_server, redis_server, secrets_dir, doors=1) as workers:
        yield workers


async def raw_call(auth: AuthWorkers, request: bytes) -> bytes:
    """Bytes in, bytes out: for what no client library would send."""
    port = urlsplit(auth.doors[0]).port
    assert port is not None
    return await answer_of(port, request)


async def work_of(auth: AuthWorkers, redis: Redis, email: str) -> list[str]:
    """The commands Redis runs for one request, in order; what neighbours ask meanwhile is left out."""
    names: list[str] = []
    ours = False
    async with redis.monitor() as monitor:
        await auth.ask(email)
        await redis.echo("over")
        async for told in monitor.listen():
            command = told["command"]
            if told["client_type"] != "lua":  # a script's own commands follow its line
                if command.upper() == "ECHO OVER":
                    return names
                ours = "lw:attempt:" in command
            if ours:
                names.append(command.split()[0].upper())
    raise AssertionError("the monitor ended")


async def test_nobody_learns_whether_an_address_is_known(
    auth: AuthWorkers, nats_server: NatsServer, redis_server: RedisServer
) -> None:
    """Known, unknown, not allowed, blocked, flooded: the same answer for the same work."""
    await auth.sign_in(ADA)
    for _ in range(5):
        await auth.ask(FLOODED)
    async with nats_server.connect("operator") as bus:
        state = await bus.ask(OP_USERS_SET, SetUser(email=EVE, action="block", reason="test"))
    assert state.blocked

    shapes, work = [], []
    async with connect_redis(redis_server.url) as redis:
        for email in (ADA, BOB, STRANGER, EVE, FLOODED):
            answer = await auth.call("POST", "/auth/login", {"email": email})
            body = await answer.json()
            cookie = answer.cookies["latchwire-dev-login"]
            cookie_shape = (len(cookie.value), cookie["max-age"], cookie["path"])
            headers = {k: v for k, v in answer.headers.items() if k.lower() not in VARYING}
            size = {key: len(str(value)) for key, value in body.items()}
            shapes.append((answer.status, size, body["expires_in"], headers, cookie_shape))
            work.append(await work_of(auth, redis, email))

    assert [shapes[0]] * 5 == shapes
    assert [work[0]] * 5 == work
    assert len(work[0]) > 10
    reasons = [event.reason for event in await auth.hears(LOGIN_FAILED, 6)]
    assert {"not_allowed", "blocked", "address_limit"} == set(reasons)
    mailed = {event.email for event in auth.said(LOGIN_REQUESTED)}
    assert {ADA, BOB, FLOODED} == mailed


async def test_a_sixth_mail_within_the_hour_is_never_sent(auth: AuthWorkers) -> None:
    """Also when the tag changes each time; and the link of the first mail still works."""
    first = await auth.ask(ADA)
    for n in range(9):
        await auth.ask(f"ada+{n}@acme.com")

    assert 5 == len(await auth.hears(LOGIN_REQUESTED, 5))
    assert 5 == len(await auth.hears(LOGIN_FAILED, 5))
    answer = await auth.call("POST", "/auth/link", {"token": auth.token_of(first)})
    assert 200 == answer.status


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.test"},
        {"X-Forwarded-Host": "evil.test"},
        {"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "gopher", "X-Forwarded-Port": "1"},
        {"Forwarded": "host=evil.test;proto=https"},
        {"X-Original-URL": "//evil.test/auth/login", "X-Rewrite-URL": "//evil.test/"},
        {"X-Forwarded-Prefix": "/evil.test"},
    ],
)
async def test_no_header_about_the_host_changes_anything(
    auth: AuthWorkers, headers: dict[str, str]
) -> None:
    """Answers, cookies and events never repeat the attacker's host."""
    answer = await auth.call("POST", "/auth/login", {"email": ADA}, headers=headers)
    everything = await answer.text() + str(answer.headers)
    event = (await auth.hears(LOGIN_REQUESTED, 1))[0]

    assert 202 == answer.status
    assert "evil" not in everything + event.model_dump_json()


async def test_an_absolute_target_with_another_host_changes_nothing(auth: AuthWorkers) -> None:
    """aiohttp takes the host of such a target; we never ask it for one."""
    body = json.dumps({"email": ADA}).encode()
    head = (
        "POST http://evil.test/auth/login HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    answer = await raw_call(auth, head.encode() + body)

    assert answer.startswith(b"HTTP/1.1 202")
    assert b"evil" not in answer


@pytest.mark.parametrize(
    "forwarded", ["203.0.113.9, 198.51.100.7", "unknown", "", "::ffff:1.2.3.4"]
)
async def test_a_forged_forwarded_for_is_read_from_the_right(
    auth: AuthWorkers, forwarded: str
) -> None:
    """Only the hop a trusted proxy added counts; garbage is no address."""
    await auth.call("POST", "/auth/login", {"email": ADA}, headers={"X-Forwarded-For": forwarded})
    network = (await auth.hears(LOGIN_REQUESTED, 1))[0].client.network

    expected = {"203.0.113.9, 198.51.100.7": "198.51.100.0/24", "::ffff:1.2.3.4": "1.2.3.0/24"}
    assert expected.get(forwarded, "127.0.0.0/24") == network


BAD_BODIES = {
    "not json": (b"{", "application/json", 400),
    "not an object": (b"[]", "application/json", 400),
    "null": (b"null", "application/json", 400),
    "invalid utf-8": (b'{"email":"\xff"}', "application/json", 400),
    "lone surrogate": (b'{"email":"\\ud800@acme.com"}', "application/json", 400),
    "nul": (b'{"email":"a\\u0000@acme.com"}', "application/json", 400),
    "deep nesting": (b"[" * 8000, "application/json", 400),
    "deep objects": (b'{"email":' * 1500, "application/json", 400),
    "5000 digits": (b'{"email":' + b"9" * 5000 + b"}", "application/json", 400),
    "a number": (b'{"email":1}', "application/json", 400),
    "missing": (b"{}", "application/json", 400),
    "unknown field": (b'{"email":"ada@acme.com","admin":true}', "application/json", 400),
    "a long address": (b'{"email":"' + b"a" * 2000 + b'@acme.com"}', "application/json", 400),
    "display name": (b'{"email":"Ada <ada@acme.com>"}', "application/json", 400),
    "newline": (b'{"email":"ada@acme.com\\nBcc: x@y.z"}', "application/json", 400),
    "two addresses": (b'{"email":"ada@acme.com,bob@acme.com"}', "application/json", 400),
    "text": (b'{"email":"ada@acme.com"}', "text/plain", 415),
    "form": (b"email=ada%40acme.com", "application/x-www-form-urlencoded", 415),
    "no type": (b'{"email":"ada@acme.com"}', "", 415),
    "bogus charset": (b'{"email":"ada@acme.com"}', "application/json; charset=rot13", 415),
    "utf-16": ('{"email":"a@b.c"}'.encode("utf-16"), "application/json; charset=utf-16", 415),
    "too large": (b'{"email":"' + b"a" * 20_000 + b'"}', "application/json", 413),
    "next elsewhere": (b'{"email":"ada@acme.com","next":"//evil"}', "application/json", 400),
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_body_is_refused_and_never_a_failure(auth: AuthWorkers, name: str) -> None:
    """400, 413 or 415 with a stable code and the request's id; nothing of the input comes back."""
    body, content_type, status = BAD_BODIES[name]
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await auth.call(
        "POST",
        "/auth/login",
        data=body,
        headers=headers,
        skip_auto_headers=["Content-Type"],
    )
    problem = await answer.json(content_type="application/problem+json")

    assert status == answer.status
    assert answer.headers["X-Request-Id"] == problem["request_id"] != ""
    assert problem["code"].startswith(("invalid_", "body_"))
    assert {"type", "title", "status", "detail", "code", "request_id"} <= problem.keys()
    assert not auth.said(LOGIN_REQUESTED)


async def test_odd_bytes_in_headers_are_refused_and_never_a_failure(auth: AuthWorkers) -> None:
    """``Bearer \\xff.a.b``, a huge token, broken cookies, twice the same one."""
    lines = {
        b"Authorization: Bearer \xff.a.b": b"401",
        b"Authorization: Bearer " + b"a" * 7000: b"401",
        b"Authorization: Bearer a.b.c\r\nAuthorization: Bearer d.e.f": b"400",
        b"Cookie: latchwire-dev=\xff\xfe; a=b": b"401",
        b"Cookie: latchwire-dev=a; latchwire-dev=b": b"400",
        b"Cookie: latchwire-dev=a\r\nCookie: latchwire-dev=b": b"400",
        b"Cookie: ;;;=;latchwire-dev": b"401",
        b"Authorization: Basic \xff\xfe": b"401",
    }
    for line, status in lines.items():
        request = b"GET /auth/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + line + b"\r\n\r\n"
        assert (await raw_call(auth, request)).split()[1] == status, line[:40]


SECURITY = {*HEADERS, "X-Request-Id"}


async def test_every_answer_carries_the_security_headers(auth: AuthWorkers) -> None:
    """Also the refusals, what is not there and what may not be done."""
    for method, path in (
        ("GET", "/auth/me"),
        ("GET", "/auth/nothing"),
        ("PUT", "/auth/refresh"),
        ("POST", "/auth/login"),
        ("GET", "/auth/login"),
    ):
        answer = await auth.call(method, path)
        assert "no-store" == answer.headers["Cache-Control"], path
        assert "nosniff" == answer.headers["X-Content-Type-Options"]
        assert "no-referrer" == answer.headers["Referrer-Policy"]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "Server" not in answer.headers
        assert not [name for name in SECURITY if not answer.headers.get(name)]
        assert {"Authorization", "Cookie", "Origin"} == set(answer.headers["Vary"].split(", "))


UNREADABLE = {
    "a header over the limit": b"Authorization: Bearer SECRET" + b"s" * 9000,
    "a cookie over the limit": b"Cookie: latchwire-dev=SECRET" + b"s" * 9000,
    "no header at all": b"SECRET",
    "a space before the colon": b"Authorization : SECRET",
    "a NUL": b"Authorization: Bearer SECRET\x00",
    "two lengths": b"Content-Length: 1\r\nContent-Length: 2\r\nCookie: SECRET",
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_what_cannot_be_read_is_answered_like_everything_else(
    auth: AuthWorkers, name: str
) -> None:
    """400 as a problem document with all headers; not a byte of it comes back, nor who serves."""
    head = b"GET /auth/me HTTP/1.1\r\nHost: x\r\n" + UNREADABLE[name] + b"\r\n\r\n"
    answer = await raw_call(auth, head)
    lines, _, body = answer.partition(b"\r\n\r\n")
    status, *fields = lines.decode().split("\r\n")
    headers = CIMultiDict(field.split(": ", 1) for field in fields)
    problem = json.loads(body)

    assert "HTTP/1.1 400 Bad Request" == status
    assert b"SECRET" not in answer
    assert b"sss" not in answer
    assert not [name for name in SECURITY if name not in headers]
    assert "Server" not in headers
    assert ("bad_request", headers["X-Request-Id"]) == (problem["code"], problem["request_id"])
    assert "application/problem+json" == headers["Content-Type"]


UNSAFE = [
    ("POST", "/auth/refresh"),
    ("POST", "/auth/logout"),
    ("DELETE", "/auth/logout"),
    ("DELETE", "/auth/sessions"),
    ("DELETE", "/auth/sessions/x"),
]
FOREIGN = [
    {},
    {"Origin": "https://evil.test"},
    {"Origin": "null"},
    {"Origin": "http://localhost:8080.evil.test"},
    {"Origin": "http://localhost:8081"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"X-CSRF-Token": "forged"},
    {"X-CSRF-Token": ""},
]


@pytest.mark.parametrize(("method", "path"), UNSAFE)
async def test_another_site_cannot_act_with_a_persons_cookies(
    auth: AuthWorkers, method: str, path: str
) -> None:
    """Every unsafe route, every kind of foreign request; and the session is as before."""
    cookies = await auth.sign_in_with_cookies()
    for headers in FOREIGN:
        answer = await auth.call(method, path, headers=headers, cookies=cookies)
        assert 403 == answer.status, headers
        assert "csrf_failed" == (await answer.json())["code"]
        assert not answer.cookies

    assert 200 == (await auth.call("GET", "/auth/me", cookies=cookies)).status


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        ORIGIN,
        {"X-CSRF-Token": "own"},
        {"Sec-Fetch-Site": "cross-site", "X-CSRF-Token": "own"},
    ],
)
async def test_the_persons_own_page_may_act(auth: AuthWorkers, headers: dict[str, str]) -> None:
    """By fetch metadata, by origin, or by the readable cookie's value."""
    cookies = await auth.sign_in_with_cookies()
    headers = {k: cookies[CSRF] if v == "own" else v for k, v in headers.items()}

    assert (
        200 == (await auth.call("POST", "/auth/refresh", headers=headers, cookies=cookies)).status
    )


async def test_another_persons_csrf_token_does_not_count(auth: AuthWorkers) -> None:
    """It is bound to the session, not just a value repeated."""
    mine, theirs = await auth.sign_in_with_cookies(), await auth.sign_in_with_cookies()
    answer = await auth.call(
        "POST",
        "/auth/refresh",
        headers={"X-CSRF-Token": theirs[CSRF]},
        cookies={**mine, CSRF: theirs[CSRF]},
    )

    assert 403 == answer.status


async def test_another_site_cannot_sign_a_person_in(auth: AuthWorkers) -> None:
    """Login CSRF: cookies are only handed to our own pages, and the link stays unspent."""
    token = auth.token_of(await auth.ask())
    for headers in FOREIGN:
        body = {"token": token, "cookies": True}
        answer = await auth.call("POST", "/auth/link", body, headers=headers)
        assert 403 == answer.status, headers

    assert 200 == (await auth.call("POST", "/auth/link", {"token": token})).status


async def test_credentials_of_two_people_are_refused(auth: AuthWorkers) -> None:
    """Nobody can say who is meant."""
    ada, bob = await auth.sign_in_with_cookies(), await auth.sign_in(BOB)
    answer = await auth.call(
        "GET", "/auth/me", headers=bearer(bob["access_token"]), cookies={ACCESS: ada[ACCESS]}
    )

    assert (400, "two_subjects") == (answer.status, (await answer.json())["code"])


@pytest.mark.parametrize("change", ["sid", "counter", "mac", "kid", "version"])
async def test_a_changed_refresh_token_is_refused_and_harms_nobody(
    auth: AuthWorkers, change: str
) -> None:
    """A forged counter must not end the session: without the MAC nothing is believed."""
    token = (await auth.sign_in())["refresh_token"]
    version, kid, sid, counter, mac = token.split(".")
    parts = {"version": version, "kid": kid, "sid": sid, "counter": counter, "mac": mac}
    wrong = {"sid": "0" * 26, "counter": "7", "mac": "A" * 43, "kid": "other", "version": "2"}
    parts[change] = wrong[change]

    forged = await auth.call("POST", "/auth/refresh", {"refresh_token": ".".join(parts.values())})
    genuine = await auth.call("POST", "/auth/refresh", {"refresh_token": token})

    assert [401, 200] == [forged.status, genuine.status]


def altered(token: str) -> str:
    """With another last character, whichever it has."""
    return token[:-1] + ("B" if token.endswith("A") else "A")


async def test_a_token_of_another_attempt_or_address_opens_nothing(auth: AuthWorkers) -> None:
    """The proof is bound to id, purpose and address."""
    mine, theirs = await auth.ask(ADA), await auth.ask(BOB)
    tokens = [
        auth.token_of(mine, BOB),
        auth.token_of(theirs, ADA),
        auth.token_of(mine, ADA, purpose="notice"),
        altered(auth.token_of(mine, ADA)),
        "A" * 64,
        "",
    ]
    for token in tokens:
        assert 410 == (await auth.call("POST", "/auth/link", {"token": token})).status
    code = {"login_id": theirs, "code": auth.code_of(mine)}
    assert 410 == (await auth.call("POST", "/auth/link", code)).status


async def test_fifty_parallel_guesses_leave_the_link_but_not_the_code(auth: AuthWorkers) -> None:
    """Guessing cannot be sped up, nor lock the person out."""
    login_id = await auth.ask()
    guess = {"login_id": login_id, "code": "0000-0000"}
    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(auth.call("POST", "/auth/link", guess))

    code = {"login_id": login_id, "code": auth.code_of(login_id)}
    assert 410 == (await auth.call("POST", "/auth/link", code)).status
    link = {"token": auth.token_of(login_id)}
    assert 200 == (await auth.call("POST", "/auth/link", link)).status


async def test_a_network_that_asks_too_often_is_told_to_wait(
    nats_server: NatsServer, redis_server: RedisServer
) -> None:
    """429 with Retry-After, whatever the address; another network goes on."""
    secrets_dir = nats_server.secrets_dir
    async with running_workers(
        nats_server, redis_server, secrets_dir, doors=1, limit_network="3/5m"
    ) as auth:
        for n in range(3):
            await auth.ask(f"p{n}@acme.com")
        known = await auth.call("POST", "/auth/login", {"email": ADA})
        stranger = await auth.call("POST", "/auth/login", {"email": STRANGER})
        other = {"X-Forwarded-For": "203.0.113.9"}

        assert [429, 429] == [known.status, stranger.status]
        assert 0 < int(known.headers["Retry-After"]) <= 300
        assert await auth.ask(headers=other)


async def test_no_personal_data_and_no_secret_is_in_a_redis_key(
    auth: AuthWorkers, redis_server: RedisServer
) -> None:
    """Keys are ids and keyed hashes; values hold neither tokens nor codes."""
    person = "grace@acme.com"  # a word that no hash has by chance, as it may have "ada"
    login_id = await auth.ask(person)
    tokens = await auth.sign_in(person)
    secrets = [tokens["access_token"], tokens["refresh_token"], auth.token_of(login_id, person)]
    secrets += [auth.code_of(login_id, person)]
    async with connect_redis(redis_server.url) as redis:
        keys = [key.decode() async for key in redis.scan_iter()]
        dump = "".join([str(await redis.dump(key)) for key in keys])

    assert keys
    assert not [key for key in keys if "acme" in key or "grace" in key or "127.0" in key]
    assert not [secret for secret in secrets if secret in dump or secret in "".join(keys)]


async def test_a_clock_that_jumped_back_hides_no_session_from_a_revocation(
    auth: AuthWorkers, nats_server: NatsServer, redis_server: RedisServer
) -> None:
    """A session begun before Redis's clock went back by two seconds is hit all the same."""
    async with connect_redis(redis_server.url) as redis:
        seconds, _ = await redis.time()
        await redis.set("lw:clock", seconds * 1000 + 1900)
    tokens = await auth.sign_in()

    # Once: said again two seconds later it would hit the session whatever the clocks say.
    async with nats_server.connect("operator") as bus:
        body = b'{"scope":"subject","sub":"ada@acme.com","reason":"stolen"}'
        await bus.client.request("token.revoked", body, timeout=PATIENCE)

    async def revoked() -> bool:
        answer = await auth.call("GET", "/auth/me", headers=bearer(tokens["access_token"]))
        return answer.status == 401

    await eventually(revoked)
    renewal = {"refresh_token": tokens["refresh_token"]}
    assert 401 == (await auth.call("POST", "/auth/refresh", renewal)).status


async def test_without_accounts_nothing_of_them_is_there(auth: AuthWorkers) -> None:
    """Their routes are as unknown as any, and so are their fields in the bodies of the others."""
    for method, path in (
        ("POST", "/auth/register"),
        ("POST", "/auth/register/resend"),
        ("POST", "/auth/password/forgot"),
        ("POST", "/auth/password/reset"),
        ("PUT", "/auth/password"),
        ("GET", "/auth/password/rules"),
        ("DELETE", "/auth/delete"),
        ("GET", "/auth/orgs"),
    ):
        response = await auth.call(method, path)
        assert response.status == 404, path
    token = auth.token_of(await auth.ask())
    for path, body in (
        ("/auth/login", {"email": ADA, "password": "correct horse battery"}),
        ("/auth/login", {"email": ADA, "cookies": True}),
        ("/auth/link", {"token": token, "password": "correct horse battery"}),
        ("/auth/refresh", {"refresh_token": "x", "org": ""}),
    ):
        response = await auth.call("POST", path, body)
        problem = await response.json()
        assert (response.status, problem["unknown_fields"]) == (400, True), path
    me = await auth.call("GET", "/auth/me", headers=bearer((await auth.sign_in())["access_token"]))
    assert sorted(await me.json()) == [
        "amr", "auth_time", "client_id", "email", "expires_at", "org", "roles", "sub",
    ]  # fmt: skip
