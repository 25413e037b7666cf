"""Every statement that this package sends, each after the question that it answers.

`{name}` is replaced by a value that `postgres/quoting.py` quotes with libpq; `%s` is a parameter.  What
does not belong here: decisions, the SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

# Begin a transaction that sees one snapshot, and end a trial or a search.
BEGIN: Final = "BEGIN"
BEGIN_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE NOT DEFERRABLE"
ROLLBACK: Final = "ROLLBACK"
# Run downs as a trial inside a savepoint of a name that no file knows, record what they touched, and
# roll back.
SAVEPOINT: Final = "SAVEPOINT {savepoint}"
ROLLBACK_TO: Final = "ROLLBACK TO SAVEPOINT {savepoint}"
# See all rows, and each value with all its digits and in one style; then restore the file's own.
ALIKE: Final = (
    "SET LOCAL row_security = off",
    "SET LOCAL extra_float_digits = 3",
    "SET LOCAL DateStyle = ISO",
    "SET LOCAL IntervalStyle = postgres",
    "SET LOCAL bytea_output = hex",
)
OWN_STYLE: Final = (
    "RESET row_security",
    "RESET extra_float_digits",
    "RESET DateStyle",
    "RESET IntervalStyle",
    "RESET bytea_output",
)
# Have the server count rows if the role, the database or the server turned that off.
COUNTING: Final = """\
SELECT set_config('track_counts', 'on', true)
WHERE current_setting('track_counts') = 'off' AND current_setting('is_superuser') = 'on'"""
# How many large objects has this session deleted, and how many of their pages rewritten or deleted?
_OBJECTS: Final = """\
jsonb_build_array(
    pg_stat_get_xact_tuples_deleted('pg_largeobject_metadata'::regclass),
    pg_stat_get_xact_tuples_updated('pg_largeobject'::regclass),
    pg_stat_get_xact_tuples_deleted('pg_largeobject'::regclass))"""
# How many foreign tables has this session created?
_CREATED: Final = "pg_stat_get_xact_tuples_inserted('pg_foreign_table'::regclass)"
# Which file holds the rows of each table, and how many rows has this session written and not reported?
STORAGE: Final = f"""\
SELECT jsonb_build_object('objects', {_OBJECTS}, 'created', {_CREATED}, 'foreign', (
    SELECT coalesce(jsonb_object_agg(ftrelid, ctid::text), '{{{{}}}}') FROM pg_foreign_table
), 'tables', (
    SELECT coalesce(jsonb_object_agg(oid, jsonb_build_array(
               relfilenode::text, pg_stat_get_xact_tuples_inserted(oid),
               pg_stat_get_xact_tuples_deleted(oid))), '{{{{}}}}')
    FROM pg_class WHERE relkind = 'r' AND oid >= 16384))"""  # noqa: S608  (constants alone)
# A column's row in pg_attribute gets another place whenever the column is altered, and the row of a
# foreign table in pg_foreign_table whenever its options are.
_RELATION: Final = """\
jsonb_build_array(n.nspname, c.relname, c.relkind,
                  coalesce((SELECT f.ctid::text FROM pg_foreign_table f WHERE ftrelid = c.oid),
                           c.relfilenode::text),
                  c.relhassubclass,
                  (SELECT coalesce(jsonb_object_agg(attnum, jsonb_build_array(
                              attname, attgenerated <> '', a.ctid::text, atttypid::text,
                              format_type(atttypid, atttypmod),
                              coalesce(nullif(typbasetype, 0), nullif(typelem, 0), t.oid)::regtype::text
                          )), '{{}}')
                   FROM pg_attribute a JOIN pg_type t ON t.oid = atttypid
                   WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped))"""
# No table is dropped or truncated, no column dropped and no row deleted without one of these locks.  So
# they show what a transaction has touched, in whatever way, at the same cost for any number of tables.
_TOUCHED: Final = """\
SELECT relation, mode FROM pg_locks
WHERE pid = pg_backend_pid() AND locktype = 'relation'
  AND mode IN ('AccessExclusiveLock', 'RowExclusiveLock')
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
_WRITTEN: Final = """\
FROM touched JOIN pg_class c ON c.oid = relation JOIN pg_namespace n ON n.oid = relnamespace
WHERE mode = 'RowExclusiveLock' AND relkind = 'r' AND relpersistence <> 't' AND c.oid >= 16384
  AND NOT (nspname = {target} AND relname IN ('_yoyo_migration', '_yoyo_log', '_yoyo_version',
                                              'chatdb_migration'))"""
