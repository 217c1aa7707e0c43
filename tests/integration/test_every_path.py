"""Every path that ends a session ends all of it, for everybody, and nobody else's.

Each row signs in, takes the path, and then shows every credential of the session to the edge, to auth and to a
service with the SDK. A new path is one row. The last test reads the code: a door of auth that can end a session
and has no row fails it.
"""

import ast
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from latchwire.claims import Claims
from shared.contract import OP_USERS_SET, TOKEN_REVOKED, TOKEN_REVOKED_BY, Role
from shared.messages import SetUser, TokenRevoked
from shared.secrets import load_symmetric, signing_paths
from tests.support.auth_workers import ORIGIN, bearer
from tests.support.credentials import (
    ACCESS,
    ADDRESSES,
    LOGIN,
    SAME_ORIGIN,
    Held,
    Replay,
    lives,
    sign_in,
    sign_in_through,
)
from tests.support.house import SHOP, House, running_house
from tests.support.html import parse_page
from tests.support.servers import ROOT
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
Function = ast.FunctionDef | ast.AsyncFunctionDef
Take = Callable[[House, Held], Awaitable[Any]]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One for all rows; every row has people of its own."""
    async with running_house(tmp_path_factory.mktemp("house")) as running:
        yield running


async def call(house: House, held: Held, method: str, path: str, **more: Any) -> Any:
    """As the browser that holds the session."""
    headers = {**SAME_ORIGIN, **more.pop("headers", {})}
    answer = await house.auth.call(method, path, headers=headers, cookies=held.cookies, **more)
    assert answer.status < 400, (answer.status, await answer.text())
    return answer


async def submit(house: House, held: Held, page: str, action: str, **fields: str) -> Any:
    """The form of our own page, as that page gives it to this browser."""
    shown = await call(house, held, "GET", page)
    form = parse_page(await shown.text()).form(action, **fields)
    return await call(house, held, "POST", action, data=form.fields)


async def logout_by_post(house: House, held: Held) -> None:
    await call(house, held, "POST", "/auth/logout")


async def logout_by_delete(house: House, held: Held) -> None:
    await house.auth.call("DELETE", "/auth/logout", headers=bearer(held.access[0]))


async def logout_by_refresh_token(house: House, held: Held) -> None:
    await house.auth.call("POST", "/auth/logout", {"refresh_token": held.refresh[0]})


async def logout_by_form(house: House, held: Held) -> None:
    await submit(house, held, "/auth/account", "/auth/form/logout")


async def end_one_by_form(house: House, held: Held) -> None:
    me = await house.auth.call("GET", "/auth/sessions", headers=bearer(held.access[-1]))
    handle = (await me.json())["sessions"][0]["handle"]
    shown = await call(house, held, "GET", "/auth/account")
    form = parse_page(await shown.text()).form("/auth/form/sessions", handle="all")
    fields = {**form.fields, "handle": handle}
    await call(house, held, "POST", "/auth/form/sessions", data=fields)


async def end_one_from_another(house: House, held: Held) -> None:
    other = await house.auth.sign_in(held.email)
    listed = await house.auth.call("GET", "/auth/sessions", headers=bearer(other["access_token"]))
    handles = [s["handle"] for s in (await listed.json())["sessions"] if not s["current"]]
    for handle in handles:
        path = f"/auth/sessions/{handle}"
        await house.auth.call("DELETE", path, headers=bearer(other["access_token"]))
    assert house.sdk_accepts(other["access_token"])


async def everywhere(house: House, held: Held) -> None:
    await call(house, held, "DELETE", "/auth/sessions")


async def everywhere_by_form(house: House, held: Held) -> None:
    await submit(house, held, "/auth/account", "/auth/form/sessions", handle="all")


async def sign_in_again_here(house: House, held: Held) -> None:
    """The session this browser held would live on where nobody sees it."""
    body = {"token": held.unopened[0], "cookies": True}
    await call(house, held, "POST", "/auth/link", body=body)


async def sign_in_again_by_form(house: House, held: Held) -> None:
    shown = await submit_token(house, held, held.unopened[0])
    form = parse_page(shown).form("/auth/form/link")
    await call(house, held, "POST", "/auth/form/link", data=form.fields)


async def sign_in_again_by_code(house: House, held: Held) -> None:
    login_id = await house.auth.ask(held.email)
    page = f"/auth/login/sent?id={login_id}"
    shown = await call(house, held, "GET", page)
    form = parse_page(await shown.text()).form("/auth/form/code")
    fields = {**form.fields, "code": house.auth.code_of(login_id, held.email)}
    await call(house, held, "POST", "/auth/form/code", data=fields)


async def submit_token(house: House, held: Held, token: str) -> str:
    """What the link's page does: post the token from the fragment. The page it leads to."""
    shown = await call(house, held, "GET", "/auth/link")
    form = parse_page(await shown.text()).form("/auth/form/inspect")
    answer = await call(
        house, held, "POST", "/auth/form/inspect", data={**form.fields, "token": token}
    )
    text: str = await answer.text()
    return text


