"""The server as a whole: replication, the NOTIFY queue, transaction IDs, the cache.

What does not belong here: sessions (`activity.py`), the version (`connection.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.health import queries
from chatdb_cli.health.definition import Question, Reading, check, unseen
from chatdb_cli.health.words import age, number, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.health.definition import Facts

# Fewer blocks than this tell nothing about the cache.
_LEAST_BLOCKS = 100_000
_GB = 1024**3


class Replication(NamedTuple):
    """The row of `queries.REPLICATION`; from `own_lag_bytes` on only a standby has values."""

    standbys: int
    lag_ms: int
    lag_bytes: int
    slowest: str | None
    receivers: int
    own_lag_bytes: int | None
    since_replay_ms: int | None
    paused: bool | None


class Slot(NamedTuple):
    """A row of `queries.SLOTS`."""

    name: str
    active: bool
    wal_status: str | None
    bytes: int


class NotifyQueue(NamedTuple):
    """The row of `queries.NOTIFY_QUEUE`."""

    usage: float


class Database(NamedTuple):
    """The row of `queries.DATABASE`."""

    oldest: str
    xid_age: int
    multixact_age: int
    hits: int
    blocks: int


REPLICATION = Question(queries.REPLICATION, Replication)
SLOTS = Question(queries.SLOTS, Slot)
NOTIFY_QUEUE = Question(queries.NOTIFY_QUEUE, NotifyQueue)
DATABASE = Question(queries.DATABASE, Database)


@check("replication-lag", "ms", REPLICATION, degraded=30_000, error=300_000)
def replication_lag(facts: Facts, rows: Sequence[Replication]) -> Reading:
    """How long ago the slowest standby, or this one, was up to date."""
    (row,) = rows
    if facts.server.standby:
        return _own_lag(row)
    if not facts.server.sees_statistics:
        return unseen("the standbys", facts.server)
    if not row.standbys:
        return Reading(0, "no standby is connected")
    return Reading(
        row.lag_ms,
        f"{_connected(row)}, {row.slowest} is {age(row.lag_ms)} behind",
        "look at the disk, the network and the long queries of that standby",
    )


def _own_lag(row: Replication) -> Reading:
    """Return the lag of this standby: after it has replayed everything, there is none."""
    behind = row.own_lag_bytes or not row.receivers
    lag_ms = (row.since_replay_ms or 0) if behind else 0
    if row.paused:
        return Reading(
            lag_ms,
            f"replay is paused on this standby, {age(lag_ms)} behind",
            "SELECT pg_wal_replay_resume() continues it",
        )
    if not row.receivers:
        return Reading(
            lag_ms,
            f"this standby is not connected to its primary; its last transaction is {age(lag_ms)} old",
            "look at primary_conninfo, at the primary, and at the log of this standby; restoring from "
            "an archive needs no connection",
        )
    return Reading(
        lag_ms,
        f"this standby is {age(lag_ms)} behind",
        "look at its disk, its network and its long queries",
    )


@check("replication-lag-bytes", "bytes", REPLICATION, degraded=_GB // 4, error=4 * _GB)
def replication_lag_bytes(facts: Facts, rows: Sequence[Replication]) -> Reading:
    """How much write-ahead log the slowest standby, or this one, has still to replay."""
    (row,) = rows
    if facts.server.standby:
        lag = row.own_lag_bytes or 0
        return Reading(lag, f"this standby has {size(lag)} to replay", "look at its disk")
    if not facts.server.sees_statistics:
        return unseen("the standbys", facts.server)
    if not row.standbys:
        return Reading(0, "no standby is connected")
    return Reading(
        row.lag_bytes,
        f"{_connected(row)}, {row.slowest} has {size(row.lag_bytes)} to replay",
        "look at the disk, the network and the long queries of that standby",
    )


def _connected(row: Replication) -> str:
    return number(row.standbys, "standby is connected", "standbys are connected")


@check("replication-slots", "bytes", SLOTS, degraded=5 * _GB, error=50 * _GB)
def replication_slots(_: Facts, rows: Sequence[Slot]) -> Reading:
    """How much write-ahead log a replication slot holds back: it can fill the disk."""
    if not rows:
        return Reading(0, "there is no replication slot")
    row = rows[0]
    drop = f"SELECT pg_drop_replication_slot('{row.name}')"
    if row.wal_status == "lost":
        return Reading(
            row.bytes,
            f"replication slot {row.name!r} has lost its write-ahead log",
            f"its consumer must start over; then {drop}",
            "degraded",
        )
    state = "active" if row.active else "without a consumer"
    return Reading(
        row.bytes,
        f"replication slot {row.name!r} ({state}) holds back {size(row.bytes)}",
        f"start its consumer, or if it is gone: {drop}",
    )


@check("notify-queue", "percent", NOTIFY_QUEUE, degraded=10, error=50)
def notify_queue(_: Facts, rows: Sequence[NotifyQueue]) -> Reading:
    """How full the queue of NOTIFY is: when it is full, every NOTIFY fails at COMMIT."""
    (row,) = rows
    percent = round(100 * row.usage, 1)
    return Reading(
        percent,
        f"the NOTIFY queue is {percent:g} % full",
        "a session that listens is in a long transaction, or does not read: the server's log names it "
        "(pid); end it",
    )


@check("xid-age", "transactions", DATABASE, degraded=1_000_000_000, error=1_600_000_000)
def xid_age(_: Facts, rows: Sequence[Database]) -> Reading:
    """The age of the oldest transaction ID: at two billion, PostgreSQL accepts no more writes."""
    (row,) = rows
    oldest = max(row.xid_age, row.multixact_age)
    what = "transaction ID" if oldest == row.xid_age else "multixact ID"
    return Reading(
        oldest,
        f"the oldest {what} is {oldest:,} old, in database {row.oldest!r}",
        "VACUUM FREEZE there; first end long transactions, prepared ones, and unused replication slots, "
        "which hold it back",
    )


@check("cache-hit-ratio", "percent", DATABASE, degraded=90, lowest=True)
def cache_hit_ratio(_: Facts, rows: Sequence[Database]) -> Reading:
    """How many of the blocks that queries of this database read were in shared_buffers."""
    (row,) = rows
    percent = round(100 * row.hits / row.blocks, 1) if row.blocks else 100
    if row.blocks < _LEAST_BLOCKS:
        few = f"only {number(row.blocks, 'block')} were read since the statistics began"
        return Reading(percent, f"{percent:g} % of blocks were in the cache; {few}", status="ok")
    return Reading(
        percent,
        f"{percent:g} % of {row.blocks:,} blocks were in the cache",
        "look for queries that read whole tables; then for a larger shared_buffers",
    )
