"""Node for tests in JavaScript: the one that Playwright brings along. In CI it has to be there."""

import os
from collections.abc import Mapping
from importlib import import_module

import pytest


def find_node() -> str | None:
    """Where Node is, or None."""
    try:
        driver = import_module("playwright._impl._driver")
    except ImportError:
        return None
    return str(driver.compute_driver_executable()[0])


def node_missing(environ: Mapping[str, str], found: str | None) -> str | None:
    """Why tests in JavaScript cannot run here, or None.

    Raises:
        RuntimeError: in CI (any value of ``CI``), where a test that was skipped proves nothing.
    """
    if found is not None:
        return None
    if environ.get("CI"):
        raise RuntimeError("CI is set and Playwright is missing: the Node tests have to run here")
    return "MISSING: Playwright, and with it Node. No JavaScript is tested."


def node_or_skip() -> str:
    """The program; without it the whole module is skipped, never in CI."""
    found = find_node()
    missing = node_missing(os.environ, found)
    if missing:
        pytest.skip(missing, allow_module_level=True)
    return str(found)
