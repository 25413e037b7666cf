"""Up, down and redo: what is applied and rolled back, in which order."""

from __future__ import annotations

import hashlib
from typing import Any

import psycopg
import pytest

from chatdb_cli.errors import ChatdbError
from chatdb_cli.history.model import History
from chatdb_cli.migrate.migrator import Migrator
from tests.support.database import Database
from tests.support.project import Project, states

# --- the ordinary day -----------------------------------------------------------------------------


@pytest.mark.quick
def test_up_applies_pending_migrations_in_order_and_down_rolls_back_the_newest(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2, 3)
    run = project.migrator(database).up()
    assert states(run) == ["applied"] * 3
    assert run.current == "0003"
    assert all(s.duration_ms is not None for s in run.steps)
    assert database.tables() == {"t1", "t2", "t3"}
    assert project.migrator(database).down().current == "0002"
    assert database.tables() == {"t1", "t2"}
    assert database.applied() == ["0001_t1", "0002_t2"]


@pytest.mark.parametrize(
    ("request_", "left"),
    [
        ({}, "0004"),
        ({"steps": 2}, "0003"),
        ({"to": "2"}, "0002"),
        ({"to": "0"}, None),
        ({"everything": True}, None),
    ],
    ids=str,
)
def test_down_rolls_back_what_was_asked_for(
    project: Project, database: Database, request_: dict[str, Any], left: str | None
) -> None:
    project.write_tables(1, 2, 3, 4, 5)
    project.migrator(database).up()
    assert project.migrator(database).down(**request_).current == left


@pytest.mark.quick
def test_redo_runs_the_down_and_the_up_that_are_on_disk_now(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2)
    project.migrator(database).up()
    project.write("0002_t2", "CREATE TABLE better (id int);", "DROP TABLE better;")
    project.write("0002_t2", "CREATE TABLE better (id int);", "DROP TABLE t2;")
    run = project.migrator(database).redo()
    assert [(s.direction, s.state) for s in run.steps] == [("down", "reverted"), ("up", "applied")]
    assert database.tables() == {"t1", "better"}


def test_a_repeated_up_changes_nothing(project: Project, database: Database) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    before = database.query("SELECT xmin, * FROM chatdb_migration")
    run = project.migrator(database).up()
    assert run.steps == ()
    assert database.query("SELECT xmin, * FROM chatdb_migration") == before


def test_down_with_nothing_applied_succeeds(project: Project, database: Database) -> None:
    project.write_tables(1)
    assert project.migrator(database).down().steps == ()


def test_down_without_its_file_runs_the_one_in_the_history(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2)
    project.migrator(database).up()
    (project.sql / "up" / "0002_t2.sql").unlink()
    (project.sql / "down" / "0002_t2.sql").unlink()
    assert states(project.migrator(database).down()) == ["reverted"]
    assert database.tables() == {"t1"}


@pytest.mark.quick
def test_status_needs_no_right_to_write_and_writes_nothing(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2)
    project.migrator(database).up(steps=1)
    url = database.url + "&options=-c%20default_transaction_read_only%3Don"
    status = project.migrator(database, database_url=url).status()
    assert status.current == "0001"
    assert [m.version for m in status.pending] == ["0002"]


def test_two_schemas_of_one_database_keep_their_own_history(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2)
    with database.connect() as conn:
        conn.execute('CREATE SCHEMA "other"')
        conn.execute('CREATE SCHEMA "Odd ""name"" é"')
    project.migrator(database).up(steps=1)
    project.migrator(database, schema="other").up()
    project.migrator(database, schema='Odd "name" é').up()
    assert database.tables() == {"t1"}
    assert database.tables("other") == {"t1", "t2"}
    assert database.tables('Odd "name" é') == {"t1", "t2"}
    project.migrator(database, schema='Odd "name" é').down(everything=True)
    assert database.tables('Odd "name" é') == set()
    assert database.tables("other") == {"t1", "t2"}


def test_the_history_holds_the_author_and_the_checksums(
    project: Project, database: Database
) -> None:
    project.write("1_a", "\ufeffSELECT 1;\r\n", "SELECT 2;")
    project.migrator(database).up()
    digest = "sha256:" + hashlib.sha256(b"SELECT 1;\n").hexdigest()
    ((checksum, up, down, who, client),) = database.query(
        "SELECT up_checksum, up_text, down_text, applied_by, client FROM chatdb_migration"
    )
    assert (checksum, up, down) == (digest, "SELECT 1;\r\n", "SELECT 2;")
    assert who == "postgres"
    assert "@" in client


# --- the rest of a day ----------------------------------------------------------------------------


def test_progress_reports_each_step_as_it_begins_and_ends(
    project: Project, database: Database
) -> None:
    project.write("1_a", "DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
    project.write("2_b", "SELECT 1;")
    seen: list[tuple[str, str | None, str]] = []
    project.migrator(
        database,
        progress=lambda e: seen.append((e.kind, e.step.version if e.step else None, e.text)),
    ).up()
    assert seen == [
        ("planned", None, ""),
        ("started", "1", ""),
        ("notice", "1", "notice: hello"),
        ("done", "1", ""),
        ("started", "2", ""),
        ("done", "2", ""),
    ]


def test_the_shipped_schema_is_applied_only_if_it_was_named_and_not_beside_other_tables(
    project: Project, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.path)
    with database.connect() as conn:
        conn.execute("CREATE TABLE precious (id int)")
    for directory, exit_code in ((None, 2), ("@chat", 8)):
        with pytest.raises(ChatdbError) as caught:
            Migrator(database.target(), directory).up()
        assert caught.value.exit == exit_code
    assert database.tables() == {"precious"}


def test_a_missing_schema_is_not_created(project: Project, database: Database) -> None:
    project.write_tables(1)
    with pytest.raises(ChatdbError) as caught:
        project.migrator(database, schema="nowhere").up()
    assert caught.value.exit == 2
    assert "setup()" in (caught.value.hint or "")


def test_history_is_complete_only_with_every_table() -> None:
    nothing = History(1, 180000, "d", "u", True, frozenset(), False, ())
    assert not nothing.complete


def test_the_connection_is_as_it_was_after_a_failed_run(
    project: Project, database: Database
) -> None:
    from chatdb_cli.postgres.pipeline import Batch, Message, run_pipeline

    with database.connect() as conn:
        bad = [Batch([Message(b"BEGIN", "frame"), Message(b"SELECT 1/0", "file", 0)])]
        outcome = run_pipeline(conn, bad)
        assert isinstance(outcome.error, psycopg.errors.DivisionByZero)
        conn.execute("ROLLBACK")
        assert conn.execute("SELECT 1").fetchone() == (1,)
