"""The renewing script, run in Node against a server made of plain functions."""

import subprocess
from pathlib import Path

from tests.support.node import node_or_skip

NODE = node_or_skip()
CASES = Path(__file__).with_name("latchwire_js.test.cjs")


def test_the_script_renews_once_and_repeats_once() -> None:
    """Every case of latchwire_js.test.cjs holds; Node is the one that Playwright brings along."""
    done = subprocess.run(
        [NODE, "--test", CASES], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
