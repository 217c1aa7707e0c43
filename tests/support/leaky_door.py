"""A gateway that makes every mistake the doctor looks for, and its catalogue: one service for each mistake."""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from urllib.parse import parse_qs, unquote

from ctl.doctor.tricks import forged_token
from shared.catalogue import Catalogue, parse_catalogue

HOST = "leaky.example.com"
# Every request of a path below is refused, but for the one mistake its name says.
CATALOGUE = """\
services:
  unchecked: { paths: [/unchecked], upstream: "http://127.0.0.1:9" }
  hidden: { paths: [/hidden], upstream: "http://127.0.0.1:9", expose_publicly: false }
  believing: { paths: [/believing], upstream: "http://127.0.0.1:9", public_paths: [/believing/open] }
  methodical: { paths: [/methodical], upstream: "http://127.0.0.1:9" }
  decoding:
    paths: [/decoding]
    upstream: "http://127.0.0.1:9"
    public_paths: [/decoding/open]
    headers: { X-Client-Id: client_id }
  fragile: { paths: [/fragile], upstream: "http://127.0.0.1:9" }
  limited: { paths: [/limited], upstream: "http://127.0.0.1:9" }
  lost: { paths: [/lost], upstream: "http://127.0.0.1:9" }
  careless: { paths: [/careless], upstream: "http://127.0.0.1:9" }
  gullible: { paths: [/gullible], upstream: "http://127.0.0.1:9" }
  strict: { paths: [/strict], upstream: "http://127.0.0.1:9" }
  guarded: { paths: [/guarded], upstream: "http://127.0.0.1:9" }
  mute: { paths: [/mute], upstream: "http://127.0.0.1:9" }
"""
# Two real tokens: `careless` and `strict` let in the first, `strict` the second too.
TOKEN = "lws_dev_" + "0" * 30 + "abcdef"
PERSONS = forged_token("https://leaky.example.com") + "c2ln"
_REFUSED = {"X-Latchwire-Reason": "no_credentials", "WWW-Authenticate": "Bearer"}
_USUAL = {"host", "connection"}
_FORM = re.compile(r"lws_|[\w-]+\.[\w-]+\.", re.IGNORECASE)
_BASIC = re.compile(r"Basic (bHdz|eDps)")  # lws…, x:l…
Reply = tuple[int, dict[str, str], bytes]
Pairs = list[tuple[str, str]]


def leaky_catalogue() -> Catalogue:
    """What this gateway should have done."""
    return parse_catalogue(CATALOGUE)


@asynccontextmanager
async def leaky_door(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve on a free port."""
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        if "\r\nTransfer-Encoding: chunked\r\n" in head:
            head += (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request, *lines = head.strip().split("\r\n")
        pairs = [(n.strip(), v.strip()) for n, _, v in (line.partition(":") for line in lines)]
        method, _, rest = request.partition(" ")
        status, headers, body = _reply(method, rest.rpartition(" ")[0], pairs)
        out = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Length: {len(body)}"]
        out += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*out, "", ""]).encode("latin-1"))
        writer.write(b"" if method == "HEAD" else body)
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        return
    finally:
        writer.close()


def _reply(method: str, target: str, headers: list[tuple[str, str]]) -> Reply:
    told = {name.lower(): value for name, value in headers}
    path, _, query = target.partition("?")
    if path.startswith("/auth/"):
        return _auth(path, query, told)
    if path == "/metrics":
        return 200, {}, b"# HELP latchwire_check_total checks\n"
    if path in ("/believing/open", "/decoding/open"):
        if path.startswith("/believing") and told.get("upgrade") == "h2c":
            return 101, {"Connection": "Upgrade", "Upgrade": "h2c"}, b""
        return 200, {}, json.dumps(headers).encode()
    if path in ("/careless", "/gullible", "/strict"):
        return _with_token(path, query, headers)
    return _service(method, path, told)


def _auth(path: str, query: str, told: dict[str, str]) -> Reply:
    """No header that browsers obey, a cookie for everybody, and any origin may read."""
    headers = {"Set-Cookie": "latchwire-login=1; Path=/"}
    if "origin" in told:
        headers |= {"Access-Control-Allow-Origin": told["origin"]}
        headers |= {"Access-Control-Allow-Credentials": "true"}
    if path == "/auth/continue":
        return 303, {"Location": parse_qs(query).get("next", ["/"])[0]}, b""
    return (200 if path == "/auth/login" else 401), headers, b"<html>"


def _service(method: str, path: str, told: dict[str, str]) -> Reply:
    tricked = bool(told.keys() - _USUAL)
    name = next((n for n in ("believing", "fragile", "limited") if path == f"/{n}"), "")
    if path in ("/unchecked", "/hidden") or (name == "believing" and tricked):
        return 200, {}, b"secret"
    if name and tricked:
        return (500 if name == "fragile" else 429), {}, b""
    if path == "/methodical" and method != "GET":
        return 200, {}, b"secret"
    if path == "/guarded":  # reads the token in whatever header, and lets nobody in
        known = TOKEN in f"{told}"
        return (403, {"X-Latchwire-Reason": "not_allowed"}, b"") if known else (401, _REFUSED, b"")
    if path == "/mute":  # refuses all, and does not say why
        return 403 if "authorization" in told else 401, {}, b""
    if path == "/lost":
        return 404, {}, b""
    if path != "/decoding" and unquote(path).replace("\\", "/").startswith("/decoding"):
        return 200, {}, b"secret"
    return 401, _REFUSED, b""


def _with_token(path: str, query: str, headers: Pairs) -> Reply:
    """One that takes a token wherever it stands, one that reads none of it, and one that does as it should."""
    values = [value for name, value in headers if name == "Authorization"]
    bearer = re.fullmatch(r"Bearer (\S+)", values[0]) if len(values) == 1 else None
    plain = bearer[1] if bearer else ""
    anywhere = query + " ".join(value for _, value in headers)
    known = {
        "/careless": TOKEN in anywhere or any(_BASIC.match(value) for value in values),
        "/gullible": bool(_FORM.match(plain)),
        "/strict": plain in (TOKEN, PERSONS),
    }
    if not known[path]:
        return 401, _REFUSED, b""
    upgrade = dict(headers).get("Upgrade")
    if path == "/careless" and upgrade == "h2c":
        return 101, {"Connection": "Upgrade", "Upgrade": "h2c"}, b""
    return 200, {}, json.dumps(headers).encode() if path == "/careless" else b"welcome"
