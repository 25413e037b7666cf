"""What this process counts about itself: probes, its own statements, requests, and a pool.

What does not belong here: what is read from the database (`collectors.py`).
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from chatdb_cli._version import __version__
from chatdb_cli.health.metrics.model import PREFIX, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric as Family
    from psycopg_pool import ConnectionPool

# From a local socket to a server that is about to be given up.
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
METERS = (
    Metric("build_info", "info", "The version of chatdb and of Python.", ("version", "python")),
    Metric("up", "gauge", "1 if the database answered the last probe, 0 if not."),
    Metric(
        "probe_duration_seconds",
        "histogram",
        "How long the database took to answer a probe, connecting included where that was needed.",
    ),
    Metric(
        "round_trip_duration_seconds",
        "histogram",
        "How long a statement that costs the server nothing took, with each scrape.",
    ),
    Metric("probe_failures_total", "counter", "Probes that failed, by code of the error.", ("code",)),
    Metric(
        "query_duration_seconds",
        "histogram",
        "How long the statements of chatdb took, by collector.",
        ("collector",),
    ),
    Metric("connections_opened_total", "counter", "Connections that chatdb opened to the database."),
    Metric(
        "http_requests_total", "counter", "Requests, by path and status.", ("path", "status")
    ),
)  # fmt: skip
# The statistics of psycopg_pool, with what a value is divided by to be in the unit of the name.
POOL = (
    (Metric("pool_connections", "gauge", "The connections of the pool."), "pool_size", 1),
    (Metric("pool_connections_min", "gauge", "The lowest number of connections."), "pool_min", 1),
    (Metric("pool_connections_max", "gauge", "The highest number of connections."), "pool_max", 1),
    (Metric("pool_connections_available", "gauge", "Idle connections."), "pool_available", 1),
    (Metric("pool_requests_waiting", "gauge", "Requests that wait for a connection."),
     "requests_waiting", 1),
    (Metric("pool_requests_total", "counter", "Requests for a connection."), "requests_num", 1),
    (Metric("pool_requests_queued_total", "counter", "Requests that had to wait."),
     "requests_queued", 1),
    (Metric("pool_requests_errors_total", "counter", "Requests that ended with an error."),
     "requests_errors", 1),
    (Metric("pool_wait_seconds_total", "counter", "How long requests have waited."),
     "requests_wait_ms", 1000),
    (Metric("pool_usage_seconds_total", "counter", "How long connections were in use."),
     "usage_ms", 1000),
    (Metric("pool_connections_opened_total", "counter", "Connections that the pool opened."),
     "connections_num", 1),
    (Metric("pool_connections_errors_total", "counter", "Connections that could not be opened."),
     "connections_errors", 1),
    (Metric("pool_connections_lost_total", "counter", "Connections that were found to be lost."),
     "connections_lost", 1),
)  # fmt: skip


class Meters:
    """The counters of one server.

    Args:
        pool: the pool of the application, to report its statistics.
    """

    def __init__(self, pool: ConnectionPool[Any] | None = None) -> None:
        self._pool = pool
        self._registry = registry = CollectorRegistry(auto_describe=False)
        info, up, probe, latency, failures, query, opened, requests = METERS
        Info(_base(info), info.help, registry=registry).info(
            {"version": __version__, "python": platform.python_version()}
        )
        self.up = Gauge(_base(up), up.help, registry=registry)
        self.probe_s = Histogram(_base(probe), probe.help, registry=registry, buckets=_BUCKETS_S)
        self.latency_s = Histogram(
            _base(latency), latency.help, registry=registry, buckets=_BUCKETS_S
        )
        self.failures = Counter(_base(failures), failures.help, failures.labels, registry=registry)
        self.query_s = Histogram(
            _base(query), query.help, query.labels, registry=registry, buckets=_BUCKETS_S
        )
        self.opened = Counter(_base(opened), opened.help, registry=registry)
        self.requests = Counter(_base(requests), requests.help, requests.labels, registry=registry)
        ProcessCollector(registry=registry)

    def families(self) -> Iterator[Family]:
        """Yield all of them."""
        for family in self._registry.collect():
            # One for each counter says what process_start_time_seconds says already.
            family.samples = [s for s in family.samples if not s.name.endswith("_created")]
            yield family
        if self._pool:
            statistics = self._pool.get_stats()
            for metric, key, divisor in POOL:
                kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
                yield kind(metric.full_name, metric.help, value=statistics.get(key, 0) / divisor)


def _base(metric: Metric) -> str:
    """Return the name to which prometheus_client appends the suffix of the kind."""
    return PREFIX + metric.name.removesuffix("_info").removesuffix("_total")
