"""Roles and what they permit: the one table, and what a token may say by it.

Roles of the *installation* are granted by an operator; those of an *organisation* by its members, and count
only while that organisation is the active one. In a token the latter are written ``org:<role>``: whoever makes
an organisation of his own, and so is its owner, gains no role that a catalogue asks for by its plain name.

What the table does not know means nothing: a role that rests in the store under a name that is not here (any
more) grants nothing and is not written into a token.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.auth.domain.account import Rights, Standing

OWNER = "owner"
ORG_PREFIX = "org:"
# What auth's own routes ask for (services/auth/http/policy.py). An owner always has all of them.
RENAME, DELETE = "org.rename", "org.delete"
SEE_MEMBERS, SET_ROLES, REMOVE_MEMBERS = "members.read", "members.roles", "members.remove"
INVITE = "members.invite"
OWN_PERMISSIONS = frozenset({RENAME, DELETE, SEE_MEMBERS, SET_ROLES, REMOVE_MEMBERS, INVITE})

# A token carries every permission that is held: it has to fit into a cookie (4 kB with the signature).
MAX_PERMISSIONS, MAX_PERMISSION_BYTES, MAX_ROLES = 64, 1024, 32

# ASCII only, and fullmatch: no case, no whitespace, no look-alike can make a second role of the same looks.
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
_PERMISSION = re.compile(r"[a-z][a-z0-9_.:-]{0,63}", re.ASCII)


def is_role_name(text: str) -> bool:
    """Whether *text* can name a role."""
    return _ROLE.fullmatch(text) is not None


def is_permission(text: str) -> bool:
    """Whether *text* can name a permission."""
    return _PERMISSION.fullmatch(text) is not None


@dataclass(frozen=True)
class RoleTable:
    """role -> its permissions, by section; `problems_of` says what a right one is."""

    organisation: Mapping[str, frozenset[str]]
    installation: Mapping[str, frozenset[str]]

    def standing(self, rights: Rights, org: str) -> Standing:
        """What a token may say of somebody who has *rights*, with *org* ("": none) as the active organisation.

        Where *org* is none of theirs (any more), the answer's ``org`` is "".
        """
        member = bool(org) and rights.org_roles is not None
        granted = known(rights.installation_roles, self.installation)
        held = known(rights.org_roles or (), self.organisation) if member else ()
        permissions = _union(granted, self.installation) | _union(held, self.organisation)
        return Standing(
            sub=rights.account.sub,
            email=rights.account.email,
            org=org if member else "",
            roles=(*granted, *(ORG_PREFIX + role for role in held)),
            permissions=tuple(sorted(permissions)),
        )

    def org_permissions(self, roles: Iterable[str]) -> frozenset[str]:
        """What these roles of an organisation permit in it together."""
        return _union(known(roles, self.organisation), self.organisation)

    @property
    def of_installation(self) -> frozenset[str]:
        """Every permission that a role of the installation can give: none of them is of organisations."""
        return _union(self.installation, self.installation)

    def is_org_role(self, name: str) -> bool:
        """Whether *name* is a role that a member can hold."""
        return name in self.organisation

    def is_installation_role(self, name: str) -> bool:
        """Whether *name* is a role that an operator can grant."""
        return name in self.installation


def known(roles: Iterable[str], section: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Those of *roles* that *section* has, once each, in the order of their names."""
    return tuple(sorted({role for role in roles if role in section}))


def _union(roles: Iterable[str], section: Mapping[str, frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*(section[role] for role in roles))


_ADMIN = OWN_PERMISSIONS - {DELETE}
# In force where there is no roles.yaml; deploy/roles.yaml says the same (a test compares).
DEFAULT = RoleTable(
    organisation={
        OWNER: OWN_PERMISSIONS,
        "admin": _ADMIN,
        "member": frozenset({SEE_MEMBERS}),
    },
    installation={"admin": frozenset(), "auditor": frozenset()},
)
