"""What a user sees when there is no connection, or no right to one."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.errors import SECRET, error_text, run_in_every_format
from tests.support.project import Project
from tests.support.servers import Server, on_first_server


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def test_a_closed_port_is_reported(
    offline: Chatdb, project: Project, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(1)
    monkeypatch.setenv("CHATDB_CONNECT_RETRIES", "0")
    where = f"127.0.0.1:{closed_port}"
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:{SECRET}@{where}/d")
    result = run_in_every_format(offline, "migrate", "up")
    assert result.code == 3
    assert (
        error_text(result)
        == f"""\
error: can't connect to u@{where}/d: connection to server at "127.0.0.1", port {closed_port} failed: \
Connection refused [ECONNREFUSED]

hint: start the server, or correct host and port
"""
    )
    error = offline("migrate", "status", "--format", "json").document["error"]
    assert (error["code"], error["errno"]) == ("unreachable", "ECONNREFUSED")
    monkeypatch.setenv("CHATDB_CONNECT_RETRIES", "2")
    monkeypatch.setenv("CHATDB_CONNECT_RETRY_DELAY", "10ms")
    result = run_in_every_format(offline, "migrate", "up")
    assert "trying again in 0.01 s (1 of 2)\n" in result.err
    assert "trying again in 0.02 s (2 of 2)\n" in result.err


@pytest.mark.parametrize(
    ("url", "errno"),
    [
        ("postgresql://u:{}@no-such-host.invalid/d", "ENOTFOUND"),
        ("postgresql://u:{}@/d?host=/no/such/folder", "ENOENT"),
        ("host=no-such-host.invalid user=u password='{}' dbname=d", "ENOTFOUND"),
    ],
)
def test_an_unknown_host_is_reported(
    url: str, errno: str, offline: Chatdb, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(1)
    monkeypatch.setenv("CHATDB_CONNECT_RETRIES", "0")
    monkeypatch.setenv("DATABASE_URL", url.format(SECRET))
    result = run_in_every_format(offline, "migrate", "up")
    assert result.code == 3
    assert f" [{errno}]\n\nhint: " in result.err
    assert run_in_every_format(offline, "setup").code == 3


def test_a_server_that_never_answers_is_reported(
    offline: Chatdb, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("DATABASE_URL", f"postgresql://u:{SECRET}@{where}/d?connect_timeout=2")
        result = offline("migrate", "up", "--format", "json", "-v")
    assert SECRET not in result.out + result.err
    assert (result.code, result.document["error"]["errno"]) == (3, "ETIMEDOUT")
    assert (
        error_text(result)
        == f"""\
error: can't connect to u@{where}/d: connection timeout expired [ETIMEDOUT]

hint: check host, port and firewall, or wait longer with CHATDB_CONNECT_TIMEOUT
"""
    )


def test_files_keep_the_name_of_their_error(
    offline: Chatdb, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@127.0.0.1:1/d")
    result = offline("migrate", "up", "--dir", "nowhere", "--format", "json")
    assert (result.code, result.document["error"]["errno"]) == (2, "ENOENT")
    assert error_text(result).startswith("error: there is no folder nowhere [ENOENT]\n\nhint: ")
    result = offline("migrate", "up", "--env-file", "nowhere", "--format", "json")
    assert (result.code, result.document["error"]["errno"]) == (2, "ENOENT")


@on_first_server
def test_a_missing_database_is_reported(
    offline: Chatdb, project: Project, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(1)
    monkeypatch.setenv("DATABASE_URL", server.url("no_such"))
    result = offline("migrate", "up")
    host = server.embedded.params()["host"]
    where = Database(server, "no_such").target().where
    assert result.code == 3
    assert (
        error_text(result)
        == f"""\
error: can't connect to {where}: connection to server on socket \
"{host}/.s.PGSQL.5432" failed: FATAL:  database "no_such" does not exist [3D000 invalid_catalog_name]

hint: "chatdb setup" creates it
"""
    )


@on_first_server
def test_a_wrong_password_is_reported_and_never_shown(
    offline: Chatdb, project: Project, database: Database, role: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    project.write_tables(1)
    url = database.url.replace("postgres@", f"{role}:{SECRET}x@")
    monkeypatch.setenv("DATABASE_URL", url)
    result = run_in_every_format(offline, "migrate", "up")
    host = database.server.embedded.params()["host"]
    where = database.target().where.replace("postgres@", f"{role}@")
    assert result.code == 3
    assert (
        error_text(result)
        == f"""\