# Which relations that are foreign tables, or are gone, has the transaction written to?
_WRITTEN_ELSEWHERE: Final = """\
FROM touched LEFT JOIN pg_class c ON c.oid = relation
WHERE mode = 'RowExclusiveLock' AND (c.oid IS NULL OR relkind = 'f')"""
# To which catalog has it written rows?  PostgreSQL itself keeps no lock on these, but for ALTER SCHEMA,
# which loses no relation.
_CATALOG: Final = """\
FROM touched JOIN pg_class c ON c.oid = relation
WHERE mode = 'RowExclusiveLock' AND relnamespace = 'pg_catalog'::regnamespace
  AND relname IN ('pg_attrdef', 'pg_attribute', 'pg_class', 'pg_enum', 'pg_foreign_table',
                  'pg_inherits', 'pg_namespace', 'pg_type')
  AND (relname <> 'pg_namespace' OR EXISTS (
      SELECT FROM pg_class r
      WHERE NOT EXISTS (SELECT FROM pg_namespace n WHERE n.oid = r.relnamespace)))"""
# Which functions does a file call, itself, by triggers of what it wrote to, or by another function?
_CALLED: Final = """\
called (oid, named) AS (
    SELECT oid, true FROM pg_proc WHERE proname = ANY ({calls}::text[]) AND oid >= 16384
    UNION
    SELECT tgfoid, false FROM touched JOIN pg_trigger ON tgrelid = relation
    WHERE NOT tgisinternal AND tgfoid >= 16384
    UNION
    SELECT p.oid, named FROM called c JOIN pg_proc f ON f.oid = c.oid
    JOIN pg_proc p ON p.oid >= 16384 AND strpos(lower(f.prosrc), lower(p.proname) || '(') > 0
), source AS (
    SELECT named, regexp_replace(pg_get_functiondef(oid), '''\\s*\\|\\|\\s*''', '', 'g') AS source
    FROM called
    JOIN pg_proc USING (oid) WHERE prokind <> 'a'
)"""
# Can the counters of rows be believed?  Not if they are off, or if such a function turns them off.
_IS_COUNTED: Final = """\
current_setting('track_counts') = 'on'
             AND NOT EXISTS (SELECT FROM source WHERE source ILIKE '%track\\_counts%')"""
# Does one of these functions do what ROLLBACK does not undo, itself or by another function?
_LASTING: Final = """\
WITH RECURSIVE lasting (oid, name) AS (
    SELECT oid, proname FROM pg_proc
    WHERE oid >= 16384
      AND (prosrc ~* '\\m(dblink\\w*|setval|lo_export|pg_(terminate|cancel)_backend'
                     '|pg_(create|copy)_(physical|logical)_replication_slot|pg_drop_replication_slot)"?\\s*\\('
           OR probin IS NOT NULL AND prosrc ~ '^dblink')
    UNION
    SELECT p.oid, proname FROM lasting l
    JOIN pg_proc p ON p.oid >= 16384
                  AND (strpos(lower(prosrc), lower(l.name) || '(') > 0
                       OR EXISTS (SELECT FROM pg_depend  -- a body that is parsed when it is created
                                  WHERE classid = 'pg_proc'::regclass AND objid = p.oid
                                    AND refclassid = 'pg_proc'::regclass AND refobjid = l.oid))
)"""
NO_LASTING: Final = f"""\
{_LASTING}
SELECT 1 / (count(*) = 0)::int FROM lasting WHERE name = ANY ({{calls}}::text[])"""  # noqa: S608
LASTING: Final = f"""\
{_LASTING}
SELECT min(name) FROM lasting WHERE name = ANY ({{calls}}::text[])"""  # noqa: S608
# What has the transaction done to relations so far?
TOUCHED: Final = f"""\
WITH RECURSIVE touched AS ({_TOUCHED}), altered AS (
    SELECT relation FROM touched WHERE mode = 'AccessExclusiveLock'
), {_CALLED}
SELECT jsonb_build_object(
    'gone', ARRAY(SELECT relation::text FROM altered
                  WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = relation)),
    'kept', (SELECT coalesce(jsonb_object_agg(c.oid, {_RELATION}), '{{{{}}}}')
             FROM altered JOIN pg_class c ON c.oid = relation
             JOIN pg_namespace n ON n.oid = relnamespace
             WHERE relpersistence <> 't'),
    'written', (SELECT coalesce(jsonb_object_agg(c.oid, jsonb_build_array(
                           pg_stat_get_xact_tuples_inserted(c.oid),
                           pg_stat_get_xact_tuples_deleted(c.oid), {_RELATION})), '{{{{}}}}')
                {_WRITTEN}),
    'foreign', (SELECT coalesce(jsonb_object_agg(c.oid, {_RELATION}), '{{{{}}}}')
                FROM touched JOIN pg_class c ON c.oid = relation
                JOIN pg_namespace n ON n.oid = relnamespace
                WHERE relkind = 'f'),
    'elsewhere', ARRAY(SELECT relation::text {_WRITTEN_ELSEWHERE}),
    'created', {_CREATED},
    'catalog', (SELECT min(relname) {_CATALOG}),
    'deletes', EXISTS (SELECT FROM source WHERE source ~* '\\m(delete|truncate|merge)\\M'),
    'calls_delete', EXISTS (
        SELECT FROM source
        WHERE named AND source ~* '\\m(delete|truncate|merge|drop|alter|execute)\\M'),
    'truncates', EXISTS (SELECT FROM source WHERE source ~* '\\mtruncate\\M'),
    'counted', {_IS_COUNTED},
    'objects', {_OBJECTS})"""  # noqa: S608
