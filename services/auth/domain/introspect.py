"""What a token says and whether it counts right now (RFC 7662)."""

from dataclasses import dataclass

from latchwire.claims import Claims
from services.auth.domain.session import GRACE_MS, Session, judge_counter


@dataclass(frozen=True)
class Inactive:
    """It counts for nothing; why is nobody's business (RFC 7662 §2.2)."""


@dataclass(frozen=True)
class Active:
    """*fields* are the members beside ``active``, times in Unix seconds."""

    fields: dict[str, str | int]


def is_living(session: Session | None, now_ms: int) -> bool:
    """Whether *session* can still be renewed."""
    return session is not None and not session.ended and now_ms < session.expires_at_ms


def would_renew(session: Session, counter: int, now_ms: int) -> bool:
    """Whether presenting *counter* would renew *session*; asking is no presenting."""
    since_ms = now_ms - session.advanced_at_ms
    return judge_counter(counter, session.counter, since_ms, GRACE_MS) != "reuse"


def describe_access(claims: Claims) -> Active:
    """An access token."""
    return Active(
        {
            "client_id": claims.client_id,
            "username": claims.email,
            "token_type": "Bearer",
            "exp": claims.exp,
            "iat": claims.iat,
            "nbf": claims.iat,
            "sub": claims.sub,
            "aud": claims.aud,
            "iss": claims.iss,
            "jti": claims.jti,
            "sid": claims.sid,
        }
    )


def describe_service(claims: Claims) -> Active:
    """A service's token, or an access token made of it: there is no user."""
    fields = {
        name: value for name, value in describe_access(claims).fields.items() if name != "username"
    }
    return Active({**fields, "scope": " ".join(claims.permissions)})


def describe_refresh(session: Session, issuer: str) -> Active:
    """A refresh token: only its issuer can use it, so that is whom it is for."""
    issued = session.advanced_at_ms // 1000
    return Active(
        {
            "client_id": session.client_id,
            "username": session.email,
            "exp": session.expires_at_ms // 1000,
            "iat": issued,
            "nbf": issued,
            "sub": session.sub,
            "aud": issuer,
            "iss": issuer,
            "sid": session.sid,
        }
    )
