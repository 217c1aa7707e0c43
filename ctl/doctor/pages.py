"""What the front door shows of auth: its pages' headers, its cookies, and what is nobody's business."""

import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from ctl.doctor.door import Door, reads_with_cookies
from ctl.doctor.findings import Finding
from ctl.doctor.routes import Route
from ctl.doctor.tricks import EVIL
from ctl.doctor.wire import Answer

PAGE = "/auth/login"
INTERNALS = (
    "/metrics", "/ready", "/gateway/traefik", "/check/traefik", "/check/nginx", "/check/caddy",
    "/check/envoy/@/", "/check/haproxy", "/dashboard/", "/api/rawdata", "/nginx_status", "/stats",
    "/server_info", "/config_dump",
)  # fmt: skip
_INSIDE = re.compile(
    rb"latchwire_|# HELP |\"problems\"|\"routers\"|\"middlewares\"|Active connections|haproxy|envoy|traefik",
    re.IGNORECASE,
)
_AWAY = (
    "//{h}",
    "https://{h}/",
    "/\\{h}",
    "/%09/{h}",
    "https:{h}",
    "//{h}%2f..",
    "https://{own}@{h}/",
)
HALF_A_YEAR = 15_768_000
_AGE = re.compile(r"max-age\s*=\s*\"?(\d+)", re.IGNORECASE)


async def look_at_pages(door: Door, routes: Iterable[Route]) -> None:
    """All of it."""
    secure = door.front.tls is not None
    page = await door.ask(PAGE, headers=(("Accept", "text/html"),))
    if page is None or page.status != 200:
        door.found("door.unclear", PAGE, f"{page.status if page else 'no'} answer")
    else:
        door.add(judge_page(page, PAGE, secure=secure))
        door.add(judge_cookies(page.all("set-cookie"), secure=secure))
    await _internals(door)
    await _redirects(door)
    await _cors(door, [(None, "/auth/me"), *((r.host, r.closed or r.open) for r in routes)])


def judge_page(page: Answer, where: str, *, secure: bool) -> Iterator[Finding]:
    """The headers that browsers obey."""
    policy = page.one("content-security-policy")
    framed = "frame-ancestors" in policy or page.one("x-frame-options")
    missing = {
        "X-Content-Type-Options: nosniff": page.one("x-content-type-options") == "nosniff",
        "Content-Security-Policy": bool(policy),
        "frame-ancestors": bool(framed),
        "Referrer-Policy": bool(page.one("referrer-policy")),
    }
    for name, there in missing.items():
        if not there:
            yield Finding("door.security_headers", where, f"{name} is missing")
    age = _AGE.search(page.one("strict-transport-security"))
    if secure and (age is None or int(age[1]) < HALF_A_YEAR):
        yield Finding("door.hsts", where, "missing" if age is None else f"only {age[1]} s")


def judge_cookies(lines: Iterable[str], *, secure: bool) -> Iterator[Finding]:
    """Flags and prefixes; the value that scripts must read for CSRF is not HttpOnly by design."""
    for line in lines:
        name = line.partition("=")[0].strip()
        flags = {part.strip().partition("=")[0].lower() for part in line.split(";")[1:]}
        needed = {"samesite"} | ({"secure"} if secure else set())
        needed |= set() if name.endswith("-csrf") else {"httponly"}
        for flag in sorted(needed - flags):
            yield Finding("door.cookies", name, f"{flag} is missing")
        if secure and not name.startswith(("__Host-", "__Secure-")):
            yield Finding("door.cookies", name, "no __Host- or __Secure- prefix on https")
        if name.startswith("__Host-") and "domain" in flags:
            yield Finding("door.cookies", name, "a __Host- cookie with a Domain: browsers drop it")


async def _internals(door: Door) -> None:
    for path in INTERNALS:
        answer = await door.ask(path)
        if answer and answer.passed and (_is_check(path, answer) or _INSIDE.search(answer.body)):
            door.found("door.internals", path, f"{answer.status} to a stranger")


def _is_check(path: str, answer: Answer) -> bool:
    return path.startswith("/check/") and any(n.startswith("x-user-") for n, _ in answer.headers)


async def _redirects(door: Door) -> None:
    evil = urlsplit(EVIL).netloc
    for pattern in _AWAY:
        away = pattern.format(h=evil, own=door.home)
        for path in ("/auth/continue", PAGE):
            answer = await door.ask(f"{path}?next={away}")
            location = answer.one("location") if answer else ""
            if leads_to(evil, location):
                door.found("door.redirects_away", path, f"next={away} leads there")


def leads_to(host: str, location: str) -> bool:
    """Whether a browser that is told *location* goes to *host* (WHATWG: backslashes, no tabs)."""
    plain = re.sub(r"[\t\r\n]", "", location).replace("\\", "/")
    plain = re.sub(r"^(https?:)/*", r"\1//", plain, flags=re.IGNORECASE)
    return bool(re.match(rf"(?:https?:)?/{{2,}}(?:[^/?#]*@)?{re.escape(host)}(?:[:/?#]|$)", plain))


async def _cors(door: Door, places: Iterable[tuple[str | None, str]]) -> None:
    for host, path in places:
        answer = await door.ask(path, host=host, headers=(("Origin", EVIL),)) if path else None
        if answer and reads_with_cookies(answer):
            door.found("door.cors", f"{host or ''}{path}", "any Origin may read, with cookies")
