"""Every statement that this package sends, each under the question that it answers.

`{name}` is a value that `postgres/quoting.py` inserts, quoted by libpq; `%s` and `$1` are parameters.
They run in a read-only transaction, with `search_path = pg_catalog`.  None of them waits for a lock of a
user's table: so the size of a relation is that of pg_class, and no definition of an object is read.
What does not belong here: decisions, and SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

# The columns that describe a session to a person; null where the role may not see them.  Role and query
# are in hexadecimal: in a database whose encoding is SQL_ASCII they can be cut in a character.
_SESSION: Final = """
       coalesce(nullif(a.application_name, ''), nullif(a.backend_type, 'client backend')) AS application,
       encode(replace(pg_get_userbyid(a.usesysid)::text, E'\\\\', E'\\\\\\\\')::bytea, 'hex') AS "user",
       host(a.client_addr) AS client, a.state,
       encode(replace(a.query, E'\\\\', E'\\\\\\\\')::bytea, 'hex') AS query"""
# The relation c in the schema n does not belong to PostgreSQL.
_OF_USERS: Final = "n.nspname <> 'information_schema' AND NOT starts_with(n.nspname, 'pg_')"
# Read only, and in one transaction, so that the settings apply through a pooler too.
BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
# Resolve names in pg_catalog alone, let no statement run or wait for long, and let one that row-level
# security would restrict fail: it would return too little, and run functions of the policies.
SET_LIMITS: Final = """\
SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
       pg_catalog.set_config('statement_timeout', {timeout_ms}, true),
       pg_catalog.set_config('lock_timeout', {lock_timeout_ms}, true),
       pg_catalog.set_config('row_security', 'off', true),
       pg_catalog.set_config('jit', 'off', true)"""
# Let no timeout of a role or a database end this session while it is idle, unless it is a pooler's.
KEEP_SESSION: Final = """\
SELECT CASE WHEN pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) {pid}
            THEN pg_catalog.set_config('idle_session_timeout', '0', false) END"""
# Return to here after each question: a failed one must not stop the others.
SAVEPOINT: Final = "SAVEPOINT question"
ROLLBACK_TO_SAVEPOINT: Final = "ROLLBACK TO SAVEPOINT question"
# End the transaction.  Operators watch how many transactions are rolled back, so this is none of them.
COMMIT: Final = "COMMIT"
# Give the next question what is left of the time for all of them.
SET_REMAINING_TIME: Final = """\
SELECT set_config('statement_timeout', greatest(1, {timeout_ms}::int - (extract(
    epoch FROM clock_timestamp() - transaction_timestamp()) * 1000)::int)::text, true)"""
# Which session and server is this, what may the role see, and what of chatdb is in the schema?
SERVER: Final = """\
SELECT pg_backend_pid() AS pid, current_setting('server_version') AS version,
       current_setting('server_version_num')::int AS version_number, clock_timestamp() AS now,
       current_user::text AS "user", pg_is_in_recovery() AS standby,
       pg_has_role('pg_read_all_stats', 'USAGE') AS sees_statistics,
       n.oid IS NOT NULL AS schema_exists,
       coalesce(has_schema_privilege(n.oid, 'USAGE'), false) AS schema_usable,
       EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relrowsecurity)
           AS has_row_security,
       ARRAY(SELECT c.relname::text FROM pg_class c
             WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p')
               AND c.relname = ANY ({relations}::text[])) AS relations,
       ARRAY(SELECT c.relname::text FROM pg_class c
             WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p')
               AND c.relname = ANY ({relations}::text[])
               AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
           AS readable,
       ARRAY(SELECT c.relname::text FROM pg_class c
             WHERE c.relnamespace = n.oid AND c.relkind NOT IN ('r', 'p')
               AND c.relname = ANY ({relations}::text[])) AS not_tables,
       (SELECT quote_ident(x.nspname)
        FROM pg_extension e JOIN pg_namespace x ON x.oid = e.extnamespace
        WHERE e.extname = 'pg_stat_statements'
          AND current_setting('pg_stat_statements.max', true) IS NOT NULL
          AND has_schema_privilege(x.oid, 'USAGE')) AS statements
FROM (VALUES (1)) one (row) LEFT JOIN pg_namespace n ON n.nspname = {name}"""
# How many connections are there, and how many may there be?  Which transaction of a client in this
# database is the oldest?
ACTIVITY: Final = (
    """\
WITH sessions AS MATERIALIZED (
    SELECT * FROM pg_stat_get_activity(NULL)
), oldest AS (
    SELECT * FROM sessions
    WHERE xact_start IS NOT NULL AND backend_type = 'client backend' AND pid <> pg_backend_pid()
      AND datid = (SELECT oid FROM pg_database WHERE datname = current_database())
    ORDER BY xact_start LIMIT 1
)
SELECT current_setting('max_connections')::int
           - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true), '0')::int AS usable,
       (SELECT count(*) FROM sessions
        WHERE backend_type = 'client backend' OR backend_type IS NULL AND datid <> 0) AS used,
       (SELECT count(*) FROM sessions WHERE state LIKE 'idle in transaction%') AS idle_in_transaction,
       (extract(epoch FROM clock_timestamp() - a.xact_start) * 1000)::bigint AS age_ms,
       a.pid,"""
    + _SESSION
    + """