# What were these relations like before?
RELATIONS_BEFORE: Final = f"""\
SELECT coalesce(jsonb_object_agg(c.oid, {_RELATION}), '{{{{}}}}')
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE c.oid = ANY ({{oids}}::oid[])"""  # noqa: S608
# Which columns of tables hold values of the row types of these relations, also in an array, a domain or
# another composite type?
USES: Final = f"""\
WITH RECURSIVE used (relation, type) AS (
    SELECT oid, reltype FROM pg_class WHERE oid = ANY ({{oids}}::oid[]) AND reltype <> 0
    UNION
    SELECT u.relation, CASE WHEN d.classid = 'pg_type'::regclass THEN d.objid ELSE r.reltype END
    FROM used u
    JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid = u.type
    LEFT JOIN pg_class r ON d.classid = 'pg_class'::regclass AND d.objsubid > 0 AND r.oid = d.objid
    WHERE d.classid = 'pg_type'::regclass OR r.reltype <> 0
)
SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_array(
           u.relation::text, c.oid::text, d.objsubid::text, {_RELATION})), '[]')
FROM used u
JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid = u.type
                AND d.classid = 'pg_class'::regclass AND d.objsubid > 0
JOIN pg_class c ON c.oid = d.objid JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'r' AND relpersistence <> 't'"""  # noqa: S608
# Which of these types can be cast to which?
CASTS: Final = """\
SELECT coalesce(jsonb_agg(jsonb_build_array(source::text, target::text)), '[]')
FROM unnest({sources}::oid[], {targets}::oid[]) AS pair (source, target)
WHERE EXISTS (SELECT FROM pg_cast WHERE castsource = source AND casttarget = target)"""
# Count all rows; fail if a row-level security policy would hide some.
ALL_ROWS: Final = "SET LOCAL row_security = off"
# Find names of pg_catalog alone: after the file, its session has the settings of the role again.
PG_CATALOG_ONLY: Final = "SET LOCAL search_path = pg_catalog, pg_temp"
# How many rows does a table have?
COUNT: Final = "SELECT count({what}) FROM {table}"
# In how many rows does a column, of whatever composite type, hold a value of one of these attributes?
COUNT_ATTRIBUTES: Final = "SELECT count(*) FROM {table} WHERE {condition}"
HAS_ATTRIBUTE: Final = "jsonb_path_exists(jsonb_strip_nulls(to_jsonb({column})), {path})"
# In the real run, before the file: the tables and columns that it drops are still empty, and locked
# against writes; the state of the others is kept to be compared after the file.
LOCK_TABLES: Final = "LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE"
# A table that the file rewrites is locked as the file will lock it: no lock is raised later.
LOCK_REWRITTEN: Final = "LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"
HAS_ROWS: Final = "EXISTS (SELECT FROM {table})"
HAS_VALUES: Final = "EXISTS (SELECT FROM {table} WHERE {column} IS DISTINCT FROM NULL)"
HAS_ATTRIBUTES: Final = "EXISTS (SELECT FROM {table} WHERE {condition})"
# Keep the number of rows, or the values of a column, until the file has run.
KEEP_ROWS: Final = "CREATE TEMPORARY TABLE {kept} AS SELECT count(*) AS n FROM {table}"
KEEP_VALUES: Final = """\
CREATE TEMPORARY TABLE {kept} AS
SELECT format('%s', {column}) AS v FROM {table} WHERE {column} IS DISTINCT FROM NULL"""
# How many rows are there more, or fewer, than before?
GROWTH: Final = "(SELECT count(*) FROM {table}) - (SELECT n FROM pg_temp.{kept})"
# How many of the values are not there any more?
LOST_VALUES: Final = """\
(SELECT count(*) FROM (
    SELECT v COLLATE "C" FROM pg_temp.{kept} EXCEPT ALL
    SELECT {value} COLLATE "C" FROM {table} WHERE {column} IS DISTINCT FROM NULL) AS lost)"""
