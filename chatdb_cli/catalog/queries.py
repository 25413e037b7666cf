"""Every statement that this package sends, each under the question that it answers.

`%(schema)s` is the name of the schema, a parameter.  What does not belong here: decisions, and SQL of
the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final, LiteralString

# A snapshot changes nothing, and sees one state of the catalog.
SNAPSHOT_BEGIN: Final[LiteralString] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# The same in the transaction that psycopg has begun, on a connection that is not in autocommit mode.
SNAPSHOT_TRANSACTION: Final[LiteralString] = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
)
# The end of a snapshot's transaction, which also takes its settings back.  At a ROLLBACK psycopg drops
# its prepared statements, and a caller of many snapshots needs them.
SNAPSHOT_END: Final[LiteralString] = "COMMIT"
# In a transaction of the caller, the settings are taken back alone.
SNAPSHOT_SAVEPOINT: Final[LiteralString] = "SAVEPOINT chatdb_snapshot"
SNAPSHOT_SAVEPOINT_END: Final[tuple[LiteralString, ...]] = (
    "ROLLBACK TO SAVEPOINT chatdb_snapshot",
    "RELEASE SAVEPOINT chatdb_snapshot",
)
# How is a snapshot the same, whatever the server, the database or the role has set?  For one
# transaction.  With pg_catalog alone in search_path, every other name is printed with its schema;
# pg_temp is last, so that no temporary object is taken for one of pg_catalog.  Compiling such statements
# takes longer than running them.
SNAPSHOT_SETTINGS: Final[LiteralString] = """\
SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
       pg_catalog.set_config('quote_all_identifiers', 'off', true),
       pg_catalog.set_config('standard_conforming_strings', 'on', true),
       pg_catalog.set_config('DateStyle', 'ISO, YMD', true),
       pg_catalog.set_config('IntervalStyle', 'postgres', true),
       pg_catalog.set_config('TimeZone', 'UTC', true),
       pg_catalog.set_config('extra_float_digits', '1', true),
       pg_catalog.set_config('bytea_output', 'hex', true),
       pg_catalog.set_config('xmlbinary', 'base64', true),
       pg_catalog.set_config('lc_monetary', 'C', true),
       pg_catalog.set_config('jit', 'off', true)"""
# Which server is it, which of the schemas exist, and which catalogs may the role not read?
SNAPSHOT_FACTS: Final[LiteralString] = """\
SELECT current_setting('server_version_num')::int / 10000 AS server_version,
       ARRAY(SELECT nspname::text FROM pg_namespace WHERE nspname = ANY (%(schemas)s)) AS present,
       ARRAY(SELECT relname::text FROM pg_class
             WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v')
               AND NOT has_table_privilege(oid, 'SELECT')) AS unreadable"""

# Of which kinds is there any object that initdb did not create?  Most databases have few of them, and
# planning the statements about the others takes most of the time of a small snapshot.
SNAPSHOT_USED: Final[LiteralString] = """\
SELECT array_agg(kind) AS used FROM (VALUES
    ('access method', EXISTS (SELECT FROM pg_am WHERE oid >= 16384)),
    ('aggregate', EXISTS (SELECT FROM pg_aggregate WHERE aggfnoid >= 16384)),
    ('base type', EXISTS (SELECT FROM pg_type WHERE oid >= 16384 AND (
        NOT typisdefined OR typtype = 'b' AND typinput <> 'array_in'::regproc))),
    ('cast', EXISTS (SELECT FROM pg_cast WHERE oid >= 16384)),
    ('collation', EXISTS (SELECT FROM pg_collation WHERE oid >= 16384)),
    ('composite type', EXISTS (SELECT FROM pg_class WHERE oid >= 16384 AND relkind = 'c')),
    ('conversion', EXISTS (SELECT FROM pg_conversion WHERE oid >= 16384)),
    ('default privileges', EXISTS (SELECT FROM pg_default_acl)),
    ('domain', EXISTS (SELECT FROM pg_type WHERE oid >= 16384 AND typtype = 'd')),
    ('enum', EXISTS (SELECT FROM pg_enum)),
    ('event trigger', EXISTS (SELECT FROM pg_event_trigger)),
    ('foreign-data wrapper', EXISTS (SELECT FROM pg_foreign_data_wrapper)),
    ('label', EXISTS (SELECT FROM pg_seclabel)),
    ('language', EXISTS (SELECT FROM pg_language WHERE oid >= 16384 OR lanacl IS NOT NULL)),
    ('operator', EXISTS (SELECT FROM pg_operator WHERE oid >= 16384)),
    ('operator class', EXISTS (SELECT FROM pg_opclass WHERE oid >= 16384)),
    ('operator family', EXISTS (SELECT FROM pg_opfamily WHERE oid >= 16384)),
    ('policy', EXISTS (SELECT FROM pg_policy)),
    ('publication', EXISTS (SELECT FROM pg_publication)),
    ('range type', EXISTS (SELECT FROM pg_type WHERE oid >= 16384 AND typtype = 'r')),
    ('rule', EXISTS (SELECT FROM pg_rewrite WHERE oid >= 16384 AND rulename <> '_RETURN')),
    ('statistics object', EXISTS (SELECT FROM pg_statistic_ext)),
    ('text search configuration', EXISTS (SELECT FROM pg_ts_config WHERE oid >= 16384)),
    ('text search dictionary', EXISTS (SELECT FROM pg_ts_dict WHERE oid >= 16384)),
    ('text search parser', EXISTS (SELECT FROM pg_ts_parser WHERE oid >= 16384)),
    ('text search template', EXISTS (SELECT FROM pg_ts_template WHERE oid >= 16384)),
    ('transform', EXISTS (SELECT FROM pg_transform)),
    ('trigger', EXISTS (SELECT FROM pg_trigger))
) kinds (kind, used) WHERE used"""
# Which comments are there?  Objects of initdb have lower oids; of those, comments on a schema may
# change. PostgreSQL's own comment on public is ignored.
COMMENTS: Final[LiteralString] = """\
SELECT classoid::regclass::text AS catalog, objoid::int8 AS oid, objsubid AS subid,
       description AS value
