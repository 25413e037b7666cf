"""Every statement that this package sends, each under the question that it answers.

`{name}` stands for a value that `postgres/quoting.py` puts in, quoted by libpq; `%s` and `$1` for a
parameter.  What does not belong here: anything that decides; the SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final, LiteralString

# What and where am I, which of the history's tables are there, and what else is in the schema?
INSPECT: Final[LiteralString] = """\
SELECT pg_backend_pid() AS pid, current_setting('server_version_num')::int AS server_version,
       current_database() AS database, session_user::text AS "user",
       n.oid IS NOT NULL AS schema_exists,
       ARRAY(SELECT relname::text FROM pg_class c
             WHERE c.relnamespace = n.oid AND relkind IN ('r', 'p')
               AND relname IN ('_yoyo_migration', '_yoyo_log', '_yoyo_version',
                               'chatdb_migration', 'yoyo_lock')) AS tables,
       EXISTS (SELECT FROM pg_class c
               WHERE c.relnamespace = n.oid AND relkind IN ('r', 'p', 'v', 'm', 'f')
                 AND relname NOT IN ('_yoyo_migration', '_yoyo_log', '_yoyo_version',
                                     'chatdb_migration', 'yoyo_lock')
                 AND NOT EXISTS (SELECT FROM pg_depend d
                                 WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                                   AND d.deptype = 'e'))
           AS other_relations,
       ARRAY(SELECT DISTINCT e.nspname::text
             FROM pg_extension x JOIN pg_namespace e ON e.oid = x.extnamespace
             WHERE e.nspname NOT IN ('pg_catalog', 'public') ORDER BY 1)
           AS extension_schemas
FROM (VALUES (1)) one (row) LEFT JOIN pg_namespace n ON n.nspname = %s"""
# Which migrations does the history hold, for yoyo and for chatdb?
READ: Final = """\
SELECT y.migration_id AS yoyo_id, y.applied_at_utc AS applied_at, c.migration_id AS chatdb_id,
       c.duration_ms, c.up_checksum, c.down_checksum, c.down_text IS NOT NULL AS has_down,
       c.unfinished, c.statements_done, c.statement_begun, c.relations_before
FROM {schema}._yoyo_migration y FULL JOIN {schema}.chatdb_migration c USING (migration_id)"""
# The same, while only yoyo has tables there.
READ_YOYO: Final = """\
SELECT migration_id AS yoyo_id, applied_at_utc AS applied_at FROM {schema}._yoyo_migration"""
# Has a yoyo client locked its tables, and which process?
READ_YOYO_LOCK: Final = "SELECT pid, ctime AS since FROM {schema}.yoyo_lock"
# The texts with which a migration was applied.
READ_TEXTS: Final = """\
SELECT migration_id AS id, up_text, down_text
FROM {schema}.chatdb_migration WHERE migration_id IN (SELECT json_array_elements_text({ids}))"""
# The audit log, newest last.
READ_LOG: Final = """\
SELECT created_at_utc AS at, operation, migration_id AS id, username AS "user",
       hostname AS host, comment
FROM {schema}._yoyo_log ORDER BY created_at_utc, id"""
# What yoyo's tables have no column for.
CREATE_TABLE: Final = """\
CREATE TABLE {schema}.chatdb_migration (
    version numeric CONSTRAINT chatdb_migration_version PRIMARY KEY,
    migration_id text NOT NULL CONSTRAINT chatdb_migration_id UNIQUE,
    up_checksum text,
    down_checksum text,
    up_text text,
    down_text text,
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    duration_ms integer,
    applied_by text NOT NULL DEFAULT session_user,
    client text,
    chatdb_version text,
    unfinished text CONSTRAINT chatdb_migration_unfinished CHECK (unfinished IN ('up', 'down')),
    statements_done text[],
    statement_begun text,
    relations_before text[]
)"""
COMMENTS: Final = (
    """\
COMMENT ON TABLE {schema}.chatdb_migration IS
    'What chatdb remembers of each applied migration, beside _yoyo_migration and _yoyo_log'""",
    """\
COMMENT ON COLUMN {schema}.chatdb_migration.version IS
    'The leading digits of the file name, as a number; the claim that lets one migrator apply it'""",
    """\
COMMENT ON COLUMN {schema}.chatdb_migration.migration_id IS
    'The file name without its suffix, as in _yoyo_migration'""",
    """\
COMMENT ON COLUMN {schema}.chatdb_migration.up_checksum IS
    'Algorithm and digest of the up file, line ends and byte order mark normalised; NULL: unknown'""",
    """\
COMMENT ON COLUMN {schema}.chatdb_migration.down_text IS
    'The down file as it was, so that the migration can be taken back without it'""",
    """\
COMMENT ON COLUMN {schema}.chatdb_migration.client IS
    'Who ran chatdb, on which machine'""",
    """\
COMMENT ON COLUMN {schema}.chatdb_migration.unfinished IS
    'The direction in which a file without a transaction is under way, or stopped; NULL: whole'""",
    """\
