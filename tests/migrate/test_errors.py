# ruff: noqa: E501, RUF001  (texts as they are shown)
"""What a user sees when something fails: the whole text, word for word.

Every case was read by a person before it went in here.  Beside the text: no traceback, and no
password in any form of output.
"""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from rich.cells import cell_len

from chatdb_cli.diagnosis import HINTS, sqlstate_name
from chatdb_cli.errors import Code
from chatdb_cli.server import EmbeddedServer
from tests.support.chatdb import Chatdb, Result
from tests.support.database import Database
from tests.support.project import Project
from tests.support.servers import Server, first

SECRET = "hunter2-secret"


def report(said: Result) -> str:
    """What stderr says of the error itself."""
    assert "Traceback" not in said.err
    return said.err[said.err.index("error: ") :]


# name: (the second migration, the report)
STATEMENTS = {
    "syntax error": (
        "SELECT 1;\nSELECT 2 FRM x y;\n",
        """\
error: syntax error at or near "x" [42601 syntax_error]
  --> sql/up/0002_case.sql:2:14
  |
1 | SELECT 1;
2 | SELECT 2 FRM x y;
  |              ^
  = 0002 was rolled back; 0001 stays applied

hint: correct the file and run "chatdb migrate up" again
""",
    ),
    "the end of the file": (
        "CREATE TABLE a (\n  id int\n",
        """\
error: syntax error at end of input [42601 syntax_error]
  --> sql/up/0002_case.sql:2:9
  |
1 | CREATE TABLE a (
2 |   id int
  |         ^
  = 0002 was rolled back; 0001 stays applied

hint: correct the file and run "chatdb migrate up" again
""",
    ),
    "unknown column with the server's hint": (
        "CREATE TABLE orders (id int, total int);\n"
        "-- totals are kept in minor units\n"
        "CREATE INDEX ON orders (id) WHERE totl > 0;\n",
        """\
error: column "totl" does not exist [42703 undefined_column]
  --> sql/up/0002_case.sql:3:35
  |
2 | -- totals are kept in minor units
3 | CREATE INDEX ON orders (id) WHERE totl > 0;
  |                                   ^
  = server hint: Perhaps you meant to reference the column "orders.total".
  = 0002 was rolled back; 0001 stays applied

hint: correct the file and run "chatdb migrate up" again
""",
    ),
    "a unique violation in the middle of a file": (
        "CREATE TABLE a (id int PRIMARY KEY);\n"
        "INSERT INTO a VALUES (1);\n"
        "\n"
        "-- again\n"
        "INSERT INTO a\n"
        "  SELECT 1;\n"
        "SELECT 3;\n",
        """\
error: duplicate key value violates unique constraint "a_pkey" [23505 unique_violation]
  --> sql/up/0002_case.sql:5
  |
5 | INSERT INTO a
  = server detail: Key (id)=(1) already exists.
  = 0002 was rolled back; 0001 stays applied

hint: rows in a break the unique rule a_pkey: clean them up in this migration, before the rule is made
""",
    ),
    "a foreign key": (
        "CREATE TABLE a (id int PRIMARY KEY);\n"
        "CREATE TABLE b (a int REFERENCES a);\n"
        "INSERT INTO b VALUES (7);\n",
        """\
error: insert or update on table "b" violates foreign key constraint "b_a_fkey" [23503 foreign_key_violation]
  --> sql/up/0002_case.sql:3
  |
3 | INSERT INTO b VALUES (7);
  = server detail: Key (a)=(7) is not present in table "a".
  = 0002 was rolled back; 0001 stays applied

hint: rows in b point to rows that are not there (b_a_fkey): clean them up in this migration, or correct the order of the statements
""",
    ),
    "a table that is there already": (
        "CREATE TABLE a ();\nCREATE TABLE a ();",
        """\
error: relation "a" already exists [42P07 duplicate_table]
  --> sql/up/0002_case.sql:2
  |
2 | CREATE TABLE a ();
  = 0002 was rolled back; 0001 stays applied

hint: something of that name is there already, perhaps made by hand: drop it, or name yours differently
""",
    ),
    "a schema that is there already": (
        "CREATE SCHEMA public;",
        """\
error: schema "public" already exists [42P06 duplicate_schema]
  --> sql/up/0002_case.sql:1
  |
1 | CREATE SCHEMA public;
  = 0002 was rolled back; 0001 stays applied

hint: the schema is there already; write CREATE SCHEMA IF NOT EXISTS, or drop it first
""",
    ),
    "a statement inside a function": (
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$\n"
        "BEGIN\n"
        "  PERFORM nope FROM pg_class;\n"
        "END $$;\n"
        "SELECT 1, f();\n",
        """\
error: column "nope" does not exist [42703 undefined_column]
  --> sql/up/0002_case.sql:5
  |
5 | SELECT 1, f();
  = in function:
      SELECT nope FROM pg_class
             ^
    PL/pgSQL function f() line 3 at PERFORM
  = 0002 was rolled back; 0001 stays applied

hint: correct the file and run "chatdb migrate up" again
""",
    ),
    "an exception raised in a DO block": (
        "DO $$\n"
        "BEGIN\n"
        "  RAISE EXCEPTION 'Grüße' USING DETAIL = 'a detail', HINT = 'a hint', ERRCODE = 'P0042';\n"
        "END $$;\n",
        """\
error: Grüße [P0042]
  --> sql/up/0002_case.sql:1
  |
1 | DO $$
  = server detail: a detail
  = server hint: a hint
  = in function: PL/pgSQL function inline_code_block line 3 at RAISE
  = 0002 was rolled back; 0001 stays applied

hint: correct the file and run "chatdb migrate up" again
""",
    ),
    "a syntax error in a function's body": (
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$\nBEGIN\n  SELEC 1;\nEND $$;\n",
        """\
error: syntax error at or near "SELEC" [42601 syntax_error]
  --> sql/up/0002_case.sql:3:3
  |
2 | BEGIN
3 |   SELEC 1;
  |   ^
  = 0002 was rolled back; 0001 stays applied

hint: correct the file and run "chatdb migrate up" again
""",
    ),
    "a constraint that was put off": (
        "CREATE TABLE a (id int PRIMARY KEY);\n"
        "CREATE TABLE b (a int REFERENCES a DEFERRABLE INITIALLY DEFERRED);\n"
        "INSERT INTO b VALUES (7);\n",
        """\
error: a check that was put off to the end of the file failed: insert or update on table "b" violates foreign key constraint "b_a_fkey" [23503 foreign_key_violation]
  --> sql/up/0002_case.sql
  = server detail: Key (a)=(7) is not present in table "a".
  = 0002 was rolled back; 0001 stays applied

hint: rows in b point to rows that are not there (b_a_fkey): clean them up in this migration, or correct the order of the statements
""",
    ),
    "statement_timeout": (
        "-- chatdb: statement-timeout: 50ms\nSELECT pg_sleep(10);\n",
        """\
error: canceling statement due to statement timeout [57014 query_canceled]
  --> sql/up/0002_case.sql:2
  |
2 | SELECT pg_sleep(10);
  = 0002 was rolled back; 0001 stays applied

hint: raise --statement-timeout if the statement has to take this long; if somebody cancelled it, run it again
""",
    ),
    "what can't run in a transaction": (
        "CREATE TABLE a (id int);\nCREATE INDEX CONCURRENTLY ON a (id);\n",
        """\
error: CREATE INDEX CONCURRENTLY cannot run inside a transaction block [25001 active_sql_transaction]
  --> sql/up/0002_case.sql:2
  |
2 | CREATE INDEX CONCURRENTLY ON a (id);
  = 0002 was rolled back; 0001 stays applied

hint: such a statement runs alone: put "-- chatdb: transactional: false" at the top of the file; for an isolation level write "-- chatdb: isolation: serializable"
""",
    ),
    "read-only": (
        "SET TRANSACTION READ ONLY;\nCREATE TABLE a ();\n",
        """\
error: cannot execute CREATE TABLE in a read-only transaction [25006 read_only_sql_transaction]
  --> sql/up/0002_case.sql:2
  |
2 | CREATE TABLE a ();
  = 0002 was rolled back; 0001 stays applied

hint: the server is a standby or set to read-only: name the primary
""",
    ),
    "an invisible character": (
        "SELECT 1;\n",
        """\
error: syntax error at or near "SELECT 1" [42601 syntax_error]
  --> sql/up/0002_case.sql:1:1
  |
1 | SELECT 1;
  | ^
  = an invisible character stands here: U+00A0 NO-BREAK SPACE
  = 0002 was rolled back; 0001 stays applied

hint: correct the file and run "chatdb migrate up" again
""",
    ),
    "a password in the line": (
        "CREATE ROLE t_nobody PASSWORD 'hunter2-secret' NOPE;\n",
        """\
error: unrecognized role option "nope" [42601 syntax_error]
  --> sql/up/0002_case.sql:1:48
  |
1 | CREATE ROLE t_nobody PASSWORD '••••••••••••••' NOPE;
  |                                                ^
  = 0002 was rolled back; 0001 stays applied

hint: correct the file and run "chatdb migrate up" again
""",
    ),
    "a password in a function": (
        "DO $$ BEGIN EXECUTE $x$ALTER ROLE t_nobody PASSWORD 'hunter2-secret'$x$; END $$;\n",
        """\
error: role "t_nobody" does not exist [42704 undefined_object]
  --> sql/up/0002_case.sql:1
  |
1 | DO $$ BEGIN EXECUTE $x$ALTER ROLE t_nobody PASSWORD '••••••••••••••'$x$; END $$;
  = in function: SQL statement "ALTER ROLE t_nobody PASSWORD '••••••••••••••'"
    PL/pgSQL function inline_code_block line 1 at EXECUTE
  = 0002 was rolled back; 0001 stays applied

hint: correct the file and run "chatdb migrate up" again
""",
    ),
    "a password in what a check says at the end": (
        "CREATE TABLE a ();\n"
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$\n"
        "BEGIN RAISE 'PASSWORD ''hunter2-secret'' is too short'; END $$;\n"
        "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON a DEFERRABLE INITIALLY DEFERRED\n"
        "  FOR EACH ROW EXECUTE FUNCTION f();\n"
        "INSERT INTO a DEFAULT VALUES;\n",
        """\
error: a check that was put off to the end of the file failed: PASSWORD '••••••••••••••' is too short [P0001 raise_exception]
  --> sql/up/0002_case.sql
  = in function: PL/pgSQL function f() line 2 at RAISE
  = 0002 was rolled back; 0001 stays applied
""",
    ),
    "a password where a right lacks": (
        "DO $$ BEGIN\n"
        "  RAISE 'must be owner of PASSWORD ''hunter2-secret''' USING ERRCODE = '42501';\n"
        "END $$;\n",
        """\
error: must be owner of PASSWORD '••••••••••••••' [42501 insufficient_privilege]
  --> sql/up/0002_case.sql:1
  |
1 | DO $$ BEGIN
  = in function: PL/pgSQL function inline_code_block line 2 at RAISE
  = 0002 was rolled back; 0001 stays applied

hint: give the role that migrates the ownership of PASSWORD '••••••••••••••', or use another role
""",
    ),
    "the history dropped": (
        "DROP TABLE chatdb_migration CASCADE;\n",
        """\
error: the file has dropped or emptied chatdb's own tables, which hold the history: relation "public.chatdb_migration" does not exist [42P01 undefined_table]
  --> sql/up/0002_case.sql
  = 0002 was rolled back; 0001 stays applied
""",
    ),
    "a statement of many lines": (
        "SELECT 1 +\n\n   2 +\n nope\n + 3;",
        """\
error: column "nope" does not exist [42703 undefined_column]
  --> sql/up/0002_case.sql:4:2
  |
3 |    2 +
4 |  nope
  |  ^
  = 0002 was rolled back; 0001 stays applied

hint: correct the file and run "chatdb migrate up" again
""",
    ),
    "what a terminal would obey": (
        "SELECT '\x1b[31m\x0b', nope;\n",
        """\
error: column "nope" does not exist [42703 undefined_column]
  --> sql/up/0002_case.sql:1:18
  |
1 | SELECT '\\x1b[31m\\x0b', nope;
  |                        ^
  = 0002 was rolled back; 0001 stays applied

hint: correct the file and run "chatdb migrate up" again
""",
    ),
}

