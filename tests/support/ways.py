"""The ways to end a session: how each is taken, and through which functions of auth it goes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from shared.contract import OP_USERS_SET, TOKEN_REVOKED, TOKEN_REVOKED_BY
from shared.messages import SetUser, TokenRevoked
from tests.support.auth_workers import bearer
from tests.support.credentials import (
    ADDRESSES,
    LOGIN,
    SAME_ORIGIN,
    Held,
    Replay,
    lives,
    sign_in,
    sign_in_through,
)
from tests.support.house import SHOP, House
from tests.support.html import parse_page
from tests.support.waiting import eventually

Take = Callable[[House, Held], Awaitable[Any]]


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
KEY_PATHS = {"ctl.kill_key", "ctl.edge_keys"}  # what a key's end does has tests of its own
# Services have no session of people; what their end does has tests of its own.
SERVICE_TOKEN_PATHS = {"service_token_routes.revoke", "page_org_tokens.end", "ctl.own_token"}
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


async def nothing_is_left(house: House, way: Way) -> None:
    """Take *way*: nothing of the session does anything for anybody; another person's is untouched."""
    held, witness = await way.enter(house), await sign_in(house)
    assert [] == await lives(house, witness)
    assert house.sdk_accepts(held.access[-1])

    await way.take(house, held)

    await eventually(lambda: is_out(house, held), within=30)
    assert [] == await Replay(house, held).all(links=way.links)
    assert [] == await lives(house, witness)


async def is_out(house: House, held: Held) -> bool:
    """Whether the revocation has arrived at all three; the rest follows from that."""
    me = await house.auth.call("GET", "/auth/me", headers=bearer(held.access[-1]))
    edge = await house.edge_accepts(token=held.access[-1])
    return me.status == 401 and not edge and not house.sdk_accepts(held.access[-1])