async def reuse(house: House, held: Held) -> None:
    answer = await house.auth.call("POST", "/auth/refresh", {"refresh_token": held.refresh[0]})
    assert 401 == answer.status


async def reuse_by_cookie(house: House, held: Held) -> None:
    """A navigation with a stolen, older refresh cookie."""
    stolen = {**held.cookies, "latchwire-dev-refresh": held.refresh[0]}
    answer = await house.auth.call(
        "GET", "/auth/continue?next=/", headers=SAME_ORIGIN, cookies=stolen
    )
    assert 303 == answer.status


async def this_was_not_me(house: House, held: Held) -> None:
    """A thief signs in from another browser; the owner presses the button of the notice."""
    stranger = {LOGIN: "o" * 43}
    shown = await house.auth.call("GET", "/auth/link", headers=SAME_ORIGIN, cookies=stranger)
    form = parse_page(await shown.text()).form("/auth/form/inspect")
    fields = {**form.fields, "token": held.notice}
    shown = await house.auth.call(
        "POST", "/auth/form/inspect", data=fields, headers=SAME_ORIGIN, cookies=stranger
    )
    form = parse_page(await shown.text()).form("/auth/form/notice")
    done = await house.auth.call(
        "POST", "/auth/form/notice", data=form.fields, headers=SAME_ORIGIN, cookies=stranger
    )
    assert "/auth/session-ended" == done.headers["Location"]


async def rfc_7009_refresh(house: House, held: Held) -> None:
    await house.auth.call("POST", "/auth/revoke", data={"token": held.refresh[-1]})


async def rfc_7009_access(house: House, held: Held) -> None:
    await house.auth.call("POST", "/auth/revoke", data={"token": held.access[0]})


async def operator_session(house: House, held: Held) -> None:
    await house.bus.publish(TOKEN_REVOKED, TokenRevoked(scope="session", sid=held.sid))


async def operator_person(house: House, held: Held) -> None:
    await house.bus.publish(TOKEN_REVOKED, TokenRevoked(scope="subject", sub=held.email))


async def operator_service(house: House, held: Held) -> None:
    await house.bus.publish(TOKEN_REVOKED, TokenRevoked(scope="service", service=held.client))


async def block(house: House, held: Held) -> None:
    await house.bus.ask(OP_USERS_SET, SetUser(email=held.email, action="block"))


async def by_hand(house: House, held: Held) -> None:
    body = f'{{"scope":"subject","sub":" {held.email.upper()}","reason":"laptop stolen"}}'
    ack = await house.bus.client.request("token.revoked", body.encode(), timeout=5)
    assert b'"stream":"TOKEN"' in ack.data.replace(b" ", b"")


async def service_session(house: House, held: Held) -> None:
    event = TokenRevoked(scope="session", sid=held.sid)
    await house.shop_bus.publish(TOKEN_REVOKED_BY.of("shop"), event)


async def service_person(house: House, held: Held) -> None:
    event = TokenRevoked(scope="subject", sub=held.email)
    await house.shop_bus.publish(TOKEN_REVOKED_BY.of("shop"), event)


@dataclass(frozen=True)
class Way:
    """One way to end a session. *doors* are the functions of the code that it goes through.

    *links*: unopened links die with it. *enter* signs in.
    """

    take: Take
    doors: tuple[str, ...] = ()
    links: bool = False
    enter: Callable[[House], Awaitable[Held]] = sign_in