REFUSED: dict[str, tuple[str | bytes, str]] = {
    "NUL": (
        b"SELECT 1;\n\x00",
        """\
error: the file holds a NUL character, where PostgreSQL would stop reading
  --> sql/up/0002_case.sql:2:1
  |
1 | SELECT 1;
2 | \\x00
  | ^

hint: remove it
""",
    ),
    "UTF-16": (
        b"\xff\xfeS\x00E\x00L\x00E\x00C\x00T\x00 \x001\x00",
        """\
error: the file is UTF-16, not UTF-8
  --> sql/up/0002_case.sql:1:1

hint: save it as UTF-8
""",
    ),
    "Latin-1": (
        b"SELECT 1;\n  SELECT 'Gr\xfc\xdfe';",
        """\
error: byte 0xfc is not UTF-8
  --> sql/up/0002_case.sql:2:13
  |
1 | SELECT 1;
2 |   SELECT 'Gr��e';
  |             ^

hint: save the file as UTF-8
""",
    ),
    "COMMIT": (
        "SELECT 1;\n  COMMIT;\nSELECT 1/0;",
        """\
error: COMMIT would interfere with the transaction that makes a migration whole
  --> sql/up/0002_case.sql:2:3
  |
1 | SELECT 1;
2 |   COMMIT;
  |   ^

hint: remove it: chatdb runs each file in one transaction; a SAVEPOINT is fine
""",
    ),
    "COPY": (
        "COPY a FROM STDIN;\n1\n\\.\n",
        """\
error: COPY FROM STDIN needs a client that sends or takes the rows
  --> sql/up/0002_case.sql:1:1
  |
1 | COPY a FROM STDIN;
  | ^

hint: write the rows as INSERT ... VALUES, or COPY from a file of the server
""",
    ),
    "a psql command": (
        "SELECT 1;\n\\i other.sql\n",
        """\
error: \\i is a command of psql, not SQL
  --> sql/up/0002_case.sql:2:1
  |
1 | SELECT 1;
2 | \\i other.sql
  | ^

hint: write what it does as SQL, or leave it out
""",
    ),
    "an unknown directive": (
        "-- chatdb: transactionl: false\nSELECT 1;",
        """\
error: there is no directive 'transactionl'; did you mean 'transactional'?
  --> sql/up/0002_case.sql:1:1
  |
1 | -- chatdb: transactionl: false
  | ^

hint: the directives are: depends, irreversible, isolation, lock-timeout, statement-timeout, transactional
""",
    ),
}


