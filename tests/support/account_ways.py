"""The ways to end a session that there are only with accounts, as in `tests.support.ways`."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from latchwire.claims import Claims
from shared.contract import OP_USERS_SET, TOKEN_REVOKED
from shared.links import login_code
from shared.messages import SetUser, TokenRevoked
from shared.secrets import load_symmetric
from tests.support.credentials import ACCESS, ADDRESSES, REFRESH, Held, sign_in
from tests.support.house import House
from tests.support.html import parse_page
from tests.support.lying_provider import LyingProvider, person
from tests.support.social import FROM_ELSEWHERE, write_providers
from tests.support.waiting import eventually
from tests.support.ways import Way, call, is_out, sign_in_and_renew_twice, submit_token

PASSWORD = "quiet harbour lantern 7"


def configure_provider(secrets_dir: Path, provider: LyingProvider) -> Path:
    """One provider, which may speak for everybody here."""
    text = f"sso:\n  title: Acme\n  issuer: {provider.url}\n  authoritative: [acme.com]\n"
    return write_providers(secrets_dir.parent, secrets_dir, text)


async def fill(house: House, held: Held, page: str, action: str, **typed: str) -> Any:
    """The form of our own page, with what is typed into it."""
    shown = await call(house, held, "GET", page)
    form = parse_page(await shown.text()).form(action)
    return await call(house, held, "POST", action, data={**form.fields, **typed})


async def ask_to_reset(house: House, email: str) -> tuple[str, str]:
    """The login_id of a forgotten password's mail, and the token of its link."""
    answer = await house.auth.call("POST", "/auth/password/forgot", {"email": email})
    login_id: str = (await answer.json())["login_id"]
    return login_id, house.auth.token_of(login_id, email, "reset_password")


def code_of(house: House, login_id: str, email: str, purpose: str) -> str:
    """The code of that mail."""
    keys = load_symmetric(house.auth.secrets_dir, "link")
    return login_code(keys.by_kid[keys.current], purpose, login_id, email)


async def reset(house: House, held: Held) -> None:
    _, token = await ask_to_reset(house, held.email)
    body = {"token": token, "password": PASSWORD}
    answer = await house.auth.call("POST", "/auth/password/reset", body)
    assert answer.status == 204, await answer.text()


async def reset_by_form(house: House, held: Held) -> None:
    _, token = await ask_to_reset(house, held.email)
    form = parse_page(await submit_token(house, held, token)).form("/auth/form/reset")
    fields = {**form.fields, "new_password": PASSWORD}
    await call(house, held, "POST", "/auth/form/reset", data=fields)


async def reset_by_code(house: House, held: Held) -> None:
    login_id, _ = await ask_to_reset(house, held.email)
    code = code_of(house, login_id, held.email, "reset_password")
    page = f"/auth/password/forgot/sent?id={login_id}"
    await fill(house, held, page, "/auth/form/reset-code", code=code, new_password=PASSWORD)


async def change(house: House, held: Held) -> None:
    await call(house, held, "PUT", "/auth/password", body={"password": PASSWORD})


async def change_by_form(house: House, held: Held) -> None:
    page, action = "/auth/account/password", "/auth/form/password"
    await fill(house, held, page, action, password="", new_password=PASSWORD)


async def delete(house: House, held: Held) -> None:
    await call(house, held, "DELETE", "/auth/me")


async def delete_by_form(house: House, held: Held) -> None:
    await fill(house, held, "/auth/account/delete", "/auth/form/delete")


async def log_in_here(house: House, held: Held) -> None:
    """With the password, in the browser that holds the session."""
    body = {"email": held.email, "password": PASSWORD, "cookies": True}
    await call(house, held, "POST", "/auth/login", body=body)


async def log_in_by_form(house: House, held: Held) -> None:
    typed = {"email": held.email, "password": PASSWORD, "way": "password"}
    await fill(house, held, "/auth/login", "/auth/form/login", **typed)


async def register_here(house: House, held: Held) -> None:
    """Somebody registers in that browser, and types the code of the mail."""
    email, typed = next(ADDRESSES), {"password": PASSWORD}
    sent = await fill(house, held, "/auth/register", "/auth/form/register", email=email, **typed)
    (login_id,) = parse_qs(urlsplit(sent.headers["Location"]).query)["id"]
    code = code_of(house, login_id, email, "verify_email")
    page = f"/auth/register/sent?id={login_id}"
    await fill(house, held, page, "/auth/form/register-code", code=code)