FROM pg_description
WHERE (objoid >= 16384 OR classoid IN ('pg_namespace'::regclass, 'pg_extension'::regclass))
  AND NOT (classoid = 'pg_namespace'::regclass AND description = 'standard public schema')"""
# Which labels do security modules give to objects?
SECURITY_LABELS: Final[LiteralString] = """\
SELECT classoid::regclass::text AS catalog, objoid::int8 AS oid, objsubid AS subid,
       array_agg(concat(provider, ': ', label)) AS value
FROM pg_seclabel GROUP BY classoid, objoid, objsubid"""
# Which objects are dropped with an extension, although they are not part of it?
EXTENSION_DEPENDENCIES: Final[LiteralString] = """\
SELECT d.classid::regclass::text AS catalog, d.objid::int8 AS oid, d.objsubid AS subid,
       array_agg(quote_ident(e.extname)) AS value
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
WHERE d.deptype = 'x' AND d.refclassid = 'pg_extension'::regclass
GROUP BY d.classid, d.objid, d.objsubid"""

# How is the catalog printed the same, whatever the server, the database or the role has set?  For one
# transaction.  The schema is first in search_path, so that its names are printed without it.
DOCS_SETTINGS: Final[LiteralString] = """\
SELECT set_config('search_path', concat_ws(', ', quote_ident(%(schema)s),
                  (SELECT string_agg(DISTINCT quote_ident(n.nspname), ', ')
                   FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace
                   WHERE n.nspname NOT IN ('pg_catalog', %(schema)s)), 'pg_temp'), true),
       set_config('quote_all_identifiers', 'off', true),
       set_config('standard_conforming_strings', 'on', true),
       set_config('DateStyle', 'ISO, YMD', true), set_config('IntervalStyle', 'postgres', true),
       set_config('TimeZone', 'UTC', true), set_config('extra_float_digits', '1', true),
       set_config('bytea_output', 'hex', true), set_config('xmlbinary', 'base64', true)"""
# Does the schema exist, and what is the comment on it?  PostgreSQL's own comment on public is ignored.
DOCS_SCHEMA: Final[LiteralString] = """\
SELECT nullif(obj_description(oid, 'pg_namespace'), 'standard public schema') AS comment
FROM pg_namespace WHERE nspname = %(schema)s"""
# The relations of the schema but for those of the history and of extensions.
_DOCS_OURS: Final[LiteralString] = """\
n.nspname = %(schema)s
  AND c.relname <> ALL ('{yoyo_lock,chatdb_migration}') AND NOT starts_with(c.relname, '_yoyo_')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = c.oid AND d.deptype = 'e')"""
# Which tables and views are there?  A partition is listed with its table.
DOCS_RELATIONS: Final[LiteralString] = (
    """\