@first
@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_that_fails(
    name: str, project: Project, chatdb: Chatdb, database: Database
) -> None:
    text, expected = STATEMENTS[name]
    project.write("0001_ok", "CREATE TABLE ok ()", "DROP TABLE ok")
    project.write("0002_case", text)
    said = chatdb("migrate", "up")
    assert (said.code, said.out, report(said)) == (5, "", expected)
    assert database.applied() == ["0001_ok"]
    assert database.tables() == {"ok"}
    again = chatdb("migrate", "up", "--format", "json", "--verbose", "--log-format", "json")
    assert again.code == 5
    assert SECRET not in again.out + again.err + said.err


@first
@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_no_migration_may_hold(
    name: str, project: Project, chatdb: Chatdb, database: Database
) -> None:
    text, expected = REFUSED[name]
    project.write("0001_ok", "CREATE TABLE ok ()", "DROP TABLE ok")
    project.write("0002_case", text)
    said = chatdb("migrate", "up", "--format", "json")
    assert (said.code, report(said)) == (2, expected)
    error = said.document["error"]
    assert (error["code"], error["file"]) == ("bad-file", "sql/up/0002_case.sql")
    place = ":".join(str(n) for n in (error["file"], error["line"], error["column"]) if n)
    assert f"  --> {place}\n" in expected
    assert database.tables() == set()  # nothing ran, not even what stands before it
    assert chatdb("migrate", "status", "--check").code == 6


