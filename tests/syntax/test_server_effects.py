"""Statements that change the whole server are found by their text."""

from __future__ import annotations

import pytest

from chatdb_cli.syntax.server_effects import find_server_effects
from chatdb_cli.syntax.statements import split_statements

# A text, and what is found in it.
CASES = {
    "DROP ROLE app": ["DROP ROLE"],
    "drop user if exists app, other": ["DROP USER"],
    "ALTER ROLE app PASSWORD 'x'": ["ALTER ROLE"],
    "SELECT 1; ALTER DATABASE chat SET timezone = 'UTC'": ["ALTER DATABASE"],
    "DROP DATABASE chat": ["DROP DATABASE"],
    "ALTER SYSTEM SET work_mem = '1GB'": ["ALTER SYSTEM"],
    "ALTER TABLESPACE t OWNER TO a; DROP TABLESPACE t": ["ALTER TABLESPACE", "DROP TABLESPACE"],
    "REVOKE admin FROM app": ["REVOKE"],
    "DO $$ BEGIN DROP ROLE app; END $$": ["DROP ROLE"],
    "DO $x$ BEGIN /* DROP ROLE a */ REVOKE admin FROM app; END $x$": ["REVOKE"],
    "CREATE ROLE app": [],
    "GRANT admin TO app": [],
    "REVOKE SELECT ON t FROM app": [],
    "REVOKE ALL ON DATABASE chat FROM PUBLIC": [],
    "DROP USER MAPPING FOR app SERVER s": [],
    "ALTER TABLE t RENAME role TO kind": [],
    "-- DROP ROLE app\nSELECT 'ALTER ROLE app'": [],
    'ALTER TABLE "user" ADD c int': [],
    "COMMENT ON COLUMN t.role IS 'DROP ROLE'": [],
}


@pytest.mark.parametrize("text", CASES)
def test_what_changes_the_server_is_found(text: str) -> None:
    found = list(find_server_effects(text, split_statements(text)))
    assert [effect.what for effect in found] == CASES[text]
    for effect in found:
        assert text[effect.offset :].upper().startswith(effect.what)
