"""What a new password may be (NIST SP 800-63B-4 §3.1.1.2, OWASP ASVS 5 6.2): long, and not one of the common.

Compared exactly as received: nothing is trimmed, folded or normalised. No rule about kinds of characters.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

MAX_BYTES = 1024
LEFT = 8  # characters that are nobody's name must be left of a password
SHORTEST_WORD = 3  # shorter names occur in anything

PasswordProblem = Literal["password_too_short", "password_too_long", "password_common"]
IsCommon = Callable[[str], bool]

_NOT_A_LETTER = re.compile(r"[\W\d_]+")


@dataclass(frozen=True)
class PasswordRules:
    """The rules of one installation. *least* in characters; *is_common* knows the list of common ones."""

    least: int
    site_name: str
    is_common: IsCommon

    def judge(self, password: str, email: str) -> PasswordProblem | None:
        """What is wrong with *password* for the owner of *email*, or None."""
        return judge_password(
            password,
            email=email,
            site_name=self.site_name,
            least=self.least,
            is_common=self.is_common,
        )


def judge_password(
    password: str, *, email: str, site_name: str, least: int, is_common: IsCommon
) -> PasswordProblem | None:
    """What is wrong with *password*, or None."""
    if len(password) < least:
        return "password_too_short"
    if is_too_long(password):
        return "password_too_long"
    if is_common(password) or _says_only_names(password, email, site_name):
        return "password_common"
    return None


def is_too_long(password: str) -> bool:
    """More than 1 KiB in UTF-8: neither accepted as new, nor worth hashing."""
    return len(password) > MAX_BYTES or len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES


def _says_only_names(password: str, email: str, site_name: str) -> bool:
    """Whether hardly a letter is left without the names that anybody would try for this person."""
    left = password.casefold()
    names = sorted(_names(email, site_name), key=len, reverse=True)
    found = [name for name in names if name in left]
    for name in found:
        left = left.replace(name, " ")
    return bool(found) and len(_NOT_A_LETTER.sub("", left)) < LEFT


def _names(email: str, site_name: str) -> Iterator[str]:
    local, _, domain = email.partition("@")
    whole = (local, local.partition("+")[0], domain, site_name, site_name.replace(" ", ""))
    parts = (*re.split(r"[.+_-]", local), *domain.split(".")[:-1], *site_name.split())
    for name in (*whole, *parts):
        if len(name) >= SHORTEST_WORD:
            yield name.casefold()