# Each line has @ where the caret has to stand; the @ itself is not in the file.
BEFORE = {
    "ascii": "SELECT 1, @nope",
    "accents": "SELECT 'Grüße', @nope",
    "combining": "SELECT 'e\u0301\u0302', @nope",
    "wide": "SELECT '漢字かな', @nope",
    "hangul in pieces": "SELECT '\u1112\u1161\u11ab', @nope",
    "hindi": "SELECT 'नमस्ते', @nope",
    "emoji": "SELECT '🙂🚀', @nope",
    "beyond the basic plane": "SELECT '𝔘𝔫𝔦', @nope",
    "tabs": "\tSELECT\t1,\t@nope",
    "tabs and wide letters": "\tSELECT '漢'\t,\t@nope",
    "zero width": "SELECT 'a\u200bb\ufeffc', @nope",
    "comment": "/* ünï /* 漢 */ */ SELECT @nope",
    "quoted name": 'SELECT 1 AS "ü漢", @nope',
    "dollar": "SELECT $ü$ 漢 $ü$, @nope",
}


@first
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("bom", ["", "\ufeff"], ids=["", "bom"])
def test_the_caret_stands_under_the_character(
    end: str, bom: str, project: Project, chatdb: Chatdb
) -> None:
    plain = (end, bom) == ("\n", "")
    for name in BEFORE if plain else ("accents", "tabs and wide letters"):
        marked = BEFORE[name]
        line, column = marked.replace("@", ""), marked.index("@") + 1
        text = f"{bom}SELECT 'ü漢';{end}SELECT 'zwei'{end};{end}{line};{end}"
        project.write("0001_case", text.encode())
        said = chatdb("migrate", "up", "--format", "json")
        error = said.document["error"]
        assert (error["line"], error["column"]) == (4, column), name
        drawn = report(said).splitlines()
        at = next(n for n, drawn_line in enumerate(drawn) if drawn_line.startswith("4 | "))
        caret = drawn[at + 1]
        assert caret.endswith("^")
        assert _cells(caret[:-1]) == _cells(f"4 | {line[: column - 1]}"), name


def _cells(text: str) -> int:
    """How far to the right a text ends, on a terminal with a tab at each eighth column."""
    column = 0
    for n, piece in enumerate(text.split("\t")):
        column = column // 8 * 8 + 8 if n else 0
        column += cell_len(piece)
    return column


