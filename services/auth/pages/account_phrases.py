"""What the pages of accounts say of an answer: one sentence for each stable code."""

from collections.abc import Mapping

WRONG_PASSWORD = "That address and that password do not go together. A link by mail works too."  # noqa: S105 - a sentence
NO_PASSWORD = "Type your password, or get a link instead."  # noqa: S105 - a sentence
NOT_THE_CHOSEN = "That is not the password that was chosen. Try again, or go on without one."
TYPE_THE_CHOSEN = "Type the password you chose, or go on without one."
NOT_YOURS = "That is not your password now."
ROLES_MISSING = "Choose at least one role."

_PASSWORDS: Mapping[str, str] = {
    "password_too_short": "That is too short: it has to have {least} characters or more.",
    "password_too_long": "That is too long. A thousand characters are enough.",
    "password_common": "That is one of the first that anybody would try. Please choose another one.",
}

_ORGS: Mapping[str, str] = {
    "not_permitted": "Your roles do not allow that.",
    "no_such_member": "That person is no member any more.",
    "unknown_role": "There is no such role (any more).",
    "beyond_own_roles": "That role may do more than you may, so you can neither give it nor take it.",
    "last_owner": "An organisation needs an owner. Make somebody else one first, or delete it.",
    "already_member": "That address is a member already.",
    "too_many": "There are too many already.",
    "no_such_invitation": "That invitation no longer counts.",
    "other_address": "That invitation is for another address.",
    "no_account": "Your account is gone.",
}

_NAMES: Mapping[str, str] = {
    "empty": "Please type a name.",
    "too_long": "That is too long: 64 characters at most.",
    "control": "There is a character in it that cannot be seen.",
    "spaces": "There are spaces in it that do not belong there.",
    "link": "That looks like an address of a web page or of a mailbox.",
}


def password_problem(code: str, least: int) -> str:
    """What is wrong with a new password."""
    return _PASSWORDS[code].format(least=least)


def org_problem(code: str) -> str:
    """Why nothing was changed in an organisation."""
    return _ORGS.get(code, "Nothing was changed.")


def name_problem(code: str) -> str:
    """What is wrong with an organisation's name."""
    return _NAMES[code]