async def sign_in_and_renew_twice(house: House) -> Held:
    """So that the first refresh token is older than the one that two tabs may share."""
    return await sign_in(house, renewals=2)


async def sign_in_elsewhere_first(house: House) -> Held:
    """The person has a browser, and then there is another: a notice is sent."""
    email = next(ADDRESSES)
    await house.auth.sign_in(email, headers={"User-Agent": "curl/8"})
    return await sign_in(house, email)


async def sign_in_through_the_shop(house: House) -> Held:
    """A confidential client's session."""
    return await sign_in_through(house, SHOP)


SESSION, PAGES = "session_routes.", "page_actions."
KEY_PATHS = {"ctl.kill_key"}  # what a key's end does is shown below
PATHS = {
    "logout POST": Way(logout_by_post, (SESSION + "logout",)),
    "logout DELETE": Way(logout_by_delete),
    "logout by refresh token": Way(logout_by_refresh_token),
    "logout form": Way(logout_by_form, (PAGES + "logout",)),
    "one of the list, form": Way(end_one_by_form, (PAGES + "sessions",)),
    "one of the list, from another session": Way(
        end_one_from_another, (SESSION + "end_session",), links=True
    ),
    "sign out everywhere": Way(everywhere, (SESSION + "end_all",), links=True),
    "sign out everywhere, form": Way(everywhere_by_form, links=True),
    "signing in again": Way(sign_in_again_here, ("link_routes.exchange_link",), links=True),
    "signing in again, form": Way(sign_in_again_by_form, (PAGES + "link",), links=True),
    "signing in again, code": Way(sign_in_again_by_code, (PAGES + "code",), links=True),
    "refresh reuse": Way(reuse, (SESSION + "refresh",), enter=sign_in_and_renew_twice),
    "refresh reuse, cookie": Way(
        reuse_by_cookie, ("page_continue.continue_",), enter=sign_in_and_renew_twice
    ),
    "this was not me": Way(this_was_not_me, (PAGES + "notice",), enter=sign_in_elsewhere_first),
    "RFC 7009, refresh token": Way(rfc_7009_refresh, ("oauth_routes.revoke",)),
    "RFC 7009, access token": Way(rfc_7009_access),
    "operator, session": Way(operator_session, ("ctl.revoke",)),
    "operator, person": Way(operator_person, links=True),
    "operator, service": Way(operator_service, enter=sign_in_through_the_shop),
    "users block": Way(block, ("users.on_set",), links=True),
    "nats req": Way(by_hand, links=True),
    "token.revoked.by, session": Way(service_session),
    "token.revoked.by, person": Way(service_person, links=True),
}


@pytest.mark.parametrize("name", PATHS)
async def test_nothing_of_a_session_that_ended_does_anything(house: House, name: str) -> None:
    """Refused at the edge, at auth and by the SDK; another person's session is untouched."""
    path = PATHS[name]
    held, witness = await path.enter(house), await sign_in(house)
    assert [] == await lives(house, witness)
    assert house.sdk_accepts(held.access[-1])

    await path.take(house, held)

    await eventually(lambda: is_out(house, held), within=10)
    assert [] == await Replay(house, held).all(links=path.links)
    assert [] == await lives(house, witness)


async def is_out(house: House, held: Held) -> bool:
    """Whether the revocation has arrived at all three; the rest follows from that."""
    me = await house.auth.call("GET", "/auth/me", headers=bearer(held.access[-1]))
    edge = await house.edge_accepts(token=held.access[-1])
    return me.status == 401 and not edge and not house.sdk_accepts(held.access[-1])


