"""A rehearsal: each down is the exact inverse of its up, or the difference is shown."""

from __future__ import annotations

import signal
import subprocess

import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.folder import choose_folder
from chatdb_cli.files.read import read_migrations
from chatdb_cli.rehearse.choice import choose_versions
from chatdb_cli.rehearse.model import Rehearsal
from chatdb_cli.rehearse.rehearsal import rehearse_migrations
from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.paths import SHIPPED
from tests.support.project import Project, command_environment
from tests.support.servers import Server, on_first_server


def scratch_databases(server: Server) -> int:
    count = "SELECT count(*) FROM pg_database WHERE datname LIKE 'chatdb_scratch%'"
    return int(server.query_one(count))


def states(rehearsal: Rehearsal) -> dict[str, list[str]]:
    """Return what was wrong with each version: the steps, or that it was skipped."""
    return {
        v.version: [v.skipped] if v.skipped else [f.step for f in v.failures]
        for v in rehearsal.versions
    }


@pytest.mark.quick
def test_a_rehearsal_of_exact_downs_is_ok_and_leaves_the_target_as_it_was(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2)
    result = rehearse_migrations(database.target(), project.sql)
    assert result.ok
    assert states(result) == {"0001": [], "0002": []}
    assert database.tables() == set()
    assert database.query("SELECT to_regclass('_yoyo_migration')") == [(None,)]
    assert scratch_databases(database.server) == 0


BASE = """
CREATE TABLE t (id int PRIMARY KEY, name text DEFAULT 'x', n int);
CREATE VIEW v AS SELECT id FROM t;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE mood AS ENUM ('sad', 'ok');
COMMENT ON TABLE t IS 'before';
"""
# What an up changes, what its down does instead of undoing it, the object and the attribute that differ.
INEXACT = [
    ("CREATE TABLE u ();", "", ("public.u", None)),
    ("ALTER TABLE t ADD c int;", "", ("public.t.c", None)),
    (
        "ALTER TABLE t ALTER name SET DEFAULT 'y';", "ALTER TABLE t ALTER name DROP DEFAULT;",
        ("public.t.name", "default"),
    ),
    ("CREATE INDEX i ON t (n);", "", ("i on public.t", None)),
    ("ALTER TABLE t ALTER n SET NOT NULL;", "", ("public.t.n", "not null")),
    (
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2';",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 01';",
        ("public.f()", "definition"),
    ),
    ("CREATE OR REPLACE VIEW v AS SELECT id FROM t WHERE id > 0;", "", ("public.v", "definition")),
    ("ALTER TYPE mood ADD VALUE 'happy';", "", ("public.mood", "labels")),
    ("COMMENT ON TABLE t IS 'after';", "COMMENT ON TABLE t IS NULL;", ("public.t", "comment")),
    ("GRANT SELECT ON t TO PUBLIC;", "", ("public.t", "grants")),
    ("CREATE SCHEMA s CREATE TABLE x ();", "DROP TABLE s.x;", ("s", None)),
]  # fmt: skip


def test_what_a_down_does_not_undo_is_named(project: Project, database: Database) -> None:
    project.write("0001_base", BASE, "DROP VIEW v; DROP TABLE t; DROP FUNCTION f; DROP TYPE mood;")
    ups, downs, expected = zip(*INEXACT, strict=True)
    project.write("0002_inexact", "\n".join(ups), "\n".join(downs))
    result = rehearse_migrations(database.target(), project.sql, first="2")
    (inexact,) = result.versions
    failure = inexact.failures[0]
    assert failure.step == "down"
    named = [(d.object, d.attribute) for d in failure.differences]
    assert sorted(named, key=str) == sorted(expected, key=str)
    assert not result.ok


def test_a_failure_ends_nothing_but_its_own_version(project: Project, database: Database) -> None:
    project.write_tables(1)
    project.write("0002_down_fails", "CREATE TABLE u ();", "DROP TABLE other;")
    project.write("0003_up_fails_twice", "CREATE TABLE w ();", "SELECT 1;")
    project.write(
        "0004_grows",
        "CREATE TABLE IF NOT EXISTS x (a int); ALTER TABLE x ADD IF NOT EXISTS b int DEFAULT 1;"
        " DO $$ BEGIN EXECUTE format('ALTER TABLE x ADD c%s int', 1 + (SELECT count(*)"
        " FROM pg_attribute WHERE attrelid = 'x'::regclass AND attname LIKE 'c_')); END $$;",
        "SELECT 1;",
    )
    project.write_tables(5)
    result = rehearse_migrations(database.target(), project.sql)
    assert states(result) == {
        "0001": [],
        "0002": ["down"],
        "0003": ["down", "second up"],
        "0004": ["down", "second up"],
        "0005": [],
    }
    (failure,) = result.versions[1].failures
    assert failure.error is not None
    assert failure.error.place is not None
    assert failure.error.place.file == project.sql / "down/0002_down_fails.sql"
    assert failure.error.hint == "correct the file, and rehearse it again"
    assert scratch_databases(database.server) == 0


