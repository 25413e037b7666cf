"""docs/mapping.md names only what exists, and every operation of the chat schema."""

from __future__ import annotations

import re
from typing import Any

import psycopg

import chatdb_cli
from chatdb_cli.cli.app import command_paths
from chatdb_cli.settings.table import SETTINGS
from tests.support.paths import ROOT, SHIPPED
from tests.support.servers import on_first_server

DOCS = ROOT / "docs"
TEXT = (DOCS / "mapping.md").read_text(encoding="utf-8")
SPANS = sorted(set(re.findall(r"`([^`]+)`", TEXT)))
# Of PostgreSQL, of its tools, of SSH, and arguments.
OTHERS = {
    "SELECT", "SELECT * FROM", "INSERT", "UPDATE", "jsonb", "psql", "class_row", "auto_explain",
    "pg_stat_statements", "log_min_duration_statement", "~/.ssh/config", "~/.ssh/id_ed25519",
    "--schema", "--verbose", "alone => true", "open_pool(wait=...)",
    'psql -1 -f file.sql "$(chatdb server url)"', "chat.user_id", "chat.soft_delete",
}  # fmt: skip
NAMES = """
SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION SELECT c.relname || '.' || attname FROM pg_attribute
  JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'public'::regnamespace AND attnum > 0
UNION SELECT proname || '()' FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""


def exists(span: str, names: set[str], sql: str) -> bool:
    """Return whether what a span of code names exists."""
    if span in OTHERS or span in names or span in SETTINGS:
        return True
    if span.startswith("chatdb_cli."):
        return hasattr(chatdb_cli, span.removeprefix("chatdb_cli."))
    if span.startswith("chatdb "):
        words = tuple(span.partition(" --")[0].split()[1:])
        return words in command_paths()
    if span.startswith('"'):
        return span.strip('"') in sql
    return f"'{span}'" in sql and re.search(rf"CONSTRAINT = '{span}'", sql) is not None


@on_first_server
def test_each_name_of_the_page_exists(migrated: psycopg.Connection[Any]) -> None:
    names = {row[0] for row in migrated.execute(NAMES).fetchall()}
    sql = "".join(path.read_text(encoding="utf-8") for path in (SHIPPED / "up").glob("*.sql"))
    sql = sql.replace("''", "'")
    assert [span for span in SPANS if not exists(span, names, sql)] == []


def test_each_operation_is_named() -> None:
    schema = (DOCS / "schema.md").read_text(encoding="utf-8")
    functions = schema.partition("\n## Functions\n")[2].partition("\n### Internals")[0]
    operations = re.findall(r"^#### (\w+)$", functions, re.MULTILINE)
    assert operations
    assert [name for name in operations if f"`{name}()`" not in TEXT] == []


def test_each_link_leads_to_a_heading() -> None:
    for page, anchor in re.findall(r"\]\((\w+\.md)(?:#([\w-]+))?\)", TEXT):
        text = (DOCS / page).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        assert not anchor or anchor in {h.lower().replace(" ", "-") for h in headings}, page
