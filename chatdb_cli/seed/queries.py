"""Every statement that this package sends, each after the question that it answers.

`{name}` is replaced by a value that `postgres/quoting.py` quotes with libpq; a list of names is
made by its caller.  What does not belong here: decisions, the SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

# Write although transactions are read-only by default; before the first query of a transaction.
READ_WRITE: Final = "SET LOCAL transaction_read_only = off"
# How many rows did this transaction insert into each table?
WRITTEN: Final = """\
SELECT relname::text AS name, n_tup_ins AS row_count FROM pg_stat_xact_user_tables
WHERE schemaname = {name} AND n_tup_ins > 0 ORDER BY 1"""
# Which tables does the schema have, and which columns have they?
TABLE_COLUMNS: Final = """\
SELECT c.relname::text AS name, array_agg(a.attname::text) AS columns
FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p')
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = {name} GROUP BY 1"""
# Does the first row of a random seed exist already?
HAS_USER: Final = "SELECT FROM {schema}.users WHERE id OPERATOR(pg_catalog.=) {id}"
# Keep other sessions out of the tables that are filled.
LOCK_FOR_SEED: Final = "LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"
# Load the rows of a table.
COPY_BINARY: Final = "COPY {table} ({columns}) FROM STDIN (FORMAT binary)"
# Collect the statistics of the tables for the planner.
ANALYZE: Final = "ANALYZE {tables}"
# Which indexes, foreign keys and triggers of the tables make each row slow to load?  For each of them,
# the statement that drops or disables it, and the one that creates or enables it again.  Only what the
# second statement restores exactly is taken: no index on which another object depends, and none that has
# a property which its definition does not show.
DROP_AND_RECREATE: Final = """\
WITH loaded AS (SELECT unnest(ARRAY[{tables}]::regclass[]) AS oid),
plain AS (
    SELECT i.indexrelid, i.indrelid, o.oid AS key, o.conname
    FROM loaded JOIN pg_index i ON i.indrelid = loaded.oid
    JOIN pg_class c ON c.oid = i.indexrelid AND c.reltablespace = 0
    LEFT JOIN pg_constraint o ON o.conindid = i.indexrelid AND o.contype IN ('p', 'u', 'x')
    WHERE i.indisvalid AND NOT (i.indisclustered OR i.indisreplident)
      AND (o.oid IS NULL
           OR o.contype = 'u' AND c.reloptions IS NULL
              AND obj_description(c.oid, 'pg_class') IS NULL)
      AND NOT EXISTS (SELECT FROM pg_attribute a
                      WHERE a.attrelid = c.oid AND coalesce(a.attstattarget, -1) <> -1)
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE (d.refclassid, d.refobjid) IN (('pg_class'::regclass, c.oid),
                                                           ('pg_constraint'::regclass, o.oid))
                        AND d.deptype <> 'i')
)
SELECT drop_sql, recreate_sql FROM (
    SELECT 1, format('DROP INDEX %s', indexrelid::regclass),
           pg_get_indexdef(indexrelid)
    FROM plain WHERE key IS NULL
    UNION ALL
    SELECT 1, format('ALTER TABLE %s DROP CONSTRAINT %I', indrelid::regclass, conname),
           format('ALTER TABLE %s ADD CONSTRAINT %I %s', indrelid::regclass, conname,
                  pg_get_constraintdef(key))
    FROM plain WHERE key IS NOT NULL
    UNION ALL
    SELECT 2, format('ALTER TABLE %s DROP CONSTRAINT %I', o.conrelid::regclass, o.conname),
           format('ALTER TABLE %s ADD CONSTRAINT %I %s', o.conrelid::regclass, o.conname,
                  pg_get_constraintdef(o.oid))
    FROM loaded JOIN pg_constraint o ON o.conrelid = loaded.oid AND o.contype = 'f'
    UNION ALL
    SELECT 3, NULL,
           format('COMMENT ON CONSTRAINT %I ON %s IS %L', o.conname, o.conrelid::regclass,
                  obj_description(o.oid, 'pg_constraint'))
    FROM loaded JOIN pg_constraint o ON o.conrelid = loaded.oid AND o.contype IN ('f', 'u')
    WHERE obj_description(o.oid, 'pg_constraint') IS NOT NULL
    UNION ALL
    SELECT 3, NULL,
           format('COMMENT ON INDEX %s IS %L', indexrelid::regclass,
                  obj_description(indexrelid, 'pg_class'))
    FROM plain WHERE obj_description(indexrelid, 'pg_class') IS NOT NULL
    UNION ALL
    SELECT 4, format('ALTER TABLE %s DISABLE TRIGGER %I', t.tgrelid::regclass, t.tgname),
           format('ALTER TABLE %s ENABLE %sTRIGGER %I', t.tgrelid::regclass,
                  CASE t.tgenabled WHEN 'A' THEN 'ALWAYS ' WHEN 'R' THEN 'REPLICA ' ELSE '' END,
                  t.tgname)
    FROM loaded JOIN pg_trigger t ON t.tgrelid = loaded.oid
    WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
) item (turn, drop_sql, recreate_sql)
ORDER BY turn, recreate_sql"""
