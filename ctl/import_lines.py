"""The lines of a file of accounts: read one by one, compared with one another. Holds nothing of a bad one."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from pydantic import ValidationError

from shared.emails import InvalidEmailError, canonical_email
from shared.messages import PortableUser

MAX_LINE = 8 * 1024  # bytes; what one can hold is about 2 kB


@dataclass(frozen=True)
class Line:
    """One that could be read; *number* counts from 1, as editors do."""

    number: int
    user: PortableUser


@dataclass(frozen=True)
class Bad:
    """Why line *number* cannot be written. Holds nothing of the line."""

    number: int
    code: str
    detail: str


@dataclass
class Reading:
    """The lines of a file; what is wrong with them by themselves or with one another is put into *bad*.

    *seen* counts all lines by now, the bad ones too; not the empty ones.
    """

    bad: list[Bad] = field(default_factory=list)
    seen: int = 0
    _emails: dict[str, int] = field(default_factory=dict)
    _subs: dict[str, int] = field(default_factory=dict)

    def lines(self, file: IO[bytes]) -> Iterator[Line]:
        """Those that can be sent to auth; empty lines are skipped."""
        for number, raw in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), 1):
            self.seen += bool(raw.strip())
            if len(raw) > MAX_LINE:
                self._add(
                    number, "too_long", f"more than {MAX_LINE} bytes: nothing behind it was read"
                )
                return
            if raw.strip():
                line = self._read(number, raw.removeprefix(b"\xef\xbb\xbf"))
                if line is not None and self._is_first(line):
                    yield line

    def _read(self, number: int, raw: bytes) -> Line | None:
        try:
            return Line(number, PortableUser.model_validate_json(raw, strict=False))
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False, include_input=False)
        if problems[0]["type"] == "json_invalid":
            self._add(number, "invalid_json", "not one JSON object")
            return None
        known = PortableUser.model_fields
        names = sorted({str(p["loc"][0]) for p in problems if p["loc"] and p["loc"][0] in known})
        unknown = any(p["type"] == "extra_forbidden" for p in problems)
        what = [*(["fields that are not known"] if unknown else []), *names]
        self._add(number, "invalid_fields", ", ".join(what) or "not a JSON object")
        return None

    def _is_first(self, line: Line) -> bool:
        """Whether no earlier line has the address or the sub; all lines are compared, not those of a batch."""
        user, number = line.user, line.number
        try:
            earlier = self._emails.setdefault(canonical_email(user.email), number)
        except InvalidEmailError as error:
            self._add(number, "invalid_email", f"not one plain address ({error.code})")
            return False
        if earlier != number:
            self._add(number, "duplicate_email", f"line {earlier} has the same address")
            return False
        if user.sub and (earlier := self._subs.setdefault(user.sub, number)) != number:
            self._add(number, "duplicate_sub", f"line {earlier} has the same sub")
            return False
        return True

    def _add(self, number: int, code: str, detail: str) -> None:
        self.bad.append(Bad(number, code, detail))
