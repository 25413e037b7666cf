"""Every statement that this package sends, each after the question that it answers.

`{name}` is replaced by a value that `postgres/quoting.py` quotes with libpq; `%s` is a parameter.  What
does not belong here: the columns of `chatdb_migration` (`columns.py`), decisions, the SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.history.columns import COLUMNS
from chatdb_cli.history.model import BEFORE_CORRELATION_ID

if TYPE_CHECKING:
    from typing import Final

_INSERTED = {
    name: column.inserted for name, column in COLUMNS.items() if column.inserted is not None
}

_TABLES: Final = """\
('_yoyo_migration', '_yoyo_log', '_yoyo_version', 'chatdb_migration', 'yoyo_lock')"""
# Where others may create tables in the schema, one of them can have planted a table of the history.  The
# roles whose tables are trusted own the schema or the database, are superusers, are this role, or roles
# that it is a member of; for a superuser only by a grant.
_STRANGERS: Final = f"""\
FROM pg_class c JOIN pg_roles o ON o.oid = c.relowner
             WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND c.relname IN {_TABLES}
               AND NOT o.rolsuper AND o.oid <> n.nspowner
               AND o.oid <> (SELECT datdba FROM pg_database WHERE datname = current_database())
               AND NOT EXISTS (
                   SELECT FROM pg_roles r
                   WHERE r.rolname IN (current_user, session_user)
                     AND (r.oid = o.oid OR NOT r.rolsuper AND pg_has_role(r.oid, o.oid, 'MEMBER')
                          OR EXISTS (SELECT FROM pg_auth_members m
                                     WHERE m.member = r.oid AND m.roleid = o.oid)))"""
# Which session, server and database is this, and may it be written?  Which of the history's tables
# exist, which of their names belong to something else, such as a view, which of the tables are another
# role's and which of these have columns of types that are no part of PostgreSQL, whose functions would
# run?  Which of them hide rows from this role, and which may it not read?  Which other relations does
# the schema hold, and which other schemas hold a history (chatdb marks its own test schemas)?  Which
# search_path do the role and the database set?
INSPECT: Final = f"""\
SELECT pg_backend_pid() AS pid, current_setting('server_version_num')::int AS server_version,
       current_database() AS database, session_user::text AS "user",
       getdatabaseencoding()::text AS encoding,
       pg_is_in_recovery() AS is_standby,
       current_setting('default_transaction_read_only')::bool AS is_read_only,
       n.oid IS NOT NULL AS schema_exists,
       ARRAY(SELECT relname::text FROM pg_class c
             WHERE c.relnamespace = n.oid AND relkind IN ('r', 'p')
               AND relname IN {_TABLES}) AS tables,
       ARRAY(SELECT format('"%s" is %s', c.relname, CASE c.relkind
                 WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view'
                 WHEN 'f' THEN 'a foreign table' WHEN 'S' THEN 'a sequence'
                 WHEN 'c' THEN 'a type' ELSE 'an index' END)
             FROM pg_class c
             WHERE c.relnamespace = n.oid AND relkind NOT IN ('r', 'p')
               AND relname IN {_TABLES} ORDER BY 1) AS not_tables,
       ARRAY(SELECT format('%I (owner: %I)', c.relname, o.rolname)
             {_STRANGERS} ORDER BY 1) AS strangers,
       ARRAY(SELECT format('%I (owner: %I)', c.relname, o.rolname)
             {_STRANGERS}
               AND EXISTS (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                             AND t.typnamespace <> 'pg_catalog'::regnamespace)
             ORDER BY 1) AS unreadable,
       ARRAY(SELECT relname::text FROM pg_class c
             WHERE c.relnamespace = n.oid AND relkind IN ('r', 'p') AND row_security_active(c.oid)
               AND relname IN ('_yoyo_migration', '_yoyo_log', 'chatdb_migration', 'yoyo_lock'))
           AS hidden,
       ARRAY(SELECT relname::text FROM pg_class c
             WHERE c.relnamespace = n.oid AND relkind IN ('r', 'p')
               AND NOT (has_table_privilege(c.oid, 'SELECT')
                        AND has_schema_privilege(n.oid, 'USAGE'))
               AND relname IN ('_yoyo_migration', '_yoyo_log', 'chatdb_migration', 'yoyo_lock')
             ORDER BY 1)
           AS forbidden,
       EXISTS (SELECT FROM pg_class c
               WHERE c.relnamespace = n.oid AND relname = '_yoyo_migration'
                 AND NOT EXISTS (SELECT FROM pg_attribute a
                                 WHERE a.attrelid = c.oid AND a.attname = 'migration_id'))
           AS is_old_yoyo,
       EXISTS (SELECT FROM pg_class c
               WHERE c.relnamespace = n.oid AND relkind IN ('r', 'p', 'v', 'm', 'f')
                 AND relname NOT IN {_TABLES}
                 AND NOT EXISTS (SELECT FROM pg_depend d
                                 WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                                   AND d.deptype = 'e'))
           AS other_relations,
       ARRAY(SELECT o.nspname::text
             FROM pg_class c JOIN pg_namespace o ON o.oid = c.relnamespace
             WHERE c.relname = '_yoyo_migration' AND c.relkind IN ('r', 'p')
               AND o.oid IS DISTINCT FROM n.oid
               AND coalesce(obj_description(o.oid, 'pg_namespace'), '') NOT LIKE 'chatdb: %'
             ORDER BY 1)
           AS other_histories,
       ARRAY(SELECT DISTINCT e.nspname::text
             FROM pg_extension x JOIN pg_namespace e ON e.oid = x.extnamespace
             WHERE e.nspname NOT IN ('pg_catalog', 'public') ORDER BY 1)
           AS extension_schemas,
       (SELECT substr(setting, length('search_path=') + 1)
        FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS setting
        WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
          AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user))
          AND starts_with(setting, 'search_path=')
        ORDER BY s.setrole = 0, s.setdatabase = 0 LIMIT 1) AS search_path,
       EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus') AS has_citus,
       extract(epoch FROM clock_timestamp())::float8 AS read_at
