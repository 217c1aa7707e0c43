"""Spans of time as people write them in settings and in services.yaml."""

import re

MAX_STALENESS_SECONDS = 900.0  # the life of an access token: beyond that nothing is left to refuse

_DURATION = re.compile(r"(\d{1,7})(ms|s|m|h)", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Seconds of ``500ms``, ``10s``, ``2m`` or ``12h``.

    Raises:
        ValueError: another form.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("write a number and a unit: 10s")
    return int(match[1]) * _UNITS[match[2]]
