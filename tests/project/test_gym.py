"""examples/gym: its move is proved, and whatever was tampered with is found and named."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatdb_cli.docs.read import read_schema
from chatdb_cli.docs.update import write_schema_docs
from chatdb_cli.migrate.migrator import Migrator
from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.paths import ROOT
from tests.support.project import Project
from tests.support.servers import Server

GYM = ROOT / "examples/gym"


def move(old: Database, new: Database, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run move.py as its README says."""
    return subprocess.run(
        [sys.executable, "-W", "error", str(GYM / "move.py")],
        cwd=folder,
        env=Project(folder).environment(
            DATABASE_URL=new.url, CHATDB_AGAINST_URL=old.url, PYTHONPATH=str(ROOT)
        ),
        capture_output=True,
        text=True,
    )


PRACTICE = re.findall(r"^\$ (.*)$", (GYM / "README.md").read_text(), re.MULTILINE)[3:]


def test_the_commands_of_its_readme_lead_from_a_folder_to_a_proved_move(project: Project) -> None:
    shutil.copytree(GYM, project.path, dirs_exist_ok=True)
    scripts = Path(sys.executable).parent
    environment = project.environment()
    environment["PATH"] = f"{scripts}:{environment['PATH']}"
    results = [
        subprocess.run(
            ["sh", "-c", line], cwd=project.path, env=environment, capture_output=True, text=True
        )
        for line in (*PRACTICE, "chatdb server destroy --yes")
    ]
    assert [result.returncode for result in results] == [0] * 8 + [1, 0], results
    moved, *_, damaged, _ = results[5:]
    assert "✓ 11 of 11 tables and 10 of 10 sequences match" in moved.stdout
    assert "id=7  differs: plan" in damaged.stdout


@pytest.fixture
def old(server: Server) -> Iterator[Database]:
    database = server.empty()
    database.execute((GYM / "old.sql").read_text())
    yield database
    server.release(database)


