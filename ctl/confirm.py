"""A question before what cannot be undone: asked of a person, and answered by ``--yes`` in a script."""

import sys

from ctl.output import complain


def confirmed(what: str, *, yes: bool) -> bool:
    """Whether *what* may be done. Without a person at the terminal only ``--yes`` says so."""
    if yes:
        return True
    if not sys.stdin.isatty():
        complain(f"{what} Nobody is here to ask: repeat it with --yes")
        return False
    complain(f"{what} Type yes to do it:")
    if sys.stdin.readline().strip() == "yes":
        return True
    complain("nothing was done")
    return False
