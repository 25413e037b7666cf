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


@on_first_server
def test_the_shipped_schema_is_not_applied_over_other_tables(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    with database.connect() as conn:
        conn.execute("CREATE TABLE mine ()")
    for arguments in (["up"], ["up", "--dry-run"]):
        result = chatdb("migrate", *arguments)
        assert (result.code, result.out) == (8, "")
        assert "--dir @chat" in result.err
        assert "files: the chat schema that comes with chatdb" in result.err
    assert chatdb("setup").code == 8
    assert database.tables() == {"mine"}
    assert chatdb("migrate", "up", "--dry-run", "--dir", "@chat").code == 0


@pytest.mark.quick
def test_the_shipped_schema_is_applied_to_an_empty_database_and_rolled_back(
    chatdb: Chatdb, database: Database
) -> None:
    assert chatdb("setup").code == 0
    assert chatdb("migrate", "status", "--check").code == 0
    assert chatdb("migrate", "down", "--all").code == 0
    assert database.tables() == set()


@pytest.mark.quick
def test_new_writes_the_next_pair_of_files(project: Project, offline: Chatdb) -> None:
    result = offline("migrate", "new", "add users")
    assert (result.code, result.err) == (0, "")
    assert result.out == "sql/up/0001_add_users.sql\nsql/down/0001_add_users.sql\n"
    assert (project.sql / "up/0001_add_users.sql").read_text() == "-- add users\n"
    assert offline("migrate", "new", "b", "--format", "json").document == {
        "format": 1, "target": None, "up": "sql/up/0002_b.sql", "down": "sql/down/0002_b.sql",
    }  # fmt: skip
    assert offline("migrate", "new", "../x").code == 2
    assert offline("migrate", "new", "x", "--dir", "@chat").code == 2
