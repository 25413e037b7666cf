"""Every statement that collects metrics, each under the question that it answers.

The name of a column is that of a label or of a metric without its prefix (`collectors.py`).  `{top}` is
how many objects get series of their own, `{statements}` the schema of pg_stat_statements.  They run in
the transaction of `health/ask.py`.  What does not belong here: the statements of the health checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

# How is the server as a whole: connections, recovery, notifications, transaction ids?
SERVER_METRICS: Final = """\
SELECT current_setting('server_version') AS version, current_database() AS database,
       extract(epoch FROM pg_postmaster_start_time()) AS postgres_start_time_seconds,
       pg_is_in_recovery()::int AS in_recovery,
       CASE WHEN NOT pg_is_in_recovery() THEN NULL
            WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
            ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())
       END AS standby_lag_seconds,
       current_setting('max_connections')::int
           - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true), '0')::int AS connections_max,
       (SELECT count(*) FROM pg_stat_activity
        WHERE backend_type = 'client backend' OR backend_type IS NULL AND datid IS NOT NULL)
           AS connections_used,
       pg_notification_queue_usage() AS notify_queue_ratio,
       (SELECT max(age(datfrozenxid)) FROM pg_database) AS transaction_id_age,
       (SELECT max(mxid_age(datminmxid)) FROM pg_database) AS multixact_id_age,
       coalesce((SELECT extract(epoch FROM clock_timestamp() - min(prepared)) FROM pg_prepared_xacts), 0)
           AS oldest_prepared_transaction_seconds"""
# What has this database done since its statistics were reset?
DATABASE: Final = """\
SELECT pg_database_size(datid) AS database_size_bytes, xact_commit AS transactions_committed_total,
       xact_rollback AS transactions_rolled_back_total, blks_hit AS blocks_hit_total,
       blks_read AS blocks_read_total,
       blks_hit::float8 / nullif(blks_hit + blks_read, 0) AS cache_hit_ratio,
       tup_inserted AS rows_inserted_total, tup_updated AS rows_updated_total,
       tup_deleted AS rows_deleted_total, deadlocks AS deadlocks_total,
       conflicts AS recovery_conflicts_total, temp_bytes AS temporary_files_bytes_total
FROM pg_stat_database WHERE datname = current_database()"""
# How many connections of clients are in which state?
CONNECTIONS_BY_STATE: Final = """\
SELECT s.state, count(a.pid) AS connections
FROM unnest(ARRAY['active', 'idle', 'idle in transaction', 'idle in transaction (aborted)',
                  'fastpath function call', 'starting', 'disabled']) AS s (state)
LEFT JOIN pg_stat_activity a ON a.state = s.state AND a.backend_type = 'client backend'
GROUP BY 1"""
# For how long have the slowest clients been at it?
ACTIVITY: Final = """\
SELECT coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0)
           AS longest_transaction_seconds,
       coalesce(extract(epoch FROM max(clock_timestamp() - query_start)
                        FILTER (WHERE state = 'active')), 0) AS longest_query_seconds,
       coalesce(extract(epoch FROM max(clock_timestamp() - state_change)
                        FILTER (WHERE state LIKE 'idle in transaction%')), 0)
           AS longest_idle_in_transaction_seconds,
       count(*) FILTER (WHERE wait_event_type = 'Lock') AS sessions_waiting_for_lock
FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"""
# Which locks are waited for, and for how long?
LOCKS: Final = """\
SELECT m.mode, count(l.mode) AS locks_waited_for,
       coalesce(extract(epoch FROM max(clock_timestamp() - l.waitstart)), 0)
           AS longest_lock_wait_seconds
FROM unnest(ARRAY['AccessShareLock', 'RowShareLock', 'RowExclusiveLock', 'ShareUpdateExclusiveLock',
                  'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'])
     AS m (mode)
LEFT JOIN pg_locks l ON l.mode = m.mode AND NOT l.granted
GROUP BY 1"""
_CURRENT_LSN = """\
CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END"""
# How far are the standbys that this server feeds?
REPLICATION: Final = f"""\
SELECT application_name AS standby,
       max(pg_wal_lsn_diff({_CURRENT_LSN}, replay_lsn)) AS replication_lag_bytes,
       max(extract(epoch FROM coalesce(replay_lag, '0'))) AS replication_lag_seconds
FROM pg_stat_replication WHERE replay_lsn IS NOT NULL
GROUP BY 1 ORDER BY 2 DESC LIMIT {{top}}"""
# How much write-ahead log does each replication slot hold back?
SLOTS: Final = f"""\
SELECT slot_name::text AS slot, active::int AS replication_slot_active,
       pg_wal_lsn_diff({_CURRENT_LSN}, restart_lsn) AS replication_slot_retained_bytes