FROM (VALUES (1)) one (row) LEFT JOIN pg_namespace n ON n.nspname = {{name}}"""
# Which migrations does the history hold, according to yoyo and to chatdb?
READ: Final = (
    """\
SELECT y.migration_id AS yoyo_id, y.applied_at_utc AS applied_at, c.migration_id AS chatdb_id,
       c.down_text IS NOT NULL AS has_down"""
    + "".join(f",\n       c.{name}" for name, column in COLUMNS.items() if column.read)
    + """
FROM {schema}._yoyo_migration y FULL JOIN {schema}.chatdb_migration c USING (migration_id)"""
)
# The same, while only yoyo has tables there.
READ_YOYO: Final = """\
SELECT migration_id AS yoyo_id, applied_at_utc AS applied_at FROM {schema}._yoyo_migration"""
# Has a yoyo client locked its tables, and which process?
READ_YOYO_LOCK: Final = "SELECT pid, ctime AS since FROM {schema}.yoyo_lock"
# With which texts was a migration applied?
READ_TEXTS: Final = """\
SELECT migration_id AS id, up_text, down_text
FROM {schema}.chatdb_migration WHERE migration_id IN (SELECT json_array_elements_text({ids}))"""
_ID_AT_END = f"{BEFORE_CORRELATION_ID}([A-Za-z0-9._:-]+)$"
# What does the audit log hold, newest first?  LIMIT NULL is no limit.
READ_LOG: Final = f"""\
SELECT created_at_utc AS at, operation, migration_id AS id, username AS "user",
       hostname AS host, pg_catalog.regexp_replace(comment, '{_ID_AT_END}', '') AS comment,
       pg_catalog.substring(comment, '{_ID_AT_END}') AS correlation_id
FROM {{schema}}._yoyo_log ORDER BY created_at_utc DESC, id DESC LIMIT {{limit}}"""
# Create the table that holds what yoyo's tables have no column for.
CREATE_TABLE: Final = (
    "CREATE TABLE {schema}.chatdb_migration (\n    "
    + ",\n    ".join(f"{name} {column.definition}" for name, column in COLUMNS.items())
    + "\n)"
)
# Explain the table and its columns.
COMMENTS: Final = (
    "COMMENT ON TABLE {schema}.chatdb_migration IS\n"
    "    'The history of chatdb: one row for each applied migration, next to yoyo''s tables'",
    *(
        f"COMMENT ON COLUMN {{schema}}.chatdb_migration.{name} IS\n    '{column.comment}'"
        for name, column in COLUMNS.items()
        if column.comment
    ),
)
# Adopt what yoyo applied, and remove what yoyo rolled back.
ADOPT: Final = """\
WITH gone AS (
    DELETE FROM {schema}.chatdb_migration c
    WHERE unfinished IS NULL
      AND NOT EXISTS (SELECT 1 FROM {schema}._yoyo_migration y WHERE y.migration_id = c.migration_id)
)
INSERT INTO {schema}.chatdb_migration (version, migration_id)
SELECT substring(migration_id FROM '^[0-9]+')::numeric, migration_id
FROM {schema}._yoyo_migration y
WHERE migration_id ~ '^[0-9]'
  AND NOT EXISTS (SELECT 1 FROM {schema}.chatdb_migration c WHERE c.migration_id = y.migration_id)