COMMENT ON COLUMN {schema}.chatdb_migration.statements_done IS
    'The checksums of the statements of that file that are done'""",
    """\
COMMENT ON COLUMN {schema}.chatdb_migration.statement_begun IS
    'The statement of that file that works on an index CONCURRENTLY and is under way, or failed'""",
    """\
COMMENT ON COLUMN {schema}.chatdb_migration.relations_before IS
    'What that statement met when it began, to know later what it left'""",
)
# Take over what yoyo applied, and drop what yoyo took back.
ADOPT: Final = """\
WITH gone AS (
    DELETE FROM {schema}.chatdb_migration c
    WHERE unfinished IS NULL
      AND NOT EXISTS (SELECT FROM {schema}._yoyo_migration y WHERE y.migration_id = c.migration_id)
)
INSERT INTO {schema}.chatdb_migration (version, migration_id)
SELECT substring(migration_id FROM '^[0-9]+')::numeric, migration_id
FROM {schema}._yoyo_migration y
WHERE migration_id ~ '^[0-9]'
  AND NOT EXISTS (SELECT FROM {schema}.chatdb_migration c WHERE c.migration_id = y.migration_id)
ON CONFLICT DO NOTHING"""
LOCK_BEFORE_SNAPSHOT: Final = "LOCK TABLE {schema}.chatdb_migration IN SHARE ROW EXCLUSIVE MODE"
# The claim, and when it was made, in milliseconds: only one transaction can make it, and only on the
# history that the plan was made for; else the division by the number of rows fails.
CLAIM_UP: Final = """\
WITH claim AS (
    INSERT INTO {schema}.chatdb_migration (version, migration_id, up_checksum, down_checksum,
                                           up_text, down_text, client, chatdb_version,
                                           unfinished, statements_done)
    SELECT {version}, {id}, {up_checksum}, {down_checksum}, {up_text}, {down_text},
           {client}, {chatdb}, {unfinished}, {done}::text[]
    WHERE (SELECT max(version) FROM {schema}.chatdb_migration) IS NOT DISTINCT FROM {head}
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT extract(epoch FROM clock_timestamp()) * 1000 / count(*),
       set_config('lock_timeout', {lock_timeout}, true),
       set_config('statement_timeout', {statement_timeout}, true)
FROM claim"""
CLAIM_DOWN: Final = """\
WITH claim AS (
    DELETE FROM {schema}.chatdb_migration
    WHERE migration_id = {id}
      AND (SELECT max(version) FROM {schema}.chatdb_migration) IS NOT DISTINCT FROM {head}
    RETURNING 1
)
SELECT extract(epoch FROM clock_timestamp()) * 1000 / count(*),
       set_config('lock_timeout', {lock_timeout}, true),
       set_config('statement_timeout', {statement_timeout}, true)
FROM claim"""
# The same for a file without a transaction: the row stays, and says how far the file came.
CLAIM_PIECEWISE_DOWN: Final = """\
WITH claim AS (
    UPDATE {schema}.chatdb_migration
    SET unfinished = 'down', statements_done = '{{}}', statement_begun = NULL,
        relations_before = NULL, claimed_at = clock_timestamp()
    WHERE migration_id = {id} AND unfinished IS DISTINCT FROM 'down'
      AND (SELECT max(version) FROM {schema}.chatdb_migration) IS NOT DISTINCT FROM {head}
    RETURNING 1
)
SELECT extract(epoch FROM clock_timestamp()) * 1000 / count(*) FROM claim"""
# To go on with it; an up file may have been corrected behind the statements that are done.
CLAIM_RESUMED: Final = """\
WITH claim AS (
    UPDATE {schema}.chatdb_migration
    SET claimed_at = clock_timestamp(),
        up_checksum = coalesce({up_checksum}, up_checksum), up_text = coalesce({up_text}, up_text)
    WHERE migration_id = {id} AND unfinished = {direction} AND statements_done = {done}::text[]
    RETURNING 1
)
SELECT extract(epoch FROM clock_timestamp()) * 1000 / count(*) FROM claim"""
# The journal: a statement on an index is about to run outside of a transaction; a statement is done.
JOURNAL_BEGUN: Final = """\
WITH begun AS (
    UPDATE {schema}.chatdb_migration
    SET statement_begun = {statement}, relations_before = {before}::text[]
    WHERE migration_id = {id} AND unfinished = {direction}
      AND cardinality(statements_done) = {number}
    RETURNING 1
)
SELECT 1 / count(*) FROM begun"""
JOURNAL_DONE: Final = """\
WITH done AS (
    UPDATE {schema}.chatdb_migration
    SET statements_done = array_append(statements_done, {checksum}),
        statement_begun = NULL, relations_before = NULL
    WHERE migration_id = {id} AND unfinished = {direction}
      AND cardinality(statements_done) = {number}
    RETURNING 1
)
SELECT 1 / count(*) FROM done"""
# All of its way back is done.
UNCLAIM: Final = """\
WITH gone AS (
    DELETE FROM {schema}.chatdb_migration WHERE migration_id = {id} AND unfinished = 'down'
    RETURNING 1
)
SELECT 1 / count(*) FROM gone"""
# The record, and when it was made; here too the division fails when a file has meddled with ours.
RECORD_UP: Final = """\
WITH migration AS (
    INSERT INTO {schema}._yoyo_migration (migration_hash, migration_id, applied_at_utc)
    VALUES (encode(sha256(convert_to({id}, 'UTF8')), 'hex'), {id},
            clock_timestamp() AT TIME ZONE 'UTC')
), log AS (
    INSERT INTO {schema}._yoyo_log (id, migration_hash, migration_id, operation, username,
                                    hostname, comment, created_at_utc)
    VALUES (gen_random_uuid()::text, encode(sha256(convert_to({id}, 'UTF8')), 'hex'), {id},
            'apply', {user}, {host}, {comment}, clock_timestamp() AT TIME ZONE 'UTC')
), claimed AS (
    UPDATE {schema}.chatdb_migration
    SET duration_ms = round(extract(epoch FROM clock_timestamp() - claimed_at) * 1000),
        unfinished = NULL, statements_done = NULL, statement_begun = NULL,
        relations_before = NULL
    WHERE version = {version} RETURNING 1
)
SELECT extract(epoch FROM clock_timestamp()) * 1000 / count(*) FROM claimed"""
RECORD_DOWN: Final = """\
WITH migration AS (
    DELETE FROM {schema}._yoyo_migration WHERE migration_id = {id} RETURNING 1
), log AS (
INSERT INTO {schema}._yoyo_log (id, migration_hash, migration_id, operation, username,
                                hostname, comment, created_at_utc)
VALUES (gen_random_uuid()::text, encode(sha256(convert_to({id}, 'UTF8')), 'hex'), {id},
        'rollback', {user}, {host}, {comment}, clock_timestamp() AT TIME ZONE 'UTC')
)
SELECT extract(epoch FROM clock_timestamp()) * 1000 / greatest(count(*), {least}) FROM migration"""
# The statements that a run keeps prepared, in a session that is its own: to parse and plan them for
# each migration takes longer than all the rest of its frame.
PREPARED: Final = {
    CLAIM_UP: "chatdb_claim_up",
    CLAIM_DOWN: "chatdb_claim_down",
    RECORD_UP: "chatdb_record_up",
    RECORD_DOWN: "chatdb_record_down",
}
# A commit that waits for the disk, and with it for all before: an empty one would flush nothing.
FLUSH: Final = "UPDATE {schema}._yoyo_version SET version = version"
# The baseline: a version that is taken as applied, on the history that was seen.
MARK: Final = """\
WITH claim AS (
    INSERT INTO {schema}.chatdb_migration (version, migration_id, up_checksum, down_checksum,
                                           up_text, down_text, client, chatdb_version)
    SELECT {version}, {id}, {up_checksum}, {down_checksum}, {up_text}, {down_text},
           {client}, {chatdb}
    WHERE (SELECT max(version) FROM {schema}.chatdb_migration) IS NOT DISTINCT FROM {head}
    RETURNING 1
), migration AS (
    INSERT INTO {schema}._yoyo_migration (migration_hash, migration_id, applied_at_utc)
    VALUES (encode(sha256(convert_to({id}, 'UTF8')), 'hex'), {id},
            clock_timestamp() AT TIME ZONE 'UTC')
)
SELECT 1 / count(*) FROM claim"""
LOG: Final = """\
INSERT INTO {schema}._yoyo_log (id, migration_hash, migration_id, operation, username,
                                hostname, comment, created_at_utc)
VALUES (gen_random_uuid()::text, encode(sha256(convert_to({id}, 'UTF8')), 'hex'), {id},
        {operation}, {user}, {host}, {comment}, clock_timestamp() AT TIME ZONE 'UTC')"""
# `repair`: each changes the row that was shown, or fails.
REPAIR_CHANGED: Final = """\
WITH accepted AS (
    UPDATE {schema}.chatdb_migration
    SET migration_id = {id}, up_checksum = {up_checksum}, up_text = {up_text},
        down_checksum = {down_checksum}, down_text = {down_text}
    WHERE migration_id = {was} AND up_checksum IS NOT DISTINCT FROM {up_was}
      AND down_checksum IS NOT DISTINCT FROM {down_was}
    RETURNING 1
), renamed AS (
    UPDATE {schema}._yoyo_migration
    SET migration_id = {id}, migration_hash = encode(sha256(convert_to({id}, 'UTF8')), 'hex')
    WHERE migration_id = {was} AND {id} <> {was}
)
SELECT 1 / count(*) FROM accepted"""
REPAIR_MISSING: Final = """\
WITH forgotten AS (
    DELETE FROM {schema}.chatdb_migration
    WHERE migration_id = {was} AND up_checksum IS NOT DISTINCT FROM {up_was} RETURNING 1
), gone AS (
    DELETE FROM {schema}._yoyo_migration WHERE migration_id = {was}
)
SELECT 1 / count(*) FROM forgotten"""
REPAIR_YOYO_LOCK: Final = "DELETE FROM {schema}.yoyo_lock WHERE pid = {pid}"
