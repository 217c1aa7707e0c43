"""Operators and accounts: list, show, roles, block, import, export: commands against auth on real servers."""

import asyncio
import hashlib
import json
import stat
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from argon2 import PasswordHasher

from ctl import exits
from ctl.accounts_words import REFUSALS
from shared.bus import Bus
from shared.contract import (
    OP_DELETIONS_LIST,
    OP_USERS_EXPORT,
    OP_USERS_LIST,
    OP_USERS_ROLES,
    OP_USERS_SET,
    USER_REGISTERED,
    USER_ROLES_CHANGED,
)
from shared.messages import ExportUsers, ListDeletions, ListUsers, SetRoles, SetUser
from tests.support.auth_workers import AuthWorkers, bearer, running_workers
from tests.support.command_line import Answer, CommandLine
from tests.support.revocation import environment
from tests.support.servers import NatsServer, RedisServer
from tests.support.waiting import eventually

ROLES = """\
installation: {auditor: [audit.read]}
organisation:
  owner: [members.invite, members.read, members.remove, members.roles, org.delete, org.rename]
  admin: [members.read]
"""
PASSWORD = "correct horse battery"


@dataclass
class Office:
    """Auth with accounts, and the command line of its operator."""

    auth: AuthWorkers
    latchwire: CommandLine
    operator: Bus

    async def run(self, *words: str | Path) -> Answer:
        return await self.latchwire.run(*map(str, words))

    def file(self, *lines: dict[str, Any] | str, name: str = "people.jsonl") -> Path:
        """A file of these lines."""
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path = self.latchwire.folder / name
        path.write_text("\n".join(texts) + "\n")
        return path

    async def listed(self) -> list[dict[str, Any]]:
        """What `users list` is told, at most a page."""
        page = await self.operator.ask(OP_USERS_LIST, ListUsers())
        return [user.model_dump(exclude_none=True, mode="json") for user in page.users]

    async def log_in(self, email: str, password: str) -> dict[str, Any] | None:
        """By password; None: 401."""
        body = {"email": email, "password": password}
        answer = await self.auth.call("POST", "/auth/login", body)
        assert answer.status in {200, 401}, await answer.text()
        tokens: dict[str, Any] = await answer.json()
        return tokens if answer.status == 200 else None

    async def me(self, access_token: str) -> dict[str, Any]:
        answer = await self.auth.call("GET", "/auth/me", headers=bearer(access_token))
        body: dict[str, Any] = await answer.json()
        return body

    async def is_told(self, access_token: str, code: str | None) -> bool:
        """Whether `me` refuses the token with *code* (None: lets it in)."""
        return (await self.me(access_token)).get("code") == code


class Offices:
    """Opens an installation whose accounts are in the store *name*, on the test's own servers."""

    def __init__(self, nats: NatsServer, redis: RedisServer, folder: Path) -> None:
        self._nats, self._redis, self._folder = nats, redis, folder
        (folder / "cli").mkdir()
        self._latchwire = CommandLine(environment(nats), folder / "cli")
        (folder / "roles.yaml").write_text(ROLES)

    @asynccontextmanager
    async def open(self, name: str | None, **more: str) -> AsyncIterator[Office]:
        url = {"accounts_url": f"sqlite:///{self._folder / name}.db"} if name else {}
        options: dict[str, Any] = {
            "roles": self._folder / "roles.yaml",
            "hash_workers": 1,
            **url,
            **more,
        }
        nats, redis = self._nats, self._redis
        async with (
            running_workers(nats, redis, nats.secrets_dir, doors=1, **options) as auth,
            nats.connect("operator") as operator,
        ):
            yield Office(auth, self._latchwire, operator)


@pytest.fixture
def offices(nats_server: NatsServer, redis_server: RedisServer, tmp_path: Path) -> Offices:
    return Offices(nats_server, redis_server, tmp_path)


@pytest.fixture
async def office(offices: Offices) -> AsyncIterator[Office]:
    async with offices.open("accounts") as office:
        yield office


def argon2_of(password: str) -> str:
    return PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(password)


def bcrypt_of(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(8)).decode()


def scrypt_of(password: str) -> str:
    salt = b"0123456789abcdef"
    derived = hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)
    return f"$scrypt$ln=14,r=8,p=1${b64encode(salt).decode()}${b64encode(derived).decode()}"


def pbkdf2_of(password: str) -> str:
    derived = hashlib.pbkdf2_hmac("sha256", password.encode(), b"saltsaltsalt", 20_000)
    return f"pbkdf2_sha256$20000$saltsaltsalt${b64encode(derived).decode()}"


KINDS = {"argon2": argon2_of, "bcrypt": bcrypt_of, "scrypt": scrypt_of, "pbkdf2": pbkdf2_of}


