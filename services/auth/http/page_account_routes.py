"""The table of page routes that exist only where accounts are on."""

from aiohttp.typedefs import Handler

from services.auth.http import (
    page_account,
    page_account_actions,
    page_accounts,
    page_invitations,
    page_org_actions,
    page_org_tokens,
    page_orgs,
)

SHOWN: dict[str, Handler] = {
    "/auth/login": page_accounts.log_in,
    "/auth/link": page_accounts.open_link,
    "/auth/account": page_account.account,
    "/auth/register": page_accounts.register,
    page_accounts.REGISTER_SENT: page_accounts.register_sent,
    "/auth/password/forgot": page_accounts.forgot,
    page_accounts.FORGOT_SENT: page_accounts.forgot_sent,
    page_account.PASSWORD: page_account.password,
    page_account.DELETE: page_account.delete,
    page_accounts.JOIN: page_invitations.join,
    page_orgs.ORGS: page_orgs.organisations,
    f"{page_orgs.ORGS}/{{org}}": page_orgs.organisation,
    f"{page_orgs.ORGS}/{{org}}/settings": page_orgs.settings,
    f"{page_orgs.ORGS}/{{org}}/members/{{sub}}": page_orgs.member,
    f"{page_orgs.ORGS}/{{org}}/service-tokens": page_org_tokens.service_tokens,
    **dict.fromkeys(page_accounts.MESSAGES, page_accounts.say),
}
POSTED: dict[str, Handler] = {
    "/auth/form/register": page_account_actions.register,
    "/auth/form/register-again": page_account_actions.register_again,
    "/auth/form/register-code": page_account_actions.register_code,
    "/auth/form/forgot": page_account_actions.forgot,
    "/auth/form/reset": page_account_actions.reset,
    "/auth/form/reset-code": page_account_actions.reset_by_code,
    "/auth/form/password": page_account.change_password,
    "/auth/form/delete": page_account.delete_now,
    "/auth/form/join": page_invitations.accept,
    "/auth/form/switch": page_org_actions.switch,
    "/auth/form/org-create": page_org_actions.create,
    "/auth/form/org-invite": page_org_actions.invite,
    "/auth/form/org-withdraw": page_org_actions.withdraw,
    "/auth/form/org-roles": page_org_actions.set_roles,
    "/auth/form/org-remove": page_org_actions.remove,
    "/auth/form/org-leave": page_org_actions.leave,
    "/auth/form/org-rename": page_org_actions.rename,
    "/auth/form/org-delete": page_org_actions.delete,
    "/auth/form/org-end-token": page_org_tokens.end,
}