# A value as text; and as the text of its old type, which is the same if nothing was lost.
AS_TEXT: Final = "format('%s', {column})"
CAST_BACK: Final = "format('%s', {column}::{type})"
PARSED_BACK: Final = "format('%s', format('%s', {column})::{type})"
IF_LOST: Final = "SELECT CASE WHEN {lost} > 0 THEN {lost_too} ELSE 0 END"
MEASURE: Final = "SELECT {measure}"
HOLDS: Final = "SELECT 1 / ({conditions})::int"
_STATE: Final = """\
concat((SELECT string_agg(concat(oid, ' is ', relfilenode), ',' ORDER BY oid)
        FROM pg_class WHERE oid = ANY ({stored}::oid[])))"""
_COLUMNS: Final = """\
ARRAY(SELECT concat(attrelid, '.', attnum) FROM pg_attribute
      WHERE attrelid = ANY ({whole}::oid[]) AND attnum > 0 AND NOT attisdropped)"""
_OBJECTS_GONE: Final = """\
pg_stat_get_xact_tuples_deleted('pg_largeobject_metadata'::regclass)
            + pg_stat_get_xact_tuples_updated('pg_largeobject'::regclass)
            + pg_stat_get_xact_tuples_deleted('pg_largeobject'::regclass)"""
GUARD_BEFORE: Final = f"""\
SELECT 1 / (NOT (%s))::int,
       set_config('chatdb.state', {_STATE}, true),
       set_config('chatdb.columns', {_COLUMNS}::text, true),
       set_config('chatdb.deleted', (
           SELECT coalesce(sum(pg_stat_get_xact_tuples_deleted(oid)), 0) + {_OBJECTS_GONE}
           FROM unnest({{written}}::oid[]) AS oid)::text, true)"""  # noqa: S608
# After the file: nothing was dropped, altered, truncated or deleted but what the trial showed.  Of the
# relations that the file itself created the OIDs are new, so only their number is compared.
GUARD_AFTER: Final = f"""\
WITH touched AS ({_TOUCHED})
SELECT 1 / (
    (SELECT count(*) FROM touched LEFT JOIN pg_class c ON c.oid = relation
     WHERE mode = 'AccessExclusiveLock' AND c.relpersistence IS DISTINCT FROM 't'
       AND CASE WHEN c.oid IS NULL THEN relation <> ALL ({{gone}}::oid[])
                ELSE relation <> ALL ({{kept}}::oid[]) END) <= {{fresh}}
    AND (SELECT count(*) {_WRITTEN_ELSEWHERE} AND relation <> ALL ({{elsewhere}}::oid[]))
        <= {{fresh_elsewhere}}
    AND NOT EXISTS (SELECT {_CATALOG})
    AND coalesce(nullif(current_setting('chatdb.state', true), ''), {_STATE}) = {_STATE}
    AND {_COLUMNS} @> coalesce(nullif(current_setting('chatdb.columns', true), ''), '{{{{}}}}')::text[]
    AND (SELECT coalesce(sum(pg_stat_get_xact_tuples_deleted(c.oid)), 0) + {_OBJECTS_GONE} {_WRITTEN}
           AND c.oid <> ALL ({{measured}}::oid[]))
        <= coalesce(nullif(current_setting('chatdb.deleted', true), ''), '0')::numeric
)::int"""  # noqa: S608
