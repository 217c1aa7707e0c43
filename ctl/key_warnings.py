"""What a person should know before ``revoke key``: it can lock everybody out, or hit nothing at all."""

from dataclasses import dataclass

from ctl.key_desk import KeyDesk
from ctl.key_states import KeyStateError
from ctl.session import Session
from shared.bus import BusUnavailableError
from shared.secrets import SecretsError

REFRESH = "refresh/"
SIGNS = (
    "warning: {kid} signs now: everybody is locked out at once, and nobody can sign in. "
    "`latchwire keys compromise {kid}` revokes it too, and lets another key sign"
)
UNKNOWN = (
    "warning: {kid} is in no keys document and no file here: is it right? It is refused for ten years "
    "all the same"
)
UNREAD = (
    "warning: the keys of this installation cannot be read here: whether {kid} is one is not known"
)


@dataclass(frozen=True)
class KeyWarning:
    """*text* to say; *locks_out*: it is worth a question of its own."""

    text: str
    locks_out: bool = False


async def key_warning(session: Session, kid: str) -> KeyWarning | None:
    """What is to be said of revoking *kid*; None where it is a key that does not sign now."""
    if kid.startswith(REFRESH):
        return _refresh_warning(session, kid)
    desk = KeyDesk(session)
    try:
        await desk.open()
    except (BusUnavailableError, SecretsError, KeyStateError):
        return KeyWarning(UNREAD.format(kid=kid))  # a revocation is not held up by that
    if kid == desk.body.sign_with:
        return KeyWarning(SIGNS.format(kid=kid), locks_out=True)
    if kid in desk.body.history or kid in desk.body.kids or desk.files.has(kid):
        return None
    return KeyWarning(UNKNOWN.format(kid=kid))


def _refresh_warning(session: Session, kid: str) -> KeyWarning | None:
    directory = session.installation.secrets_dir / "refresh"
    if not directory.is_dir():
        return KeyWarning(UNREAD.format(kid=kid))
    known = {path.stem for path in directory.glob("*.key")}
    return None if kid.removeprefix(REFRESH) in known else KeyWarning(UNKNOWN.format(kid=kid))
