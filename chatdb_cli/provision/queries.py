"""Every statement that this package sends, each under the question that it answers.

`{name}` stands for a value that `postgres/quoting.py` puts in, quoted by libpq; `%s` and `$1` for a
parameter.  What does not belong here: anything that decides; the SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final, LiteralString

# `setup`: a database, a schema.
CREATE_DATABASE: Final = "CREATE DATABASE {database}"
SCHEMA_EXISTS: Final[LiteralString] = "SELECT FROM pg_namespace WHERE nspname = %s"
CREATE_SCHEMA: Final = "CREATE SCHEMA IF NOT EXISTS {schema}"
MARK_SCHEMA: Final = "COMMENT ON SCHEMA {schema} IS {mark}"
DROP_SCHEMA: Final = "DROP SCHEMA {schema} CASCADE"
# Its tables but for the history's, to be emptied together.
TEST_TABLES: Final[LiteralString] = """\
SELECT relname::text FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname = %s AND relkind IN ('r', 'p') AND NOT relispartition
  AND relname NOT IN ('_yoyo_migration', '_yoyo_log', '_yoyo_version', 'chatdb_migration')
ORDER BY 1"""
TRUNCATE: Final = "TRUNCATE {tables} RESTART IDENTITY"