def test_an_up_that_fails_is_shown_and_what_needs_it_is_not_rehearsed(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    project.write("0002_wrong", "CREATE TABLE u (\n  id integr\n);", "DROP TABLE u;")
    project.write_tables(3)
    result = rehearse_migrations(database.target(), project.sql)
    assert not result.ok
    assert states(result)["0002"] == ["up"]
    assert states(result)["0003"] == ["not rehearsed: 0002 failed"]
    later = rehearse_migrations(database.target(), project.sql, first="3")
    assert states(later) == {"0002": ["up"], "0003": ["not rehearsed: 0002 failed"]}


def test_irreversible_versions_are_passed_over_and_counted(
    project: Project, chatdb: Chatdb
) -> None:
    project.write_tables(1)
    project.write(
        "0002_for_good", "-- chatdb: irreversible: rows are gone\nCREATE TABLE u ();", None
    )
    project.write("0003_no_down", "CREATE TABLE w ();", None)
    project.write_tables(4)
    result = chatdb("migrate", "rehearse")
    assert result.code == 0
    assert result.out.splitlines() == [
        "0001 t1        ok",
        "0002 for_good  irreversible: rows are gone",
        "0003 no_down   irreversible: it has no down file",
        "0004 t4        ok",
        "2 rehearsed, 2 passed over, all ok",
    ]


def test_a_file_outside_a_transaction_runs_as_it_is(project: Project, database: Database) -> None:
    outside = "-- chatdb: transactional: false\n"
    project.write("0001_t", "CREATE TABLE t (n int);", "DROP TABLE t;")
    project.write(
        "0002_i",
        f"{outside}CREATE INDEX CONCURRENTLY i ON t (n);",
        f"{outside}DROP INDEX CONCURRENTLY i;",
    )
    project.write(
        "0003_part_way",
        f"{outside}CREATE INDEX CONCURRENTLY j ON t (n);",
        f"{outside}DROP INDEX CONCURRENTLY j;\nSELECT nothing;",
    )
    project.write_tables(4)
    result = rehearse_migrations(database.target(), project.sql)
    assert states(result) == {"0001": [], "0002": [], "0003": ["down"], "0004": []}


@pytest.mark.parametrize(
    ("first", "last", "versions"),
    [
        ("2", None, ["0002", "0003", "0004"]),
        (None, "0002", ["0001", "0002"]),
        ("0002", "3", ["0002", "0003"]),
        ("3", "3", ["0003"]),
    ],
)
def test_a_part_of_the_versions_can_be_chosen(
    project: Project, first: str | None, last: str | None, versions: list[str]
) -> None:
    project.write_tables(1, 2, 3, 4)
    files = read_migrations(choose_folder(str(project.sql)))
    chosen = choose_versions(files, first=first, last=last, since=None)
    assert [files.migrations[n].version for n in chosen] == versions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first": "9"}, "there is no version 9"),
        ({"last": "x"}, "'x' is not a version"),
        ({"first": "2", "last": "1"}, "version 2 comes after version 1"),
        ({"since": "main"}, "git does not know what is newer than 'main'"),
        ({"seed": True}, "there is no SQL file in"),
    ],
)
@on_first_server
def test_a_wrong_choice_is_a_usage_error_before_anything_is_created(
    project: Project, database: Database, options: dict[str, str], message: str
) -> None:
    project.write_tables(1, 2)
    with pytest.raises(ChatdbError) as caught:
        rehearse_migrations(database.target(), project.sql, **options)  # type: ignore[arg-type]
    assert caught.value.code is Code.USAGE
    assert message in caught.value.message


