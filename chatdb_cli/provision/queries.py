"""Every statement that this package sends, each under the question that it answers.

`{name}` is a value that `postgres/quoting.py` inserts, quoted by libpq; `%s` and `$1` are parameters.
What does not belong here: decisions, and SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

# May this session write?
WRITABILITY: Final = """\
SELECT current_database() AS database, session_user::text AS "user",
       pg_is_in_recovery() AS is_standby,
       current_setting('default_transaction_read_only')::bool AS is_read_only"""
# Write although transactions are read-only by default: for one transaction, or for statements that run
# outside of one.
READ_WRITE: Final = "SET LOCAL transaction_read_only = off"
SESSION_READ_WRITE: Final = "SET default_transaction_read_only = off"
SESSION_DEFAULT: Final = "RESET default_transaction_read_only"
# Create what is missing: the database, the schema.
CREATE_DATABASE: Final = "CREATE DATABASE {database}"
SCHEMA_EXISTS: Final = "SELECT oid::text FROM pg_namespace WHERE nspname = {name}"
CREATE_SCHEMA: Final = "CREATE SCHEMA IF NOT EXISTS {schema}"
# Does a schema exist, and does its comment mark it as a test schema?
SCHEMA_COMMENT: Final = """\
SELECT obj_description(oid, 'pg_namespace') AS comment FROM pg_namespace WHERE nspname = {name}"""
# Reset a test schema: drop it, create it again, mark it, and let its role create objects in it.
MARK_SCHEMA: Final = "COMMENT ON SCHEMA {schema} IS {mark}"
DROP_SCHEMA: Final = "DROP SCHEMA {schema} CASCADE"
ALLOW_ROLE: Final = "GRANT USAGE, CREATE ON SCHEMA {schema} TO {role} WITH GRANT OPTION"
# Where are the extensions of this database?
EXTENSION_SCHEMAS: Final = """\
SELECT DISTINCT n.nspname::text AS name
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE n.nspname <> 'pg_catalog' ORDER BY 1"""
# May the role that is logged in create roles or databases?  Does the role of the test schema exist, and
# may it be used?
RIGHTS: Final = """\
SELECT current_user::text AS name, m.rolsuper AS superuser, m.rolcreaterole AS may_create_roles,
       m.rolsuper OR m.rolcreatedb AS may_create_databases,
       current_setting('server_version_num')::int AS server_version,
       r.oid IS NOT NULL AS exists, shobj_description(r.oid, 'pg_authid') AS comment,
       r.oid IS NOT NULL AND (m.rolsuper OR pg_has_role(m.oid, r.oid, 'USAGE')) AS usable
FROM pg_roles m LEFT JOIN pg_roles r ON r.rolname = {role} WHERE m.rolname = current_user"""
# Create the role of a test schema, and let the role that migrates act for it.
CREATE_ROLE: Final = "CREATE ROLE {role} NOLOGIN"
MARK_ROLE: Final = "COMMENT ON ROLE {role} IS {mark}"
JOIN_ROLE: Final = "GRANT {role} TO CURRENT_USER"
JOIN_ROLE_16: Final = "GRANT {role} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE"
# Let it read all tables, as a file may read what is outside.
READ_ALL: Final = "GRANT pg_read_all_data TO {role}"
# Drop it: it owns nothing any more.
DROP_OWNED: Final = "DROP OWNED BY {role}"
DROP_ROLE: Final = "DROP ROLE {role}"
# Which roles have files of a test schema created that nobody has used since?
MADE_ROLES: Final = """\
SELECT r.rolname::text AS name FROM pg_roles r
WHERE shobj_description(r.oid, 'pg_authid') = {mark}
  AND NOT EXISTS (SELECT FROM pg_db_role_setting s WHERE s.setrole = r.oid)
  AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.usesysid = r.oid)
  AND NOT EXISTS (SELECT FROM pg_auth_members a JOIN pg_roles o
                       ON o.oid = CASE r.oid WHEN a.roleid THEN a.member ELSE a.roleid END
                  WHERE r.oid IN (a.roleid, a.member) AND o.rolname <> current_user
                    AND shobj_description(o.oid, 'pg_authid') IS DISTINCT FROM {mark})
ORDER BY 1"""
# Which schema is the first of this session's search path?
CURRENT_SCHEMA: Final = "SELECT pg_catalog.current_schema()"
# What do the comments of a schema and of this database say?
MARKS: Final = """\
SELECT (SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = {name}) AS schema,
       shobj_description(d.oid, 'pg_database') AS database
FROM pg_database d WHERE d.datname = current_database()"""
# Which schemas does the database have beside those of the server?
USER_SCHEMAS: Final = """\
SELECT nspname::text AS name FROM pg_namespace
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1"""
# Which tables of these schemas hold rows, and which others refer to those?  One TRUNCATE needs both.
_SCOPE: Final = """\
scope AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind, pg_relation_size(c.oid) > 0 AS filled
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY ({schemas}::text[]) AND c.relkind IN ('r', 'p', 'S', 'm')
      AND c.relpersistence <> 't'
      AND c.relname NOT IN ('_yoyo_migration', '_yoyo_log', '_yoyo_version', 'chatdb_migration')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                        AND d.objid = c.oid AND d.deptype = 'e')
)"""
FILLED_TABLES: Final = f"""\
WITH RECURSIVE {_SCOPE}, named (oid) AS (
    SELECT oid FROM scope WHERE relkind = 'r' AND filled
    UNION SELECT k.conrelid FROM named JOIN pg_constraint k ON k.confrelid = named.oid
    WHERE k.contype = 'f' AND k.conrelid IN (SELECT oid FROM scope)
)
SELECT s.nspname::text AS schema, s.relname::text AS name, s.relkind = 'p' AS partitioned, s.filled,
       (SELECT p.relid::regclass::text FROM pg_partition_tree(s.oid) p
        WHERE s.relkind = 'p' AND p.isleaf AND p.relid NOT IN (SELECT oid FROM scope) LIMIT 1)
           AS elsewhere
