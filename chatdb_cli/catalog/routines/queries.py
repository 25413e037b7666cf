"""The statements of a snapshot about functions, aggregates, operators and operator classes.

`catalog/relations/queries.py` says what the columns of a result mean.  What does not belong here:
decisions, and SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final, LiteralString

# Which functions, procedures and window functions are there, and how are they defined?
FUNCTIONS: Final[LiteralString] = """\
SELECT p.oid::int8 AS oid, p.oid::regprocedure::text AS name,
       CASE p.prokind WHEN 'f' THEN 'function' WHEN 'p' THEN 'procedure' ELSE 'window function'
           END AS kind,
       pg_get_userbyid(p.proowner)::text AS owner,
       coalesce(p.proacl, acldefault('f', p.proowner))::text[] AS grants,
       pg_get_functiondef(p.oid) AS definition
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = ANY (%(schemas)s) AND p.prokind <> 'a'
  AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_proc'::regclass
                  AND m.objid = p.oid AND m.deptype = 'e')"""
# Which aggregates are there?
AGGREGATES: Final[LiteralString] = """\
SELECT p.oid::int8 AS oid, p.oid::regprocedure::text AS name, 'aggregate' AS kind,
       pg_get_userbyid(p.proowner)::text AS owner,
       coalesce(p.proacl, acldefault('f', p.proowner))::text[] AS grants,
       pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
       CASE a.aggkind WHEN 'o' THEN 'ordered set' WHEN 'h' THEN 'hypothetical set' END AS variant,
       CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' END AS parallel,
       a.aggtransfn::regprocedure::text AS transition, a.aggtranstype::regtype::text AS state,
       nullif(a.aggtransspace, 0)::text AS "state size", a.agginitval AS "initial state",
       nullif(a.aggfinalfn, 0)::regprocedure::text AS final,
       a.aggfinalextra AS "final with extra arguments", a.aggfinalmodify::text AS "final modifies",
       nullif(a.aggcombinefn, 0)::regprocedure::text AS combine,
       nullif(a.aggserialfn, 0)::regprocedure::text AS serialize,
       nullif(a.aggdeserialfn, 0)::regprocedure::text AS deserialize,
       nullif(a.aggmtransfn, 0)::regprocedure::text AS "moving transition",
       nullif(a.aggminvtransfn, 0)::regprocedure::text AS "moving inverse",
       nullif(a.aggmtranstype, 0)::regtype::text AS "moving state",
       nullif(a.aggmtransspace, 0)::text AS "moving state size",
       a.aggminitval AS "moving initial state",
       nullif(a.aggmfinalfn, 0)::regprocedure::text AS "moving final",
       a.aggmfinalextra AS "moving final with extra arguments",
       CASE WHEN a.aggmtransfn <> 0 THEN a.aggmfinalmodify::text END AS "moving final modifies",
       nullif(a.aggsortop, 0)::regoperator::text AS "sort operator"
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_aggregate a ON a.aggfnoid = p.oid
WHERE n.nspname = ANY (%(schemas)s)
  AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_proc'::regclass
                  AND m.objid = p.oid AND m.deptype = 'e')"""
# Which operators are there?
OPERATORS: Final[LiteralString] = """\
SELECT o.oid::int8 AS oid, 'operator' AS kind, o.oid::regoperator::text AS name,
       pg_get_userbyid(o.oprowner)::text AS owner,
       nullif(o.oprcode, 0)::regprocedure::text AS function,
       nullif(o.oprcom, 0)::regoperator::text AS commutator,
       nullif(o.oprnegate, 0)::regoperator::text AS negator,
       nullif(o.oprrest, 0)::regprocedure::text AS restrict,
       nullif(o.oprjoin, 0)::regprocedure::text AS "join",
       o.oprcanmerge AS merges, o.oprcanhash AS hashes
FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
WHERE n.nspname = ANY (%(schemas)s)
  AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_operator'::regclass
                  AND m.objid = o.oid AND m.deptype = 'e')"""
# The operators and the functions of a family, with the operator class or the family that each is
# part of.
_MEMBERS: Final[LiteralString] = """\
SELECT d.refclassid, d.refobjid, concat('operator ', o.amopstrategy, ' ', o.amopopr::regoperator,
           CASE WHEN o.amopsortfamily <> 0 THEN
               concat(' for order by ', (SELECT concat(quote_ident(s.nspname), '.',
                                                       quote_ident(f.opfname))
                                         FROM pg_opfamily f
                                         JOIN pg_namespace s ON s.oid = f.opfnamespace
                                         WHERE f.oid = o.amopsortfamily)) END) AS member
FROM pg_depend d JOIN pg_amop o ON o.oid = d.objid
WHERE d.classid = 'pg_amop'::regclass AND d.deptype IN ('a', 'i')
  AND d.refclassid IN ('pg_opclass'::regclass, 'pg_opfamily'::regclass)
UNION ALL
SELECT d.refclassid, d.refobjid,
       concat('function ', p.amprocnum, ' (', p.amproclefttype::regtype, ', ',
              p.amprocrighttype::regtype, ') ', p.amproc::regprocedure)
FROM pg_depend d JOIN pg_amproc p ON p.oid = d.objid
WHERE d.classid = 'pg_amproc'::regclass AND d.deptype IN ('a', 'i')
  AND d.refclassid IN ('pg_opclass'::regclass, 'pg_opfamily'::regclass)"""
# Which operator families are there, and which members do they have that are in no operator class?
OPERATOR_FAMILIES: Final[LiteralString] = (
    """\
SELECT f.oid::int8 AS oid, 'operator family' AS kind,
       concat(quote_ident(n.nspname), '.', quote_ident(f.opfname), ' USING ', a.amname) AS name,
       pg_get_userbyid(f.opfowner)::text AS owner,
       ARRAY(SELECT x.member FROM ("""
    + _MEMBERS
    + """) x
             WHERE x.refclassid = 'pg_opfamily'::regclass AND x.refobjid = f.oid
             ORDER BY x.member) AS members
FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am a ON a.oid = f.opfmethod
WHERE n.nspname = ANY (%(schemas)s)
  AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_opfamily'::regclass
                  AND m.objid = f.oid AND m.deptype = 'e')"""
)
# Which operator classes are there, and which members do they have?
OPERATOR_CLASSES: Final[LiteralString] = (
    """\
SELECT c.oid::int8 AS oid, 'operator class' AS kind,
       concat(quote_ident(n.nspname), '.', quote_ident(c.opcname), ' USING ', a.amname) AS name,
       pg_get_userbyid(c.opcowner)::text AS owner, c.opcintype::regtype::text AS type,
       nullif(c.opckeytype, 0)::regtype::text AS "key type", c.opcdefault AS "default",
       concat(quote_ident(s.nspname), '.', quote_ident(f.opfname)) AS family,
       ARRAY(SELECT x.member FROM ("""
    + _MEMBERS
    + """) x
             WHERE x.refclassid = 'pg_opclass'::regclass AND x.refobjid = c.oid
             ORDER BY x.member) AS members
FROM pg_opclass c JOIN pg_namespace n ON n.oid = c.opcnamespace JOIN pg_am a ON a.oid = c.opcmethod
JOIN pg_opfamily f ON f.oid = c.opcfamily JOIN pg_namespace s ON s.oid = f.opfnamespace
WHERE n.nspname = ANY (%(schemas)s)
  AND NOT EXISTS (SELECT FROM pg_depend m WHERE m.classid = 'pg_opclass'::regclass
                  AND m.objid = c.oid AND m.deptype = 'e')"""
)
