"""Whether the revocation feed names a session that the store still takes for a living one."""

from latchwire.claims import Claims
from services.auth.domain.session import Session
from services.auth.ports import Revocations


def is_revoked(revocations: Revocations, session: Session, now_ms: int, kid: str = "") -> bool:
    """Whether the feed names this session, its person (sessions begun so far) or the key *kid*.

    A refresh key is named ``refresh/<kid>``: directories exist where a signing key has the same kid.
    """
    claims = Claims(
        iss="", aud="", sub=session.sub, email=session.email, sid=session.sid, jti="", kid=kid,
        client_id=session.client_id, org="", roles=(), amr=(), auth_time=0, iat=0, exp=0,
        # What is about to be issued is newer than any watermark of access tokens.
        iat_ms=1 << 62, sst=session.sst, csrf="",
    )  # fmt: skip
    return revocations.refuses(claims, now_ms)
