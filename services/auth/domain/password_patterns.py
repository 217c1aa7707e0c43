"""Passwords that a list of common ones means too: with digits added, said twice, or drawn on the keyboard."""

from collections.abc import Iterator

SHORTEST_ENTRY = 6  # of the list; so two of them have twelve characters
SHORT_UNIT = 8  # said again and again, something shorter is no longer for it
FEW_RUNS = 3
LONGEST_PAIR = 64  # what is longer is no pair of entries

_ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "1234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiopü",
    "asdfghjklöä",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
)


Step = tuple[int, int]  # a row (-1: the same character again) and a direction in it


def _steps() -> dict[str, set[Step]]:
    steps: dict[str, set[Step]] = {}
    for number, row in enumerate(_ROWS):
        for pair in (row[index : index + 2] for index in range(len(row) - 1)):
            steps.setdefault(pair, set()).add((number, 1))
            steps.setdefault(pair[::-1], set()).add((number, -1))
    return steps


_STEPS = _steps()


def lookalikes(password: str) -> Iterator[str]:
    """What to look up for *password*: itself without its case, what it repeats, and both with fewer and fewer
    of the digits and signs behind them, at last without any around them.
    """
    folded = password.casefold()
    for form in dict.fromkeys((folded, unit_of(folded))):
        core = bare(form)
        yield from shortened(form)
        yield core
        yield unit_of(core)


def pairs_of(password: str) -> Iterator[tuple[str, str]]:
    """The two halves of *password*, wherever it is cut: two common ones joined are tried right after the list.

    With or without one separator between them, and without digits and signs around.
    """
    core = bare(password.casefold())
    if len(core) > LONGEST_PAIR:
        return
    for end in range(SHORTEST_ENTRY, len(core) - SHORTEST_ENTRY + 1):
        first, second = core[:end], core[end:]
        yield first, second
        if not second[0].isalnum():
            yield first, second[1:]


def is_pattern(password: str) -> bool:
    """Whether *password* repeats something short, or is a few runs along the alphabet or the keyboard."""
    folded = password.casefold()
    unit = unit_of(folded)
    return (unit != folded and len(unit) < SHORT_UNIT) or runs_of(folded) <= FEW_RUNS


def unit_of(text: str) -> str:
    """What *text* is a repetition of (itself, mostly): ``abcabc`` of ``abc``."""
    if not text:
        return text
    return text[: (text + text).index(text, 1)]


def bare(text: str) -> str:
    """*text* without what is no letter at its beginning and end."""
    letters = [index for index, character in enumerate(text) if character.isalpha()]
    return text[letters[0] : letters[-1] + 1] if letters else ""


def shortened(text: str) -> Iterator[str]:
    """*text*, and what is left while its end is no letter and is taken away."""
    for end in range(len(text), 0, -1):
        yield text[:end]
        if text[end - 1].isalpha():
            return


def runs_of(text: str) -> int:
    """How many pieces *text* has that repeat one character or follow the alphabet or a row of keys."""
    runs, going = 1, None
    for pair in (text[index : index + 2] for index in range(len(text) - 1)):
        steps = {(-1, 0)} if pair[0] == pair[1] else _STEPS.get(pair, set())
        going = steps if going is None else going & steps
        if not going:
            runs, going = runs + 1, None
    return runs
