"""``roles.yaml``: the roles of this installation and of its organisations, and what each permits.

    organisation:
      owner: [org.rename, org.delete, members.read, members.roles, members.remove, members.invite, invoices.pay]
      admin: [org.rename, members.read, members.roles, members.remove, members.invite]
      member: [members.read]
      billing: [members.read, invoices.pay]
    installation:
      auditor: [audit.read]

Every problem is named with its line, its key and its cure.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import structlog

from services.auth.domain.roles import (
    DEFAULT,
    MAX_PERMISSION_BYTES,
    MAX_PERMISSIONS,
    MAX_ROLES,
    OWN_PERMISSIONS,
    OWNER,
    RoleTable,
    is_permission,
    is_role_name,
)
from services.auth.domain.service_tokens import MANAGE
from shared.lifecycle import StartRefusedError
from shared.strict_yaml import Lines, StrictYAMLError, read_yaml

MAX_BYTES = 64 * 1024
log = structlog.get_logger()

SECTIONS = ("organisation", "installation")

_ROLE_CURE = (
    "a role has lower-case ASCII letters, digits, - and _, at most 32, and begins with a letter"
)
_PERMISSION_CURE = (
    "a permission has lower-case ASCII letters, digits, . : - _, at most 64, and begins so"
)
Found = tuple[tuple[str | int, ...], str]  # where, and what is wrong with it


class RolesError(StartRefusedError):
    """The table of roles cannot be used; each of `problems` names line, key and cure."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def load_roles(path: Path, *, needed: bool = False) -> RoleTable:
    """The table in the file; the built-in one where there is no file. The log says which.

    *needed*: somebody has named this file, so it has to be there.

    Raises:
        RolesError: it cannot be read, or is not right.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        if needed:
            raise RolesError([f"{path}: no such file"]) from None
        log.info("roles.built_in", no_file=str(path.absolute()))
        return DEFAULT
    except (OSError, UnicodeDecodeError) as error:
        raise RolesError([f"{path.name}: cannot be read: {type(error).__name__}"]) from error
    table = parse_roles(text, path.name)
    log.info("roles.in_force", file=str(path), roles=sorted(table.organisation))
    return table


def parse_roles(text: str, name: str = "roles.yaml") -> RoleTable:
    """The table in *text*; *name* stands in messages.

    Raises:
        RolesError: with every problem found.
    """
    document, lines = _read(text, name)
    found = list(_shape(document)) or list(_meaning(document))
    if found:
        raise RolesError([_say(name, lines, where, what) for where, what in found])
    sections = [
        {
            role: frozenset(permissions)
            for role, permissions in (document.get(section) or {}).items()
        }
        for section in SECTIONS
    ]
    return RoleTable(organisation=sections[0], installation=sections[1])


def _read(text: str, name: str) -> tuple[Any, Lines]:
    if len(text.encode()) > MAX_BYTES:
        raise RolesError([f"{name}: is larger than {MAX_BYTES} bytes: name fewer roles"])
    try:
        return read_yaml(text)
    except StrictYAMLError as error:
        raise RolesError([f"{name}:{error.line}: {error.problem}"]) from None


def _shape(document: Any) -> Iterator[Found]:
    """What is not of the form at all."""
    if not isinstance(document, dict):
        yield (), "write the sections organisation and installation"
        return
    for section, roles in document.items():
        if section not in SECTIONS:
            yield (section,), f"unknown key: known are {' and '.join(SECTIONS)}"
        elif roles is not None and not isinstance(roles, dict):
            yield (section,), "write one line for each role: owner: [org.rename]"
        else:
            yield from _roles_shape(section, roles or {})
    organisation = document.get("organisation") or {}
    if isinstance(organisation, dict) and OWNER not in organisation:
        yield ("organisation",), f"{OWNER} is missing: add it, with every permission of the section"


def _roles_shape(section: str, roles: Mapping[str, Any]) -> Iterator[Found]:
    if len(roles) > MAX_ROLES:
        yield (section,), f"has more than {MAX_ROLES} roles: name fewer"
    for role, permissions in roles.items():
        if not is_role_name(role):
            yield (section, role), f"is no name for a role: {_ROLE_CURE}"
        if not isinstance(permissions, list):
            yield (section, role), "write a list of permissions: [members.read]"
            continue
        for index, permission in enumerate(permissions):
            if not isinstance(permission, str) or not is_permission(permission):
                yield (section, role, index), f"is no name for a permission: {_PERMISSION_CURE}"
            elif permission in permissions[:index]:
                yield (section, role, index), f"{permission} stands twice: remove one"


def _meaning(document: Mapping[str, Any]) -> Iterator[Found]:
    """What has the form and cannot be meant."""
    organisation, installation = ((document.get(section) or {}) for section in SECTIONS)
    in_organisation = {p for permissions in organisation.values() for p in permissions}
    missing = sorted((in_organisation | OWN_PERMISSIONS) - set(organisation[OWNER]))
    if missing:
        yield ("organisation", OWNER), f"lacks {', '.join(missing)}: an owner has all, add them"
    for role, permissions in organisation.items():
        if not permissions:
            # Who may grant a role follows from its permissions: one without any could be granted by everybody.
            yield ("organisation", role), "permits nothing: give it a permission of its own"
    yield from _of_everybody(organisation)
    for role, permissions in installation.items():
        for index, permission in enumerate(permissions):
            if permission in in_organisation | OWN_PERMISSIONS:
                # An owner of any organisation would have it too, and a token does not say by which section.
                yield (
                    ("installation", role, index),
                    f"{permission} is one of organisation too: give it another name in one of them",
                )
    for section in SECTIONS:
        yield from _size(section, document.get(section) or {})


def _of_everybody(organisation: Mapping[str, list[str]]) -> Iterator[Found]:
    """Whoever makes an organisation owns it: what counts beyond it would be anybody's to have."""
    for role, permissions in organisation.items():
        for index, permission in enumerate(permissions):
            if permission.startswith(MANAGE):
                where = ("organisation", role, index)
                yield where, f"{permission} is of the whole installation: grant it to a role of it"


def _size(section: str, roles: Mapping[str, list[str]]) -> Iterator[Found]:
    union = {permission for permissions in roles.values() for permission in permissions}
    if len(union) > MAX_PERMISSIONS or sum(map(len, union)) > MAX_PERMISSION_BYTES:
        yield (
            (section,),
            f"has more than {MAX_PERMISSIONS} permissions, or {MAX_PERMISSION_BYTES} bytes of them: name fewer",
        )


def _say(name: str, lines: Lines, where: tuple[str | int, ...], what: str) -> str:
    path = where
    while path and path not in lines:
        path = path[:-1]
    dotted = ".".join(str(part) for part in where) or "the file"
    return f"{name}:{lines.get(path, 1)}: {dotted}: {what}"