SELECT c.oid::int8 AS oid, c.relname::text AS name, c.relkind::text AS kind,
       obj_description(c.oid, 'pg_class') AS comment, c.relpersistence = 'u' AS unlogged,
       c.relrowsecurity AS row_security, c.relforcerowsecurity AS row_security_forced,
       CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS partition_key,
       ARRAY(SELECT p.relname || ' ' || pg_get_expr(p.relpartbound, p.oid)
             FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid
             WHERE i.inhparent = c.oid AND p.relispartition) AS partitions,
       ARRAY(SELECT p.relname::text FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
             WHERE i.inhrelid = c.oid ORDER BY i.inhseqno) AS inherits,
       CASE WHEN c.relkind = 'v' THEN c.reloptions END AS options
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND NOT c.relispartition AND """
    + _DOCS_OURS
)
# Which columns do they have, in order?
DOCS_COLUMNS: Final[LiteralString] = (
    """\
SELECT a.attrelid::int8 AS relation, a.attname::text AS name,
       format_type(a.atttypid, a.atttypmod) AS type,
       CASE WHEN a.attcollation <> t.typcollation THEN quote_ident(o.collname) END AS collation,
       NOT a.attnotnull AS nullable, pg_get_expr(e.adbin, e.adrelid, true) AS "default",
       a.attidentity::text AS identity, a.attgenerated::text AS generated,
       col_description(c.oid, a.attnum) AS comment
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef e ON e.adrelid = c.oid AND e.adnum = a.attnum
LEFT JOIN pg_collation o ON o.oid = a.attcollation
WHERE """
    + _DOCS_OURS
    + " ORDER BY a.attnum"
)
# Which keys, checks and foreign keys do they have?  NOT NULL, a constraint since PostgreSQL 18, is not
# one of them.
DOCS_CONSTRAINTS: Final[LiteralString] = (
    """\
SELECT k.conrelid::int8 AS relation, k.conname::text AS name, k.contype::text AS kind,
       pg_get_constraintdef(k.oid, true) AS definition,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (number, place)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number
             ORDER BY place) AS columns,
       CASE WHEN f.relnamespace <> c.relnamespace
            THEN f.relnamespace::regnamespace::text END AS to_schema,
       f.relname::text AS to_table,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (number, place)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number
             ORDER BY place) AS to_columns,
       obj_description(k.oid, 'pg_constraint') AS comment
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_constraint k ON k.conrelid = c.oid
LEFT JOIN pg_class f ON f.oid = k.confrelid
WHERE k.contype IN ('p', 'u', 'x', 'c', 'f') AND k.conparentid = 0 AND """
    + _DOCS_OURS
)
# Which indexes do they have that belong to no constraint?  Which columns are unique in all rows?
DOCS_INDEXES: Final[LiteralString] = (
    """\
SELECT i.indrelid::int8 AS relation, x.relname::text AS name,
       pg_get_indexdef(i.indexrelid, 0, true) AS definition, i.indisunique AS is_unique,
       CASE WHEN i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
            THEN ARRAY(SELECT a.attname::text FROM pg_attribute a
                       WHERE a.attrelid = i.indrelid
                         AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])) END AS unique_columns,
       obj_description(x.oid, 'pg_class') AS comment
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_index i ON i.indrelid = c.oid
JOIN pg_class x ON x.oid = i.indexrelid
WHERE NOT EXISTS (SELECT FROM pg_constraint k
                  WHERE k.conindid = x.oid AND k.contype IN ('p', 'u', 'x')) AND """
    + _DOCS_OURS
)
# Which triggers do they have?
DOCS_TRIGGERS: Final[LiteralString] = (
    """\
