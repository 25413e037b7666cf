"""Every statement that this package sends, each after the question that it answers.

`{name}` is replaced by a value that `postgres/quoting.py` quotes with libpq; `%s` is a parameter.  The
conditions per catalog are in `catalogs.py`.  What does not belong here: decisions, the SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.migrate.confine.catalogs import CATALOGS, SCHEMAS, relation_inside

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Final, LiteralString

    from chatdb_cli.migrate.confine.catalogs import Catalog

# Begin a transaction that sees one snapshot, and end it.
BEGIN_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE NOT DEFERRABLE"
ROLLBACK: Final = "ROLLBACK"
# Find no function or operator but those of pg_catalog.
PG_CATALOG_ONLY: Final = "SET LOCAL search_path = pg_catalog, pg_temp"
# Compile no query of the watch: they read catalogs, and are so long that it takes a minute.
NO_JIT: Final = "SET LOCAL jit = off"
JIT_AS_IT_WAS: Final = "SET LOCAL jit TO DEFAULT"
# What is there before the run: the schema, its role, extensions, roles, memberships, event triggers?
SURROUNDINGS: Final = """\
SELECT (SELECT oid::text FROM pg_namespace WHERE nspname = {name}) AS schema,
       coalesce((SELECT oid::text FROM pg_roles WHERE rolname = {role}), '0') AS role,
       ARRAY(SELECT oid::text FROM pg_extension) AS extensions,
       ARRAY(SELECT oid::text FROM pg_roles) AS role_oids,
       ARRAY(SELECT rolname::text FROM pg_roles) AS role_names,
       ARRAY(SELECT pg_get_userbyid(roleid) || chr(10) || pg_get_userbyid(member)
             FROM pg_auth_members) AS members,
       ARRAY(SELECT format('%s (function %s)', quote_ident(evtname), evtfoid::regproc)
             FROM pg_event_trigger WHERE evtenabled IN ('O', 'A') ORDER BY evtname)
           AS event_triggers,
       ARRAY(SELECT relname::text FROM pg_class
             WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'
               AND has_table_privilege(oid, 'SELECT')) AS readable"""
# Search for unqualified names in the test schema, and then in the schemas of extensions.
_EXTENSION_SCHEMAS: Final = """\
(SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(n.nspname), ', ')
 FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
 WHERE n.nspname <> 'pg_catalog')"""
TEST_PATH: Final = f"""\
SELECT pg_catalog.set_config('search_path',
    pg_catalog.concat_ws(', ', {{path}}, {_EXTENSION_SCHEMAS}), true)"""
# Put an extension where a migration of the target itself would; then search there, too.
EXTENSION_PATH: Final = """\
SELECT pg_catalog.set_config('chatdb.path', pg_catalog.current_setting('search_path'), true),
       pg_catalog.set_config('search_path', {path}, true)"""
PATH_AFTER_EXTENSION: Final = f"""\
SELECT pg_catalog.set_config('search_path',
    pg_catalog.concat_ws(', ', nullif(pg_catalog.current_setting('chatdb.path'), ''),
                         {_EXTENSION_SCHEMAS}), true)"""
# The same inside of the function that has the statements of a file.
PATH_IN_FUNCTION: Final = f"""\
PERFORM pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ',
    nullif(pg_catalog.current_setting('search_path'), ''), {_EXTENSION_SCHEMAS}), true);"""
# Mark a role that a file has created, so that it can be dropped with the test schema.
MARK_ROLE: Final = "COMMENT ON ROLE {made} IS {mark}"
# A file's statements as one call, with the rights of the role that owns what the schema holds.
FILE: Final = "chatdb_file"
CREATE_FILE: Final = """\
CREATE FUNCTION {schema}.chatdb_file() RETURNS pg_catalog.void
LANGUAGE plpgsql SECURITY DEFINER AS {body}"""
# What that function does: each statement as a text, so that what it holds does not matter.
FILE_BODY: Final = "BEGIN\n{lines}\nEND"
EXECUTE_TEXT: Final = "EXECUTE E'{text}';"
# Who owns it, and how it is called and dropped.
OWN_FILE: Final = "ALTER FUNCTION {schema}.chatdb_file() OWNER TO {owner}"
CALL_FILE: Final = "SELECT {schema}.chatdb_file()"
DROP_FILE: Final = "DROP FUNCTION IF EXISTS {schema}.chatdb_file()"
SETTLE: Final = "SET CONSTRAINTS ALL IMMEDIATE"
# Prepare the watch, and run it: after each file.
PREPARE_WATCH: Final = "PREPARE chatdb_watch AS {query}"
EXECUTE_WATCH: Final = "EXECUTE chatdb_watch"
# From here to the end of the transaction a deferred trigger has no more rights than the file had.
AS_ROLE: Final = "SET LOCAL ROLE {owner}"
# For DO blocks: create an extension or a plain role as the role that migrates, and nothing else.
MAKER: Final = "chatdb_make"
_NAME = r'("[^"]+"|[a-z_][a-z0-9_$]*)'
_TEXT = r"'[^'\\]*'"
_EXTENSION = (
    rf"^\s*CREATE\s+EXTENSION\s+(IF\s+NOT\s+EXISTS\s+)?{_NAME}"
    rf"(\s+(WITH|CASCADE|SCHEMA\s+{_NAME}|VERSION\s+({_NAME}|{_TEXT})))*\s*;?\s*$"
)
_ROLE = (
    rf"^\s*CREATE\s+(ROLE|USER|GROUP)\s+{_NAME}"
    r"(\s+(WITH|(NO)?(SUPERUSER|CREATEDB|CREATEROLE|INHERIT|LOGIN|REPLICATION|BYPASSRLS)"
    rf"|CONNECTION\s+LIMIT\s+-?\d+|(ENCRYPTED\s+)?PASSWORD\s+({_TEXT}|NULL)"
    rf"|VALID\s+UNTIL\s+{_TEXT}))*\s*;?\s*$"
)
CREATE_MAKER: Final = """\
CREATE FUNCTION {schema}.chatdb_make(statement pg_catalog.text) RETURNS pg_catalog.void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS {body}"""
DROP_MAKER: Final = "DROP FUNCTION IF EXISTS {schema}.chatdb_make(pg_catalog.text)"
MAKER_BODY: Final = """\
BEGIN
  IF statement ~* {extension} THEN
    PERFORM set_config('search_path', {path}, true);
    EXECUTE statement;
  ELSIF statement ~* {role} THEN
    EXECUTE statement;
    EXECUTE concat('COMMENT ON ROLE ', (regexp_match(statement, {role}, 'i'))[2], ' IS ',
                   quote_literal({mark}));
  ELSE
    RAISE insufficient_privilege USING MESSAGE = 'in a DO block of a test schema''s file only '
      'extensions and roles with plain options can be created';
  END IF;
