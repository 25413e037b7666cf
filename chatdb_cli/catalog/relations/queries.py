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
             WHERE t.oid = c.reltoastrelid ORDER BY 1) AS parameters,
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
       CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid, true) END AS "default",
       CASE a.attgenerated WHEN 's' THEN concat('(', pg_get_expr(d.adbin, d.adrelid, true), ') STORED')
                           WHEN 'v' THEN concat('(', pg_get_expr(d.adbin, d.adrelid, true), ') VIRTUAL')
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
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') AND """
    + _OURS
    + " ORDER BY c.oid, a.attnum"
)
# Which columns have a NOT NULL that is not checked in all rows, or not inherited (PostgreSQL 18)?
NOT_NULL: Final[LiteralString] = """\
SELECT 'pg_class' AS catalog, k.conrelid::int8 AS oid, k.conkey[1] AS subid,
       concat_ws(', ', 'yes', CASE WHEN NOT k.convalidated THEN 'not valid' END,
                 CASE WHEN k.connoinherit THEN 'not inherited' END) AS value
FROM pg_constraint k WHERE k.contype = 'n' AND (NOT k.convalidated OR k.connoinherit)"""
# Which keys, checks, exclusions and foreign keys do they have?  A key has the attributes of its index;
# its triggers can be disabled, and then it is not enforced.  The copies of a foreign key that
# PostgreSQL makes for each partition are left out.
CONSTRAINTS: Final[LiteralString] = (
    "SELECT k.oid::int8 AS oid, 'constraint' AS kind, "
    + _NAME
    + """ AS parent, quote_ident(k.conname) AS name, pg_get_constraintdef(k.oid, true) AS definition,
       CASE WHEN k.coninhcount > 0 THEN
           CASE WHEN k.conislocal THEN 'yes, and defined here' ELSE 'yes' END END AS inherited,
       ARRAY(SELECT DISTINCT concat(t.tgrelid::regclass, CASE t.tgenabled
                 WHEN 'D' THEN ': disabled' WHEN 'R' THEN ': replica' ELSE ': always' END)
             FROM pg_trigger t WHERE t.tgconstraint = k.oid AND t.tgenabled <> 'O' ORDER BY 1)
           AS "triggers",
       i.indisclustered AS clustered, i.indisreplident AS "replica identity",
       NOT i.indisvalid AS "not valid", x.reloptions AS parameters, p.spcname::text AS tablespace,
       CASE WHEN x.relispartition THEN
           (SELECT h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = x.oid)
           END AS "partition of"
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_constraint k ON k.conrelid = c.oid
LEFT JOIN pg_index i ON i.indexrelid = k.conindid AND k.contype IN ('p', 'u', 'x')
LEFT JOIN pg_class x ON x.oid = i.indexrelid
LEFT JOIN pg_tablespace p ON p.oid = x.reltablespace
WHERE k.contype IN ('p', 'u', 'x', 'c', 'f') AND NOT (k.contype = 'f' AND k.conparentid <> 0) AND """
    + _OURS
)
# Which comments are on the indexes of keys, apart from those on the keys?
INDEX_COMMENTS: Final[LiteralString] = """\
SELECT 'pg_constraint' AS catalog, k.oid::int8 AS oid, d.description AS value
FROM pg_description d JOIN pg_constraint k ON k.conindid = d.objoid AND k.contype IN ('p', 'u', 'x')
WHERE d.classoid = 'pg_class'::regclass AND d.objsubid = 0 AND d.objoid >= 16384"""
# Which indexes do they have that belong to no constraint?
INDEXES: Final[LiteralString] = (
    "SELECT x.oid::int8 AS oid, 'index' AS kind, "
    + _NAME
    + """ AS parent, quote_ident(x.relname) AS name, pg_get_indexdef(x.oid, 0, true) AS definition,
       i.indisclustered AS clustered, i.indisreplident AS "replica identity",
       NOT i.indisvalid AS "not valid", p.spcname::text AS tablespace,
       CASE WHEN x.relispartition THEN
           (SELECT h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = x.oid)
           END AS "partition of",
       ARRAY(SELECT concat(a.attnum, ': ', a.attstattarget) FROM pg_attribute a
             WHERE a.attrelid = x.oid AND a.attstattarget >= 0 ORDER BY a.attnum)
           AS "statistics targets"
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_index i ON i.indrelid = c.oid
JOIN pg_class x ON x.oid = i.indexrelid
LEFT JOIN pg_tablespace p ON p.oid = x.reltablespace
WHERE NOT EXISTS (SELECT FROM pg_constraint k
                  WHERE k.conindid = x.oid AND k.contype IN ('p', 'u', 'x')) AND """
    + _OURS
)
# Which triggers do they have?  Those of a foreign key belong to the constraint; the copy for a partition
# is shown only if it is enabled otherwise than the trigger of the table.
TRIGGERS: Final[LiteralString] = (
    "SELECT t.oid::int8 AS oid, 'trigger' AS kind, "
    + _NAME
    + """ AS parent, quote_ident(t.tgname) AS name, pg_get_triggerdef(t.oid, true) AS definition,
       CASE t.tgenabled WHEN 'D' THEN 'no' WHEN 'R' THEN 'on a replica' WHEN 'A' THEN 'always'
           END AS enabled
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_trigger t ON t.tgrelid = c.oid
LEFT JOIN pg_trigger u ON u.oid = t.tgparentid
WHERE (CASE WHEN u.oid IS NULL THEN NOT t.tgisinternal
            ELSE u.tgenabled <> t.tgenabled AND NOT u.tgisinternal END) AND """
    + _OURS
)
# Which rules do they have, apart from those that make a view?
RULES: Final[LiteralString] = (
    "SELECT r.oid::int8 AS oid, 'rule' AS kind, "
    + _NAME
    + """ AS parent, quote_ident(r.rulename) AS name, pg_get_ruledef(r.oid) AS definition,
       CASE r.ev_enabled WHEN 'D' THEN 'no' WHEN 'R' THEN 'on a replica' WHEN 'A' THEN 'always'
           END AS enabled
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_rewrite r ON r.ev_class = c.oid
WHERE r.rulename <> '_RETURN' AND """
    + _OURS
)
# Which policies of row-level security do they have?
POLICIES: Final[LiteralString] = (
    "SELECT p.oid::int8 AS oid, 'policy' AS kind, "
    + _NAME
    + """ AS parent, quote_ident(p.polname) AS name,
       CASE p.polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update'
                     WHEN 'd' THEN 'delete' ELSE 'all' END AS command,
       NOT p.polpermissive AS restrictive,
       ARRAY(SELECT CASE WHEN u.id = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(u.id)) END
             FROM unnest(p.polroles) u (id) ORDER BY 1) AS roles,
       pg_get_expr(p.polqual, p.polrelid, true) AS "using",
       pg_get_expr(p.polwithcheck, p.polrelid, true) AS "with check"
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_policy p ON p.polrelid = c.oid
WHERE """
    + _OURS
)
# Which sequences are there, and which column owns each?  Their positions are left out.
SEQUENCES: Final[LiteralString] = (
    "SELECT c.oid::int8 AS oid, 'sequence' AS kind, "
    + _NAME
    + """ AS name, pg_get_userbyid(c.relowner)::text AS owner,
       coalesce(c.relacl, acldefault('s', c.relowner))::text[] AS grants,
       CASE c.relpersistence WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' END AS persistence,
       format_type(s.seqtypid, NULL) AS type, s.seqstart::text AS start,
       s.seqincrement::text AS increment, s.seqmin::text AS minimum, s.seqmax::text AS maximum,
       s.seqcache::text AS cache, s.seqcycle AS cycle,
       nullif(concat(d.refobjid::regclass, '.' || quote_ident(a.attname),
                     CASE d.deptype WHEN 'i' THEN ' (identity)' END), '') AS "owned by"
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_sequence s ON s.seqrelid = c.oid
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
                     AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE c.relkind = 'S' AND """
    + _OURS
)
# Which extended statistics are there?
STATISTICS: Final[LiteralString] = (
    """\
SELECT s.oid::int8 AS oid, 'statistics object' AS kind,
       concat(quote_ident(m.nspname), '.', quote_ident(s.stxname)) AS name,
       pg_get_userbyid(s.stxowner)::text AS owner, pg_get_statisticsobjdef(s.oid) AS definition,
       nullif(s.stxstattarget, -1)::text AS "statistics target"
FROM pg_statistic_ext s JOIN pg_namespace m ON m.oid = s.stxnamespace
JOIN pg_class c ON c.oid = s.stxrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE """
    + _OURS
)
