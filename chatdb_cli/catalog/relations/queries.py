"""The statements of a snapshot about tables, views and sequences, and what belongs to them.

A column of a result is an attribute of the object, with these exceptions: `oid` and `subid` identify the
object in the catalog, `kind`, `parent` and `name` in the snapshot.  `%(schemas)s` is a parameter, the
names of the schemas.  What does not belong here: decisions, and SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final, LiteralString

# The relations of the schemas but for those of the history and of extensions.
_OURS: Final[LiteralString] = """\
n.nspname = ANY (%(schemas)s)
  AND c.relname <> ALL ('{yoyo_lock,chatdb_migration}') AND NOT starts_with(c.relname, '_yoyo_')
  AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_class'::regclass
                  AND m.objid = c.oid AND m.deptype = 'e')"""
# The name of a relation, as SQL.
_NAME: Final[LiteralString] = "concat(quote_ident(n.nspname), '.', quote_ident(c.relname))"
# Which tables and views are there, and how are they stored, partitioned and protected?
RELATIONS: Final[LiteralString] = (
    "SELECT c.oid::int8 AS oid, "
    + _NAME
    + """ AS name,
       CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table'
                      WHEN 'f' THEN 'foreign table' WHEN 'v' THEN 'view'
                      ELSE 'materialized view' END AS kind,
       pg_get_userbyid(c.relowner)::text AS owner,
       coalesce(c.relacl, acldefault('r', c.relowner))::text[] AS grants,
       CASE c.relpersistence WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' END AS persistence,
       nullif(m.amname, 'heap')::text AS "access method", p.spcname::text AS tablespace,
       ARRAY(SELECT unnest(c.reloptions)
             UNION ALL SELECT 'toast.' || o FROM pg_class t, unnest(t.reloptions) o
             WHERE t.oid = c.reltoastrelid ORDER BY 1) AS "storage parameters",
       nullif(concat_ws(', ', CASE WHEN c.relrowsecurity THEN 'enabled' END,
                        CASE WHEN c.relforcerowsecurity THEN 'forced' END), '')
           AS "row-level security",
       CASE WHEN c.relkind IN ('r', 'p') THEN
           CASE c.relreplident WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full'
                               WHEN 'i' THEN 'index' END END AS "replica identity",
       CASE WHEN c.reloftype <> 0 THEN c.reloftype::regtype::text END AS "of type",
       CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS "partition key",
       CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END AS "partition bound",
       ARRAY(SELECT i.inhparent::regclass::text FROM pg_inherits i
             WHERE i.inhrelid = c.oid ORDER BY i.inhseqno) AS inherits,
       quote_ident(s.srvname) AS server, f.ftoptions AS options,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END AS definition
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_am m ON m.oid = c.relam
LEFT JOIN pg_tablespace p ON p.oid = c.reltablespace
LEFT JOIN pg_foreign_table f ON f.ftrelid = c.oid
LEFT JOIN pg_foreign_server s ON s.oid = f.ftserver
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND """
    + _OURS
)
# Which columns do they have, in order?  A NOT NULL is read here, not as the constraint that it is since
# PostgreSQL 18.
COLUMNS: Final[LiteralString] = (
    "SELECT c.oid::int8 AS oid, a.attnum AS subid, 'column' AS kind, "
    + _NAME
    + """ AS parent, quote_ident(a.attname) AS name, format_type(a.atttypid, a.atttypmod) AS type,
       CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text
           END AS collation,
       a.attnotnull AS "not null",
       CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END AS "default",
       CASE a.attgenerated WHEN 's' THEN concat('(', pg_get_expr(d.adbin, d.adrelid), ') STORED')
                           WHEN 'v' THEN concat('(', pg_get_expr(d.adbin, d.adrelid), ') VIRTUAL')
           END AS generated,
       CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END AS identity,
       CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END AS compression,
       CASE WHEN a.attstorage <> t.typstorage THEN
           CASE a.attstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main'
                             ELSE 'extended' END END AS storage,
       nullif(a.attstattarget, -1)::text AS "statistics target",
       a.attoptions AS parameters, a.attfdwoptions AS options, a.attacl::text[] AS grants,
       CASE WHEN a.attinhcount > 0 THEN
           CASE WHEN a.attislocal THEN 'yes, and defined here' ELSE 'yes' END END AS inherited
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND """
    + _OURS
    + " ORDER BY c.oid, a.attnum"
)