SELECT t.tgrelid::int8 AS relation, t.tgname::text AS name,
       pg_get_triggerdef(t.oid, true) AS definition, t.tgenabled <> 'D' AS enabled,
       obj_description(t.oid, 'pg_trigger') AS comment
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_trigger t ON t.tgrelid = c.oid
WHERE NOT t.tgisinternal AND """
    + _DOCS_OURS
)
# Which policies do they have?
DOCS_POLICIES: Final[LiteralString] = (
    """\
SELECT p.polrelid::int8 AS relation, p.polname::text AS name,
       CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                     WHEN 'd' THEN 'DELETE' ELSE 'ALL' END AS command,
       p.polpermissive AS permissive,
       ARRAY(SELECT coalesce(r.rolname::text, 'PUBLIC')
             FROM unnest(p.polroles) u (id) LEFT JOIN pg_roles r ON r.oid = u.id) AS roles,
       pg_get_expr(p.polqual, p.polrelid, true) AS reads,
       pg_get_expr(p.polwithcheck, p.polrelid, true) AS writes,
       obj_description(p.oid, 'pg_policy') AS comment
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_policy p ON p.polrelid = c.oid
WHERE """
    + _DOCS_OURS
)
# Which functions are there?
DOCS_FUNCTIONS: Final[LiteralString] = """\
SELECT p.proname::text AS name, p.prokind::text AS kind,
       p.prorettype IN ('trigger'::regtype, 'event_trigger'::regtype) AS for_trigger,
       pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
       CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable'
                          ELSE 'volatile' END AS volatility,
       p.proisstrict AS strict, p.prosecdef AS security_definer, l.lanname::text AS language,
       obj_description(p.oid, 'pg_proc') AS comment
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE n.nspname = %(schema)s
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                  AND d.objid = p.oid AND d.deptype = 'e')"""
# Which types are there but the row types of tables, and how are they defined?
DOCS_TYPES: Final[LiteralString] = """\
SELECT t.typname::text AS name,
       CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'c' THEN 'composite'
                      ELSE 'range' END AS kind,
       CASE t.typtype
           WHEN 'e' THEN (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
                          FROM pg_enum WHERE enumtypid = t.oid)
           WHEN 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod),
                                   'DEFAULT ' || t.typdefault,
                                   CASE WHEN t.typnotnull THEN 'NOT NULL' END,
                                   (SELECT string_agg(pg_get_constraintdef(oid, true), ' '
                                                      ORDER BY conname)
                                    FROM pg_constraint WHERE contypid = t.oid AND contype = 'c'))
           WHEN 'c' THEN (SELECT string_agg(quote_ident(attname) || ' '
                                            || format_type(atttypid, atttypmod), ', '
                                            ORDER BY attnum)
                          FROM pg_attribute
                          WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped)
           ELSE (SELECT format_type(rngsubtype, NULL) FROM pg_range WHERE rngtypid = t.oid)
       END AS definition,
       obj_description(t.oid, 'pg_type') AS comment
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE n.nspname = %(schema)s AND t.typtype IN ('e', 'd', 'c', 'r')
  AND (t.typtype <> 'c' OR c.relkind = 'c')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass
                  AND d.objid = t.oid AND d.deptype = 'e')"""
# How is an estimate read, whatever the database or the role has set?  For one transaction.
SIZES_SETTINGS: Final[LiteralString] = (
    "SELECT set_config('search_path', 'pg_catalog, pg_temp', true)"
)
# Which tables exist in any schema but PostgreSQL's own, and about how many rows has each?  What ANALYZE
# has estimated, before the first one what was counted; of a partitioned table its partitions together.
TABLE_SIZES: Final[LiteralString] = """\
SELECT n.nspname::text AS schema, c.relname::text AS name,
       (SELECT sum(CASE WHEN leaf.relpages > 0 THEN leaf.reltuples::bigint
                        ELSE pg_stat_get_live_tuples(leaf.oid) END)::bigint
          FROM pg_class leaf
         WHERE CASE WHEN c.relkind = 'p'
                    THEN leaf.oid IN (SELECT relid FROM pg_partition_tree(c.oid) WHERE isleaf)
                    ELSE leaf.oid = c.oid END) AS rows
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"""