FROM (VALUES (1)) one (row) LEFT JOIN oldest a ON true"""
)
# Which prepared transaction is the oldest?
PREPARED: Final = """\
SELECT gid, owner::text, (extract(epoch FROM clock_timestamp() - prepared) * 1000)::bigint AS age_ms
FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared LIMIT 1"""
# How many sessions wait for a lock, for how long, and which session that does not wait itself blocks
# most of them?
BLOCKED: Final = (
    """\
WITH waiting AS MATERIALIZED (
    SELECT pid, min(waitstart) AS since FROM pg_locks WHERE NOT granted GROUP BY pid
), pairs AS MATERIALIZED (
    SELECT w.pid, b.pid AS blocker
    FROM (SELECT pid FROM waiting ORDER BY since LIMIT 50) w
    CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS b (pid)
), root AS (
    SELECT blocker AS pid FROM pairs
    GROUP BY blocker
    ORDER BY blocker IN (SELECT pid FROM waiting), count(*) DESC, blocker LIMIT 1
)
SELECT (SELECT count(*) FROM waiting) AS waiting, w.pid AS waiting_pid,
       (extract(epoch FROM clock_timestamp() - w.since) * 1000)::bigint AS wait_ms,
       root.pid,"""
    + _SESSION
    + """
FROM (SELECT pid, since FROM waiting ORDER BY since LIMIT 1) w
LEFT JOIN root ON true LEFT JOIN pg_stat_get_activity(NULL) a ON a.pid = root.pid"""
)
# Where there are no tables of the history, it is empty.
NO_HISTORY: Final = "SELECT NULL AS yoyo_id, NULL AS applied_at WHERE false"
# The same for a schema without a lock table of yoyo.
NO_YOYO_LOCK: Final = "SELECT NULL AS pid, NULL AS since WHERE false"
# Which session holds a migration lock of this target, and since when?
MIGRATOR: Final = (
    """\
SELECT l.pid, (extract(epoch FROM clock_timestamp() - a.backend_start) * 1000)::bigint AS age_ms,"""
    + _SESSION
    + """
FROM (VALUES ({key}), ({lock_key})) k (high, low)
JOIN pg_locks l ON l.classid = k.high::oid AND l.objid = k.low::oid AND l.objsubid = 2
LEFT JOIN pg_stat_get_activity(NULL) a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY a.backend_start LIMIT 1"""
)
# Which indexes are invalid, and not being built?  A build CONCURRENTLY locks the table.
INVALID_INDEXES: Final = f"""\
SELECT n.nspname::text AS schema, c.relname::text AS name, t.relname::text AS "table"
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT (i.indisvalid AND i.indisready) AND {_OF_USERS}
  AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.relation = i.indrelid AND l.granted
                  AND l.mode = 'ShareUpdateExclusiveLock'
                  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