async def test_without_accounts_every_command_says_so_in_one_line(offices: Offices) -> None:
    """Exit 1; block and show work all the same."""
    async with offices.open(None) as office:
        people = office.file({"email": "ada@acme.com"})
        commands: list[tuple[str | Path, ...]] = [
            ("users", "list"),
            ("users", "import", people),
            ("deletions", "list"),
            ("users", "show", "ada@acme.com"),
        ]
        async with asyncio.TaskGroup() as all_of_them:
            tasks = [all_of_them.create_task(office.run(*command)) for command in commands]
        *answers, shown = [task.result() for task in tasks]
        errors = {
            (await office.operator.ask(OP_USERS_ROLES, SetRoles(email="ada@acme.com"))).error,
            (await office.operator.ask(OP_USERS_EXPORT, ExportUsers())).error,
        }

    assert errors == {"accounts_off"}
    for answer in answers:
        assert (answer.code, answer.out) == (exits.FAILED, ""), answer
        assert answer.err.splitlines()[1:] == [REFUSALS["accounts_off"]]
    assert (shown.code, shown.out) == (exits.DONE, "ada@acme.com: may log in, 0 sessions\n")


async def test_who_has_no_account_is_said_to_have_none(office: Office) -> None:
    """In words, and in a field; who has one has the field too."""
    none = await office.run("users", "show", "ada@acme.com")
    told = await office.run("users", "show", "--json", "ada@acme.com")
    await office.auth.sign_in()
    some = await office.run("users", "show", "--json", "ada@acme.com")
    shown = await office.run("users", "show", "ada@acme.com")

    assert none.out == "ada@acme.com: may log in, 0 sessions\n  no account\n"
    assert told.json["has_account"] is False
    assert "account" not in told.json
    assert some.json["has_account"] is True
    assert shown.out.startswith("ada@acme.com: may log in, 1 session\n")
    assert "no account" not in shown.out


async def test_one_account_is_said_to_be_one(office: Office) -> None:
    """Each way, and nothing else is said: no progress of what is done at once."""
    file = office.file({"email": "ada@acme.com"})
    checked = await office.run("users", "import", file, "--check")
    written = await office.run("users", "import", file)
    exported = await office.run("users", "export")

    assert checked.out.splitlines()[-1] == "1 account can be written, 0 are there already"
    assert written.out.splitlines()[-1] == "1 account written, 0 were there already"
    assert [answer.err.splitlines()[1:] for answer in (checked, written, exported)] == [
        [],
        [],
        ["exported 1 account"],
    ]