async def test_a_revoked_token_is_refused_and_its_session_goes_on(house: House) -> None:
    """Scope token ends no session: the next access token counts."""
    held = await sign_in(house)
    claims = house.sdk.verify(held.access[-1])
    assert isinstance(claims, Claims)
    for bus, subject in (
        (house.bus, TOKEN_REVOKED),
        (house.shop_bus, TOKEN_REVOKED_BY.of("shop")),
    ):
        await bus.publish(subject, TokenRevoked(scope="token", jti=claims.jti))

    await eventually(lambda: is_out(house, held))
    assert not await house.edge_accepts(cookie=held.access[-1])
    assert house.sdk_accepts(held.access[0])
    answer = await house.auth.call("POST", "/auth/refresh", headers=ORIGIN, cookies=held.cookies)
    assert 200 == answer.status
    assert await house.edge_accepts(token=answer.cookies[ACCESS].value)


async def test_a_revoked_refresh_key_renews_nothing(house: House) -> None:
    """Access tokens count until they expire; every refresh token of that key is dead."""
    keys = load_symmetric(house.auth.secrets_dir, "refresh")
    held = await sign_in(house)
    event = TokenRevoked(scope="key", kid=f"refresh/{keys.current}")
    await house.bus.publish(TOKEN_REVOKED, event)

    async def renews_nothing() -> bool:
        body = {"refresh_token": held.refresh[-1]}
        return (await house.auth.call("POST", "/auth/refresh", body)).status == 401

    await eventually(renews_nothing)
    assert await house.edge_accepts(token=held.access[-1])


async def test_a_revoked_signing_key_ends_every_access_token(house: House) -> None:
    """The last of the module: afterwards nobody is anybody."""
    people = [await sign_in(house, renewals=0) for _ in range(2)]
    kid = signing_paths(house.auth.secrets_dir)[-1].stem
    await house.bus.publish(TOKEN_REVOKED, TokenRevoked(scope="key", kid=kid))

    for held in people:
        await eventually(lambda held=held: is_out(house, held))  # type: ignore[misc]
        assert not await house.edge_accepts(cookie=held.access[0])


def doors_that_end_sessions() -> set[str]:
    """Auth's requests and questions from which `TOKEN_REVOKED` can be published, and the modules of the command

    line that publish it. By the names of what is called: one too many is found rather than one too few.
    """
    functions = [
        f for part in ("flows", "http", "handlers") for f in _functions(f"services/auth/{part}")
    ]
    # The announcer ends nothing: it publishes what others have ended.
    functions = [(module, node) for module, node in functions if module != "announcing"]
    ends = {node.name for _, node in functions if _publishes(node)}
    assert ends, "nothing publishes token.revoked any more?"
    while more := {node.name for _, node in functions if _calls(node) & ends} - ends:
        ends |= more
    doors = {f"{m}.{node.name}" for m, node in functions if node.name in ends and _is_door(node)}
    return doors | {f"ctl.{module}" for module, node in _functions("ctl") if _publishes(node)}


def _functions(folder: str) -> list[tuple[str, Function]]:
    paths = sorted((ROOT / folder).rglob("*.py"))
    return [(path.stem, node) for path in paths for node in _outermost(ast.parse(path.read_text()))]


def _outermost(tree: ast.Module) -> list[Function]:
    """Functions and methods; what is defined inside one belongs to it."""
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef)]
    bodies = [tree.body, *(c.body for c in classes)]
    return [n for body in bodies for n in body if isinstance(n, Function)]


def _publishes(function: Function) -> bool:
    names = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}
    return bool(names & {"TOKEN_REVOKED", "TOKEN_REVOKED_BY"}) and "publish" in _calls(function)


def _calls(function: Function) -> set[str]:
    called = [n.func for n in ast.walk(function) if isinstance(n, ast.Call)]
    return {f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "") for f in called}


def _is_door(function: Function) -> bool:
    args = {
        a.annotation.attr for a in function.args.args if isinstance(a.annotation, ast.Attribute)
    }
    return ("Request" in args and not function.name.startswith("_")) or function.name.startswith(
        "on_"
    )


async def test_every_door_that_can_end_a_session_has_its_row() -> None:
    """Also the next one."""
    rows = {door for path in PATHS.values() for door in path.doors} | KEY_PATHS

    assert doors_that_end_sessions() - rows == set()
    # Nobody else may publish it, so nowhere else need be looked.
    assert {Role.AUTH, Role.OPERATOR} == set(TOKEN_REVOKED.producers)
    assert (Role.SERVICE,) == TOKEN_REVOKED_BY.producers
