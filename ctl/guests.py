"""Credentials of other teams' services: a seed, a row of revokers.yaml, and NATS's accounts rendered anew."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctl.up.layout import write_accounts
from shared.bus.permissions import SERVICE_PREFIX
from shared.revokers import (
    SERVICE_SCOPES,
    Revokers,
    RevokersError,
    load_revokers,
    parse_revokers,
    valid_service_name,
)
from shared.secrets import SecretsError, new_seed, write_private

HEADING = (
    "# Which service may revoke what: shop: [session, token]. Read again whenever it changes.\n"
)


class GuestError(Exception):
    """It cannot be done; the message is what to print, with the cure."""


class NotAServiceError(GuestError):
    """What was given cannot be a service's name, or a scope of one, or names none."""


@dataclass(frozen=True)
class Guest:
    """One service: its credential's file, and what it may revoke (None: it has no row)."""

    name: str
    seed: Path
    scopes: tuple[str, ...] | None

    @property
    def credential(self) -> str:
        """The name on the bus."""
        return f"{SERVICE_PREFIX}{self.name}"


@dataclass(frozen=True)
class Guests:
    """The services of an installation: their seeds in *secrets*, their rights in the file *table*."""

    secrets: Path
    table: Path

    def known(self) -> Sequence[Guest]:
        """Everybody with a credential or a row, by name.

        Raises:
            GuestError: revokers.yaml is not usable.
        """
        rows = self._rows().scopes
        seeds = (self.secrets / "nats").glob(f"{SERVICE_PREFIX}*.seed")
        names = {path.stem.removeprefix(SERVICE_PREFIX) for path in seeds} | set(rows)
        return [self._guest(name, rows.get(name)) for name in sorted(names)]

    def add(self, name: str, scopes: Sequence[str]) -> Guest:
        """Make the service's seed and its row, and render the accounts; *scopes* are what it may revoke.

        What a try that was cut short has left is completed.

        Raises:
            GuestError: the name or a scope cannot be, it is there already, or there is no installation.
        """
        self._check(name, scopes)
        rows = self._rows()
        guest = self._guest(name, frozenset(scopes))
        if guest.seed.exists() and name in rows.scopes:
            raise GuestError(
                f"{name} is there already: change its row in {self.table}, or for a new credential "
                f"`latchwire services remove {name}` first"
            )
        if not guest.seed.exists():
            write_private(guest.seed, new_seed())
            _give_to_owner_of(self.secrets / "nats", guest.seed)
        row = f"{name}: [{', '.join(guest.scopes or ())}]\n"
        self._write_table({**rows.scopes, name: frozenset(scopes)}, lambda text: text + row)
        self._render()
        return guest

    def remove(self, name: str) -> Guest:
        """Take the row first, then the credential: what is in between can do less, not more.

        Raises:
            GuestError: there is no such service.
        """
        rows = dict(self._rows().scopes)
        guest = self._guest(name, rows.pop(name, None))
        if not valid_service_name(name) or (guest.scopes is None and not guest.seed.exists()):
            raise NotAServiceError("there is no such service: `latchwire services list` shows them")
        if guest.scopes is not None:
            self._write_table(rows, lambda text: _without_row(text, name))
        guest.seed.unlink(missing_ok=True)
        self._render()
        return guest

    def _check(self, name: str, scopes: Sequence[str]) -> None:
        if not valid_service_name(name):
            raise NotAServiceError(
                "a service's name begins with a lower-case letter, then has lower-case letters, digits "
                "and dashes, 40 at most"
            )
        if wrong := [scope for scope in scopes if scope not in SERVICE_SCOPES]:
            raise NotAServiceError(
                f"no service may revoke in scope {wrong[0]!r}: {', '.join(SERVICE_SCOPES)}"
            )
        if not (self.secrets / "nats").is_dir():
            raise GuestError(
                f"{self.secrets} is not there: run `make up` or `latchwire init` first"
            )

    def _guest(self, name: str, scopes: frozenset[str] | None) -> Guest:
        ordered = None if scopes is None else tuple(s for s in SERVICE_SCOPES if s in scopes)
        return Guest(name, self.secrets / "nats" / f"{SERVICE_PREFIX}{name}.seed", ordered)

    def _rows(self) -> Revokers:
        try:
            return load_revokers(self.table)
        except RevokersError as error:
            raise GuestError(str(error)) from None

    def _write_table(self, wanted: dict[str, frozenset[str]], edit: Callable[[str], str]) -> None:
        """The file with one row changed and everything else as people wrote it.

        In place: the workers of a compose installation have this very file mounted, and look at it whenever
        a service says a word. Half a file is either none they can use (the table before it stays in force
        until the next look) or has fewer rows, never more.
        """
        before = self.table.read_text("utf-8") if self.table.exists() else HEADING
        after = edit(before if before.endswith("\n") else f"{before}\n")
        if not _means(after, wanted):  # written in another style than one row a line
            after = HEADING + "".join(
                f"{name}: [{', '.join(sorted(scopes))}]\n" for name, scopes in wanted.items()
            )
        fresh = not self.table.exists()
        try:
            self.table.write_text(after, "utf-8")
            if fresh:
                self.table.chmod(0o644)
        except OSError as error:
            raise GuestError(f"{self.table} cannot be written: {error.strerror}") from None

    def _render(self) -> None:
        try:
            write_accounts(self.secrets)
        except SecretsError as error:
            raise GuestError(str(error)) from None


def _means(text: str, wanted: dict[str, frozenset[str]]) -> bool:
    try:
        return parse_revokers(text).scopes == wanted
    except RevokersError:
        return False


def _without_row(text: str, name: str) -> str:
    """*text* without the line that begins with *name*, and what is indented under it."""
    kept, dropping = [], False
    for line in text.splitlines(keepends=True):
        dropping = line.startswith(f"{name}:") or (dropping and line[:1] in " \t-")
        if not dropping:
            kept.append(line)
    return "".join(kept)


def _give_to_owner_of(directory: Path, path: Path) -> None:
    """A production's secrets belong to the user who runs the containers."""
    if os.getuid() == 0:
        owner = directory.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
