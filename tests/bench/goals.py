"""A figure beside its goal: met or MISSED, in words."""


def at_most(value: float, goal: float, unit: str) -> str:
    """``9.1 s  goal: at most 10 s (met)``."""
    verdict = "met" if value <= goal else "MISSED"
    return f"{value:6.1f} {unit}  goal: at most {goal:g} {unit} ({verdict})"


def at_least(value: float, goal: float, unit: str) -> str:
    """``1304.0 per second  goal: at least 1200 per second (met)``."""
    verdict = "met" if value >= goal else "MISSED"
    return f"{value:6.1f} {unit}  goal: at least {goal:g} {unit} ({verdict})"


def memory(mebibytes: float) -> str:
    """The resident memory of one worker beside its goal, in MB."""
    return at_most(mebibytes * 1.048576, 100, "MB")


def ratio_at_most(value: float, goal: float) -> str:
    """``2.10 x  goal: at most 2.5 x (met)``."""
    verdict = "met" if value <= goal else "MISSED"
    return f"{value:6.2f} x  goal: at most {goal:g} x ({verdict})"


def ratio_at_least(value: float, goal: float) -> str:
    """``0.61 x  goal: at least 0.5 x (met)``."""
    verdict = "met" if value >= goal else "MISSED"
    return f"{value:6.2f} x  goal: at least {goal:g} x ({verdict})"
