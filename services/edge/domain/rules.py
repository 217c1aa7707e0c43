"""May this caller use this service? Its rules, one after the other; the first that is not met refuses.

Who may not come in at all is told so before anybody is sent to log in again: a login changes only its age.
"""

from typing import Final

from latchwire.claims import Claims
from services.edge.domain.decision import Code
from shared.catalogue import ANY, Service

# The rule that refused, for an operator's eyes.
ROLES: Final = "roles"
EMAILS: Final = "emails"
ORGANISATION: Final = "organisation"
CALLERS: Final = "callers"
PERMISSIONS: Final = "permissions"


def judge(service: Service, claims: Claims, now_ms: int) -> tuple[Code, str] | None:
    """None when the bearer of *claims* may use *service*, else the code and the rule that is not met."""
    refused = judge_always(service, claims)
    if refused is not None or claims.service:
        return refused
    return refuse_old_login(service, claims.auth_time, now_ms)


def judge_always(service: Service, claims: Claims) -> tuple[Code, str] | None:
    """As `judge`, but without the one rule that time changes: the answer may be kept with the two."""
    if claims.service:
        return _judge_service(service, claims)
    if "user" not in service.token_types:
        return "wrong_token_type", "user"
    refused = refuse_person(
        service, roles=claims.roles, email=claims.email, organisation=claims.org
    )
    if refused is None and not service.permissions.met_by(claims.permissions):
        refused = "not_allowed", PERMISSIONS
    return refused


def refuse_person(
    service: Service, *, roles: tuple[str, ...], email: str, organisation: str
) -> tuple[Code, str] | None:
    """Whether a person with these may not use *service*; *organisation* is the active one."""
    if not service.roles.met_by(roles):
        return "not_allowed", ROLES
    if service.emails and not _is_listed(service.emails, email):
        return "not_allowed", EMAILS
    if service.organisations and not _is_member(service.organisations, organisation):
        return "not_allowed", ORGANISATION
    return None


def refuse_old_login(service: Service, auth_time: int, now_ms: int) -> tuple[Code, str] | None:
    """Whether the login of *auth_time* (Unix seconds) is too long ago for *service* (RFC 9470)."""
    allowed = service.login_age_seconds
    if allowed is None or now_ms - auth_time * 1000 <= allowed * 1000:
        return None
    return "login_too_old", ""


def refuse_organisation(service: Service, organisation: str) -> tuple[Code, str] | None:
    """Whether *service* is not for whom a service's token, or who is behind it, names as *organisation*.

    A token that is bound to none ("") is the installation's own.
    """
    if not organisation or not service.organisations:
        return None
    listed = _is_member(service.organisations, organisation)
    return None if listed else ("not_allowed", ORGANISATION)


def _judge_service(service: Service, claims: Claims) -> tuple[Code, str] | None:
    if "service" not in service.token_types:
        return "wrong_token_type", "service"
    if service.callers and ANY not in service.callers and claims.service not in service.callers:
        return "not_allowed", CALLERS
    refused = refuse_organisation(service, claims.org)
    if refused is not None:
        return refused
    if not service.permissions.met_by(claims.permissions):
        return "not_allowed", PERMISSIONS
    return None


def _is_listed(emails: tuple[str, ...], email: str) -> bool:
    name, _, domain = email.partition("@")  # the first: with two it is nobody's (GHSA-c5c4)
    return bool(name) and (email in emails or f"@{domain}" in emails)


def _is_member(organisations: tuple[str, ...], organisation: str) -> bool:
    return bool(organisation) and (ANY in organisations or organisation in organisations)
