"""A figure beside its goal: met or MISSED, in words."""


def at_most(value: float, goal: float, unit: str) -> str:
    """``9.1 s  goal: at most 10 s (met)``."""
    verdict = "met" if value <= goal else "MISSED"
    return f"{value:6.1f} {unit}  goal: at most {goal:g} {unit} ({verdict})"


def memory(mebibytes: float) -> str:
    """The resident memory of one worker beside its goal, in MB."""
    return at_most(mebibytes * 1.048576, 100, "MB")