ON CONFLICT DO NOTHING"""
# Keep other migrators out of a transaction that has one snapshot for all its statements: the snapshot is
# taken after this lock is acquired, so that the claim sees what was committed before.
LOCK_BEFORE_SNAPSHOT: Final = "LOCK TABLE {schema}.chatdb_migration IN SHARE ROW EXCLUSIVE MODE"
_EXPECTED = (
    "(SELECT max(version) FROM {schema}.chatdb_migration) IS NOT DISTINCT FROM {expected_version}"
)
_INSERT_ROW = (
    "INSERT INTO {schema}.chatdb_migration\n        ("
    + ", ".join(_INSERTED)
    + ")\n    SELECT "
    + ", ".join(f"{{{name}}}{cast}" for name, cast in _INSERTED.items())
    + f"""
    WHERE {_EXPECTED}
    ON CONFLICT DO NOTHING
    RETURNING migration_id"""
)
# The time of the claim in milliseconds; the division fails if no row was changed, as an assertion.  The
# search path of the file ends with the schemas that hold extensions now: an earlier file of the same run
# may have created one.
_CLAIM_TIME = "extract(epoch FROM clock_timestamp()) * 1000 / count(*)"
_SETTINGS = """\
set_config('lock_timeout', {lock_timeout}, true),
       set_config('statement_timeout', {statement_timeout}, true),
       set_config('search_path', concat_ws(', ', {path}, (
           SELECT string_agg(DISTINCT quote_ident(nspname), ', ')
           FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
           WHERE nspname <> 'pg_catalog' AND nspname <> 'public')), true)"""
# Claim a migration that is to be applied, and set what its file starts with.  Only one transaction can
# insert the version, and only if the newest version is still the one that the plan was made for.
CLAIM_UP: Final = f"""\
WITH claim AS (
    {_INSERT_ROW}
)
SELECT {_CLAIM_TIME},
       {_SETTINGS}
FROM claim"""
# Claim a migration that is to be rolled back, on the same conditions.
CLAIM_DOWN: Final = f"""\
WITH claim AS (
    DELETE FROM {{schema}}.chatdb_migration
    WHERE migration_id = {{migration_id}}
      AND {_EXPECTED}
    RETURNING 1
)
SELECT {_CLAIM_TIME},
       {_SETTINGS}
