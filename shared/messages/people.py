"""The operators' questions about people and their accounts (``op.users.*``)."""

from typing import Annotated, Literal

from pydantic import Field

from shared.messages.base import Identifier, Message, Millis, ShortText

PAGE = 200
IMPORT_BATCH = 100
HashText = Annotated[str, Field(max_length=1024)]


class SetUser(Message):
    """``op.users.set``: keep this person out, or let them in again."""

    email: Identifier
    action: Literal["block", "unblock"]
    reason: ShortText = ""
    actor: ShortText = ""


class ShowUser(Message):
    """``op.users.show``: how does it stand with this person?"""

    email: Identifier


class OrgRoles(Message):
    """A membership: the organisation and the roles held in it."""

    org: Identifier
    name: ShortText = ""
    roles: tuple[ShortText, ...] = ()


class UserAccount(Message):
    """What an account holds, for an operator. Times in Unix ms."""

    sub: Identifier
    email: Identifier
    created_at: Millis
    verified_at: Millis | None = None
    has_password: bool = False
    providers: tuple[ShortText, ...] = ()
    roles: tuple[ShortText, ...] = ()
    orgs: tuple[OrgRoles, ...] = ()
    blocked_at: Millis | None = None


class UserState(Message):
    """The answer: is the person blocked, since when (ms), and how many sessions are open.

    *has_account* is None where accounts are off. *forgotten*: somebody registered the address and never proved
    it; only the id, *sub*, is kept.
    """

    sub: ShortText = ""
    blocked: bool = False
    blocked_at: Millis | None = None
    sessions: int = 0
    has_account: bool | None = None
    account: UserAccount | None = None
    forgotten: bool = False
    error: ShortText = ""


class ListUsers(Message):
    """``op.users.list``: accounts in the order of *sub*, after *after*."""

    after: ShortText = ""
    limit: Annotated[int, Field(ge=1, le=PAGE)] = PAGE


class UserPage(Message):
    """*next* is what to ask after; "" at the end."""

    users: tuple[UserAccount, ...] = ()
    next: ShortText = ""
    error: ShortText = ""


class SetRoles(Message):
    """``op.users.roles``: roles of the installation, or with *org* of an organisation."""

    email: Identifier
    org: ShortText = ""
    grant: tuple[ShortText, ...] = ()
    revoke: tuple[ShortText, ...] = ()
    actor: ShortText = ""


class PortableUser(Message):
    """One line of an import or export (JSONL). *sub* None: a new one is made.

    *password_hash* is in the format of its own system: ``$argon2id$…``, ``$2b$…``, ``$scrypt$…``,
    ``pbkdf2_sha256$…`` (see docs/import.md).
    """

    email: Identifier
    sub: Identifier | None = None
    verified: bool = False
    password_hash: HashText = Field(default="", repr=False)
    roles: tuple[ShortText, ...] = ()
    created_at: Millis | None = None
    blocked: bool = False


class ImportUsers(Message):
    """``op.users.import``: at most `IMPORT_BATCH` people; with *check* nothing is written."""

    users: tuple[PortableUser, ...]
    check: bool = True


class ImportProblem(Message):
    """Why line *index* (from 0, of this batch) cannot be written, or a note of it.

    A stable *code*, and a sentence.
    """

    index: int
    code: ShortText
    detail: ShortText = ""


class ImportReport(Message):
    """*written* of the batch are in; all or none of a batch. *known*: were there already, just so.

    *notes* are of lines that can be written: what becomes of them is not all that they say.
    """

    written: int = 0
    known: int = 0
    problems: tuple[ImportProblem, ...] = ()
    notes: tuple[ImportProblem, ...] = ()
    error: ShortText = ""


class ExportUsers(Message):
    """``op.users.export``; *hashes* says that password hashes are wanted too."""

    after: ShortText = ""
    limit: Annotated[int, Field(ge=1, le=PAGE)] = PAGE
    hashes: bool = False


class ExportPage(Message):
    """*next* is what to ask after; "" at the end."""

    users: tuple[PortableUser, ...] = ()
    next: ShortText = ""
    error: ShortText = ""
