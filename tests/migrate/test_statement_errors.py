# ruff: noqa: E501, RUF001  (texts as they are shown)
"""What a user sees when a statement or a file fails."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.errors import SECRET, report
from tests.support.project import Project
from tests.support.servers import first

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