END"""
EXTENSION_PATTERN: Final = _EXTENSION
ROLE_PATTERN: Final = _ROLE
# What is the name of an object?
DESCRIBE: Final[LiteralString] = """\
SELECT type, identity FROM pg_catalog.pg_identify_object(%s::oid, %s::oid, 0)
WHERE identity IS NOT NULL"""
# Which extension or object outside belongs to an extension that is new in this transaction?
_NEW: Final = """\
RECURSIVE {schemas},
new (class, object) AS (
    SELECT 'pg_catalog.pg_extension'::pg_catalog.regclass::pg_catalog.oid, oid
    FROM pg_catalog.pg_extension WHERE oid <> ALL ({known}::pg_catalog.oid[])
    UNION SELECT d.classid, d.objid
    FROM new JOIN pg_catalog.pg_depend d ON d.refclassid = new.class AND d.refobjid = new.object
    WHERE d.deptype IN ('e', 'i', 'a')
       OR d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
)""".replace("{schemas}", SCHEMAS)
# Which relations outside has the transaction locked as one does to change them or their rows?
_LOCKED: Final = f"""\
SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid AS class, c.oid AS object,
       'a lock' AS words
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation'
  AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                    WHERE d.datname = pg_catalog.current_database())
  AND c.relpersistence <> 't' AND c.oid >= 16384 AND c.relkind <> 't'
  AND ({relation_inside("c.oid")}) IS NOT TRUE
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i
                  JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
                  WHERE i.indexrelid = c.oid AND t.relkind = 't')"""  # noqa: S608  (constants alone)
# A row is of this transaction if its xmin is not older than the transaction: with one snapshot for all
# statements, a row of another transaction that is younger can't be seen.
_OWN: Final = """\
pg_catalog.age(t.xmin) <= pg_catalog.age(pg_catalog.pg_current_xact_id()::pg_catalog.xid)"""
_WROTE: Final = """\
(SELECT NOT pg_catalog.current_setting('track_counts')::pg_catalog.bool
     OR pg_catalog.pg_stat_get_xact_tuples_inserted({oid})
        + pg_catalog.pg_stat_get_xact_tuples_updated({oid}) > 0)"""


def _rows(catalog: Catalog, columns: str, condition: str = "true") -> str:
    """Return the SELECT of the rows of a catalog that are outside."""
    return (
        f"SELECT {columns}\nFROM pg_catalog.{catalog.name} t\n"
        f"WHERE {condition} AND ({catalog.inside}) IS NOT TRUE"
    )


def _object(catalog: Catalog) -> str:
    """Return the columns that identify the object of a row."""
    names = catalog.names
    of = names if names.startswith("t.") else f"'pg_catalog.{names}'::pg_catalog.regclass"
    return f"{of if names else '0'}::pg_catalog.oid AS class, t.{catalog.key} AS object"


def _of_no_new_extension(rows: str, columns: str) -> str:
    return (
        f"SELECT {columns} FROM (\n{rows}\n) o\n"  # noqa: S608
        "WHERE NOT EXISTS (SELECT FROM new n WHERE n.class = o.class AND n.object = o.object)"
    )


def changes(readable: Collection[str]) -> str:
    """Return the query for what the transaction has changed or locked outside, object by object.

    Args:
        readable: the catalogs that may be read.
    """
    parts = [
        _rows(
            c,
            f"{_object(c)}, '{c.words or c.name}' AS words",
            f"{_WROTE.replace('{oid}', _oid(c))} AND {_OWN}",
        )
        for c in CATALOGS
        if c.name in readable
    ]
    every = "\nUNION ALL\n".join((*parts, _LOCKED))
    columns = "o.class, o.object, o.words"
    return f"WITH {_NEW}\n{_of_no_new_extension(every, columns)}"


def _oid(catalog: Catalog) -> str:
    return f"'pg_catalog.{catalog.name}'::pg_catalog.regclass"


def no_changes(readable: Collection[str]) -> str:
    """Return the query that fails by a division by zero if the transaction has changed anything outside.

    The argument is that of `changes`.
    """
    return f"SELECT 1 / (NOT EXISTS (\n{changes(readable)}\n))::pg_catalog.int4"


def _versions(readable: Collection[str]) -> str:
    """Return the query for every row outside, and its version."""
    parts = [
        _rows(c, f"{_object(c)}, '{c.name}' AS catalog, t.xmin::pg_catalog.text AS version")
        for c in CATALOGS
        if c.name in readable
    ]
    return "\nUNION ALL\n".join(parts)


def outside(readable: Collection[str]) -> str:
    """Return the query for every object outside, with its version."""
    columns = "o.class, o.object, o.catalog || o.version AS version"
    return f"WITH {_NEW}\n{_of_no_new_extension(_versions(readable), columns)}"


def _checksum(readable: Collection[str]) -> str:
    rows = _of_no_new_extension(_versions(readable), "o.*")
    return (
        "(SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', catalog, count, sum), ','\n"  # noqa: S608
        "                              ORDER BY catalog)\n"
        " FROM (SELECT catalog, pg_catalog.count(*) AS count, pg_catalog.sum(\n"
        "           pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', object, version), 0)) AS sum\n"
        f"       FROM ({rows}) o GROUP BY catalog) c)"
    )


def checksum_before(readable: Collection[str]) -> str:
    """Return the query that keeps a checksum of everything outside, for `same_checksum`."""
    return (
        f"WITH {_NEW}\nSELECT pg_catalog.set_config('chatdb.outside', {_checksum(readable)}, true)"
    )


def same_checksum(readable: Collection[str]) -> str:
    """Return the query that fails by a division by zero if the checksum has changed."""
    return (
        f"WITH {_NEW}\n"
        "SELECT 1 / (pg_catalog.current_setting('chatdb.outside', true)\n"
        f"            = {_checksum(readable)})::pg_catalog.int4"
    )
