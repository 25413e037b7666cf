"""From readings to the metric families of prometheus_client.

What does not belong here: reading (`collect.py`), what this process counts about itself (`meters.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
)

from chatdb_cli.health.metrics.model import PREFIX, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client.core import Metric as Family

    from chatdb_cli.health.metrics.model import Reading

SUCCESS = Metric(
    "collector_success",
    "gauge",
    "1 if the metrics of a collector could be read; 0 if not, or if the role may not see them.",
    ("collector",),
)


def families(readings: Sequence[Reading]) -> Iterator[Family]:
    """Yield the families of the readings, and which of them could be read."""
    success = GaugeMetricFamily(PREFIX + SUCCESS.name, SUCCESS.help, labels=SUCCESS.labels)
    for reading in readings:
        success.add_metric([reading.collector.name], reading.rows is not None)
        for metric in reading.collector.metrics if reading.rows else ():
            family = _family(metric, reading.rows or ())
            if family.samples:
                yield family
    yield success


def _family(metric: Metric, rows: Sequence[Mapping[str, Any]]) -> Family:
    name = metric.full_name
    if metric.kind == "info":
        info = InfoMetricFamily(name.removesuffix("_info"), metric.help)
        for row in rows:
            info.add_metric([], {label: _text(row[label]) for label in metric.labels})
        return info
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(name, metric.help, labels=metric.labels)
    for row in rows:
        value = row[metric.name]
        if value is not None:
            family.add_metric([_text(row[label]) for label in metric.labels], float(value))
    return family


def _text(value: object) -> str:
    """Return the value of a label."""
    return str(value)
