"""Running scripts with psql, and the schema and history of a database."""

from __future__ import annotations

import os
import subprocess
from typing import Any

from tests.support.database import Database


def run_psql(database: Database, script: str) -> None:
    """Run a script with the psql of the server, and check that it reports no error."""
    psql = database.server.embedded.programs / "psql"
    result = subprocess.run(
        [psql, "-X", "-f", "-", database.url],
        input=script.encode(),
        capture_output=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
    )
    output = result.stderr.decode()
    assert result.returncode == 0, output
    assert "ERROR" not in output
    assert "WARNING" not in output


def schema_and_history(database: Database) -> list[Any]:
    """Return the schema and the history, without what differs from run to run."""
    queries = (
        "SELECT attrelid::regclass::text, attnum, attname::text, atttypid::regtype::text "
        "FROM pg_attribute JOIN pg_class c ON c.oid = attrelid "
        "WHERE relnamespace = 'public'::regnamespace AND NOT attisdropped ORDER BY 1, 2",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        "SELECT conname::text, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2",
        "SELECT oid::regprocedure::text, pg_get_functiondef(oid) FROM pg_proc "
        "WHERE pronamespace = 'public'::regnamespace AND prokind = 'f' ORDER BY 1",
        "SELECT migration_hash, migration_id FROM _yoyo_migration ORDER BY 2",
        "SELECT operation, migration_hash, migration_id, username, hostname, comment "
        "FROM _yoyo_log ORDER BY created_at_utc",
        "SELECT version FROM _yoyo_version",
        "SELECT version, migration_id, up_checksum, down_checksum, up_text, down_text, applied_by, "
        "client, chatdb_version, duration_ms IS NULL FROM chatdb_migration ORDER BY 1",
        "SELECT * FROM words ORDER BY 1" if "words" in database.tables() else "SELECT 1",
    )
    return [database.query(query) for query in queries]
