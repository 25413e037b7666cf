"""Every statement that this package sends, each under the question that it answers.

`%(schema)s` is a parameter: the schema of the target.  They run in a read-only transaction, with
`search_path = pg_catalog`.  What does not belong here: decisions, and SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final, LiteralString

# Read only, in one snapshot; let a statement that row-level security would restrict fail.
BEGIN: Final[LiteralString] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
SETTINGS: Final[LiteralString] = """\
SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
       pg_catalog.set_config('row_security', 'off', true)"""
COMMIT: Final[LiteralString] = "COMMIT"
# The tables that the project has made: those in the target's schema, and in every schema of the role
# that has created the history, unless that schema has a history of its own.  Not those of the history
# itself, and not those of extensions.
_CHECKED: Final[LiteralString] = """\
WITH histories AS (
    SELECT c.relnamespace, c.relowner FROM pg_class c
    WHERE c.relname = '_yoyo_migration' AND c.relkind IN ('r', 'p')
), schemas AS (
    SELECT n.oid, n.nspname FROM pg_namespace n
    WHERE n.nspname = %(schema)s
       OR n.nspowner IN (SELECT h.relowner FROM histories h JOIN pg_namespace t ON t.oid = h.relnamespace
                         WHERE t.nspname = %(schema)s)
          AND NOT starts_with(n.nspname, 'pg_') AND n.nspname <> 'information_schema'
          AND n.oid NOT IN (SELECT relnamespace FROM histories)
), checked AS (
    SELECT c.oid, n.nspname::text AS schema, c.relname::text AS "table", c.relispartition
    FROM pg_class c JOIN schemas n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
      AND c.relname <> ALL ('{yoyo_lock,chatdb_migration}') AND NOT starts_with(c.relname, '_yoyo_')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                      AND d.objid = c.oid AND d.deptype = 'e')
)"""
# How many tables are checked?
TABLES: Final[LiteralString] = f"{_CHECKED} SELECT count(*) AS number FROM checked"
# Which foreign keys have no index that starts with their columns?  An index WHERE column IS NOT NULL is
# good enough.
UNINDEXED_FOREIGN_KEYS: Final[LiteralString] = f"""\
{_CHECKED}
SELECT c.schema, c."table", k.conname::text AS name,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (number, n)
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.number ORDER BY u.n) AS columns
FROM checked c JOIN pg_constraint k ON k.conrelid = c.oid
WHERE k.contype = 'f' AND k.conparentid = 0
  AND NOT EXISTS (
      SELECT FROM pg_index i
      WHERE i.indrelid = k.conrelid AND i.indisvalid
        AND (i.indpred IS NULL OR starts_with(i.indpred::text, '{{NULLTEST'))
        AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)
ORDER BY 1, 2, 3"""
# Which indexes are invalid?
INVALID_INDEXES: Final[LiteralString] = f"""\
{_CHECKED}
SELECT c.schema, c."table", x.relname::text AS name, ARRAY[]::text[] AS columns
FROM checked c JOIN pg_index i ON i.indrelid = c.oid JOIN pg_class x ON x.oid = i.indexrelid
WHERE NOT (i.indisvalid AND i.indisready) ORDER BY 1, 2, 3"""
# Which constraints are not validated?  One that is NOT ENFORCED is meant to be so.
NOT_VALIDATED: Final[LiteralString] = f"""\
{_CHECKED}
SELECT c.schema, c."table", k.conname::text AS name, ARRAY[]::text[] AS columns
FROM checked c JOIN pg_constraint k ON k.conrelid = c.oid
WHERE NOT k.convalidated AND to_jsonb(k) ->> 'conenforced' IS DISTINCT FROM 'false'
ORDER BY 1, 2, 3"""
# Which triggers are disabled?  Those of foreign keys included.
DISABLED_TRIGGERS: Final[LiteralString] = f"""\
{_CHECKED}
SELECT DISTINCT c.schema, c."table", coalesce(k.conname, t.tgname)::text AS name,
       ARRAY[]::text[] AS columns
FROM checked c JOIN pg_trigger t ON t.tgrelid = c.oid
LEFT JOIN pg_constraint k ON k.oid = t.tgconstraint
WHERE t.tgenabled = 'D' ORDER BY 1, 2, 3"""
# Which tables have no primary key?
NO_PRIMARY_KEY: Final[LiteralString] = f"""\
{_CHECKED}
SELECT c.schema, c."table", c."table" AS name, ARRAY[]::text[] AS columns
FROM checked c
WHERE NOT c.relispartition
  AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
ORDER BY 1, 2"""
# Which columns take their values from a sequence, and the role may not read one of the two?
UNREADABLE_SEQUENCES: Final[LiteralString] = f"""\
{_CHECKED}
SELECT DISTINCT c.schema, c."table", s.relname::text AS name, ARRAY[a.attname::text] AS columns
FROM checked c JOIN pg_attribute a ON a.attrelid = c.oid
LEFT JOIN pg_attrdef f ON f.adrelid = c.oid AND f.adnum = a.attnum
JOIN pg_depend d ON d.deptype = 'i' AND d.classid = 'pg_class'::regclass
        AND d.refobjid = c.oid AND d.refobjsubid = a.attnum
    OR d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass
JOIN pg_class s ON s.oid IN (d.objid, d.refobjid) AND s.relkind = 'S'
WHERE a.attnum > 0 AND NOT a.attisdropped
  AND NOT (has_schema_privilege(c.schema, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')
           AND has_schema_privilege(s.relnamespace, 'USAGE')
           AND CASE WHEN s.relkind = 'S' THEN has_sequence_privilege(s.oid, 'SELECT') END)
ORDER BY 1, 2, 3"""
# Which schemas have tables that are checked, or are the target's own?
SCHEMAS: Final[LiteralString] = f"""\
{_CHECKED} SELECT nspname::text AS name FROM schemas ORDER BY nspname <> %(schema)s, nspname"""
# Which extensions does the database have?
EXTENSIONS: Final[LiteralString] = "SELECT extname::text AS name FROM pg_extension"