def git(project: Project, *arguments: str) -> None:
    subprocess.run(
        ("git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments),
        cwd=project.path, check=True, capture_output=True,
    )  # fmt: skip


@on_first_server
def test_since_takes_the_versions_whose_files_differ_from_a_commit(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2, 3, 4)
    git(project, "init", "-b", "main")
    git(project, "add", ".")
    git(project, "commit", "-m", "first")
    git(project, "switch", "-c", "work")
    project.write("0002_t2", "CREATE TABLE t2 (id bigint);\n", "DROP TABLE t2;\n")
    git(project, "commit", "-am", "an up")
    (project.sql / "down/0004_t4.sql").write_text("DROP TABLE t4; -- changed\n")
    project.write_tables(5)
    result = rehearse_migrations(database.target(), project.sql, since="main")
    assert [v.version for v in result.versions] == ["0002", "0004", "0005"]
    assert result.ok


SEED = "INSERT INTO t1 SELECT n FROM generate_series(1, 3) n;\n"


def with_seed(project: Project) -> None:
    (project.sql / "seed").mkdir(parents=True)
    (project.sql / "seed/rows.sql").write_text(SEED)


def test_seed_finds_a_down_that_fails_only_on_rows(project: Project, database: Database) -> None:
    project.write_tables(1)
    project.write(
        "0002_narrow",
        "ALTER TABLE t1 ADD c int;",
        "ALTER TABLE t1 DROP c; ALTER TABLE t1 ADD CHECK (id < 2); ALTER TABLE t1 DROP CONSTRAINT"
        " t1_id_check;",
    )
    project.write_tables(3)
    with_seed(project)
    assert rehearse_migrations(database.target(), project.sql).ok
    result = rehearse_migrations(database.target(), project.sql, seed=True)
    assert states(result) == {"0001": [], "0002": ["down with rows"], "0003": []}
    (failure,) = result.versions[1].failures
    assert failure.error is not None
    assert failure.error.sqlstate == "23514"


def test_seed_finds_an_up_that_fails_only_after_a_down_on_rows(
    project: Project, database: Database
) -> None:
    project.write("0001_t1", "CREATE TABLE t1 (id int);", None)
    project.write("0002_n", "ALTER TABLE t1 ADD n int NOT NULL;", "ALTER TABLE t1 DROP n;")
    project.write("0003_default", "ALTER TABLE t1 ALTER n SET DEFAULT 1;",
                  "ALTER TABLE t1 ALTER n DROP DEFAULT;")  # fmt: skip
    with_seed(project)
    result = rehearse_migrations(database.target(), project.sql, seed=True)
    assert states(result)["0002"] == ["up after rows"]
    assert result.versions[0].skipped


def test_a_failure_with_rows_belongs_to_its_version_even_if_that_was_not_chosen(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2)
    project.write(
        "0003_narrow",
        "ALTER TABLE t1 ADD c int;",
        "ALTER TABLE t1 DROP c; ALTER TABLE t1 ADD CHECK (id < 2);",
    )
    with_seed(project)
    result = rehearse_migrations(database.target(), project.sql, first="2", last="2", seed=True)
    assert states(result) == {"0002": [], "0003": ["down with rows"]}


def test_the_chat_schema_passes(database: Database, request: pytest.FixtureRequest) -> None:
    long = request.config.getoption("--long")
    first = None if long else "0036"
    result = rehearse_migrations(database.target(), SHIPPED, first=first, seed=long, locks=True)
    assert [v for v in result.versions if not v.ok] == []
    assert len(result.versions) == (38 if long else 3)


def test_a_difference_is_shown_below_its_version_and_exits_with_1(
    project: Project, chatdb: Chatdb
) -> None:
    project.write_tables(1)
    project.write("0002_stays", "ALTER TABLE t1 ADD c int;", "SELECT 1;")
    result = chatdb("migrate", "rehearse", "--from", "2")
    assert result.code == 1
    assert result.out.splitlines()[:2] == [
        "0002 stays  FAILED: the down does not undo the up",
        "  - before the up, + after the down",
    ]
    assert "  +   column c" in result.out.splitlines()
    document = chatdb("migrate", "rehearse", "--from", "2", "--format", "json").document
    assert (document["ok"], len(document["versions"])) == (False, 1)
    (version,) = document["versions"]
    assert (version["version"], version["ok"], version["skipped"]) == ("0002", False, False)
    assert version["differences"] == [
        {"step": "down", "kind": "column", "object": "public.t1.c", "attribute": None,
         "before": None, "after": "  column c\n    type: integer"}
    ]  # fmt: skip
    down, second = version["failures"]
    assert down == {"step": "down", "message": "the down does not undo the up", "error": None}
    assert (second["step"], second["error"]["sqlstate"]) == ("second up", "42701")


def test_without_a_target_the_scratch_server_is_enough(
    project: Project, offline: Chatdb, database: Database
) -> None:
    project.write_tables(1)
    result = offline("migrate", "rehearse", "--scratch-url", database.url, "--format", "json")
    assert (result.code, result.document["ok"]) == (0, True)


_WAIT = """DO $$ BEGIN WHILE NOT EXISTS (
    SELECT FROM pg_stat_activity WHERE datname LIKE 'chatdb_scratch%' AND wait_event = 'PgSleep'
) LOOP PERFORM pg_sleep(0.002); PERFORM pg_stat_clear_snapshot(); END LOOP; END $$"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_the_scratch_database_is_gone(
    project: Project, database: Database, number: signal.Signals
) -> None:
    project.write_tables(1)
    project.write("0002_slow", "SELECT pg_sleep(600);", "")
    process = subprocess.Popen(
        project.command("migrate", "rehearse"), cwd=project.path, text=True,
        env=command_environment(project, database),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    database.execute(_WAIT)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert out == ""
    assert "nothing but the scratch database was changed" in err
    assert scratch_databases(database.server) == 0


def test_a_file_that_would_change_the_server_needs_a_server_that_is_named(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    project.write("0002_r", "DO $$ BEGIN END $$;", "SELECT 1;\nDROP ROLE IF EXISTS nobody_here;")
    with pytest.raises(ChatdbError) as caught:
        rehearse_migrations(database.target(), project.sql)
    error = caught.value
    assert error.code is Code.REFUSED
    assert error.message.startswith("DROP ROLE would change the whole server")
    assert error.place is not None
    assert (error.place.file, error.place.line) == (project.sql / "down/0002_r.sql", 2)
    named = database.target(scratch_url=database.server.url("postgres"))
    assert rehearse_migrations(named, project.sql).ok
