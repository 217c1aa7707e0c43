"""The doctor at what ``up`` starts: nothing leaks through real Traefik, on the real bus, in the real stores."""

import json
from typing import Any

from ctl import exits
from tests.support.stack import Stack


def test_nothing_leaks_from_a_fresh_installation(stack: Stack) -> None:
    """Every attempt was made: through the door, as each credential, and each worker told what it sees."""
    answer = stack.command("doctor", "--json", "--through", stack.url)
    told: dict[str, Any] = json.loads(answer.stdout)

    assert [f for f in told["findings"] if f["severity"] == "leak"] == []
    assert answer.returncode == exits.DONE, answer.stderr
    assert told["looked_at"]["workers"] == 4
    assert told["looked_at"]["attempts through the door"] > 100
    assert {f["check"] for f in told["findings"]} <= {"catalogue.no_limit"}