FROM named JOIN scope s USING (oid) ORDER BY 1, 2"""  # noqa: S608  (constants alone)
HAS_ROWS: Final = "EXISTS (SELECT FROM {table})"
ALL_ROWS: Final = "SET LOCAL row_security = off"
# Which triggers would a TRUNCATE of these tables fire?
TRUNCATE_TRIGGERS: Final = f"""\
WITH {_SCOPE}
SELECT s.nspname::text AS schema, s.relname::text AS table, t.tgname::text AS name,
       t.tgenabled AS enabled
FROM pg_trigger t JOIN scope s ON s.oid = t.tgrelid
WHERE t.tgtype & 32 <> 0 AND NOT t.tgisinternal AND t.tgenabled <> 'D' ORDER BY 1, 2, 3"""  # noqa: S608
SET_TRIGGER: Final = "ALTER TABLE ONLY {table} {how} TRIGGER {trigger}"
TRUNCATE: Final = "TRUNCATE {tables}"
# Which sequences do these schemas have, and where do they start?
SEQUENCES: Final = f"""\
WITH {_SCOPE}
SELECT s.nspname::text AS schema, s.relname::text AS name, q.seqstart AS start
FROM pg_sequence q JOIN scope s ON s.oid = q.seqrelid ORDER BY 1, 2"""  # noqa: S608
IS_USED: Final = "(SELECT is_called OR last_value <> {start} FROM {sequence})"
RESTART: Final = "ALTER SEQUENCE {sequence} RESTART"
# Which materialized views hold rows?
FILLED_VIEWS: Final = f"""\
WITH {_SCOPE}
SELECT s.nspname::text AS schema, s.relname::text AS name FROM scope s
WHERE s.relkind = 'm' AND s.filled ORDER BY s.oid"""  # noqa: S608
REFRESH: Final = "REFRESH MATERIALIZED VIEW {view}"
# Several answers in one row.
LIST: Final = "SELECT ARRAY[{items}]::boolean[] AS items"
# Does this database hold anything beside its extensions?  Who may drop it, and what marks it?
DATABASE: Final = """\
SELECT shobj_description(d.oid, 'pg_database') AS comment, m.rolsuper OR m.rolcreatedb AS may_create,
       m.rolsuper OR pg_has_role(m.oid, d.datdba, 'USAGE') AS owned,
       NOT EXISTS (
           SELECT FROM (SELECT 'pg_class'::regclass AS class, oid FROM pg_class
                        UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc
                        UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type
                        UNION ALL SELECT 'pg_namespace'::regclass, oid FROM pg_namespace
                        WHERE nspname !~ '^pg_(toast_)?temp_') o
           WHERE o.oid >= 16384
             AND (o.class, o.oid) <> ('pg_namespace'::regclass, to_regnamespace('public')::oid)
             AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = o.class AND e.objid = o.oid
                               AND e.deptype IN ('e', 'i'))) AS empty
FROM pg_database d JOIN pg_roles m ON m.rolname = current_user WHERE d.datname = current_database()"""
# Make a test database like another one, mark it, and drop it.
CREATE_LIKE: Final = """\
CREATE DATABASE {database} TEMPLATE template0 ENCODING {encoding} LC_COLLATE {collate}
LC_CTYPE {ctype} {options}"""
MARK_DATABASE: Final = "COMMENT ON DATABASE {database} IS {mark}"
DROP_DATABASE: Final = "DROP DATABASE IF EXISTS {database} WITH (FORCE)"
# Clear a test database that may not be created again: drop its extensions and its schemas.
CLEAR_DATABASE: Final = """\
DO $clear$
DECLARE
  made record;
BEGIN
  FOR made IN SELECT extname FROM pg_catalog.pg_extension e
              WHERE extname <> 'plpgsql' AND pg_catalog.pg_has_role(e.extowner, 'USAGE') LOOP
    EXECUTE pg_catalog.format('DROP EXTENSION IF EXISTS %I CASCADE', made.extname);
  END LOOP;
  FOR made IN SELECT nspname FROM pg_catalog.pg_namespace
              WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
    EXECUTE pg_catalog.format('DROP SCHEMA %I CASCADE', made.nspname);
  END LOOP;
  CREATE SCHEMA public;
  GRANT USAGE ON SCHEMA public TO PUBLIC;
END
$clear$"""
# Find no function or operator but those of pg_catalog.
PG_CATALOG_ONLY: Final = "SET LOCAL search_path = pg_catalog, pg_temp"
# Wait this long for a lock, then fail.
LOCK_TIMEOUT: Final = "SET LOCAL lock_timeout = {lock_timeout}"
BEGIN_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE NOT DEFERRABLE"
COMMIT: Final = "COMMIT"
ROLLBACK: Final = "ROLLBACK"