ORDER BY 1, 2"""
# Which indexes were never used, although their table was read a thousand times?  An index that
# enforces a constraint is needed without being read.
UNUSED_INDEXES: Final = f"""\
WITH indexes AS MATERIALIZED (
    SELECT c.relname, c.relnamespace, c.relpages, i.indrelid, pg_stat_get_numscans(c.oid) AS scans,
           NOT (i.indisunique OR i.indisexclusion OR i.indisreplident) AND i.indisvalid AS removable
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'i' AND {_OF_USERS}
), tables AS (
    SELECT indrelid, sum(scans) + pg_stat_get_numscans(indrelid) AS reads FROM indexes GROUP BY indrelid
)
SELECT i.relnamespace::regnamespace::text AS schema, i.relname::text AS name,
       t.relname::text AS "table", i.relpages::bigint * current_setting('block_size')::int AS bytes
FROM indexes i JOIN tables USING (indrelid) JOIN pg_class t ON t.oid = i.indrelid
WHERE i.removable AND i.scans = 0 AND tables.reads >= 1000
ORDER BY 4 DESC, 1, 2"""
# Which constraints are not validated?  One that is NOT ENFORCED is meant to be so.
NOT_VALID: Final = f"""\
SELECT n.nspname::text AS schema, k.conname::text AS name, c.relname::text AS "table"
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT k.convalidated AND to_jsonb(k) ->> 'conenforced' IS DISTINCT FROM 'false' AND {_OF_USERS}
ORDER BY 1, 2"""
# Which foreign keys have no index that starts with their columns?  An index WHERE column IS NOT NULL is
# good enough.
UNINDEXED_FOREIGN_KEYS: Final = f"""\
SELECT n.nspname::text AS schema, k.conname::text AS name, c.relname::text AS "table"
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND {_OF_USERS}
  AND NOT EXISTS (
      SELECT FROM pg_index i
      WHERE i.indrelid = k.conrelid AND i.indisvalid
        AND (i.indpred IS NULL OR starts_with(i.indpred::text, '{{{{NULLTEST'))
        AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)
ORDER BY 1, 2"""
# Which triggers are disabled?  Those of foreign keys included.
DISABLED_TRIGGERS: Final = f"""\
SELECT DISTINCT n.nspname::text AS schema,
       coalesce(k.conname, t.tgname)::text AS name, c.relname::text AS "table"
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_constraint k ON k.oid = t.tgconstraint
WHERE t.tgenabled = 'D' AND {_OF_USERS}
ORDER BY 1, 2"""
# Which extensions have another version than the server's files, or no files at all?
EXTENSIONS: Final = """\
SELECT e.extname::text AS name, e.extversion AS version, a.default_version AS available
FROM pg_extension e LEFT JOIN pg_available_extensions() a ON a.name = e.extname
WHERE a.default_version IS DISTINCT FROM e.extversion
ORDER BY a.default_version IS NOT NULL, 1"""
# How far behind are the standbys of this server?  If it is a standby itself: how far behind is it, and
# does it receive anything?
REPLICATION: Final = """\
SELECT s.*, r.*
FROM (SELECT count(*) AS standbys,
             coalesce(max(extract(epoch FROM w.replay_lag) * 1000), 0)::bigint AS lag_ms,
             coalesce(max(pg_wal_lsn_diff(
                 CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                      ELSE pg_current_wal_lsn() END, w.replay_lsn)), 0)::bigint AS lag_bytes,
             (array_agg(coalesce(nullif(a.application_name, ''), host(a.client_addr), a.pid::text)
                        ORDER BY w.replay_lsn))[1] AS slowest
      FROM pg_stat_get_wal_senders() w JOIN pg_stat_get_activity(NULL) a USING (pid)
      WHERE w.state IN ('streaming', 'catchup')) s,
     (SELECT (SELECT count(*) FROM pg_stat_get_wal_receiver() r WHERE r.pid IS NOT NULL) AS receivers,
             CASE WHEN pg_is_in_recovery() THEN greatest(0, coalesce(pg_wal_lsn_diff(
                 pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), 0)) END::bigint AS own_lag_bytes,
             CASE WHEN pg_is_in_recovery() THEN extract(
                 epoch FROM clock_timestamp() - coalesce(
                     pg_last_xact_replay_timestamp(), pg_postmaster_start_time())) * 1000 END::bigint
                 AS since_replay_ms,
             CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END AS paused) r"""
# How much write-ahead log does each replication slot hold back?
SLOTS: Final = """\
SELECT slot_name::text AS name, active, wal_status,
       coalesce(pg_wal_lsn_diff(
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
           restart_lsn), 0)::bigint AS bytes