error: can't connect to {where}: connection to server on socket \
"{host}/.s.PGSQL.5432" failed: FATAL:  password authentication failed for user "t_role" \
[28P01 invalid_password]

hint: correct the password where it is set, or in ~/.pgpass
"""
    )
    monkeypatch.setenv("DATABASE_URL", database.url.replace("postgres@", f"{role}@"))
    result = run_in_every_format(offline, "migrate", "up")
    assert (result.code, "no password supplied" in result.err) == (3, True)
    assert "trying again" not in result.err
    monkeypatch.setenv("DATABASE_URL", database.url.replace("postgres@", "nobody_such@"))
    assert offline("migrate", "up").code == 3


@pytest.fixture
def limited(
    offline: Chatdb, database: Database, role: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Chatdb]:
    """Run a command as a role that may create nothing in schema public."""
    database.execute("REVOKE CREATE ON SCHEMA public FROM public")
    monkeypatch.setenv("DATABASE_URL", database.url.replace("postgres@", f"{role}:{SECRET}@"))
    yield offline
    database.execute(f"DROP OWNED BY {role}")


@on_first_server
def test_without_the_right_to_create_tables_up_names_the_schema(
    limited: Chatdb, project: Project
) -> None:
    project.write("0001_a", "CREATE TABLE a (id int);", "DROP TABLE a")
    result = run_in_every_format(limited, "migrate", "up")
    assert result.code == 5
    assert (
        error_text(result)
        == """\
error: the tables of the history can't be created in schema 'public': permission denied \
for schema public \
[42501 insufficient_privilege]

hint: give the role that migrates USAGE and CREATE on schema public, or use another role
"""
    )


@on_first_server
def test_without_the_right_to_create_a_schema_setup_names_the_database(
    limited: Chatdb, project: Project, database: Database
) -> None:
    project.write_tables(1)
    result = run_in_every_format(limited, "setup", "--schema", "mine")
    assert result.code == 2
    assert "[42501 insufficient_privilege]" in result.err
    assert f"the role that migrates CREATE on database {database.name}, or" in result.err


@on_first_server
def test_a_file_that_changes_a_table_of_another_owner_fails_and_names_the_table(
    limited: Chatdb, project: Project, database: Database, role: str
) -> None:
    database.execute(f"GRANT CREATE ON SCHEMA public TO {role}; CREATE TABLE theirs ()")
    project.write("0001_a", "CREATE TABLE a (id int);", "DROP TABLE a")
    project.write("0002_b", f"ALTER TABLE a OWNER TO {role};\nDROP TABLE theirs;")
    result = run_in_every_format(limited, "migrate", "up", "--allow-non-empty", "--verbose")
    assert (
        error_text(result)
        == """\
error: must be owner of table theirs [42501 insufficient_privilege]
  --> sql/up/0002_b.sql:2
  |
2 | DROP TABLE theirs;
  = 0002 was rolled back; nothing else was changed

hint: give the role that migrates the ownership of table theirs, or use another role
"""
    )


@on_first_server
def test_a_password_on_the_command_line_is_warned_about_and_hidden(
    offline: Chatdb, project: Project, database: Database
) -> None:
    project.write_tables(1)
    url = database.url.replace("postgres@", f"postgres:{SECRET}@")
    result = run_in_every_format(offline, "migrate", "up", "-d", url)
    assert result.code == 0
    assert "warning: --database-url holds a password: the process list shows it\n" in result.err
    assert run_in_every_format(offline, "migrate", "history", "-d", url).code == 0


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:{}@h:port/d",
        "postgresql://u:{}@x@h/d",
        "postgresql+psycopg://u:{}@h/d",
        "mysql://u:{}@h/d",
        "host=h password='{}",
        "host=h passwort={}",
        "u:{}@h",
    ],
)
def test_a_malformed_url_never_shows_its_password(
    url: str, offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_in_every_format(offline, "migrate", "up", "-d", url.format(SECRET)).code == 2
    monkeypatch.setenv("DATABASE_URL", url.format(SECRET))
    assert run_in_every_format(offline, "migrate", "up").code == 2
