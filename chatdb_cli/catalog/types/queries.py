"""The statements of a snapshot about types, collations, conversions and text search.

`catalog/relations/queries.py` says what the columns of a result mean.  What does not belong here:
decisions, and SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final, LiteralString

# The types of the schemas but for those of extensions.
_OURS: Final[LiteralString] = """\
n.nspname = ANY (%(schemas)s)
  AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_type'::regclass
                  AND m.objid = t.oid AND m.deptype = 'e')"""
# What every type has.
_TYPE: Final[LiteralString] = """\
SELECT t.oid::int8 AS oid, concat(quote_ident(n.nspname), '.', quote_ident(t.typname)) AS name,
       pg_get_userbyid(t.typowner)::text AS owner,
       coalesce(t.typacl, acldefault('T', t.typowner))::text[] AS grants, """
# Which enums are there, and which labels do they have, in order?
ENUMS: Final[LiteralString] = (
    _TYPE
    + """\
'enum' AS kind, ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid
                             ORDER BY e.enumsortorder) AS labels
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'e' AND """
    + _OURS
)
# Which domains are there?
DOMAINS: Final[LiteralString] = (
    _TYPE
    + """\
'domain' AS kind, format_type(t.typbasetype, t.typtypmod) AS type,
       CASE WHEN t.typcollation <> b.typcollation THEN t.typcollation::regcollation::text
           END AS collation,
       pg_get_expr(t.typdefaultbin, 0, true) AS "default", t.typnotnull AS "not null"
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_type b ON b.oid = t.typbasetype
WHERE t.typtype = 'd' AND """
    + _OURS
)
# Which checks do the domains have?
DOMAIN_CONSTRAINTS: Final[LiteralString] = (
    """\
SELECT k.oid::int8 AS oid, 'constraint' AS kind,
       concat(quote_ident(n.nspname), '.', quote_ident(t.typname)) AS parent,
       quote_ident(k.conname) AS name, pg_get_constraintdef(k.oid, true) AS definition
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
JOIN pg_constraint k ON k.contypid = t.oid AND k.contype = 'c'
WHERE """
    + _OURS
)
# Which composite types are there, and in which order do they have their columns?
COMPOSITE_TYPES: Final[LiteralString] = (
    _TYPE
    + """\
'composite type' AS kind, ARRAY(SELECT quote_ident(a.attname) FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
           AS columns
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_class c ON c.oid = t.typrelid
WHERE c.relkind = 'c' AND """
    + _OURS
)
# Which range types are there?
RANGE_TYPES: Final[LiteralString] = (
    _TYPE
    + """\
'range type' AS kind, format_type(r.rngsubtype, NULL) AS subtype,
       r.rngmultitypid::regtype::text AS multirange,
       CASE WHEN r.rngcollation <> s.typcollation THEN r.rngcollation::regcollation::text
           END AS collation,
       concat(quote_ident(m.nspname), '.', quote_ident(o.opcname)) AS "operator class",
       nullif(r.rngcanonical, 0)::regprocedure::text AS canonical,
       nullif(r.rngsubdiff, 0)::regprocedure::text AS "subtype difference"
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_range r ON r.rngtypid = t.oid
JOIN pg_type s ON s.oid = r.rngsubtype
JOIN pg_opclass o ON o.oid = r.rngsubopc JOIN pg_namespace m ON m.oid = o.opcnamespace
WHERE """
    + _OURS
)
# Which base types are there?  The array type of another type is left out; a shell type is not defined.
BASE_TYPES: Final[LiteralString] = (
    _TYPE
    + """\
'base type' AS kind, NOT t.typisdefined AS shell,
       nullif(t.typinput, 0)::regprocedure::text AS input,
       nullif(t.typoutput, 0)::regprocedure::text AS output,
       nullif(t.typreceive, 0)::regprocedure::text AS receive,
       nullif(t.typsend, 0)::regprocedure::text AS send,
       nullif(t.typmodin, 0)::regprocedure::text AS "typmod input",
       nullif(t.typmodout, 0)::regprocedure::text AS "typmod output",
       nullif(t.typanalyze, 0)::regprocedure::text AS "analyze",
       nullif(t.typsubscript, 0)::regprocedure::text AS subscript,
       t.typlen::text AS length, t.typbyval AS "by value", t.typalign::text AS alignment,
       t.typstorage::text AS storage, t.typcategory::text AS category, t.typispreferred AS preferred,
       t.typdelim::text AS delimiter, nullif(t.typelem, 0)::regtype::text AS element,
       t.typdefault AS "default", t.typcollation <> 0 AS collatable
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE (t.typtype = 'b' OR NOT t.typisdefined)
  AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid) AND """
    + _OURS
)
# Which collations are there?  The column of the locale depends on the version of PostgreSQL.
COLLATIONS: Final[LiteralString] = """\
SELECT c.oid::int8 AS oid, 'collation' AS kind,
       concat(quote_ident(n.nspname), '.', quote_ident(c.collname)) AS name,
       pg_get_userbyid(c.collowner)::text AS owner,
       CASE c.collprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin'
                           ELSE 'default' END AS provider,
       NOT c.collisdeterministic AS nondeterministic,
       c.collcollate::text AS lc_collate, c.collctype::text AS lc_ctype,
       coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale') AS locale,
       to_jsonb(c) ->> 'collicurules' AS rules,
       CASE WHEN c.collencoding <> -1 THEN pg_encoding_to_char(c.collencoding)::text END AS encoding
FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
WHERE n.nspname = ANY (%(schemas)s)
  AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_collation'::regclass
                  AND m.objid = c.oid AND m.deptype = 'e')"""
# Which conversions between encodings are there?
CONVERSIONS: Final[LiteralString] = """\
SELECT c.oid::int8 AS oid, 'conversion' AS kind,
       concat(quote_ident(n.nspname), '.', quote_ident(c.conname)) AS name,
       pg_get_userbyid(c.conowner)::text AS owner,
       pg_encoding_to_char(c.conforencoding)::text AS source,
       pg_encoding_to_char(c.contoencoding)::text AS target,
       c.conproc::regprocedure::text AS function, c.condefault AS "default"
FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace
WHERE n.nspname = ANY (%(schemas)s)
  AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_conversion'::regclass
                  AND m.objid = c.oid AND m.deptype = 'e')"""
# Which parsers of text search are there?
TEXT_SEARCH_PARSERS: Final[LiteralString] = """\
SELECT p.oid::int8 AS oid, 'text search parser' AS kind,
       concat(quote_ident(n.nspname), '.', quote_ident(p.prsname)) AS name,
       p.prsstart::regprocedure::text AS start, p.prstoken::regprocedure::text AS token,
       p.prsend::regprocedure::text AS "end", p.prslextype::regprocedure::text AS "token types",
       nullif(p.prsheadline, 0)::regprocedure::text AS headline
FROM pg_ts_parser p JOIN pg_namespace n ON n.oid = p.prsnamespace
WHERE n.nspname = ANY (%(schemas)s)
  AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_ts_parser'::regclass
                  AND m.objid = p.oid AND m.deptype = 'e')"""
# Which templates of text search are there?
TEXT_SEARCH_TEMPLATES: Final[LiteralString] = """\
SELECT t.oid::int8 AS oid, 'text search template' AS kind,
       concat(quote_ident(n.nspname), '.', quote_ident(t.tmplname)) AS name,
       nullif(t.tmplinit, 0)::regprocedure::text AS init,
       t.tmpllexize::regprocedure::text AS lexize
FROM pg_ts_template t JOIN pg_namespace n ON n.oid = t.tmplnamespace
WHERE n.nspname = ANY (%(schemas)s)
  AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_ts_template'::regclass
                  AND m.objid = t.oid AND m.deptype = 'e')"""
# Which dictionaries of text search are there?
TEXT_SEARCH_DICTIONARIES: Final[LiteralString] = """\
SELECT d.oid::int8 AS oid, 'text search dictionary' AS kind,
       concat(quote_ident(n.nspname), '.', quote_ident(d.dictname)) AS name,
       pg_get_userbyid(d.dictowner)::text AS owner,
       concat(quote_ident(m.nspname), '.', quote_ident(t.tmplname)) AS template,
       d.dictinitoption AS "template options"
FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace
JOIN pg_ts_template t ON t.oid = d.dicttemplate JOIN pg_namespace m ON m.oid = t.tmplnamespace
WHERE n.nspname = ANY (%(schemas)s)
  AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_ts_dict'::regclass
                  AND x.objid = d.oid AND x.deptype = 'e')"""
# Which configurations of text search are there, and which dictionaries does each token type have?
TEXT_SEARCH_CONFIGURATIONS: Final[LiteralString] = """\
SELECT c.oid::int8 AS oid, 'text search configuration' AS kind,
       concat(quote_ident(n.nspname), '.', quote_ident(c.cfgname)) AS name,
       pg_get_userbyid(c.cfgowner)::text AS owner,
       concat(quote_ident(s.nspname), '.', quote_ident(p.prsname)) AS parser,
       ARRAY(SELECT concat((SELECT k.alias FROM ts_token_type(p.oid) k WHERE k.tokid = m.maptokentype),
                           ': ', string_agg(m.mapdict::regdictionary::text, ', ' ORDER BY m.mapseqno))
             FROM pg_ts_config_map m WHERE m.mapcfg = c.oid GROUP BY m.maptokentype
             ORDER BY 1) AS mappings
FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace
JOIN pg_ts_parser p ON p.oid = c.cfgparser JOIN pg_namespace s ON s.oid = p.prsnamespace
WHERE n.nspname = ANY (%(schemas)s)
  AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_ts_config'::regclass
                  AND x.objid = c.oid AND x.deptype = 'e')"""
