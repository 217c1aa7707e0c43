"""Every flow of registration and passwords, the failing ones too, with a canary for each password."""

from shared.ids import SystemIds
from tests.support.explorer import Explorer


def password(e: Explorer) -> str:
    """One that nobody else has, and that is looked for from now on."""
    return e.canaries.add("password", SystemIds().secret())


async def _login_id(e: Explorer, path: str, **body: str) -> str:
    reply = await e.send("POST", path, body)
    assert reply.status == 202, reply
    return str(reply.body["login_id"])


async def registers(e: Explorer) -> None:
    """Once more, by the code with another's password, by the link with his own, and when it is known."""
    address, own = e.canaries.address("by-password"), password(e)
    login_id = await _login_id(e, "/auth/register", email=address, password=own)
    token, code = await e.mail(address)
    await _login_id(e, "/auth/register/resend", email=address, login_id=login_id)
    await e.mail(address, 2)
    wrong = {"login_id": login_id, "code": code, "password": password(e)}
    await e.refused(401, "POST", "/auth/link", wrong)
    await e.refused(200, "POST", "/auth/link", {"token": token, "password": own})
    await _login_id(e, "/auth/register", email=address, password=password(e))
    await e.mail(address, 3)
    stranger = "canary-stranger@elsewhere.example.net"
    await e.send("POST", "/auth/register", {"email": stranger, "password": password(e)})
    await e.refused(401, "POST", "/auth/login", {"email": address, "password": password(e)})
    reply = await e.send("POST", "/auth/login", {"email": address, "password": own})
    await e.refused(200, "GET", "/auth/me", headers=e.bearer(reply.body["access_token"]))
    await _changes(e, address, own, reply.body["access_token"])


async def _changes(e: Explorer, address: str, own: str, access: str) -> None:
    """The password, by knowing it and by a mail; each refused first."""
    new, headers = password(e), e.bearer(access)
    for body in (
        {"password": new},
        {"password": new, "current_password": password(e)},
        {"password": password(e) * 30, "current_password": own},
    ):
        assert (await e.send("PUT", "/auth/password", body, headers=headers)).status in {400, 403}
    body = {"password": new, "current_password": own}
    await e.refused(200, "PUT", "/auth/password", body, headers=headers)
    await e.house.mail(address, count=4)  # that it was changed
    login_id = await _login_id(e, "/auth/password/forgot", email=address)
    token, code = await e.mail(address, 5)
    wrong = {"login_id": login_id, "code": e.wrong_code(), "password": password(e)}
    await e.refused(410, "POST", "/auth/password/reset", wrong)
    newest = password(e)
    await e.refused(204, "POST", "/auth/password/reset", {"token": token, "password": newest})
    spent = {"login_id": login_id, "code": code, "password": password(e)}
    await e.refused(410, "POST", "/auth/password/reset", spent)
    await e.house.mail(address, count=6)


async def sends_bad_passwords(e: Explorer) -> None:
    """As the wrong type, in the wrong field, in broken JSON, far too long."""
    for path in ("/auth/register", "/auth/login", "/auth/password/reset"):
        for body in (
            {"email": "a@people.example.com", "password": [password(e)]},
            {"email": "a@people.example.com", password(e): 1},
            {"email": password(e), "password": password(e)},
        ):
            await e.refused(400, "POST", path, body)
        broken = '{"email": "a@people.example.com", "password": "' + password(e)
        json_type = {"Content-Type": "application/json"}
        await e.refused(400, "POST", path, data=broken, headers=json_type)
        await e.refused(413, "POST", path, {"password": password(e) * 1000})


async def loses_the_stores_of_passwords(e: Explorer) -> None:
    """Redis and the bus away in the middle of it."""
    address, own = e.canaries.address("by-lost-password"), password(e)
    for part in ("redis", "nats"):
        await e.house.lab.kill9(part)
        for path in ("/auth/register", "/auth/password/forgot", "/auth/login"):
            body = {"email": address} | ({"password": own} if "forgot" not in path else {})
            assert (await e.send("POST", path, body)).status in {401, 503}, path
        await e.house.whole()


ACCOUNT_FLOWS = (registers, sends_bad_passwords, loses_the_stores_of_passwords)
