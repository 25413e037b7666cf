"""The statements of a snapshot about schemas, and about the objects that are in no schema.

`catalog/relations/queries.py` says what the columns of a result mean; `hidden` is the name of an
attribute that the role may not read.  What does not belong here: decisions, and SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final, LiteralString

# Who owns the schemas, and who may use them?
SCHEMAS: Final[LiteralString] = """\
SELECT n.oid::int8 AS oid, 'schema' AS kind, quote_ident(n.nspname) AS name,
       pg_get_userbyid(n.nspowner)::text AS owner,
       coalesce(n.nspacl, acldefault('n', n.nspowner))::text[] AS grants
FROM pg_namespace n WHERE n.nspname = ANY (%(schemas)s)"""
# Which extensions are there, in which schema and version?
EXTENSIONS: Final[LiteralString] = """\
SELECT e.oid::int8 AS oid, 'extension' AS kind, quote_ident(e.extname) AS name,
       quote_ident(n.nspname) AS schema, e.extversion AS version
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"""
# Which procedural languages are there?  Those of initdb are shown if their grants were changed.
LANGUAGES: Final[LiteralString] = """\
SELECT l.oid::int8 AS oid, 'language' AS kind, quote_ident(l.lanname) AS name,
       pg_get_userbyid(l.lanowner)::text AS owner,
       coalesce(l.lanacl, acldefault('l', l.lanowner))::text[] AS grants, l.lanpltrusted AS trusted,
       nullif(l.lanplcallfoid, 0)::regprocedure::text AS handler,
       nullif(l.laninline, 0)::regprocedure::text AS inline,
       nullif(l.lanvalidator, 0)::regprocedure::text AS validator
FROM pg_language l
WHERE (l.oid >= 16384 OR l.lanacl IS NOT NULL)
  AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_language'::regclass
                  AND m.objid = l.oid AND m.deptype = 'e')"""
# Which access methods are there, apart from PostgreSQL's own?
ACCESS_METHODS: Final[LiteralString] = """\
SELECT a.oid::int8 AS oid, 'access method' AS kind, quote_ident(a.amname) AS name,
       CASE a.amtype WHEN 'i' THEN 'index' ELSE 'table' END AS type,
       a.amhandler::regprocedure::text AS handler
FROM pg_am a
WHERE a.oid >= 16384
  AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_am'::regclass
                  AND m.objid = a.oid AND m.deptype = 'e')"""
# Which casts are there, apart from PostgreSQL's own?
CASTS: Final[LiteralString] = """\
SELECT c.oid::int8 AS oid, 'cast' AS kind,
       concat('(', format_type(c.castsource, NULL), ' AS ', format_type(c.casttarget, NULL), ')')
           AS name,
       CASE c.castmethod WHEN 'b' THEN 'binary' WHEN 'i' THEN 'input and output'
                         ELSE c.castfunc::regprocedure::text END AS method,
       CASE c.castcontext WHEN 'i' THEN 'implicit' WHEN 'a' THEN 'assignment' ELSE 'explicit' END
           AS context
FROM pg_cast c
WHERE c.oid >= 16384
  AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_cast'::regclass
                  AND m.objid = c.oid AND m.deptype = 'e')"""
# Which transforms are there?
TRANSFORMS: Final[LiteralString] = """\
SELECT t.oid::int8 AS oid, 'transform' AS kind,
       concat('for ', format_type(t.trftype, NULL), ' language ', quote_ident(l.lanname)) AS name,
       nullif(t.trffromsql, 0)::regprocedure::text AS "from SQL",
       nullif(t.trftosql, 0)::regprocedure::text AS "to SQL"
FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang
WHERE NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_transform'::regclass
                  AND m.objid = t.oid AND m.deptype = 'e')"""
# Which foreign-data wrappers are there?
WRAPPERS: Final[LiteralString] = """\
SELECT w.oid::int8 AS oid, 'foreign-data wrapper' AS kind, quote_ident(w.fdwname) AS name,
       pg_get_userbyid(w.fdwowner)::text AS owner,
       coalesce(w.fdwacl, acldefault('F', w.fdwowner))::text[] AS grants,
       nullif(w.fdwhandler, 0)::regprocedure::text AS handler,
       nullif(w.fdwvalidator, 0)::regprocedure::text AS validator, w.fdwoptions AS options
FROM pg_foreign_data_wrapper w
WHERE NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_foreign_data_wrapper'::regclass
                  AND m.objid = w.oid AND m.deptype = 'e')"""
# Which foreign servers are there?
SERVERS: Final[LiteralString] = """\
SELECT s.oid::int8 AS oid, 'server' AS kind, quote_ident(s.srvname) AS name,
       pg_get_userbyid(s.srvowner)::text AS owner,
       coalesce(s.srvacl, acldefault('S', s.srvowner))::text[] AS grants,
       quote_ident(w.fdwname) AS wrapper, s.srvtype AS type, s.srvversion AS version,
       s.srvoptions AS options
FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
WHERE NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_foreign_server'::regclass
                  AND m.objid = s.oid AND m.deptype = 'e')"""
# Which users are mapped to which users of foreign servers?  PostgreSQL shows the options to the user, to
# the owner of the server, and to superusers.
USER_MAPPINGS: Final[LiteralString] = """\
SELECT u.umid::int8 AS oid, 'user mapping' AS kind,
       concat(CASE WHEN u.umuser = 0 THEN 'PUBLIC' ELSE quote_ident(u.usename) END,
              ' on server ', quote_ident(u.srvname)) AS name,
       u.umoptions AS "user mapping options",
       CASE WHEN u.umoptions IS NULL AND NOT (
           u.umuser <> 0 AND u.usename = current_user
               AND (pg_has_role(s.srvowner, 'USAGE') OR has_server_privilege(s.oid, 'USAGE'))
           OR u.umuser = 0 AND pg_has_role(s.srvowner, 'USAGE')
           OR (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user))
           THEN 'options' END AS hidden
FROM pg_user_mappings u JOIN pg_foreign_server s ON s.oid = u.srvid"""
# Which event triggers are there?
EVENT_TRIGGERS: Final[LiteralString] = """\
SELECT e.oid::int8 AS oid, 'event trigger' AS kind, quote_ident(e.evtname) AS name,
       pg_get_userbyid(e.evtowner)::text AS owner, e.evtevent::text AS event, e.evttags AS tags,
       e.evtfoid::regprocedure::text AS function,
       CASE e.evtenabled WHEN 'D' THEN 'no' WHEN 'R' THEN 'on a replica' WHEN 'A' THEN 'always'
           END AS enabled
FROM pg_event_trigger e
WHERE NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_event_trigger'::regclass
                  AND m.objid = e.oid AND m.deptype = 'e')"""
# What every publication has.
_PUBLICATION: Final[LiteralString] = """\
SELECT p.oid::int8 AS oid, 'publication' AS kind, quote_ident(p.pubname) AS name,
       pg_get_userbyid(p.pubowner)::text AS owner, p.puballtables AS "all tables",
       array_remove(ARRAY[CASE WHEN p.pubinsert THEN 'insert' END,
                          CASE WHEN p.pubupdate THEN 'update' END,
                          CASE WHEN p.pubdelete THEN 'delete' END,
                          CASE WHEN p.pubtruncate THEN 'truncate' END], NULL) AS publishes,
       p.pubviaroot AS "via partition root",
       nullif(to_jsonb(p) ->> 'pubgencols', 'n') AS "generated columns", """
# Which publications are there, and what do they publish?
PUBLICATIONS: Final[LiteralString] = (
    _PUBLICATION
    + """\
ARRAY(
           SELECT concat(r.prrelid::regclass,
                         ' (' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
                                  FROM pg_attribute a WHERE a.attrelid = r.prrelid
                                  AND a.attnum = ANY (r.prattrs::int2[])) || ')',
                         ' WHERE ' || pg_get_expr(r.prqual, r.prrelid, true))
           FROM pg_publication_rel r WHERE r.prpubid = p.oid ORDER BY 1) AS tables,
       ARRAY(SELECT quote_ident(n.nspname)
             FROM pg_publication_namespace x JOIN pg_namespace n ON n.oid = x.pnnspid
             WHERE x.pnpubid = p.oid ORDER BY 1) AS schemas
FROM pg_publication p"""
)
# The same before PostgreSQL 15, which added column lists, row filters and schemas.
PUBLICATIONS_14: Final[LiteralString] = (
    _PUBLICATION
    + """\
ARRAY(
           SELECT r.prrelid::regclass::text FROM pg_publication_rel r
           WHERE r.prpubid = p.oid ORDER BY 1) AS tables
FROM pg_publication p"""
)
# Which privileges will new objects have?
DEFAULT_PRIVILEGES: Final[LiteralString] = """\
SELECT d.oid::int8 AS oid, 'default privileges' AS kind,
       concat('for role ', quote_ident(pg_get_userbyid(d.defaclrole)),
              ' in schema ' || quote_ident(n.nspname), ' on ', k.kind) AS name,
       pg_get_userbyid(d.defaclrole)::text AS owner, k.kind AS "grants on",
       d.defaclacl::text[] AS grants
FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace,
     LATERAL (SELECT CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences'
                         WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas'
                         ELSE 'large objects' END AS kind) k
WHERE d.defaclnamespace = 0 OR n.nspname = ANY (%(schemas)s)"""