FROM pg_replication_slots ORDER BY 3 DESC NULLS LAST LIMIT {{top}}"""
# How large are the largest tables, what are they used for, and what about all others?
#
# The exact size of a relation is read under a lock that an AccessExclusiveLock, granted or waited for,
# would block; such a table gets the size that VACUUM or ANALYZE has seen.  Only tables that neither has
# seen are measured for the order.  The counters of "other" would fall when a table leaves it, which
# Prometheus takes for a restart: there are none.
TABLES: Final = """\
WITH locked AS MATERIALIZED (
    SELECT relation FROM pg_locks WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
), index AS MATERIALIZED (
    SELECT x.indrelid, sum(i.relpages) AS pages,
           bool_or(i.oid IN (SELECT relation FROM locked)) AS locked
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid GROUP BY 1
), measured AS MATERIALIZED (
    SELECT c.oid, n.nspname::text AS schema, c.relname::text AS "table",
           CASE WHEN c.reltuples < 0 THEN pg_stat_get_live_tuples(c.oid) ELSE c.reltuples END AS rows,
           pg_stat_get_dead_tuples(c.oid) AS dead_rows, lock.held AS locked,
           current_setting('block_size')::bigint * (c.relpages + coalesce(t.relpages, 0)) AS size,
           current_setting('block_size')::bigint * coalesce(i.pages, 0) AS index_size,
           CASE WHEN c.reltuples < 0 AND NOT lock.held THEN pg_relation_size(c.oid) ELSE 0 END AS new
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
    LEFT JOIN index i ON i.indrelid = c.oid
    LEFT JOIN index ti ON ti.indrelid = t.oid
    CROSS JOIN LATERAL (
        SELECT c.oid IN (SELECT relation FROM locked) OR coalesce(i.locked, false)
               OR coalesce(ti.locked, false)
               OR coalesce(t.oid IN (SELECT relation FROM locked), false)) AS lock (held)
    WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema')
), ranked AS MATERIALIZED (
    SELECT *, row_number() OVER (ORDER BY greatest(size, new) + index_size DESC, oid) AS rank
    FROM measured
)
SELECT schema, "table", rows AS table_rows, dead_rows AS table_dead_rows,
       CASE WHEN locked THEN size ELSE pg_table_size(oid) END AS table_size_bytes,
       CASE WHEN locked THEN index_size ELSE pg_indexes_size(oid) END AS table_indexes_size_bytes,
       pg_stat_get_numscans(oid) AS table_sequential_scans_total,
       (SELECT sum(pg_stat_get_numscans(indexrelid)) FROM pg_index WHERE indrelid = ranked.oid)
           AS table_index_scans_total,
       pg_stat_get_tuples_inserted(oid) AS table_rows_inserted_total,
       pg_stat_get_tuples_updated(oid) AS table_rows_updated_total,
       pg_stat_get_tuples_deleted(oid) AS table_rows_deleted_total,
       extract(epoch FROM greatest(pg_stat_get_last_vacuum_time(oid),
                                   pg_stat_get_last_autovacuum_time(oid)))
           AS table_last_vacuum_timestamp_seconds,
       extract(epoch FROM greatest(pg_stat_get_last_analyze_time(oid),
                                   pg_stat_get_last_autoanalyze_time(oid)))
           AS table_last_analyze_timestamp_seconds
FROM ranked WHERE rank <= {top}
UNION ALL
SELECT '', 'other', sum(rows), sum(dead_rows), sum(greatest(size, new)), sum(index_size),
       NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM ranked WHERE rank > {top} HAVING count(*) > 0"""
_INDEXES = """\
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class t ON t.oid = x.indrelid
JOIN pg_namespace n ON n.oid = i.relnamespace"""
_OF_USERS = """\
WHERE t.relkind IN ('r', 'm') AND i.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')"""
# How often is each of the largest indexes used?
INDEXES: Final = f"""\
SELECT n.nspname::text AS schema, t.relname::text AS "table", i.relname::text AS index,
       pg_stat_get_numscans(i.oid) AS index_scans_total,
       current_setting('block_size')::bigint * i.relpages AS index_size_bytes
{_INDEXES}
{_OF_USERS}
ORDER BY i.relpages DESC, i.oid LIMIT {{top}}"""
# How many indexes does nobody use, what do they cost, and how many can't be used?
UNUSED_INDEXES: Final = f"""\
SELECT count(*) FILTER (WHERE u.unused) AS indexes_unused,
       coalesce(sum(current_setting('block_size')::bigint * i.relpages)
                    FILTER (WHERE u.unused), 0) AS indexes_unused_size_bytes,
       count(*) FILTER (WHERE NOT x.indisvalid) AS indexes_invalid
{_INDEXES}
CROSS JOIN LATERAL (SELECT x.indisvalid AND NOT x.indisunique AND NOT x.indisexclusion
                           AND NOT x.indisreplident AND pg_stat_get_numscans(i.oid) = 0) AS u (unused)
{_OF_USERS}"""
# How often did each function of a trigger run, and for how long?  OFFSET 0 keeps the planner from asking
# for the statistics of every function first.
TRIGGERS: Final = """\
SELECT n.nspname::text AS schema, p.proname::text AS function,
       sum(pg_stat_get_function_calls(p.oid)) AS trigger_calls_total,
       sum(pg_stat_get_function_total_time(p.oid)) / 1000 AS trigger_seconds_total
FROM (SELECT * FROM pg_proc WHERE prorettype = 'trigger'::regtype OFFSET 0) p
JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE pg_stat_get_function_calls(p.oid) IS NOT NULL
GROUP BY 1, 2 ORDER BY 3 DESC LIMIT {top}"""
# Which statements took the most time?  Without their texts, which can be large, and hold secrets.
STATEMENTS: Final = """\
SELECT queryid::text AS queryid, sum(calls) AS statement_calls_total,
       sum(total_exec_time) / 1000 AS statement_seconds_total,
       sum(total_exec_time) / nullif(sum(calls), 0) / 1000 AS statement_mean_seconds,
       sum(rows) AS statement_rows_total
FROM {statements}.pg_stat_statements(false)
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND queryid IS NOT NULL
GROUP BY queryid ORDER BY 3 DESC LIMIT {top}"""