async def test_who_is_exported_and_brought_into_an_empty_installation_is_the_same(
    offices: Offices,
) -> None:
    """Ids, roles, blocks and passwords of every kind of hash; those who could log in still can."""
    async with offices.open("old") as old:
        people = [
            {"email": f"{kind}@acme.com", "verified": True, "password_hash": make(PASSWORD + kind)}
            for kind, make in KINDS.items()
        ]
        more = [
            {"email": "link@acme.com", "verified": True, "roles": ["auditor"], "sub": "legacy|7"},
            {"email": "barred@acme.com", "verified": True, "blocked": True},
        ]
        assert (await old.run("users", "import", old.file(*people, *more))).code == exits.DONE
        before = await old.listed()
        # One logs in, so that the hash becomes ours; the others keep theirs.
        assert await old.log_in("bcrypt@acme.com", PASSWORD + "bcrypt")
        target = old.latchwire.folder / "export.jsonl"
        bare = await old.operator.ask(OP_USERS_EXPORT, ExportUsers())
        out = await old.run("users", "export", "--password-hashes", "--out", target)

    assert (out.code, out.out) == (exits.DONE, "")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert {user.password_hash for user in bare.users} == {""}
    async with offices.open("new") as new:
        written = await new.run("users", "import", target)
        assert (written.code, written.out) == (
            exits.DONE,
            "6 accounts written, 0 were there already\n",
        )
        after = await new.listed()
        for kind in KINDS:
            email = f"{kind}@acme.com"
            tokens = await new.log_in(email, PASSWORD + kind)
            assert tokens, f"{kind} cannot log in any more"
            (sub,) = [user["sub"] for user in before if user["email"] == email]
            assert (await new.me(tokens["access_token"]))["sub"] == sub
            assert await new.log_in(email, PASSWORD) is None
        auditor = await new.auth.sign_in("link@acme.com")
        me = await new.me(auditor["access_token"])
        assert (me["sub"], me["roles"]) == ("legacy|7", ["auditor"])
        barred = await new.run("users", "show", "barred@acme.com")
        assert "blocked since" in barred.out

    def same(users: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        names = ("sub", "email", "created_at", "has_password", "roles")  # proven: at the import
        return sorted(tuple(map(str, (user.get(name) for name in names))) for user in users)

    assert same(before) == same(after)
    assert [user["email"] for user in after if user.get("blocked_at")] == ["barred@acme.com"]


GOOD = {"email": "good@acme.com"}
BAD: dict[str, tuple[dict[str, Any] | str, str]] = {
    "no JSON": ("{", "invalid_json"),
    "no object": ("[]", "invalid_fields"),
    "an unknown field": ({"email": "a@acme.com", "is_admin": True}, "invalid_fields"),
    "a field of another type": ({"email": "b@acme.com", "roles": "auditor"}, "invalid_fields"),
    "no address": ({"email": "nobody"}, "invalid_email"),
    "two in one": ({"email": "a@evil.com>c@acme.com"}, "invalid_email"),
    "an address again, written otherwise": ({"email": "Good@ACME.com"}, "duplicate_email"),
    "a sub again": ({"email": "d@acme.com", "sub": "twice"}, "duplicate_sub"),
    "somebody's sub": ({"email": "e@acme.com", "sub": "taken"}, "sub_taken"),
    "a stranger's address as sub": ({"email": "f@acme.com", "sub": "ada@acme.com"}, "invalid_sub"),
    "a role nobody has": ({"email": "g@acme.com", "roles": ["root"]}, "unknown_role"),
    "a role of organisations": ({"email": "h@acme.com", "roles": ["owner"]}, "unknown_role"),
    "a hash of a kind that is not known": (
        {"email": "i@acme.com", "verified": True, "password_hash": "5f4dcc3b5aa765d61d8327deb882cf99"},
        "hash_unknown",
    ),
    "a hash that would cost a minute": (
        {"email": "j@acme.com", "verified": True, "password_hash": bcrypt_of("x").replace("$08$", "$20$")},
        "hash_too_costly",
    ),
    "a password without a proven address": (
        {"email": "k@acme.com", "password_hash": bcrypt_of("x")},
        "unproven_password",
    ),
    "other than what is there": ({"email": "there@acme.com", "roles": ["auditor"]}, "exists"),
}  # fmt: skip


async def test_nothing_is_written_while_a_line_has_a_problem(office: Office) -> None:
    """Every kind of problem once, each named with its line; and no line repeats what was in it."""
    there = office.file(
        {"email": "there@acme.com", "verified": True}, {"email": "t2@acme.com", "sub": "taken"}
    )
    assert (await office.run("users", "import", there)).code == exits.DONE
    first = [GOOD, {"email": "twice@acme.com", "sub": "twice"}]
    file = office.file(*first, *(line for line, _ in BAD.values()))

    async with asyncio.TaskGroup() as both:
        runs = [("users", "import", file, *more) for more in ((), ("--check",))]
        tasks = [both.create_task(office.run(*run)) for run in runs]
    answers = [task.result() for task in tasks]

    expected = [f"line {n}: {code}" for n, (_, code) in enumerate(BAD.values(), 3)]
    for answer in answers:
        assert answer.code == exits.FAILED
        said = [":".join(line.split(":")[:2]) for line in answer.out.splitlines()]
        assert said == expected
        told = f"nothing was written: {len(BAD)} problems in {len(first) + len(BAD)} lines"
        assert answer.err.splitlines()[1:] == [told]
        assert "@" not in answer.out.replace("like ada@example.com", "")
        assert "$2b$" not in answer.out + answer.err
    assert len(await office.listed()) == 2


async def test_an_import_that_was_interrupted_is_begun_again(office: Office) -> None:
    """250 people, the first 120 of them there already: nobody is written, or told of, twice."""
    told: dict[str, str] = {}  # by the event: said again under its id, it is the same one

    async def hear(event: Any) -> None:
        told[event.id] = event.sub

    await office.operator.listen(USER_REGISTERED, hear)
    people = [{"email": f"p{n:03}@acme.com", "verified": n % 2 == 0} for n in range(250)]
    part = office.file(*people[:120], name="part.jsonl")
    whole = office.file(*people)

    outs = [(await office.run("users", "import", file)).out for file in (part, whole)]

    assert outs == [
        "120 accounts written, 0 were there already\n",
        "130 accounts written, 120 were there already\n",
    ]
    answer = await office.run("users", "list", "--json")
    users = [json.loads(line) for line in answer.out.splitlines()]
    assert [user["sub"] for user in users] == sorted(user["sub"] for user in users)
    assert {user["email"] for user in users} == {person["email"] for person in people}
    await eventually(lambda: sorted(told.values()) == sorted(user["sub"] for user in users))


async def test_a_role_counts_at_once_and_is_gone_at_once(office: Office) -> None:
    """The tokens that say otherwise are refused, the session goes on, everybody hears."""
    heard: dict[str, tuple[str, str]] = {}  # by the event

    async def hear(event: Any) -> None:
        heard[event.id] = (event.sub, event.org)

    await office.operator.listen(USER_ROLES_CHANGED, hear)
    tokens = await office.auth.sign_in()
    sub = (await office.me(tokens["access_token"]))["sub"]

    for words, code, roles in (
        (("--grant", "auditor"), "token_revoked", ["auditor"]),
        (("--revoke", "auditor"), "token_revoked", []),
        (("--revoke", "auditor"), None, []),
    ):
        answer = await office.run("users", "roles", "ada@acme.com", *words)
        assert answer.code == exits.DONE, answer
        # Stored when the command ends; auth's own feed may have it a moment later.
        await eventually(partial(office.is_told, tokens["access_token"], code))
        body = {"refresh_token": tokens["refresh_token"]}
        tokens = await (await office.auth.call("POST", "/auth/refresh", body)).json()
        assert (await office.me(tokens["access_token"]))["roles"] == roles

    assert [*heard.values()] == [(sub, "")] * 2, "what was so already is told to nobody"
    refused = await office.run("users", "roles", "ada@acme.com", "--grant", "root")
    said = [REFUSALS["unknown_role"]]
    assert (refused.code, refused.err.splitlines()[1:]) == (exits.FAILED, said)
    refusals = {
        "unknown_role": SetRoles(email="ada@acme.com", grant=("owner",)),
        "no_account": SetRoles(email="nobody@acme.com", grant=("auditor",)),
        "no_such_member": SetRoles(email="ada@acme.com", grant=("admin",), org="0" * 26),
        "invalid_email: at_sign": SetRoles(email="nobody", grant=("auditor",)),
    }
    for code, request in refusals.items():
        assert (await office.operator.ask(OP_USERS_ROLES, request)).error == code


async def test_an_operator_changes_roles_in_an_organisation_but_leaves_it_an_owner(
    office: Office,
) -> None:
    """Granted beside those held; the last owner stays one."""
    tokens = await office.auth.sign_in()
    headers = bearer(tokens["access_token"])
    made = await office.auth.call("POST", "/auth/orgs", {"name": "Acme"}, headers=headers)
    org = (await made.json())["org"]

    request = SetRoles(email="ada@acme.com", grant=("admin",), org=org)
    granted = await office.operator.ask(OP_USERS_ROLES, request)
    last = await office.run("users", "roles", "ada@acme.com", "--revoke", "owner", "--org", org)
    shown = await office.run("users", "show", "ada@acme.com")

    assert (granted.error, last.code) == ("", exits.FAILED)
    assert REFUSALS["last_owner"] in last.err
    assert f"in Acme: admin, owner ({org})" in shown.out


async def test_a_block_ends_what_a_person_with_an_account_has(office: Office) -> None:
    """Sessions are under the id, the block is of the address: both; lifted, the person logs in again."""
    tokens = await office.auth.sign_in()
    blocked = await office.run("users", "block", "ada@acme.com", "--reason", "left")
    await eventually(partial(office.is_told, tokens["access_token"], "token_revoked"))
    refreshed = await office.auth.call(
        "POST", "/auth/refresh", {"refresh_token": tokens["refresh_token"]}
    )
    await office.operator.ask(OP_USERS_SET, SetUser(email="ada@acme.com", action="unblock"))
    again = await office.auth.sign_in()

    assert "ada@acme.com: blocked since" in blocked.out
    assert blocked.out.rstrip().endswith("0 sessions")
    assert refreshed.status == 401
    assert (await office.me(again["access_token"]))["email"] == "ada@acme.com"


async def test_whose_data_is_still_being_erased_is_listed(offices: Offices) -> None:
    """Who is missing, how often it was asked and what came of it; no address."""
    async with offices.open("accounts", deletion_services="shop", deletion_deadline="1h") as office:
        empty = await office.run("deletions", "list")
        tokens = await office.auth.sign_in()
        await office.auth.call("DELETE", "/auth/me", headers=bearer(tokens["access_token"]))

        async def asked() -> bool:
            (row,) = (await office.operator.ask(OP_DELETIONS_LIST, ListDeletions())).deletions
            own, shop = row.services
            return own.answered_at is not None and shop.note != ""

        await eventually(asked)
        waiting = await office.run("deletions", "list", "--all")

    assert (empty.code, empty.out) == (exits.DONE, "no deletion is waiting\n")
    heading, line = waiting.out.splitlines()
    assert heading.split() == ["DELETION", "SUB", "REQUESTED", "DEADLINE", "STATE", "WAITS", "FOR"]
    assert line.endswith("waiting  shop (asked 1x: no answer)")
    assert "@" not in waiting.out
