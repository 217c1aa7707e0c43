"""Waits that belong together although different parts keep them."""

from services.edge.settings import EdgeSettings
from services.revocation.handlers.revocations import retry_delay
from shared.bus.intake import HOLD_SECONDS
from shared.contract import REVOCATION

PROBE_SECONDS = 1.5  # the longest a probe may take; one follows the other


def test_a_dead_workers_revocation_is_given_on_before_any_edge_closes() -> None:
    """Edges count it as missing meanwhile: past `max_staleness` one death of two would close them all."""
    default = EdgeSettings.model_fields["max_staleness"].default

    assert REVOCATION.ack_wait + 2 * PROBE_SECONDS < default


def test_however_long_blocklist_was_away_a_worker_tries_again_within_a_second() -> None:
    """It holds what waits by itself: the thousandth try is as near as the tenth."""
    assert 0 < retry_delay(1) < retry_delay(10) == retry_delay(1_000) <= HOLD_SECONDS
