"""An ordinary run of the properties is no search: whoever runs them, wherever, the same inputs are tried."""

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.properties import TIMES, examples

ordinary = pytest.mark.skipif(TIMES > 0, reason="exploring is trying other inputs each time")


def tried() -> list[str]:
    """What one run of a property is given."""
    seen = []

    @given(st.tuples(st.integers(), st.text(), st.binary(), st.floats()))
    def see(values: tuple[int, str, bytes, float]) -> None:
        seen.append(repr(values))

    see()
    return seen


@ordinary
def test_the_modules_that_other_tests_have_loaded_change_no_example(tmp_path: Path) -> None:
    """Hypothesis tries the constants that it finds in them: a neighbour's file, or another order of files."""
    before = tried()
    module = tmp_path / "neighbour.py"
    module.write_text("".join(f"N{n} = {n}_000_003, 'word {n}'\n" for n in range(1, 100)))
    spec = importlib.util.spec_from_file_location("neighbour", module)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)

    sys.modules["neighbour"] = loaded
    try:
        after = tried()
    finally:
        del sys.modules["neighbour"]

    assert len(before) == 100
    assert after == before


@ordinary
def test_nothing_is_remembered_and_nothing_timed() -> None:
    """Neither what an earlier run found here, nor how busy the machine is."""
    assert settings.default is not None
    assert settings.default.derandomize
    assert settings.default.database is None
    assert settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check
    assert examples(100) == 100
