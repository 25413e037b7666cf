"""`setup` and `migrate new`: which schema, folder and database they use."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.project import Project
from tests.support.psql import run_psql
from tests.support.servers import Server, on_first_server


@on_first_server
@pytest.mark.parametrize(
    "schema", ['My schéma; DROP "x"', "a'b\\c", "line\nend", "{version}", "%s"]
)
def test_a_schema_may_have_any_name(
    schema: str, project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1, 2)
    in_schema = ("--schema", schema)
    assert chatdb("migrate", "up", *in_schema).code == 2
    result = chatdb("setup", *in_schema)
    assert (result.code, result.out) == (0, "2 applied; current 0002\n")
    assert "created schema " in result.err
    assert not any(line.startswith("end") for line in result.err.splitlines()), result.err
    with database.connect() as conn:
        rows = conn.execute(
            "SELECT relname::text FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = %s AND relkind = 'r' ORDER BY 1",
            (schema,),
        ).fetchall()
    names = ["_yoyo_log", "_yoyo_migration", "_yoyo_version", "chatdb_migration", "t1", "t2"]
    assert [name for (name,) in rows] == names
    assert database.tables() == set()
    assert chatdb("migrate", "redo", *in_schema).code == 0
    assert chatdb("migrate", "status", *in_schema, "--format", "json").document["schema"] == schema
    script = chatdb("migrate", "down", "--all", "--dry-run", *in_schema).out
    run_psql(database, script)
    assert chatdb("migrate", "status", *in_schema, "--check").code == 1
    assert chatdb("migrate", "up", *in_schema).code == 0
    assert chatdb("migrate", "down", "--all", *in_schema).code == 0
    assert len(chatdb("migrate", "history", *in_schema).out.splitlines()) == 1 + 2 + 2 + 2 + 2 + 2


@pytest.mark.quick
@on_first_server
def test_setup_creates_the_database_too_and_can_be_repeated(
    project: Project, offline: Chatdb, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(1)
    missing = Database(server, 'neu; "é')
    monkeypatch.setenv("DATABASE_URL", server.url(missing.name))
    result = offline("migrate", "status", "--format", "json")
    assert result.code == 3
    error = result.document["error"]
    assert (error["code"], error["sqlstate"]) == ("missing-database", "3D000")
    assert error["hint"] == '"chatdb setup" creates it'
    try:
        result = offline("setup")
        assert (result.code, result.out) == (0, "1 applied; current 0001\n")
        assert "created database neu" in result.err
        assert "created schema" not in result.err  # public exists in a new database
        again = offline("setup")
        assert (again.code, again.out) == (0, "nothing to do; current 0001\n")
        assert "created" not in again.err
    finally:
        server.execute('DROP DATABASE "neu; ""é" WITH (FORCE)')


@on_first_server
def test_concurrent_setups_all_succeed(project: Project, server: Server) -> None:
    project.write_tables(1, 2, 3)
    missing = Database(server, "t_two_at_once")
    env = {"DATABASE_URL": missing.url}
    try:
        with ThreadPoolExecutor(3) as pool:
            runs = list(pool.map(lambda _: project.chatdb("setup", env=env), range(3)))
        assert [r.returncode for r in runs] == [0] * 3, [r.stderr for r in runs]
        assert missing.tables() == {"t1", "t2", "t3"}
        assert missing.applied() == ["0001_t1", "0002_t2", "0003_t3"]
    finally:
        missing.drop()


COMMANDS_OF_FILES = (
    "setup", "setup --test", "migrate up", "migrate down", "migrate redo", "migrate status",
    "migrate baseline 1", "migrate repair", "migrate rehearse", "migrate lint", "migrate mark 1",
    "migrate unmark 1", "seed", "verify --offline",
)  # fmt: skip


@pytest.mark.parametrize("line", COMMANDS_OF_FILES)
def test_a_command_that_needs_files_names_the_two_ways_to_get_some(
    project: Project, offline: Chatdb, line: str
) -> None:
    result = offline(*line.split())
    assert result.code == 2
    assert "chatdb init" in result.err + result.out
    assert "--dir @chat" in result.err + result.out
    if "setup" in line:
        assert "nothing was created" in result.err
    assert list(project.path.iterdir()) == []  # no server either


def test_init_makes_a_project_and_changes_no_file_that_exists(
    project: Project, offline: Chatdb
) -> None:
    (project.path / ".gitignore").write_text("/.chatdb\nbuild")
    (project.path / ".env").write_text("A=b\n")
    for _ in range(2):
        assert offline("init").code == 0
        ignored = (project.path / ".gitignore").read_text()
        assert ignored == "/.chatdb\nbuild\n.env\n.env.local\n"
    assert (project.path / ".env").read_text() == "A=b\n"
    assert [p.name for p in sorted(project.sql.iterdir())] == ["down", "up"]
    (project.path / ".env").unlink()
    document = offline("init", "--format", "json").document
    assert (document["created"], document["migrations"]) == ([".env"], 0)
    assert "DATABASE_URL" in (project.path / ".env").read_text()
    assert (project.path / ".env").stat().st_mode & 0o077 == 0


@on_first_server
def test_a_database_that_was_set_up_from_chat_continues_with_its_copy(
    project: Project, offline: Chatdb, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = server.chat()
    monkeypatch.setenv("DATABASE_URL", database.url)
    new = offline("migrate", "new", "mine")
    assert "chatdb init --chat" in new.err
    assert new.out.startswith("sql/up/0039_mine.sql\n")
    wrong = offline("migrate", "up")
    assert wrong.code == 6
    assert "none of the 38 applied migrations" in wrong.err
    assert "wrong --dir?" in wrong.err
    assert "chatdb init --chat" in wrong.err
    assert offline("init", "--chat").code == 0
    assert offline("migrate", "up").out == "1 applied; current 0039\n"
    assert offline("migrate", "status", "--check").code == 0
    project.write("0040_x", "SELECT 1;", "SELECT 1;")
    (project.sql / "up" / "0001_extensions.sql").write_text("SELECT 1;")
    assert offline("init", "--chat").code == 8  # an edited file is not overwritten
    database.drop()


@pytest.mark.quick
def test_the_shipped_schema_is_applied_to_an_empty_database_and_rolled_back(
    chatdb: Chatdb, database: Database
) -> None:
    assert chatdb("setup", "--dir", "@chat").code == 0
    assert chatdb("migrate", "status", "--check", "--dir", "@chat").code == 0
    assert chatdb("migrate", "down", "--all", "--dir", "@chat").code == 0
    assert database.tables() == set()


@pytest.mark.quick
def test_new_writes_the_next_pair_of_files(project: Project, offline: Chatdb) -> None:
    result = offline("migrate", "new", "add users")
    assert (result.code, result.err) == (0, "")
    assert result.out == "sql/up/0001_add_users.sql\nsql/down/0001_add_users.sql\n"
    assert (project.sql / "up/0001_add_users.sql").read_text() == "-- add users\n"
    assert offline("migrate", "new", "b", "--format", "json").document == {
        "format": 1, "target": None, "up": "sql/up/0002_b.sql", "down": "sql/down/0002_b.sql",
        "warnings": [],
    }  # fmt: skip
    assert offline("migrate", "new", "../x").code == 2
    assert offline("migrate", "new", "x", "--dir", "@chat").code == 2
