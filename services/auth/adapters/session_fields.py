"""How a session rests in Redis: the fields of a hash."""

from dataclasses import replace

from services.auth.domain.client import Client
from services.auth.domain.session import Session
from services.auth.ports import Exchanged


def session_fields(session: Session) -> dict[str, str | int]:
    """What is stored of a new session, apart from its times."""
    fields: dict[str, str | int] = {
        "sub": session.sub,
        "email": session.email,
        "counter": session.counter,
        "secret": session.secret,
        "network": session.client.network,
        "user_agent": session.client.user_agent,
        "client_id": session.client_id,
        "amr": session.amr,
    }
    return fields | ({"org": session.org} if session.org else {})


def created(session: Session, sst: int, expires_at_ms: int, new_browser: int) -> Exchanged:
    """*session* with the times that the store gave it."""
    opened = replace(session, sst=sst, expires_at_ms=expires_at_ms, advanced_at_ms=sst)
    return Exchanged(opened, bool(new_browser))


def session_of(sid: str, fields: dict[str, str]) -> Session:
    """The session, or tombstone, that is stored."""
    return Session(
        sid=sid,
        sub=fields.get("sub", ""),
        email=fields.get("email", ""),
        sst=int(fields["sst"]),
        expires_at_ms=int(fields["expires_at"]),
        counter=int(fields["counter"]),
        advanced_at_ms=int(fields.get("advanced_at", "0")),
        secret=fields.get("secret", ""),
        client=Client(fields.get("network", ""), fields.get("user_agent", "")),
        client_id=fields.get("client_id", ""),
        amr=fields.get("amr", ""),
        org=fields.get("org", ""),
        ended=fields.get("ended", ""),
        announced=fields.get("announced", "1") == "1",
    )