@first
def test_the_way_back_has_its_own_words(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write("0001_a", "CREATE TABLE a (); CREATE TABLE b ()", "DROP TABLE nope")
    project.write("0002_b", "CREATE TABLE c ()", "DROP TABLE c")
    chatdb("migrate", "up")
    assert (
        report(chatdb("migrate", "down", "--all"))
        == """\
error: table "nope" does not exist [42P01 undefined_table]
  --> sql/down/0001_a.sql:1
  |
1 | DROP TABLE nope
  = 0001 was rolled back; 0002 stays taken back

hint: correct the file and run "chatdb migrate down" again
"""
    )
    project.write("0001_a", "CREATE TABLE a (); CREATE TABLE b ()", "DROP TABLE a")
    said = chatdb("migrate", "redo")
    assert said.code == 5
    assert (
        report(said)
        == """\
error: relation "b" already exists [42P07 duplicate_table]
  --> sql/up/0001_a.sql:1
  |
1 | CREATE TABLE a (); CREATE TABLE b ()
  = 0001 was rolled back; 0001 stays taken back

hint: something of that name is there already, perhaps made by hand: drop it, or name yours differently
"""
    )
    assert database.tables() == {"b"}


@first
def test_a_lock_that_another_holds(project: Project, chatdb: Chatdb, database: Database) -> None:
    project.write("0001_a", "ALTER TABLE busy ADD x int;")
    with database.connect() as conn:
        conn.execute("CREATE TABLE busy ()")
        with conn.transaction():
            conn.execute("LOCK TABLE busy")
            pid = conn.info.backend_pid
            said = chatdb("migrate", "up", "--lock-timeout", "1s", "--retries", "2")
    who = rf"pid {pid} \(user postgres, idle in transaction, since [-0-9: ]+Z, \d+ s ago\)"
    found = re.search(f"  = it waited for ({who}): LOCK TABLE busy\n", report(said))
    assert found
    assert f"0001 waits for pid {pid} (user postgres" in said.err  # while it waited, too
    assert (
        report(said).replace(found[0], "")
        == """\
error: canceling statement due to lock timeout [55P03 lock_not_available]
  --> sql/up/0001_a.sql:1
  |
1 | ALTER TABLE busy ADD x int;
  = 0001 was rolled back; nothing else was changed

hint: another session holds a lock on what this changes: run it again when that is done, end it with \
SELECT pg_terminate_backend(PID), or try longer with --retries or --lock-timeout
"""
    )


@first
def test_a_read_only_database(project: Project, chatdb: Chatdb, database: Database) -> None:
    with database.connect() as conn:
        conn.execute(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    project.write_tables(1)
    assert chatdb("migrate", "status").code == 0
    assert chatdb("migrate", "up").code == 0  # a run says READ WRITE itself; a standby refuses it


# --- the connection -------------------------------------------------------------------------------


@pytest.fixture
def role(server: Server) -> Iterator[str]:
    """A role that logs in with a password, and may do nothing."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
        (shown,) = conn.execute("SHOW hba_file").fetchone() or ("",)
        (data,) = conn.execute("SHOW data_directory").fetchone() or ("",)
        hba = Path(data) / shown
        before = hba.read_text()
        hba.write_text(f"local all t_role scram-sha-256\n{before}")
        conn.execute(f"CREATE ROLE t_role LOGIN PASSWORD '{SECRET}'")
        conn.execute("SELECT pg_reload_conf()")
        try:
            yield "t_role"
        finally:
            hba.write_text(before)
            conn.execute("SELECT pg_reload_conf()")
            conn.execute("DROP ROLE t_role")


def _everywhere(call: Chatdb, *arguments: str) -> Result:
    """Run a command in every form of output, look for the secret, and return the plain one."""
    for more in (["--format", "json"], ["-v"], ["-v", "--log-format", "json"], []):
        said = call(*arguments, *more)
        assert SECRET not in said.out + said.err
        assert "Traceback" not in said.err
    return said


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def test_no_server(
    offline: Chatdb, project: Project, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(1)
    monkeypatch.setenv("CHATDB_CONNECT_RETRIES", "0")
    where = f"127.0.0.1:{closed_port}"
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:{SECRET}@{where}/d")
    said = _everywhere(offline, "migrate", "up")
    assert said.code == 3
    assert (
        report(said)
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
    said = _everywhere(offline, "migrate", "up")
    assert "trying again in 0.01 s (1 of 2)\n" in said.err
    assert "trying again in 0.02 s (2 of 2)\n" in said.err


@pytest.mark.parametrize(
    ("url", "errno"),
    [
        ("postgresql://u:{}@no-such-host.invalid/d", "ENOTFOUND"),
        ("postgresql://u:{}@/d?host=/no/such/folder", "ENOENT"),
        ("host=no-such-host.invalid user=u password='{}' dbname=d", "ENOTFOUND"),
    ],
)
def test_no_host(
    url: str, errno: str, offline: Chatdb, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(1)
    monkeypatch.setenv("CHATDB_CONNECT_RETRIES", "0")
    monkeypatch.setenv("DATABASE_URL", url.format(SECRET))
    said = _everywhere(offline, "migrate", "up")
    assert said.code == 3
    assert f" [{errno}]\n\nhint: " in said.err
    assert _everywhere(offline, "setup").code == 3


def test_a_server_that_never_answers(
    offline: Chatdb, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("DATABASE_URL", f"postgresql://u:{SECRET}@{where}/d?connect_timeout=2")
        said = offline("migrate", "up", "--format", "json", "-v")
    assert SECRET not in said.out + said.err
    assert (said.code, said.document["error"]["errno"]) == (3, "ETIMEDOUT")
    assert (
        report(said)
        == f"""\
error: can't connect to u@{where}/d: connection timeout expired [ETIMEDOUT]

hint: check host, port and firewall, or wait longer with CHATDB_CONNECT_TIMEOUT
"""
    )


def test_files_keep_the_name_of_their_error(
    offline: Chatdb, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@127.0.0.1:1/d")
    said = offline("migrate", "up", "--dir", "nowhere", "--format", "json")
    assert (said.code, said.document["error"]["errno"]) == (2, "ENOENT")
    assert report(said).startswith("error: there is no folder nowhere [ENOENT]\n\nhint: ")
    said = offline("migrate", "up", "--env-file", "nowhere", "--format", "json")
    assert (said.code, said.document["error"]["errno"]) == (2, "ENOENT")


@first
def test_a_missing_database(
    offline: Chatdb, project: Project, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(1)
    monkeypatch.setenv("DATABASE_URL", server.url("no_such"))
    said = offline("migrate", "up")
    host = server.embedded.params()["host"]
    where = Database(server, "no_such").target().where
    assert said.code == 3
    assert (
        report(said)
        == f"""\
error: can't connect to {where}: connection to server on socket \
"{host}/.s.PGSQL.5432" failed: FATAL:  database "no_such" does not exist [3D000 invalid_catalog_name]

hint: "chatdb setup" makes it
"""
    )


@first
def test_a_wrong_password(
    offline: Chatdb, project: Project, database: Database, role: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    project.write_tables(1)
    url = database.url.replace("postgres@", f"{role}:{SECRET}x@")
    monkeypatch.setenv("DATABASE_URL", url)
    said = _everywhere(offline, "migrate", "up")
    host = database.server.embedded.params()["host"]
    where = database.target().where.replace("postgres@", f"{role}@")
    assert said.code == 3
    assert (
        report(said)
        == f"""\
error: can't connect to {where}: connection to server on socket \
"{host}/.s.PGSQL.5432" failed: FATAL:  password authentication failed for user "t_role" \
[28P01 invalid_password]

hint: correct the password where it is set, or in ~/.pgpass
"""
    )
    monkeypatch.setenv("DATABASE_URL", database.url.replace("postgres@", f"{role}@"))
    said = _everywhere(offline, "migrate", "up")
    assert (said.code, "no password supplied" in said.err) == (3, True)
    assert "trying again" not in said.err
    monkeypatch.setenv("DATABASE_URL", database.url.replace("postgres@", "nobody_such@"))
    assert offline("migrate", "up").code == 3


@first
def test_rights_that_lack(
    offline: Chatdb, project: Project, database: Database, role: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    project.write("0001_a", "CREATE TABLE a (id int);", "DROP TABLE a")
    with database.connect() as conn:
        conn.execute("REVOKE CREATE ON SCHEMA public FROM public")
    monkeypatch.setenv("DATABASE_URL", database.url.replace("postgres@", f"{role}:{SECRET}@"))
    said = _everywhere(offline, "migrate", "up")
    assert said.code == 5
    assert (
        report(said)
        == """\
error: the history's tables can't be made in schema 'public': permission denied for schema public \
[42501 insufficient_privilege]

hint: give the role that migrates USAGE and CREATE on schema public, or use another role
"""
    )
    said = _everywhere(offline, "setup", "--schema", "mine")
    assert said.code == 2
    assert "[42501 insufficient_privilege]" in said.err
    assert f"the role that migrates CREATE on database {database.name}, or" in said.err
    with database.connect() as conn:
        conn.execute("GRANT CREATE ON SCHEMA public TO t_role")
    project.write("0002_b", "ALTER TABLE a OWNER TO t_role;\nDROP TABLE theirs;")
    with database.connect() as conn:
        conn.execute("CREATE TABLE theirs ()")
    said = _everywhere(offline, "migrate", "up", "--verbose")
    assert (
        report(said)
        == """\
error: must be owner of table theirs [42501 insufficient_privilege]
  --> sql/up/0002_b.sql:2
  |
2 | DROP TABLE theirs;
  = 0002 was rolled back; nothing else was changed

hint: give the role that migrates the ownership of table theirs, or use another role
"""
    )
    # A role that may only read can see the status.
    with database.connect() as conn:
        conn.execute("DROP OWNED BY t_role")


@first
def test_a_password_on_the_command_line_is_warned_about_and_hidden(
    offline: Chatdb, project: Project, database: Database
) -> None:
    project.write_tables(1)
    url = database.url.replace("postgres@", f"postgres:{SECRET}@")
    said = _everywhere(offline, "migrate", "up", "-d", url)
    assert said.code == 0
    assert "warning: --database-url holds a password: the process list shows it\n" in said.err
    assert _everywhere(offline, "migrate", "history", "-d", url).code == 0


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
def test_a_bad_url_keeps_its_password(
    url: str, offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _everywhere(offline, "migrate", "up", "-d", url.format(SECRET)).code == 2
    monkeypatch.setenv("DATABASE_URL", url.format(SECRET))
    assert _everywhere(offline, "migrate", "up").code == 2


# --- the table of SQLSTATEs -----------------------------------------------------------------------


@dataclass
class Scene:
    """A project, an empty database, and the command in between."""

    call: Chatdb
    project: Project
    database: Database
    role: str
    setenv: Callable[[str, str], None]

    def up(self, sql: str = "SELECT 1", *more: str, url: str | None = None) -> Result:
        """Run a migration once; what stderr says of an error is then also a document on stdout."""
        self.project.write("0001_case", sql)
        self.setenv("DATABASE_URL", url or self.database.url)
        options = ("--retries", "0", "--statement-timeout", "60s", "--format", "json", "-v")
        return self.call("migrate", "up", *options, *more)

    @property
    def login(self) -> str:
        """The URL of a role that logs in with a password, and may do nothing."""
        return self.database.url.replace("postgres@", f"{self.role}:{SECRET}@")

    @contextmanager
    def beside(self, *statements: str) -> Iterator[None]:
        """Have another session execute statements in the meantime."""

        def execute() -> None:
            with self.database.connect() as conn:
                for statement in ("SET statement_timeout = '60s'", *statements):
                    conn.execute(statement)

        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(execute)
            yield
            other.result()


@pytest.fixture
def scene(
    offline: Chatdb,
    project: Project,
    database: Database,
    role: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Scene:
    monkeypatch.setenv("CHATDB_CONNECT_RETRIES", "0")
    return Scene(offline, project, database, role, monkeypatch.setenv)


def until(what: str) -> str:
    """SQL that waits for a row of pg_locks in this database."""
    return f"""DO $$ BEGIN
        WHILE NOT EXISTS (
            SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
            WHERE datname = current_database() AND {what}
        ) LOOP PERFORM pg_sleep(0.01); END LOOP;
    END $$;"""


T = "relation = 't'::regclass AND mode = 'AccessExclusiveLock'"


def _a_deadlock(scene: Scene) -> Result:
    # The file closes the circle and looks at once; the other would look after a second at most.
    scene.database.execute("CREATE TABLE t ()")
    file = f"LOCK TABLE t; {until(f'{T} AND NOT granted')} SET deadlock_timeout = '1ms'; "
    other = "BEGIN", "SELECT pg_advisory_xact_lock(7)", until(f"{T} AND granted"), "LOCK TABLE t"
    with scene.beside("SET deadlock_timeout = '1h'", *other, "COMMIT"):
        return scene.up(f"{file} SELECT pg_advisory_xact_lock(7);", "--lock-timeout", "60s")


def _a_row_that_another_has_changed(scene: Scene) -> Result:
    scene.database.execute("CREATE TABLE t AS SELECT 1 AS id")
    ours, theirs = (f"locktype = 'advisory' AND objsubid = 1 AND objid = {n}" for n in (7, 8))
    file = "-- chatdb: isolation: repeatable read\nSELECT id, pg_advisory_xact_lock(7) FROM t;"
    changed = until(ours), "UPDATE t SET id = 2", "SELECT pg_advisory_lock(8)"
    # At last it waits for the file's end, so that its lock can be seen until then.
    with scene.beside(*changed, "SELECT pg_advisory_lock(7)"):
        return scene.up(f"{file} {until(theirs)} UPDATE t SET id = 3;", "--lock-timeout", "60s")


def _a_lock_that_another_holds(scene: Scene) -> Result:
    scene.database.execute("CREATE TABLE t ()")
    with scene.database.connect() as conn, conn.transaction():
        conn.execute("LOCK TABLE t")
        return scene.up("LOCK TABLE t", "--lock-timeout", "50ms")


def _no_more_connections(scene: Scene) -> Result:
    scene.database.execute(f"ALTER ROLE {scene.role} CONNECTION LIMIT 0")
    return scene.up(url=scene.login)


def _a_wrong_password(scene: Scene) -> Result:
    return scene.up(url=scene.login.replace("@", "x@"))


def _no_database(scene: Scene) -> Result:
    return scene.up(url=scene.database.server.url("no_such"))


def _answer(url: str) -> str:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError as error:
        return str(error)
    return "welcome"


def _a_standby_that_is_shutting_down(scene: Scene) -> Result:
    server = EmbeddedServer(
        scene.project.path / ".chatdb", programs=scene.database.server.embedded.programs
    )
    try:
        server.start()
        server.stop()
        data = server.status().data
        assert data
        (data / "standby.signal").touch()
        server.start()
        with psycopg.connect(server.url()) as conn:
            error = scene.up("CREATE TABLE t ()", url=server.url()).document["error"]
            # PostgreSQL has another SQLSTATE for the BEGIN that a migration begins with.
            assert (error["sqlstate"], error["hint"]) == ("0A000", HINTS["25006"])
            pid = server.status().pid
            assert pid
            os.kill(pid, signal.SIGTERM)  # it waits for this session to end
            while "shutting down" not in _answer(server.url()):
                pass
            said = scene.up(url=server.url())
            assert conn.execute("SELECT 1").fetchone()
        return said
    finally:
        server.destroy()


# How each row comes about: a migration, or what else has to happen.
PROVOKED: dict[str, str | Callable[[Scene], Result]] = {
    "23503": "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (p int);"
    "INSERT INTO t VALUES (7); ALTER TABLE t ADD CONSTRAINT t_rule FOREIGN KEY (p) REFERENCES p;",
    "23505": "CREATE TABLE t (id int); INSERT INTO t VALUES (7), (7);"
    "ALTER TABLE t ADD CONSTRAINT t_rule UNIQUE (id);",
    "25001": "VACUUM",
    "25006": "SET TRANSACTION READ ONLY; CREATE TABLE t ();",
    "28P01": _a_wrong_password,
    "2D000": "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$; CALL p();",
    "3D000": _no_database,
    "40001": _a_row_that_another_has_changed,
    "40P01": _a_deadlock,
    "42501": "SET ROLE t_role; CREATE TABLE public.t ();",
    # Two `setup` at once are no error: test_cli.py.
    "42P04": "ALTER DATABASE template1 RENAME TO postgres",
    "42P06": "CREATE SCHEMA s; CREATE SCHEMA s;",
    "42P07": "CREATE TABLE t (); CREATE TABLE t ();",
    # A disk that is always full, on every system that has it.
    "53100": "COPY (SELECT generate_series(1, 100000)) TO '/dev/full'"
    if Path("/dev/full").exists()
    else "DO $$ BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$",
    "53200": "SELECT pg_advisory_xact_lock(n) FROM generate_series(1, 1000000) AS n",
    "53300": _no_more_connections,
    "55P03": _a_lock_that_another_holds,
    "57014": "-- chatdb: statement-timeout: 50ms\nSELECT pg_sleep(100);",
    "57P03": _a_standby_that_is_shutting_down,
}


def test_every_row_has_its_case() -> None:
    assert PROVOKED.keys() == HINTS.keys()


@pytest.mark.parametrize("sqlstate", PROVOKED)
def test_a_row_of_the_table(sqlstate: str, scene: Scene) -> None:
    way = PROVOKED[sqlstate]
    said = scene.up(way) if isinstance(way, str) else way(scene)
    names = {"table": "t", "constraint": "t_rule", "right": "USAGE and CREATE on schema public"}
    hint = HINTS[sqlstate].format(**names)
    error = said.document["error"]
    assert (error["sqlstate"], error["hint"]) == (sqlstate, hint)
    assert said.code == next(code.exit for code in Code if code.slug == error["code"]) in (3, 5, 7)
    shown = report(said)
    assert f" [{sqlstate} {sqlstate_name(sqlstate)}]\n" in shown
    assert f"\n\nhint: {hint}\n" in shown
    if "constraint" in HINTS[sqlstate]:
        assert re.search(r"\n  = server detail: Key \(\w+\)=\(7\) is ", shown)
    assert SECRET not in said.out + said.err


RIGHTS = {
    "CREATE SCHEMA mine": "CREATE on database {database}",
    "DROP TABLE theirs": "the ownership of table theirs",
    "DROP SCHEMA public": "the ownership of schema public",
    "SELECT FROM theirs": "SELECT, INSERT or what else the statement needs on table theirs",
    "SELECT FROM seen": "what the statement needs on view seen",
    "SELECT nextval('counter')": "USAGE on sequence counter",
    "SELECT work()": "EXECUTE on function work",
    "CREATE ROLE t_another": "the attribute CREATEROLE",
    "COPY (SELECT 1) TO '/dev/null'": "the right that is named",
}


def test_the_right_that_lacks_is_named(scene: Scene) -> None:
    scene.database.execute(
        "CREATE TABLE theirs (); CREATE VIEW seen AS SELECT; CREATE SEQUENCE counter;"
        "CREATE FUNCTION work() RETURNS void LANGUAGE sql AS ''; REVOKE ALL ON FUNCTION work "
        "FROM public"
    )
    for sql, right in RIGHTS.items():
        error = scene.up(f"SET ROLE {scene.role}; {sql}").document["error"]
        assert error["sqlstate"] == "42501"
        named = right.format(database=scene.database.name)
        assert error["hint"] == HINTS["42501"].format(right=named), sql


@first
def test_a_role_that_may_not_make_or_enter_a_database(scene: Scene) -> None:
    name = scene.database.name
    missing = scene.login.replace(name, "t_missing")
    assert missing != scene.login
    scene.setenv("DATABASE_URL", missing)
    said = _everywhere(scene.call, "setup")
    assert said.code == 3
    assert "'t_missing' can't be made: permission denied to create database [42501 " in said.err
    assert "give the role that migrates the attribute CREATEDB, or" in said.err
    scene.database.execute(f"REVOKE CONNECT ON DATABASE {name} FROM public")
    error = scene.up(url=scene.login).document["error"]
    assert (error["code"], error["sqlstate"]) == ("login", "42501")
    assert error["hint"] == "GRANT CONNECT ON DATABASE to the role"
    scene.database.execute(f"ALTER ROLE {scene.role} NOLOGIN")
    error = scene.up(url=scene.login).document["error"]
    assert (error["code"], error["sqlstate"]) == ("login", "28000")
    assert error["hint"] == "name a role that may log in"