FROM pg_get_replication_slots()
WHERE NOT temporary
ORDER BY wal_status = 'lost' DESC, 4 DESC"""
# How full is the queue of NOTIFY?
NOTIFY_QUEUE: Final = "SELECT pg_notification_queue_usage() AS usage"
# How old is the oldest transaction ID of any database, and how many blocks came from the cache?
DATABASE: Final = """\
SELECT d.datname::text AS oldest, age(d.datfrozenxid)::bigint AS xid_age,
       (SELECT max(mxid_age(datminmxid))::bigint FROM pg_database) AS multixact_age,
       pg_stat_get_db_blocks_hit(o.oid) AS hits, pg_stat_get_db_blocks_fetched(o.oid) AS blocks
FROM (SELECT datname, datfrozenxid FROM pg_database ORDER BY age(datfrozenxid) DESC LIMIT 1) d,
     (SELECT oid FROM pg_database WHERE datname = current_database()) o"""
# How old is the oldest event of the change log?
OLDEST_EVENT: Final = """\
SELECT (extract(epoch FROM clock_timestamp() - e.at) * 1000)::bigint AS age_ms
FROM {schema}.events e ORDER BY e.seq LIMIT 1"""
# How old is the oldest event that the listener with each cursor has not read, or why can't it continue?
# As in `events_since()`, these are events of transactions that were running then, and of those that
# began later, both by the index of xid; and while it reads a batch in pages, those of the next pages.
UNREAD_EVENTS: Final = """\
SELECT c.number,
       CASE WHEN c.epoch IS DISTINCT FROM s.epoch THEN 'reset'
            WHEN pg_snapshot_xmin(c.older) < s.floor THEN 'purged'
            WHEN pg_snapshot_xmax(c.newer) > pg_snapshot_xmax(pg_current_snapshot())
              OR EXISTS (SELECT FROM pg_snapshot_xip(pg_current_snapshot()) x (xid)
                         WHERE pg_visible_in_snapshot(x.xid, c.newer)) THEN 'ahead' END AS lost,
       (extract(epoch FROM clock_timestamp() - u.at) * 1000)::bigint AS age_ms
