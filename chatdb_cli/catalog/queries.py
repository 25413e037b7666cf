"""Every statement that this package sends, each under the question that it answers.

`%(schemas)s` is a parameter, the names of the schemas.  What does not belong here: decisions, and SQL of
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
# In a transaction of the caller, only the settings are undone.
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
# How is an estimate read, whatever the database or the role has set?  For one transaction.
SIZES_SETTINGS: Final[LiteralString] = (
    "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)"
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
