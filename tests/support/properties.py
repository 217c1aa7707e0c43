"""How hypothesis looks for inputs: an ordinary run tries the same ones, ``make explore`` others and many more.

A property that fails for one input in a million must not fail in somebody's run who changed a comment. So an
ordinary run is no search: its examples follow from the test's own text alone. The search is a run of its own.
"""

import os
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture.providers import HypothesisProvider
from hypothesis.internal.constants_ast import Constants

TIMES: Final = int(os.environ.get("EXPLORE", "0"))  # as many examples; 0: an ordinary run
USUAL: Final = 100  # examples of a property that asks for no other number


def examples(count: int) -> int:
    """*count* in an ordinary run, and as many times more as is asked for when we explore."""
    return count * max(TIMES, 1)


_NEW = st.text(max_size=2) | st.text(st.characters(codec="latin-1"), max_size=2)


@st.composite
def damaged(draw: st.DrawFn, whole: str) -> str:
    """*whole* with one to three places of it changed: what text of chance never comes near to.

    Now and then what is changed is changed back, or for the same.
    """
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(whole)))
        new = draw(_NEW | st.text(st.sampled_from(whole or "a"), max_size=2))
        cut = draw(st.sampled_from([len(new), len(new), 0, 1, 2, 3]))
        whole = whole[:at] + new + whole[at + cut :]
    return whole


def damaged_bytes(whole: bytes) -> st.SearchStrategy[bytes]:
    """The same of bytes, with bytes of every value."""
    return damaged(whole.decode("latin-1")).map(lambda text: text.encode("latin-1", "replace"))


def load_profile() -> None:
    """Before any test is imported: what it says of its settings is added to the profile's."""
    # How long an example takes says something about the machine, not about what is tested.
    untimed = settings(
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        max_examples=examples(USUAL),
        print_blob=True,
    )
    settings.register_profile("explore", untimed, derandomize=False)
    settings.register_profile("same", untimed, derandomize=True, database=None)
    if not TIMES:
        # Else it draws constants of whichever of our modules are loaded: examples depend on the tests before.
        HypothesisProvider._local_constants = Constants()
    settings.load_profile("explore" if TIMES else "same")
