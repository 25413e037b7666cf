"""Write metrics.md from the tables of metrics in the code; `make docs` runs this script.

What belongs here: the order and the form of that document.  What does not belong here: what a metric is,
which is in `chatdb_cli/health/metrics/`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.health.metrics.collectors import COLLECTORS, CURSORS, MIGRATIONS
from chatdb_cli.health.metrics.families import SUCCESS
from chatdb_cli.health.metrics.meters import METERS, POOL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatdb_cli.health.metrics.model import Collector, Metric

PATH = Path(__file__).with_name("metrics.md")

HEAD = """\
<!-- Made by docs/metrics.py: correct the texts in chatdb_cli/health/metrics, and run "make docs". -->

# Metrics

What `chatdb health --serve` exports at `/metrics`. [operating.md](operating.md) says how to run it, and
what to do about each alert.

- A value that the server does not have, or that the role may not see, is absent;
  `chatdb_collector_success` says for each collector whether it could be read. A collector that does not
  apply, such as `statements` without pg_stat_statements, is absent there, too.
- At most `--metrics-top` (50) tables, indexes, functions, statements, standbys and slots have series of
  their own: the largest, or those that took the most time. The gauges of the other tables are summed up
  as `table="other"` without a schema. Their counters are not: a sum would fall when a table leaves it,
  and Prometheus takes that for a restart of the server.
- A scrape takes two round trips, whatever the number of tables, and waits for no lock: the size of a
  table that somebody has locked, or is about to, is the one that VACUUM or ANALYZE saw last.
- Counters of PostgreSQL start again at 0 when its statistics are reset, which Prometheus expects.
"""


def names() -> set[str]:
    """Return the name of every metric that is exported, with the suffixes that a histogram has."""
    found = set()
    for metric in _all():
        suffixes = ("_bucket", "_count", "_sum") if metric.kind == "histogram" else ("",)
        found |= {metric.full_name + suffix for suffix in suffixes}
    return found


def document() -> str:
    """Return the whole of metrics.md."""
    parts = [HEAD, _section("This process", (*METERS, SUCCESS))]
    parts[-1] += "\nBesides, the usual `process_` metrics: processor time, memory, open files.\n"
    parts += [
        _section(f"Collector `{collector.name}`", collector.metrics, collector)
        for collector in (*COLLECTORS, MIGRATIONS, CURSORS)
    ]
    parts[-1] += "\nOnly with `--cursor`, for each cursor that it names.\n"
    parts.append(_section("The pool of an application", (metric for metric, _, _ in POOL)))
    parts[-1] += (
        "\nOnly with `HealthServer(settings, pool=pool)`, in the process of the application.\n"
    )
    return "\n".join(parts)


def _section(title: str, metrics: Iterable[Metric], collector: Collector | None = None) -> str:
    lines = [f"## {title}", ""]
    if collector and collector.privileged:
        lines += ["Needs `GRANT pg_monitor TO` the role.", ""]
    lines += ["| metric | type | labels | value |", "| --- | --- | --- | --- |"]
    for metric in metrics:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.full_name}` | {metric.kind} | {labels} | {metric.help} |")
    return "\n".join(lines) + "\n"


def _all() -> Iterable[Metric]:
    yield from (*METERS, SUCCESS)
    for collector in (*COLLECTORS, MIGRATIONS, CURSORS):
        yield from collector.metrics
    yield from (metric for metric, _, _ in POOL)


if __name__ == "__main__":
    PATH.write_text(document(), encoding="utf-8")