FROM claim"""
# Claim a migration whose down file runs outside a transaction: the row stays, and records how many
# statements of the file are done.  Citus refuses clock_timestamp() where it updates a distributed table.
CLAIM_NONTRANSACTIONAL_DOWN: Final = f"""\
WITH claim AS (
    UPDATE {{schema}}.chatdb_migration
    SET unfinished = 'down', statements_done = '{{{{}}}}', statement_begun = NULL,
        relations_before = NULL, claimed_at = statement_timestamp()
    WHERE migration_id = {{migration_id}} AND unfinished IS DISTINCT FROM 'down'
      AND {_EXPECTED}
    RETURNING 1
)
SELECT {_CLAIM_TIME} FROM claim"""
# Claim a file that stopped part-way, to continue it.  The statements of an up file that are not done may
# have been corrected, so its text is stored again.
CLAIM_RESUMED: Final = f"""\
WITH claim AS (
    UPDATE {{schema}}.chatdb_migration
    SET claimed_at = statement_timestamp(),
        up_checksum = coalesce({{up_checksum}}, up_checksum),
        up_text = coalesce({{up_text}}, up_text)
    WHERE migration_id = {{migration_id}} AND unfinished = {{direction}}
      AND statements_done = {{statements_done}}::text[]
    RETURNING 1
)
SELECT {_CLAIM_TIME} FROM claim"""
# Record that a statement on an index is about to run outside a transaction.
JOURNAL_BEGUN: Final = """\
WITH begun AS (
    UPDATE {schema}.chatdb_migration
    SET statement_begun = {statement}, relations_before = {relations}::text[]
    WHERE migration_id = {migration_id} AND unfinished = {direction}
      AND cardinality(statements_done) = {number}
    RETURNING 1
)
SELECT 1 / count(*) FROM begun"""
# Record that a statement of a file outside a transaction is done.
JOURNAL_DONE: Final = """\
WITH done AS (
    UPDATE {schema}.chatdb_migration
    SET statements_done = array_append(statements_done, {checksum}),
        statement_begun = NULL, relations_before = NULL
    WHERE migration_id = {migration_id} AND unfinished = {direction}
      AND cardinality(statements_done) = {number}
    RETURNING 1
)
SELECT 1 / count(*) FROM done"""
# Remove the row of a migration after all statements of its down file ran outside a transaction.
UNCLAIM: Final = """\
WITH gone AS (
    DELETE FROM {schema}.chatdb_migration
    WHERE migration_id = {migration_id} AND unfinished = 'down'
    RETURNING 1
)
SELECT 1 / count(*) FROM gone"""
# Give up a claim to roll back: the file failed and none of its statements is done.
GIVE_UP_DOWN: Final = """\
UPDATE {schema}.chatdb_migration
SET unfinished = NULL, statements_done = NULL, statement_begun = NULL, relations_before = NULL
WHERE migration_id = {migration_id} AND unfinished = 'down' AND cardinality(statements_done) = 0
  AND EXISTS (SELECT 1 FROM {schema}._yoyo_migration y WHERE y.migration_id = {migration_id})"""
_HASH = "encode(sha256(convert_to({migration_id}, 'UTF8')), 'hex')"
_NOW = "clock_timestamp() AT TIME ZONE 'UTC'"
_INSERT_YOYO_ROW = f"""\
INSERT INTO {{schema}}._yoyo_migration (migration_hash, migration_id, applied_at_utc)
    VALUES ({_HASH}, {{migration_id}},
            {_NOW})"""
_LOG = f"""\
INSERT INTO {{schema}}._yoyo_log (id, migration_hash, migration_id, operation, username,
                                hostname, comment, created_at_utc)
VALUES (%s, {_HASH}, {{migration_id}},
        %s, {{user}}, {{host}}, {{comment}}, {_NOW})"""
_NEW_ID = "gen_random_uuid()::text"
# Record that a migration was applied, in the history and in the audit log, and return the time in
# milliseconds.  The division fails if the file has changed chatdb's own row, or if a trigger keeps a row
# out of a table or changes it.
RECORD_UP: Final = f"""\
WITH migration AS (
    {_INSERT_YOYO_ROW}
    RETURNING migration_id
), log AS (
{_LOG % (_NEW_ID, "'apply'")}
    RETURNING migration_id
), claimed AS (
    UPDATE {{schema}}.chatdb_migration
    SET duration_ms = round(extract(epoch FROM statement_timestamp() - claimed_at) * 1000),
        unfinished = NULL, statements_done = NULL, statement_begun = NULL,
        relations_before = NULL
    WHERE version = {{version}}
    RETURNING migration_id
)
SELECT extract(epoch FROM clock_timestamp()) * 1000 / count(*)
FROM migration JOIN log USING (migration_id) JOIN claimed USING (migration_id)
WHERE migration_id = {{migration_id}}"""
# The same for a migration that was rolled back.
RECORD_DOWN: Final = f"""\
WITH migration AS (
    DELETE FROM {{schema}}._yoyo_migration WHERE migration_id = {{migration_id}} RETURNING 1
), log AS (
{_LOG % (_NEW_ID, "'rollback'")}
    RETURNING 1
)
SELECT extract(epoch FROM clock_timestamp()) * 1000 / greatest(count(*), {{least}})
       / (SELECT count(*) FROM log)