FROM (VALUES {cursors}) c (number, epoch, older, newer, seq, xid, first, last)
LEFT JOIN (
    SELECT s.floor, left(md5(concat_ws('.', p.system_identifier, d.oid, e.oid) || s.nonce), 12) AS epoch
    FROM {schema}.events_state s, pg_control_system() p, pg_database d, pg_class e
    JOIN pg_namespace n ON n.oid = e.relnamespace
    WHERE d.datname = current_database() AND n.nspname = {name} AND e.relname = 'events'
) s ON true
CROSS JOIN LATERAL (SELECT min(a.at) AS at FROM (
    SELECT e.at FROM pg_snapshot_xip(c.newer) x (xid)
    CROSS JOIN LATERAL (SELECT o.at FROM {schema}.events o WHERE o.xid = x.xid ORDER BY o.seq LIMIT 1) e
    UNION ALL
    (SELECT e.at FROM {schema}.events e WHERE e.xid >= pg_snapshot_xmax(c.newer)
     ORDER BY e.xid, e.seq LIMIT 1)
    UNION ALL
    SELECT e.at FROM pg_snapshot_xip(c.older) x (xid)
    CROSS JOIN LATERAL (SELECT o.at FROM {schema}.events o
                        WHERE o.xid = x.xid AND o.seq >= c.seq AND (o.seq, o.xid) > (c.seq, c.xid)
                        ORDER BY o.seq LIMIT 1) e
    WHERE pg_visible_in_snapshot(x.xid, c.newer)
    UNION ALL
    (SELECT e.at FROM {schema}.events e
     WHERE (e.seq, e.xid) > (c.seq, c.xid) AND e.seq BETWEEN c.first AND c.last
       AND e.xid::text::bigint >= pg_snapshot_xmax(c.older)::text::bigint
       AND pg_visible_in_snapshot(e.xid, c.newer)
     ORDER BY e.seq, e.xid LIMIT 1)
) a) u"""
# When did the oldest row expire that purge_expired() has not deleted, and in which table is it?
EXPIRED: Final = """\
SELECT x."table", (extract(epoch FROM clock_timestamp() - x.expired) * 1000)::bigint AS age_ms
FROM (VALUES
    ('sessions', (SELECT min(expires_at) FROM {schema}.sessions)),
    ('rate_limits', (SELECT min(window_end) FROM {schema}.rate_limits)),
    ('notifications', (SELECT min(expires_at) FROM {schema}.notifications)),
    ('refresh_tokens', (SELECT min(expires_at) FROM {schema}.refresh_tokens))
) x ("table", expired)
ORDER BY x.expired LIMIT 1"""
# Which sessions does row-level security not restrict?  Those of programs that people and chatdb use are
# left out.
UNRESTRICTED: Final = """\
WITH owners AS MATERIALIZED (
    SELECT DISTINCT c.relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = {name} AND c.relrowsecurity AND NOT c.relforcerowsecurity
), roles AS MATERIALIZED (
    SELECT r.oid, r.rolname,
           CASE WHEN r.rolsuper THEN 'is a superuser' WHEN r.rolbypassrls THEN 'has BYPASSRLS'
                ELSE 'owns the tables' END AS reason
    FROM pg_roles r
    WHERE r.rolsuper OR r.rolbypassrls
       OR EXISTS (SELECT FROM owners o WHERE pg_has_role(r.oid, o.relowner, 'USAGE'))
)
SELECT r.rolname::text AS "user", a.application_name AS application, r.reason, count(*) AS sessions
FROM pg_stat_get_activity(NULL) a JOIN roles r ON r.oid = a.usesysid
WHERE EXISTS (SELECT FROM owners) AND a.pid <> pg_backend_pid()
  AND a.datid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND coalesce(a.backend_type, 'client backend') = 'client backend'
  AND a.application_name !~ '^(chatdb |psql|pg_dump|pg_restore|pgAdmin|DBeaver)'
GROUP BY 1, 2, 3
ORDER BY 4 DESC, 1, 2"""
# Which rights does everybody get, now or with each new object; and who but its owner may write the
# history or the change log?
PRIVILEGES: Final = """\
SELECT 'every role may create objects in schema ' || quote_ident(n.nspname) AS problem,
       format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', n.nspname) AS remedy
FROM pg_namespace n, aclexplode(n.nspacl) g
WHERE n.nspname = {name} AND g.grantee = 0 AND g.privilege_type = 'CREATE'
UNION ALL
SELECT DISTINCT format('every role gets %s on each new %s of role %I', g.privilege_type, k.name,
                       pg_get_userbyid(d.defaclrole)),
       format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE %s ON %s FROM PUBLIC',
              pg_get_userbyid(d.defaclrole), ' IN SCHEMA ' || quote_ident(n.nspname),
              g.privilege_type, upper(k.name) || 'S')
FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
CROSS JOIN LATERAL aclexplode(d.defaclacl) g
JOIN (VALUES ('r'::"char", 'table'), ('S', 'sequence'), ('n', 'schema')) k (type, name)
    ON k.type = d.defaclobjtype
WHERE g.grantee = 0 AND (n.oid IS NULL OR n.nspname = {name})
UNION ALL
SELECT DISTINCT format('role %I may write %I.%I', pg_get_userbyid(g.grantee), n.nspname, c.relname),
       format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON %I.%I FROM %I', n.nspname, c.relname,
              pg_get_userbyid(g.grantee))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) g
WHERE n.nspname = {name} AND g.grantee NOT IN (0, c.relowner)
  AND g.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
  AND c.relname IN ('_yoyo_migration', '_yoyo_log', '_yoyo_version', 'chatdb_migration', 'events',
                    'events_state')
  AND c.relkind IN ('r', 'p')
ORDER BY 1, 2"""
