"""The edge's figures for Prometheus, read when scraped; no label names a user, a path or a host."""

from collections.abc import Callable, Iterator, Mapping
from math import inf

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from latchwire.documents import CATALOGUE, KEYS, TOKENS, Documents
from services.edge.adapters.feed_revocations import FeedRevocations
from services.edge.flows.counts import CheckCounts
from services.edge.flows.tokens import VerifiedTokens


class EdgeCollector(Collector):
    """Register once per process. *connections*: how many are open, by the way that they go."""

    def __init__(
        self,
        counts: CheckCounts,
        tokens: VerifiedTokens,
        revocations: FeedRevocations,
        documents: Documents,
        connections: Callable[[], Mapping[str, int]],
    ) -> None:
        self._counts = counts
        self._tokens = tokens
        self._revocations = revocations
        self._documents = documents
        self._connections = connections

    def collect(self) -> Iterator[Metric]:
        """One family after the other."""
        checks = CounterMetricFamily(
            "latchwire_check", "Checks answered.", labels=["proxy", "outcome", "reason"]
        )
        for (proxy, outcome, reason), number in sorted(self._counts.items()):
            checks.add_metric([proxy, outcome, reason], number)
        yield checks
        times = self._counts.times
        yield HistogramMetricFamily(
            "latchwire_check_seconds",
            "Time from a check's headers to its answer; a check waits for nothing.",
            buckets=[(_bound(seconds), count) for seconds, count in times.buckets()],
            sum_value=times.seconds,
        )
        cache = CounterMetricFamily(
            "latchwire_token_cache", "Look-ups of verified tokens.", labels=["result"]
        )
        cache.add_metric(["hit"], self._tokens.hits)
        cache.add_metric(["miss"], self._tokens.misses)
        yield cache
        yield CounterMetricFamily(
            "latchwire_feed_fills", "Gaps filled by direct get.", self._revocations.fills
        )
        yield from self._gauges()
        yield from self._of_documents()

    def _gauges(self) -> Iterator[Metric]:
        revocations = self._revocations
        yield GaugeMetricFamily(
            "latchwire_edge_staleness_seconds",
            "Age of the last proof that the blocklist is complete.",
            revocations.staleness_seconds(),
        )
        yield GaugeMetricFamily(
            "latchwire_service_tokens", "Service tokens accepted.", self._tokens.service_tokens
        )
        yield GaugeMetricFamily("latchwire_blocklist_size", "Live records.", revocations.size)
        yield GaugeMetricFamily(
            "latchwire_blocklist_seq", "Applied stream sequence.", revocations.seq
        )
        connections = GaugeMetricFamily(
            "latchwire_edge_connections", "Open connections of gateways.", labels=["way"]
        )
        for way, number in self._connections().items():
            connections.add_metric([way], number)
        yield connections

    def _of_documents(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "latchwire_documents_refused",
            "Documents that were not believed or could not be used.",
            self._documents.refused,
        )
        generations = GaugeMetricFamily(
            "latchwire_document_generation",
            "The generation in force; 0 is the file of the start.",
            labels=["name"],
        )
        for name in (KEYS, CATALOGUE, TOKENS):
            generations.add_metric([name], self._documents.generation(name))
        yield generations


def _bound(seconds: float) -> str:
    """As Prometheus writes the upper bound of a bucket."""
    return "+Inf" if seconds == inf else f"{seconds:g}"
