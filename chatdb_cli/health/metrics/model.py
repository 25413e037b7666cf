"""A metric, and the collector that reads it.

What does not belong here: which metrics there are (`collectors.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from chatdb_cli.health.definition import Server
    from chatdb_cli.postgres.model import Target

PREFIX = "chatdb_"
Kind = Literal["gauge", "counter", "histogram", "info"]


class Metric(NamedTuple):
    """A metric.

    Attributes:
        name: its name without the prefix, also that of its column.  By Prometheus' rules it ends with
            its unit (`_seconds`, `_bytes`, `_ratio`), and a counter with `_total`.
        kind: the type.
        help: what it is, one sentence.
        labels: the names of its labels.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """The name with the prefix; that of an info ends with `_info`."""
        return f"{PREFIX}{self.name}"


class Collector(NamedTuple):
    """A statement, and the metrics that its rows hold.

    Attributes:
        name: the value of the label `collector`.
        sql: the statement; see `queries.py`.
        metrics: the metrics; a NULL is an absent sample.
        what: what it reads, for the message when it can't.
        privileged: it reads what only a role with pg_read_all_stats may see.
        applies: whether there is anything to read.
    """

    name: str
    sql: str
    metrics: tuple[Metric, ...]
    what: str
    privileged: bool = False
    applies: Callable[[Server], bool] = lambda _: True


class Reading(NamedTuple):
    """What a collector read.

    Attributes:
        collector: the collector.
        rows: the rows, by the names of their columns; None if they could not be read.
        reason: why not, or why one of the values is missing; one sentence, or empty.
        seconds: how long the statement took, as seen from here; None if it was not sent.
    """

    collector: Collector
    rows: Sequence[Mapping[str, Any]] | None
    reason: str = ""
    seconds: float | None = None


class Snapshot(NamedTuple):
    """The metrics of a database at one moment.

    Attributes:
        target: the database.
        latency_s: a round trip that costs the server nothing, in seconds.
        readings: one for each collector that applies.
    """

    target: Target
    latency_s: float
    readings: tuple[Reading, ...]