async def reuse_by_switching(house: House, held: Held) -> None:
    """A stolen, older refresh cookie, shown with the form that switches the organisation."""
    await fill(house, held, "/auth/account/orgs", "/auth/form/org-create", name="Acme")
    shown = await call(house, held, "GET", "/auth/account/orgs")
    form = parse_page(await shown.text()).form("/auth/form/switch")
    held.cookies = {**held.cookies, REFRESH: held.refresh[0]}
    await call(house, held, "POST", "/auth/form/switch", data=form.fields)


async def reuse_by_form(house: House, held: Held) -> None:
    """The same with any form of an account: its access token is refused by then, and renewed on the spot."""
    shown = await call(house, held, "GET", "/auth/account/orgs")
    form = parse_page(await shown.text()).form("/auth/form/org-create")
    claims = house.sdk.verify(held.access[-1])
    assert isinstance(claims, Claims)
    await house.bus.publish(TOKEN_REVOKED, TokenRevoked(scope="token", jti=claims.jti))
    await eventually(lambda: is_out(house, held))
    held.cookies = {**held.cookies, REFRESH: held.refresh[0]}
    await call(house, held, "POST", "/auth/form/org-create", data=form.fields)


async def come_back_from_a_provider(house: House, held: Held) -> None:
    """The same browser logs in there as somebody else."""
    assert house.provider is not None
    house.provider.who = person(held.sid, next(ADDRESSES))
    left = await call(house, held, "GET", "/auth/oauth/sso")
    browser = held.cookies | {name: morsel.value for name, morsel in left.cookies.items()}
    back = house.provider.answer(left.headers["Location"])
    done = await house.auth.call("GET", back, headers=FROM_ELSEWHERE, cookies=browser)
    assert ACCESS in done.cookies, await done.text()


async def operator_by_id(house: House, held: Held) -> None:
    """The ``sub`` and not the address."""
    shown = house.sdk.verify(held.access[-1])
    sub = getattr(shown, "sub", "")
    assert "@" not in sub
    await house.bus.publish(TOKEN_REVOKED, TokenRevoked(scope="subject", sub=sub))


async def block_the_mailbox(house: House, held: Held) -> None:
    await house.bus.ask(OP_USERS_SET, SetUser(email=held.email.upper(), action="block"))


async def sign_in_with_a_password(house: House) -> Held:
    """A session of somebody who has one."""
    held = await sign_in(house)
    await reset(house, held)
    return await sign_in(house, held.email)


ACCOUNT, ROUTES = "page_account.", "password_routes."
# An import that says "blocked" blocks by the very flow of `users block`; whom it creates has no session yet.
SAME_AS_BLOCK = {"accounts.on_import"}
# All of them renew by the same step (`services.auth.http.page_renewing`).
FORMS = (
    "page_invitations.accept",
    *(
        f"page_org_actions.{name}"
        for name in ("create", "delete", "invite", "leave", "remove", "rename", "set_roles")
    ),
    "page_org_actions.withdraw",
    # They know the person in the same way, and renew on the spot.
    *(f"social_routes.{name}" for name in ("confirmed", "link_login", "unlink_login")),
)
ACCOUNT_PATHS = {
    "forgotten password": Way(reset, (ROUTES + "reset",), links=True),
    "forgotten password, form": Way(reset_by_form, ("page_account_actions.reset",), links=True),
    "forgotten password, code": Way(
        reset_by_code, ("page_account_actions.reset_by_code",), links=True
    ),
    "new password": Way(change, (ROUTES + "change",), links=True),
    "new password, form": Way(change_by_form, (ACCOUNT + "change_password",), links=True),
    "account deleted": Way(delete, ("deletion_routes.delete_me",), links=True),
    "account deleted, form": Way(delete_by_form, (ACCOUNT + "delete_now",), links=True),
    "password login here": Way(
        log_in_here, ("link_routes.request_link",), enter=sign_in_with_a_password
    ),
    "password login here, form": Way(
        log_in_by_form, ("page_actions.login",), enter=sign_in_with_a_password
    ),
    "registering here, code": Way(register_here, ("page_account_actions.register_code",)),
    "provider's login here": Way(come_back_from_a_provider, ("social_routes.callback",)),
    "refresh reuse, switching": Way(
        reuse_by_switching, ("page_org_actions.switch",), enter=sign_in_and_renew_twice
    ),
    "refresh reuse, form": Way(reuse_by_form, FORMS, enter=sign_in_and_renew_twice),
    "operator, person by id": Way(operator_by_id, links=True),
    "users block, by address": Way(block_the_mailbox, links=True),
}
