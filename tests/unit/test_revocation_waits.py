"""Waits that belong together although different parts keep them."""

from services.edge.settings import EdgeSettings
from shared.contract import REVOCATION

PROBE_SECONDS = 1.5  # the longest a probe may take; one follows the other


def test_a_dead_workers_revocation_is_given_on_before_any_edge_closes() -> None:
    """Edges count it as missing meanwhile: past `max_staleness` one death of two would close them all."""
    default = EdgeSettings.model_fields["max_staleness"].default

    assert REVOCATION.ack_wait + 2 * PROBE_SECONDS < default