@pytest.fixture(scope="module")
def moved(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The names of an old and a new database after the move, as templates."""
    old, new = server.create(), server.create()
    old.execute((GYM / "old.sql").read_text())
    Migrator(new.target(), GYM / "sql").up(to="0008")
    result = move(old, new, tmp_path_factory.mktemp("move"))
    assert result.returncode == 0, result.stderr
    assert "✓ 11 of 11 tables and 10 of 10 sequences match" in result.stdout
    Migrator(new.target(), GYM / "sql").up()
    yield old.name, new.name
    old.drop()
    new.drop()


# What was done to the new database, and what `counts --find` says of it.
TAMPERINGS = {
    "a row lost": (
        "DELETE FROM checkins WHERE id = 4711",
        ["✗ checkins = check_ins 4,938 4,939 1 more on the other side",
         "id=4711 only on the other side"],
    ),
    "a row doubled": (
        """ALTER TABLE graduations DROP CONSTRAINT graduations_pkey;
           INSERT INTO graduations SELECT * FROM graduations WHERE id = 42""",
        ["✗ graduations 396 395 1 fewer on the other side", "id=42 only on this side"],
    ),
    "a row doubled with another id": (
        """INSERT INTO graduations (user_id, belt, degree, modality, created_at)
           SELECT user_id, belt, degree, modality, created_at FROM graduations WHERE id = 42""",
        ["✗ graduations 396 395 1 fewer on the other side", "id=401 only on this side"],
    ),
    "a value changed": (
        """UPDATE class SET "end" = '09:00' WHERE id = 3""",
        ["✗ class = classes 24 24 other content", "id=3 differs: end"],
    ),
    "an element of an array lost": (
        "UPDATE notifications SET recipients = recipients[2:] WHERE id = 5",
        ["✗ notifications 30 30 other content", "id=5 differs: recipients"],
    ),
    "two values swapped": (
        """UPDATE users u SET email = o.email FROM users o
           WHERE u.id IN (11, 12) AND o.id IN (11, 12) AND u.id <> o.id""",
        ["✗ users 300 300 other content", "id=11 differs: email", "id=12 differs: email"],
    ),
    "a sequence left behind": (
        "SELECT setval('users_id_seq', 7)",
        ["✗ users_id_seq 8 301", "here behind users.id, which has 300"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TAMPERINGS)
def test_what_was_tampered_with_after_the_move_is_found_and_named(
    case: str, moved: tuple[str, str], server: Server, chatdb: Chatdb
) -> None:
    sql, expected = TAMPERINGS[case]
    new = server.create(moved[1])
    new.execute(sql)
    result = chatdb(
        "counts", "-d", new.url, "--against", server.url(moved[0]), "--find",
        "--map", "classes=class", "--map", "check_ins=checkins", "--map", "appstores=app_stores",
        "--map-column", "notifications.to=recipients",
    )  # fmt: skip
    new.drop()
    assert result.code == 1
    text = re.sub(r" +", " ", result.out)
    assert not [line for line in expected if line not in text], result.out
    tables, sequences = re.findall(r"(\d+) of 1[01]", result.out)
    assert int(tables) + int(sequences) == 20, result.out


def test_new_rows_continue_after_the_numbers_of_rows_that_were_deleted(
    moved: tuple[str, str], server: Server
) -> None:
    new = server.create(moved[1])
    rows = new.query(
        "INSERT INTO checkins (user_id, class_id, date) VALUES (7, 1, '2026-01-02') RETURNING id"
    )
    new.drop()
    assert rows == [(5001,)]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("UPDATE users SET birth_day = '31-12' WHERE id = 9", "users_birth_day_is_a_day"),
        ("UPDATE gyms SET manager_id = 4000 WHERE id = 2", "gyms_manager_id_fkey"),
        ("ALTER TABLE notifications DROP COLUMN viewed_by", "viewed_by"),
    ],
)
def test_if_a_row_does_not_fit_nothing_is_moved_and_the_reason_is_given(
    spoil: str, reason: str, old: Database, database: Database, tmp_path: Path
) -> None:
    Migrator(database.target(), GYM / "sql").up()
    old.execute(spoil)
    result = move(old, database, tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("nothing was moved: ")
    assert reason in result.stderr
    assert "Traceback" not in result.stderr
    assert database.query("SELECT FROM roles") == []


def test_rows_that_are_there_already_are_never_mixed_with_moved_ones(
    moved: tuple[str, str], server: Server, tmp_path: Path
) -> None:
    old, new = (Database(server, name) for name in moved)
    result = move(old, new, tmp_path)
    assert result.returncode == 1
    assert "has rows already; nothing was changed" in result.stderr


def test_its_files_are_clean_its_seed_runs_twice_and_its_downs_undo_its_ups(
    database: Database, chatdb: Chatdb, project: Project
) -> None:
    shutil.copytree(GYM, project.path, dirs_exist_ok=True)
    assert chatdb("migrate", "lint").code == 0
    assert chatdb("migrate", "up").code == 0
    assert chatdb("seed").code == 0
    assert "nothing to seed" in chatdb("seed").out
    rehearsed = chatdb("migrate", "rehearse", "--seed")
    assert rehearsed.code == 0, rehearsed.err
    assert chatdb("migrate", "down", "--all", "--allow-data-loss").code == 0
    assert database.tables() == set()


def test_its_page_is_up_to_date(database: Database) -> None:
    Migrator(database.target(), GYM / "sql").up()
    state = write_schema_docs(GYM / "schema.md", read_schema(database.target()), check=True)
    assert state.state == "unchanged", state.reason


def test_each_foreign_key_has_an_index_and_each_table_a_comment_and_created_at(
    database: Database,
) -> None:
    Migrator(database.target(), GYM / "sql").up()
    assert len(database.tables()) == 11
    assert (
        database.query(
            """SELECT conname FROM pg_constraint c WHERE contype = 'f' AND NOT EXISTS
               (SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1])"""
        )
        == []
    )
    assert (
        database.query(
            """SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
               WHERE nspname = 'public' AND relkind = 'r' AND relname !~ 'yoyo|chatdb'
                 AND (obj_description(c.oid, 'pg_class') IS NULL OR NOT EXISTS
                      (SELECT FROM pg_attribute a WHERE attrelid = c.oid AND attname = 'created_at'
                          AND attnotnull AND atttypid = 'timestamptz'::regtype AND atthasdef))"""
        )
        == []
    )
