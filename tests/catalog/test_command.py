"""`chatdb migrate snapshot`, and differences as they are printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_regressions.file_regression import FileRegressionFixture

from chatdb_cli.catalog.diff import compare_snapshots
from chatdb_cli.catalog.snapshot_file import load_snapshot
from chatdb_cli.catalog.snapshot_text import parse_snapshot
from chatdb_cli.cli.render.drift import comparison_notes, difference_documents, difference_text
from chatdb_cli.errors import Exit
from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.schema_changes import World

CHANGES = """
ALTER TABLE users DROP CONSTRAINT users_score_check, ADD extra int DEFAULT 7, ALTER bio SET NOT NULL,
    ALTER score SET DEFAULT 1;
ALTER TABLE parent ALTER b TYPE varchar(90) COLLATE "C";
COMMENT ON TABLE users IS 'Others';
GRANT DELETE ON users TO fuzz_reader;
ALTER TABLE orders DISABLE TRIGGER ALL;
DROP VIEW active;
DROP TABLE scratchpad;
CREATE TABLE fresh (id int PRIMARY KEY, note text);
ALTER TYPE spare ADD VALUE 'd' BEFORE 'b';
ALTER TABLE parent DROP a;
ALTER TABLE parent ADD a int;
CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- a comment, and a blank line

    NEW.created_at := now();
    IF NEW.score IS NULL THEN
        NEW.score := 1;
    END IF;
    NEW.name := trim(NEW.name);
    RETURN NEW;
END $$;
"""


def test_differences_are_printed_by_object_like_a_diff(
    world: World, file_regression: FileRegressionFixture
) -> None:
    with world.connection.transaction(force_rollback=True):
        world.connection.execute(CHANGES)
        comparison = compare_snapshots(world.snapshot, world.read())
    assert difference_text(()) == ""
    lines = [difference_text(comparison.differences), *comparison_notes(comparison)]
    file_regression.check("\n".join(lines) + "\n", basename="differences")


def test_differences_as_json_have_the_documented_keys(world: World) -> None:
    with world.connection.transaction(force_rollback=True):
        world.connection.execute("ALTER TABLE users ALTER bio SET NOT NULL; DROP VIEW active")
        comparison = compare_snapshots(world.snapshot, world.read())
    column, view = json.loads(json.dumps(difference_documents(comparison.differences)))
    assert column == {
        "kind": "column", "object": "public.users.bio", "attribute": "not null",
        "before": None, "after": "yes",
    }  # fmt: skip
    assert (view["kind"], view["object"], view["attribute"]) == ("view", "public.active", None)
    assert view["before"].startswith("view public.active\n  definition:\n")
    assert view["after"] is None


@pytest.mark.quick
def test_the_command_prints_what_the_library_reads(
    chatdb: Chatdb, database: Database, tmp_path: Path
) -> None:
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, note text); COMMENT ON TABLE t IS E'\\x07'"
    )
    printed = chatdb("migrate", "snapshot", "-d", database.url)
    assert printed.code == 0
    path = tmp_path / "schema.txt"
    saved = chatdb("migrate", "snapshot", "-d", database.url, "--output", str(path))
    assert saved.out == f"{path}: written\n"
    again = chatdb("migrate", "snapshot", "-d", database.url, "--output", str(path))
    assert again.out == f"{path}: unchanged\n"
    assert printed.out == path.read_text()
    assert parse_snapshot(printed.out) == load_snapshot(path)
    document = chatdb("migrate", "snapshot", "-d", database.url, "--format", "json").document
    assert [o["name"] for o in document["objects"] if o["parent"] == "public.t"] == [
        "id", "note", "t_pkey",
    ]  # fmt: skip
    table = next(o for o in document["objects"] if o["kind"] == "table")
    assert table["attributes"]["comment"] == "\x07"
    assert document["unread"] == []


def test_a_missing_schema_is_wrong_usage(chatdb: Chatdb, database: Database) -> None:
    result = chatdb("migrate", "snapshot", "-d", database.url, "--schema", "nowhere")
    assert result.code == Exit.USAGE
    assert '"chatdb setup" creates it' in result.err
