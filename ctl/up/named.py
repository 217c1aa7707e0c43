"""Files that whoever types `up` names themselves: they mean them from where they type."""

from collections.abc import Mapping
from pathlib import Path

# Without a name both are looked for in the state directory, where the workers run.
NAMES = ("LATCHWIRE_ROLES", "LATCHWIRE_PROVIDERS")


class NamedFileError(Exception):
    """A file that was named is missing; the message names both."""


def named_files(environ: Mapping[str, str], here: Path) -> dict[str, str]:
    """Those of `NAMES` that are set, as absolute paths: a relative one is relative to *here*.

    Raises:
        NamedFileError: one names no file.
    """
    found = {name: here / environ[name] for name in NAMES if environ.get(name)}
    missing = [
        f"{name} names {path}: no such file" for name, path in found.items() if not path.is_file()
    ]
    if missing:
        raise NamedFileError("\n".join(missing))
    return {name: str(path) for name, path in found.items()}
