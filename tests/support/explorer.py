"""Somebody who walks through the product and remembers every secret that is met on the way.

An `Explorer` learns the secrets it is given (tokens, cookies, form tokens, links, codes) from answers and
mails, and takes those that it sends wrong from `Canaries.make`.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from shared.ids import SystemIds
from tests.support.breakable import Breakable
from tests.support.canaries import Canaries
from tests.support.command_forks import forked_words
from tests.support.sinks import Sink, run_recorded
from tests.support.visitor import code_in, has_code, token_in

CLIENT_ID = "canary_app"
_HIDDEN = re.compile(r'name="(?:form_token|token)"[^>]*value="([^"]{8,})"')
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass
class Reply:
    """What came back: *body* is decoded JSON, or text."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass
class Explorer:
    """Sends, and remembers every secret that it sees.

    *stored* are the canaries that it publishes itself: they rest in LOGIN and TOKEN, because a test put
    them there, and must go no further. *outputs*: what the command line printed. *redis*: what was in
    Redis at a moment that matters.
    """

    house: Breakable
    canaries: Canaries
    stored: Canaries
    http: aiohttp.ClientSession
    client_secret: str
    outputs: list[bytes] = field(default_factory=list)
    redis: list[Sink] = field(default_factory=list)

    @property
    def basic(self) -> dict[str, str]:
        """The confidential client's Authorization header."""
        return self.as_client(self.client_secret)

    def as_client(self, secret: str) -> dict[str, str]:
        """The same with any secret."""
        pair = base64.b64encode(f"{CLIENT_ID}:{secret}".encode()).decode()
        return {"Authorization": self.canaries.add("basic", f"Basic {pair}")}

    def bearer(self, token: str) -> dict[str, str]:
        """A bearer header."""
        return {"Authorization": f"Bearer {self.canaries.add('access token', token)}"}

    async def send(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        """Any request to the front door, no redirect followed."""
        url = path if "://" in path else self.house.url + path
        async with self.http.request(
            method, url, json=body, allow_redirects=False, **options
        ) as answer:
            is_json = "json" in answer.content_type
            content = await answer.json(content_type=None) if is_json else await answer.text()
            self.learn_cookies({name: morsel.value for name, morsel in answer.cookies.items()})
            self.learn(content)
            return Reply(answer.status, answer.headers, content)

    def learn(self, content: Any) -> None:
        """The tokens of a JSON answer, the hidden fields of a page."""
        if isinstance(content, dict):
            for name in ("access_token", "refresh_token"):
                if content.get(name):
                    self.canaries.add(name.replace("_", " "), content[name])
        else:
            for hidden in _HIDDEN.findall(str(content)):
                self.canaries.add("form token", hidden)

    def learn_cookies(self, cookies: Mapping[str, str]) -> None:
        """The values of cookies; a counter of hops is no secret."""
        for name, value in cookies.items():
            if len(value) >= 20 and not name.endswith("-hops"):
                self.canaries.add(f"cookie {name}", value)

    async def mail(self, address: str, count: int = 1) -> tuple[str, str]:
        """Link token and code of the mail number *count*; a notice has no code."""
        mail = await self.house.mail(address, count=count)
        token = self.canaries.add("link token", token_in(mail))
        code = code_in(mail) if has_code(mail) else ""
        if code:
            self.canaries.add("code", code)
            self.canaries.add("code", code.replace("-", ""))
        return token, code

    async def ask(self, name: str, **options: Any) -> tuple[str, str]:
        """Somebody new asks for a link: the address and the attempt's id."""
        address = self.canaries.address(name)
        reply = await self.send("POST", "/auth/login", {"email": address}, **options)
        assert reply.status == 202, reply
        return address, reply.body["login_id"]

    async def log_in(self, name: str) -> tuple[str, dict[str, str]]:
        """Somebody new signs in: the address and the tokens."""
        address, _ = await self.ask(name)
        token, _ = await self.mail(address)
        reply = await self.send("POST", "/auth/link", {"token": token})
        assert reply.status == 200, reply
        return address, reply.body

    async def refused(
        self, status: int, method: str, path: str, body: Any = None, **o: Any
    ) -> None:
        """`send`, answered with *status*."""
        reply = await self.send(method, path, body, **o)
        assert reply.status == status, (method, path, reply)

    async def command(self, *arguments: str, stdin: str = "") -> None:
        """``./latchwire …`` as an operator, in a process that is forked; its output is kept."""
        lab = self.house.lab
        environment = {
            "PATH": "/usr/bin:/bin",
            "LATCHWIRE_URL": lab.url,
            "LATCHWIRE_NATS_URL": lab.plan.nats_url,
            "LATCHWIRE_SECRETS_DIR": str(lab.layout.secrets),
        }
        output = await run_recorded(*forked_words(), *arguments, stdin=stdin, **environment)
        assert b"Traceback" not in output, output.decode()
        self.outputs.append(output)

    def wrong_code(self) -> str:
        """A code nobody was sent."""
        digits = SystemIds().secret()
        text = "".join(_CROCKFORD[ord(c) % 32] for c in digits[:8])
        self.canaries.add("wrong code", text)
        return self.canaries.add("wrong code", f"{text[:4]}-{text[4:]}")
