"""The root of what the feed raises. An error's docstring is its message; what was passed comes before it."""

from inspect import getdoc


class LatchwireError(Exception):
    """The feed could not do it."""

    def __str__(self) -> str:
        return ": ".join(text for text in (super().__str__(), getdoc(type(self))) if text)