FROM migration"""
# Have the server wait for the disk with the next COMMIT: a transaction that writes nothing does not.
FLUSH: Final = "UPDATE {schema}._yoyo_version SET version = version"
# Mark a migration as applied without running it, if the history is the one that was read.
MARK: Final = f"""\
WITH claim AS (
    {_INSERT_ROW}
), migration AS (
    {_INSERT_YOYO_ROW}
    RETURNING migration_id
)
SELECT 1 / count(*) FROM claim JOIN migration USING (migration_id)
WHERE migration_id = {{migration_id}}"""
_CHECKED_LOG = f"""\
WITH log AS (
{_LOG}
    RETURNING migration_id, operation
)
SELECT 1 / count(*) FROM log
WHERE migration_id IS NOT DISTINCT FROM {{migration_id}} AND operation = %s"""
# Write a line into the audit log.  The division fails if a trigger keeps it out or changes it.
LOG: Final = _CHECKED_LOG % (_NEW_ID, "{operation}", "{operation}")
# End a run that lost its connection: nothing of it that is still under way may be executed.
END_RUN: Final = _CHECKED_LOG % ("{run}", "'ended'", "'ended'")
# Is this run one that was not ended so?  The division fails if it was.
RUN_CONTINUES: Final = "SELECT 1 / (count(*) = 0)::int FROM {schema}._yoyo_log WHERE id = {run}"
# Accept the files of an applied migration as they are now, if its row is the one that was shown.
REPAIR_CHANGED: Final = f"""\
WITH accepted AS (
    UPDATE {{schema}}.chatdb_migration
    SET migration_id = {{migration_id}}, up_checksum = {{up_checksum}}, up_text = {{up_text}},
        down_checksum = {{down_checksum}}, down_text = {{down_text}}
    WHERE migration_id = {{old_id}} AND up_checksum IS NOT DISTINCT FROM {{old_up_checksum}}
      AND down_checksum IS NOT DISTINCT FROM {{old_down_checksum}}
    RETURNING 1
), renamed AS (
    UPDATE {{schema}}._yoyo_migration
    SET migration_id = {{migration_id}}, migration_hash = {_HASH}
    WHERE migration_id = {{old_id}}
    RETURNING 1
)
SELECT 1 / count(*) FROM accepted CROSS JOIN renamed"""
# Give applied migrations the versions of their names.  No row may have the version of another in
# between, so all get one that no name has first; the division fails if one of them is gone.
REPAIR_VERSIONS: Final = (
    """\
UPDATE {schema}.chatdb_migration SET version = -s.version - 0.271828182845
FROM json_to_recordset({versions}) AS s (id text, version numeric)
WHERE migration_id = s.id""",
    """\
WITH mended AS (
    UPDATE {schema}.chatdb_migration SET version = s.version
    FROM json_to_recordset({versions}) AS s (id text, version numeric)
    WHERE migration_id = s.id
    RETURNING 1
)
SELECT 1 / (count(*) = {count})::int FROM mended""",
)
# Remove an applied migration whose file is missing, if its row is the one that was shown.
REPAIR_MISSING: Final = """\
WITH forgotten AS (
    DELETE FROM {schema}.chatdb_migration
    WHERE migration_id = {old_id} AND up_checksum IS NOT DISTINCT FROM {old_up_checksum}
    RETURNING 1
), gone AS (
    DELETE FROM {schema}._yoyo_migration WHERE migration_id = {old_id} RETURNING 1
)
SELECT 1 / count(*) FROM forgotten CROSS JOIN gone"""
# Remove a migration that stopped part-way, if as many of its statements are done as was read.
FORGET_UNFINISHED: Final = """\
WITH forgotten AS (
    DELETE FROM {schema}.chatdb_migration
    WHERE migration_id = {migration_id} AND unfinished = {direction}
      AND cardinality(statements_done) = {number}
    RETURNING 1
), gone AS (
    DELETE FROM {schema}._yoyo_migration WHERE migration_id = {migration_id}
)
SELECT 1 / count(*) FROM forgotten"""
# Remove the lock row that a yoyo client has left.
REPAIR_YOYO_LOCK: Final = "DELETE FROM {schema}.yoyo_lock WHERE pid = {pid}"
# Prepare a statement that every migration executes, and execute it.
PREPARE: Final = "PREPARE {name} ({types}) AS {statement}"
EXECUTE: Final = "EXECUTE {name} ({values})"
# The statements that are prepared, in a session that no one else uses.
PREPARED: Final = {
    CLAIM_UP: "chatdb_claim_up",
    CLAIM_DOWN: "chatdb_claim_down",
    RECORD_UP: "chatdb_record_up",
    RECORD_DOWN: "chatdb_record_down",
}
