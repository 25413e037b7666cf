"""Every statement that this package sends, each under the question that it answers.

`{name}` is a value that `postgres/quoting.py` inserts.  What does not belong here: decisions, and SQL of
the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final, LiteralString

# Which relations exist before a file, where is each stored, and how often has the transaction read it?
RELATIONS_BEFORE: Final[LiteralString] = """\
SELECT pg_catalog.json_build_object(
  'ended', pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()),
  'relations', (
    SELECT pg_catalog.json_object_agg(c.oid, pg_catalog.json_build_array(
             n.nspname, c.relname, c.relkind, coalesce(t.relname, c.relname), i.indrelid,
             pg_catalog.pg_relation_filenode(c.oid),
             pg_catalog.pg_stat_get_xact_numscans(c.oid)))
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
    LEFT JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
    WHERE pg_catalog.left(n.nspname::text, 3) <> 'pg_' AND n.nspname <> 'information_schema'))::text"""
# Which relations has the transaction locked now, where is each stored, and how often was it read?
LOCKS_NOW: Final[LiteralString] = """\
SELECT pg_catalog.json_build_object(
  'begun', pg_catalog.date_part('epoch', pg_catalog.statement_timestamp()),
  'locks', (
    SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
             l.relation::text, l.mode, pg_catalog.pg_relation_filenode(l.relation),
             pg_catalog.pg_stat_get_xact_numscans(l.relation)))
    FROM pg_catalog.pg_locks l
    WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted
      AND l.relation >= 16384 AND l.database <> 0),
  'ended', pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()))::text"""
# Which schemas does a database have?
SCHEMAS: Final[LiteralString] = """\
SELECT nspname::text AS name FROM pg_namespace
WHERE left(nspname::text, 3) <> 'pg_' AND nspname <> 'information_schema' ORDER BY 1"""
# Which role has created the history, and so the objects of its migrations?
HISTORY_OWNER: Final = """\
SELECT r.rolname::text AS owner
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_roles r ON r.oid = c.relowner
WHERE n.nspname = {name} AND c.relname = '_yoyo_migration'"""
