"""Promises about `setup --test --database`: a database for tests, where nothing real is in reach."""

from __future__ import annotations

from pathlib import Path

import pytest

import chatdb_cli
from chatdb_cli.errors import ChatdbError
from chatdb_cli.settings.load import load_settings
from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.project import Project
from tests.support.servers import Server, allow_logins, on_first_server

MARK = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{}'"


@on_first_server
def test_a_test_database_is_made_reset_cleared_and_dropped(
    project: Project, database: Database, server: Server, chatdb: Chatdb
) -> None:
    project.write(
        "0001_t", "CREATE TABLE t (id serial); CREATE SCHEMA more; CREATE TABLE more.u (i int);"
    )
    database.execute("CREATE TABLE real (id int)")
    env = {"DATABASE_URL": database.url}
    settings = load_settings({}, environ=env, cwd=Path("/"))
    made = Database(server, f"{database.name}_test")
    command = ("setup", "--test", "--database", "--format", "json")
    result = chatdb(*command)
    assert result.code == 0, result.err
    assert result.err.count("created database") == 1  # not made, and at once made again
    document = result.document
    assert (document["target"]["database"], document["contained"]) == (made.name, "database")
    assert made.tables() == {"t"}
    made.execute(
        "INSERT INTO t VALUES (1); INSERT INTO more.u VALUES (1); CREATE TABLE left_over (i int)"
    )
    document = chatdb(*command).document
    assert document["emptied"] == ["more.u", "public.t"]
    project.write("0001_t", "CREATE TABLE t (id int);")
    result = chatdb("setup", "--test", "--database")
    assert result.out == "1 applied; current 0001\nemptied 0 tables\n", result.err
    assert made.tables() == {"t"}
    with chatdb_cli.setup_test_database(settings, project.sql) as pool:
        with pool.connection() as conn:
            conn.execute("INSERT INTO t VALUES (1)")
        assert chatdb_cli.clear_test_data(pool) == ("t",)
    result = chatdb("setup", "--test", "--database", "--drop")
    assert result.out == f"dropped database {made.name}\n", result.err
    assert server.query_one(f"SELECT count(*) FROM pg_database WHERE datname = '{made.name}'") == 0
    assert database.tables() == {"real"}


@on_first_server
def test_a_database_that_holds_something_is_left_alone(
    project: Project, database: Database, server: Server
) -> None:
    project.write("0001_t", "CREATE TABLE t (id int);")
    other = server.create()
    try:
        settings = load_settings(
            {},
            environ={"DATABASE_URL": database.url, "TEST_DATABASE_URL": other.url},
            cwd=Path("/"),
        )
        other.execute("CREATE TABLE real (id int)")
        for act in (chatdb_cli.setup_test_database, chatdb_cli.drop_test_database):
            with pytest.raises(ChatdbError) as caught:
                act(settings, project.sql) if act is chatdb_cli.setup_test_database else act(
                    settings
                )
            assert caught.value.exit == 8
        assert other.tables() == {"real"}
        other.execute("DROP TABLE real")
        chatdb_cli.setup_test_database(settings, project.sql).close()
        assert other.tables() == {"t"}
        assert "chatdb: a test database" in server.query_one(MARK.format(other.name))
    finally:
        other.drop()


@on_first_server
def test_a_role_that_may_create_databases_or_owns_an_empty_one_gets_a_test_database(
    project: Project, database: Database, server: Server
) -> None:
    project.write("0001_t", "CREATE TABLE t (id int);")
    server.execute("CREATE ROLE test_db_creator LOGIN CREATEDB; CREATE ROLE test_db_owner LOGIN")
    own = server.create()
    server.execute(f"ALTER DATABASE {own.name} OWNER TO test_db_owner")
    try:
        with allow_logins(server, "local all all trust"):
            url = database.url.replace("postgres@", "test_db_creator@", 1)
            settings = load_settings({}, environ={"DATABASE_URL": url}, cwd=Path("/"))
            chatdb_cli.setup_test_database(settings, project.sql).close()
            assert chatdb_cli.drop_test_database(settings) == (f"database {database.name}_test",)
            url = own.url.replace("postgres@", "test_db_owner@", 1)
            settings = load_settings({}, environ={"TEST_DATABASE_URL": url}, cwd=Path("/"))
            for number in (1, 2):  # it is cleared in place: the role can't create it again
                project.write("0001_t", f"CREATE TABLE t{number} (id int);")
                chatdb_cli.setup_test_database(settings, project.sql).close()
                assert own.tables() == {f"t{number}"}
    finally:
        own.drop()
        server.execute("DROP ROLE test_db_creator; DROP ROLE test_db_owner")
