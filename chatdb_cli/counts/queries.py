"""Every statement that this package sends, each under the question that it answers.

`{name}` is a name or an expression that `postgres/quoting.py` or `hashing.py` has made; `%(name)s` is a
parameter.  What does not belong here: decisions, and SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final, LiteralString

# Begin a transaction that sees one snapshot and can't write.
BEGIN: Final[LiteralString] = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
# Use the snapshot that another transaction has exported.
USE_SNAPSHOT: Final[LiteralString] = "SET TRANSACTION SNAPSHOT {snapshot}"
# End such a transaction.
END: Final[LiteralString] = "ROLLBACK"
# Settle everything that the text of a value depends on, and everything that ends a long transaction.
# `row_security = off` makes the server raise an error where a policy would hide rows.  SET, and not
# set_config(): a SELECT would take the snapshot before the tables are locked.
SETTINGS: Final[LiteralString] = """\
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL row_security = off;
SET LOCAL lock_timeout = {lock_timeout};
SET LOCAL statement_timeout = {statement_timeout};
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO, YMD';
SET LOCAL IntervalStyle = 'postgres';
SET LOCAL extra_float_digits = 1;
SET LOCAL bytea_output = 'hex';
SET LOCAL xmlbinary = 'base64';
SET LOCAL lc_monetary = 'C';
SET LOCAL quote_all_identifiers = off;
SET LOCAL jit = off;
SET LOCAL enable_tidscan = on"""
# The same for a server from version 17 on, which can end a whole transaction.
NO_TRANSACTION_TIMEOUT: Final[LiteralString] = "SET LOCAL transaction_timeout = 0"
# The same where the connections keep all processors of this machine busy: parallel workers, and from
# version 18 on I/O workers, would only take them away.  Reading itself takes a fifth less time then
# (bench/counts.py, PostgreSQL 18, rows in the page cache); without I/O workers it is as on version 17.
NO_WORKERS: Final[LiteralString] = """\
SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL effective_io_concurrency = 0"""
# Keep others from truncating, rewriting or dropping these tables while they are read: a snapshot does
# not protect from that.  Taken before the snapshot, so that nothing happens in between.
LOCK: Final[LiteralString] = "LOCK TABLE {tables} IN ACCESS SHARE MODE"
# Where and when is this snapshot, and what do the hash functions of this server return?
SOURCE: Final[LiteralString] = """\
SELECT now() AS at, current_setting('server_version_num')::int AS server_version,
       current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS standby,
       current_user::text AS role,
       current_setting('max_parallel_workers_per_gather')::int AS parallel_workers,
       concat_ws(':', current_setting('server_encoding'),
                 hashint4extended(1, 72623859790382856) # hashtextextended('chatdb', 2)
                 # hashfloat8extended(1.5, 3)
                 # uuid_hash_extended('00112233-4455-6677-8899-aabbccddeeff', 4)
                 # hashint2extended('258'::int2, 5) # hashfloat4extended('1.5'::float4, 6)
                 # hash_record_extended(ROW('\\x0102030405060708'::bytea), 7)) AS hashes"""
# Share this snapshot with other connections.
EXPORT: Final[LiteralString] = "SELECT pg_export_snapshot()"
# Is there such a schema?
SCHEMA_EXISTS: Final[LiteralString] = "SELECT FROM pg_catalog.pg_namespace WHERE nspname = %s"
# The relations of these schemas, with the partitions and the inheriting tables of theirs that are
# elsewhere.  Temporary tables belong to their session and are left out.
_FAMILY: Final[LiteralString] = """\
WITH RECURSIVE family (oid) AS (
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%(schemas)s)
    UNION
    SELECT i.inhrelid FROM family f JOIN pg_inherits i ON i.inhparent = f.oid)
SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS relation,
       c.relkind::text AS kind,
       (SELECT i.inhparent::int8 FROM pg_inherits i
        WHERE i.inhrelid = c.oid AND c.relispartition) AS parent"""
_FROM_FAMILY: Final[LiteralString] = """
FROM family JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND c.relpersistence <> 't'"""
# Which tables may there be to lock?
LOCKABLE: Final[LiteralString] = (
    _FAMILY
    + _FROM_FAMILY.replace("'r', 'p', 'f', 'v', 'm'", "'r', 'p'")
    + " AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')"
)
# Which relations are there, how large are they, and what do the statistics say?
RELATIONS: Final[LiteralString] = (
    _FAMILY
    + """, c.relpersistence = 'u' AS unlogged,
       c.relam = (SELECT oid FROM pg_am WHERE amname = 'heap') AS is_heap,
       CASE WHEN c.relkind IN ('r', 'm')
            THEN pg_relation_size(c.oid) / current_setting('block_size')::int END AS pages,
       c.relpages AS analyzed_pages, c.reltuples::float8 AS analyzed_rows,
       pg_stat_get_live_tuples(c.oid) AS live_rows,
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable,
       row_security_active(c.oid) AS hides_rows,
       EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
               AND d.objid = c.oid AND d.deptype = 'e') AS of_extension"""
    + _FROM_FAMILY
    + " ORDER BY n.nspname, c.relname"
)
# Which columns identify a row?  Those of the primary key, or of another unique index that has no NULL.
KEYS: Final[LiteralString] = """\
SELECT DISTINCT ON (x.indrelid) x.indrelid::int8 AS relation,
       ARRAY(SELECT a.attname::text
             FROM unnest(x.indkey[0:x.indnkeyatts - 1]) WITH ORDINALITY u (number, place)
             JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = u.number
             ORDER BY place) AS columns
FROM pg_index x
WHERE x.indrelid = ANY (%(relations)s)
  AND x.indisunique AND x.indimmediate AND x.indisvalid
  AND x.indpred IS NULL AND x.indexprs IS NULL
  AND NOT EXISTS (SELECT FROM pg_attribute a
                  WHERE a.attrelid = x.indrelid AND NOT a.attnotnull
                    AND a.attnum = ANY (x.indkey[0:x.indnkeyatts - 1]))
ORDER BY x.indrelid, x.indisprimary DESC, x.indisreplident DESC, x.indnkeyatts, x.indexrelid"""
# Which columns do these relations have, which type stores the values, and which function writes them?
COLUMNS: Final[LiteralString] = """\
WITH RECURSIVE stored (domain, type) AS (
    SELECT t.oid, t.typbasetype FROM pg_type t WHERE t.typtype = 'd'
    UNION ALL
    SELECT s.domain, t.typbasetype FROM stored s JOIN pg_type t ON t.oid = s.type WHERE t.typtype = 'd')
SELECT a.attrelid::int8 AS relation, a.attname::text AS name,
       format_type(a.atttypid, a.atttypmod) AS type,
       CASE WHEN b.typnamespace = 'pg_catalog'::regnamespace THEN b.typname::text ELSE '' END AS base,
       b.typoutput::regproc::text AS output,
       EXISTS (SELECT FROM pg_cast k WHERE k.castsource = b.oid AND k.casttarget = 'text'::regtype
               AND k.castmethod = 'f') AS has_own_cast
FROM pg_attribute a
LEFT JOIN stored s ON s.domain = a.atttypid
    AND NOT EXISTS (SELECT FROM pg_type t WHERE t.oid = s.type AND t.typtype = 'd')
JOIN pg_type b ON b.oid = coalesce(s.type, a.atttypid)
WHERE a.attrelid = ANY (%(relations)s) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum"""
# How many rows does a table have, or a range of its pages, and what is the sum of their hashes?
COUNT: Final[LiteralString] = """\
SELECT {number} AS "number", count(*) AS "rows", {checksum} AS checksum, NULL::int8 AS bucket
FROM {table}{range}"""
# The same for each bucket of the key's hash, or of the row's in a table without one.  OFFSET keeps the
# planner from computing a hash twice, and from expecting a bucket for each row: it would sort them all.
BUCKETS: Final[LiteralString] = """\
SELECT {number} AS "number", count(*) AS "rows", sum(hash)::text AS checksum, {part} & {mask} AS bucket
FROM (SELECT {hash} AS hash{part_column} FROM {table}{range} OFFSET 0) r GROUP BY 4"""
# Where is the hash of the key, or of the row?
KEY_PART: Final[LiteralString] = "part"
KEY_PART_COLUMN: Final[LiteralString] = ", {key_hash} AS part"
ROW_PART: Final[LiteralString] = "hash"
# Which rows are in some buckets?
IN_BUCKETS: Final[LiteralString] = "({part_hash} & {mask}) = ANY ({buckets})"
# Each of them with its key, its hash, and where it is.
BUCKET_ROWS: Final[LiteralString] = """\
SELECT {key} AS key, {hash} AS hash, {place} AS place, 1 AS copies FROM {table}{range}"""
# The same for a table without a key: which rows are there, and how often?
BUCKET_MULTISET: Final[LiteralString] = """\
SELECT '{{}}'::text[] AS key, hash, min(place) AS place, count(*) AS copies
FROM (SELECT {hash} AS hash, {place} AS place FROM {table}{range} OFFSET 0) r GROUP BY hash"""
# Is there no checksum?
NO_CHECKSUM: Final[LiteralString] = "NULL"
# What is the sum of the hashes of the rows?
CHECKSUM: Final[LiteralString] = "sum({hash})::text"
# Which range of pages is it?  The last one has no end: rows may be in pages that were added meanwhile.
RANGE: Final[LiteralString] = "ctid >= '({first},0)' AND ctid < '({end},0)'"
LAST_RANGE: Final[LiteralString] = "ctid >= '({first},0)'"
# How many rows would the planner expect?
EXPECTED: Final[LiteralString] = "EXPLAIN (FORMAT JSON) SELECT FROM {table}"
# What is the hash of a value of these types, with a seed?  PostgreSQL's own functions.
NATIVE: Final[dict[str, LiteralString]] = {
    "bool": "hashint4extended({value}::int4, {seed})",
    "int2": "hashint2extended({value}, {seed})",
    "int4": "hashint4extended({value}, {seed})",
    "int8": "hashint8extended({seed}, {value} # {null})",
    "oid": "hashoidextended({value}, {seed})",
    "uuid": "uuid_hash_extended({value}, {seed})",
    "float4": """CASE WHEN {value} = 'NaN' OR {value} = 0 THEN hashtextextended({value}::text, {seed})
     ELSE hashfloat4extended({value}, {seed}) END""",
    "float8": """CASE WHEN {value} = 'NaN' OR {value} = 0 THEN hashtextextended({value}::text, {seed})
     ELSE hashfloat8extended({value}, {seed}) END""",
    "date": """CASE WHEN isfinite({value}) THEN hashint4extended({value} - '2000-01-01'::date, {seed})
     ELSE hashtextextended({value}::text, {seed}) END""",
}
# What is the binary form of a value of these types, which hash_record_extended() hashes?
BINARY: Final[dict[str, LiteralString]] = {
    "bytea": "{value}",
    "time": "time_send({value})",
    "timestamp": "timestamp_send({value})",
    "timestamptz": "timestamptz_send({value})",
}
# What is the hash of those, all together?
PACKED: Final[LiteralString] = "hash_record_extended(ROW({values}), 1)"
# What is the hash of a text?
TEXT_HASH: Final[LiteralString] = """hashtextextended({value} COLLATE "C", {seed})"""
# What does the output function of a type write?  A cast calls it, unless the type has a cast of its own.
CAST: Final[LiteralString] = "{value}::text"
OUTPUT: Final[LiteralString] = "textin({output}({value}))"
# What is the hash of a value that may be NULL?
OR_NULL: Final[LiteralString] = "coalesce({hash}, {null})"
# What is the hash of a row, from those of its columns?  The 64 bits are the seed, which is mixed whole.
MIXED: Final[LiteralString] = "hashint8extended(0, {terms})"
# What is the hash of a row, from the texts of its columns, on any server?
PORTABLE: Final[LiteralString] = """\
('x' || encode(substr(sha256(convert_to(ROW({texts})::text, 'UTF8')), 1, 8), 'hex'))::bit(64)::int8"""
# Count several tables by one statement.
AND_ALSO: Final[LiteralString] = "\nUNION ALL\n"
# Which sequences are in a schema, or serve its tables, and which columns take their values from them?
# Of the tables that inherit a column, and of partitions, only the uppermost counts.
SEQUENCES: Final[LiteralString] = r"""
WITH used (sequence, relation, attribute) AS (
    SELECT d.objid, d.refobjid, d.refobjsubid FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
      AND d.deptype = 'i' AND d.refobjsubid > 0
    UNION
    SELECT d.refobjid, f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
    WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
      AND pg_get_expr(f.adbin, f.adrelid) ~ '^\(?nextval\(''([^'']|'''')*''::regclass\)\)?(::\w+)?$')
SELECT s.oid::int8 AS oid, sn.nspname::text AS schema, s.relname::text AS relation,
       q.seqincrement AS increment, q.seqcycle AS cycles,
       has_schema_privilege(sn.oid, 'USAGE') AND has_sequence_privilege(s.oid, 'SELECT')
           AND NOT (s.relpersistence = 'u' AND pg_is_in_recovery()) AS readable,
       tn.nspname::text AS table_schema, t.relname::text AS "table", a.attname::text AS "column",
       has_schema_privilege(tn.oid, 'USAGE') AND has_column_privilege(t.oid, a.attnum, 'SELECT')
           AND NOT (t.relpersistence = 'u' AND pg_is_in_recovery()) AS column_readable
FROM pg_class s JOIN pg_sequence q ON q.seqrelid = s.oid JOIN pg_namespace sn ON sn.oid = s.relnamespace
LEFT JOIN (used u
           JOIN pg_class t ON t.oid = u.relation AND t.relkind IN ('r', 'p') AND NOT t.relispartition
           JOIN pg_namespace tn ON tn.oid = t.relnamespace
           JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = u.attribute AND a.attinhcount = 0
               AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype))
       ON u.sequence = s.oid
WHERE s.relkind = 'S' AND s.relpersistence <> 't' AND %(schema)s IN (sn.nspname, tn.nspname)
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = s.oid AND d.deptype = 'e')
ORDER BY sn.nspname, s.relname, tn.nspname, t.relname, a.attnum"""
# Which value does a sequence give out next?  One that was set, but not used yet, gives out that value.
NEXT_VALUE: Final[LiteralString] = """\
SELECT {oid}::int8 AS oid, last_value + CASE WHEN is_called THEN {increment}::numeric ELSE 0 END AS value
FROM {sequence}"""
# What is the highest value in a column, or the lowest for a sequence that counts down?
HIGHEST: Final[LiteralString] = (
    "SELECT {oid}::int8 AS oid, floor({extreme}({column})::numeric) AS value FROM {table}"
)
# Which database is this?  Another one of the same server has another OID, another server another start.
IDENTITY: Final[LiteralString] = """\
SELECT pg_postmaster_start_time()::text, oid::int8 FROM pg_database WHERE datname = current_database()"""
# Where is a row?  A relation without storage has no place.
PLACE: Final[LiteralString] = "tableoid::int8 || ' ' || ctid"
NO_PLACE: Final[LiteralString] = "NULL::text"
# What is the hash of each column of some rows, and, if they are wanted, the values?
DETAILS: Final[LiteralString] = """\
SELECT {id} AS id, ARRAY[{hashes}]::int8[] AS hashes, ARRAY[{texts}]::text[] AS texts
FROM {table} WHERE {condition}"""
# Which rows are they?  By their places, or by their hashes where there is none.
AT_PLACES: Final[LiteralString] = (
    "ctid = ANY ({tids}::tid[]) AND tableoid::int8 || ' ' || ctid = ANY ({places}::text[])"
)
WITH_HASHES: Final[LiteralString] = "{hash} = ANY ({hashes}::int8[])"
# What are the first characters of a value?
SHORTENED: Final[LiteralString] = (
    "left({text}, {length}) || CASE WHEN length({text}) > {length} THEN '...' ELSE '' END"
)
