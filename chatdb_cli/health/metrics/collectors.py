"""The table of all metrics that are read from a database.

A new metric is a column of a statement in `queries.py` and an entry here with the same name; `make docs`
writes docs/metrics.md from this table.  What does not belong here: what this process counts about itself
(`meters.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.health.metrics import queries
from chatdb_cli.health.metrics.model import Collector, Metric

if TYPE_CHECKING:
    from chatdb_cli.health.metrics.model import Kind


def _metrics(kind: Kind, labels: tuple[str, ...], **helps: str) -> tuple[Metric, ...]:
    return tuple(Metric(name, kind, text, labels) for name, text in helps.items())


_SERVER = _metrics(
    "gauge", (),
    postgres_start_time_seconds="When the server was started, in seconds since 1970.",
    in_recovery="1 if the server is a standby.",
    standby_lag_seconds="How old the newest transaction is that this standby has replayed; absent on a "
    "primary.",
    connections_max="How many connections roles without a reserved one can have.",
    connections_used="How many connections of clients there are on the server.",
    notify_queue_ratio="How full the queue of NOTIFY is; at 1 every NOTIFY fails.",
    transaction_id_age="The age of the oldest transaction id of all databases; at 2 billion the server "
    "stops writing.",
    multixact_id_age="The age of the oldest multixact id of all databases.",
    oldest_prepared_transaction_seconds="The age of the oldest prepared transaction; 0 without one.",
)  # fmt: skip
_DATABASE = (
    *_metrics(
        "gauge", (),
        database_size_bytes="The size of the database.",
        cache_hit_ratio="The part of the blocks that were found in shared_buffers, since the statistics "
        "were reset.",
    ),
    *_metrics(
        "counter", (),
        transactions_committed_total="Transactions that were committed.",
        transactions_rolled_back_total="Transactions that were rolled back.",
        blocks_hit_total="Blocks that were found in shared_buffers.",
        blocks_read_total="Blocks that were not found in shared_buffers.",
        rows_inserted_total="Rows that were inserted.",
        rows_updated_total="Rows that were updated.",
        rows_deleted_total="Rows that were deleted.",
        deadlocks_total="Deadlocks.",
        recovery_conflicts_total="Queries that were canceled on a standby because of the recovery.",
        temporary_files_bytes_total="Bytes that were written to temporary files.",
    ),
)  # fmt: skip
_ACTIVITY = _metrics(
    "gauge", (),
    longest_transaction_seconds="The age of the oldest open transaction of a client.",
    longest_query_seconds="How long the longest running query has been running.",
    longest_idle_in_transaction_seconds="How long the longest idle transaction has been idle.",
    sessions_waiting_for_lock="How many sessions of clients wait for a lock.",
)  # fmt: skip
_TABLES = (
    *_metrics(
        "gauge", ("schema", "table"),
        table_rows="The rows of a table, as estimated by VACUUM or ANALYZE.",
        table_dead_rows="The dead rows of a table, as estimated.",
        table_size_bytes="The size of a table with its TOAST table, without indexes.",
        table_indexes_size_bytes="The size of all indexes of a table.",
        table_last_vacuum_timestamp_seconds="When VACUUM or autovacuum last processed a table.",
        table_last_analyze_timestamp_seconds="When ANALYZE or autovacuum last analyzed a table.",
    ),
    *_metrics(
        "counter", ("schema", "table"),
        table_sequential_scans_total="Sequential scans of a table.",
        table_index_scans_total="Scans of the indexes of a table.",
        table_rows_inserted_total="Rows that were inserted into a table.",
        table_rows_updated_total="Rows of a table that were updated.",
        table_rows_deleted_total="Rows of a table that were deleted.",
    ),
)  # fmt: skip
_INDEXES = (
    Metric("index_scans_total", "counter", "Scans of an index.", ("schema", "table", "index")),
    Metric(
        "index_size_bytes", "gauge", "The size of an index, as VACUUM or ANALYZE saw it.",
        ("schema", "table", "index"),
    ),
)  # fmt: skip
_UNUSED = _metrics(
    "gauge", (),
    indexes_unused="How many indexes were not scanned since the statistics were reset; without those of "
    "constraints.",
    indexes_unused_size_bytes="The size of these indexes.",
    indexes_invalid="How many indexes are invalid, because a CREATE INDEX CONCURRENTLY failed.",
)  # fmt: skip
_STATEMENTS = (
    *_metrics(
        "counter", ("queryid",),
        statement_calls_total="Executions of a statement, by its id in pg_stat_statements.",
        statement_seconds_total="The time that the executions of a statement took.",
        statement_rows_total="The rows that a statement returned or changed.",
    ),
    Metric(
        "statement_mean_seconds", "gauge", "The mean time of an execution of a statement.", ("queryid",)
    ),
)  # fmt: skip

# Those that can be slow come last: when the time for all of them is over, the others have been read.
COLLECTORS = (
    Collector(
        "server",
        queries.SERVER_METRICS,
        (
            Metric("postgres_info", "info", "The version of the server.", ("version", "database")),
            *_SERVER,
        ),
        "the server",
    ),
    Collector(
        "connections",
        queries.CONNECTIONS_BY_STATE,
        _metrics("gauge", ("state",), connections="The connections of clients, by state."),
        "the states of connections",
        privileged=True,
    ),
    Collector(
        "activity",
        queries.ACTIVITY,
        _ACTIVITY,
        "what other sessions do",
        privileged=True,
    ),
    Collector(
        "locks",
        queries.LOCKS,
        _metrics(
            "gauge",
            ("mode",),
            locks_waited_for="How many locks are waited for, by mode.",
            longest_lock_wait_seconds="The longest wait for a lock of this mode that continues.",
        ),
        "locks",
    ),
    Collector(
        "replication",
        queries.REPLICATION,
        _metrics(
            "gauge",
            ("standby",),
            replication_lag_bytes="The write-ahead log that a standby has not replayed.",
            replication_lag_seconds="How long a standby takes to replay a transaction.",
        ),
        "the standbys",
        privileged=True,
    ),
    Collector(
        "slots",
        queries.SLOTS,
        _metrics(
            "gauge",
            ("slot",),
            replication_slot_active="1 if a replication slot is in use.",
            replication_slot_retained_bytes="The write-ahead log that a replication slot holds back.",
        ),
        "replication slots",
    ),
    Collector("unused_indexes", queries.UNUSED_INDEXES, _UNUSED, "unused indexes"),
    Collector("indexes", queries.INDEXES, _INDEXES, "the statistics of indexes"),
    Collector(
        "triggers",
        queries.TRIGGERS,
        _metrics(
            "counter",
            ("schema", "function"),
            trigger_calls_total="Calls of the function of a trigger, with track_functions.",
            trigger_seconds_total="The time that these calls took.",
        ),
        "the calls of triggers",
    ),
    Collector(
        "statements",
        queries.STATEMENTS,
        _STATEMENTS,
        "the statements of other roles",
        privileged=True,
        applies=lambda server: server.statements is not None,
    ),
    Collector("tables", queries.TABLES, _TABLES, "the statistics of tables"),
    Collector("database", queries.DATABASE, _DATABASE, "the statistics of the database"),
)
# Its statement is that of `history/read.py`; its values depend on the files, too (`migrations.py`).
MIGRATIONS = Collector(
    "migrations",
    "",
    _metrics(
        "gauge",
        (),
        migrations_applied="How many migrations are applied.",
        migrations_pending="How many migrations are pending; absent if their files can't be read.",
        migrations_unfinished="How many files outside a transaction stopped part-way.",
    ),
    "the history",
)
# Its statement and its values depend on the files of the cursors (`cursors.py`).
CURSORS = Collector(
    "event_cursors",
    "",
    _metrics(
        "gauge",
        ("cursor",),
        event_cursor_lag_seconds="The age of the oldest event that a listener has not read; 0 if there "
        "is none.",
        event_cursor_valid="1 if a listener can continue from its cursor; 0 if not, or if its file "
        "can't be read.",
    ),
    "the change log",
)
