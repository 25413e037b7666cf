"""The text of a file with `-- chatdb: secret` is neither kept nor shown; no file shows a password."""

from __future__ import annotations

import json

import pytest

from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.project import Project
from tests.support.servers import on_first_server

pytestmark = on_first_server

MARK = "Zz9tokens3cr3t"
UP = f"-- chatdb: secret\nCREATE TABLE t (a text);\nINSERT INTO t (a) VALUES ('{MARK}');\n"
DOWN = f"-- to {MARK}\nDROP TABLE t;\n"


def kept(database: Database) -> str:
    """Everything that the tables of the history hold, as text; nothing if they do not exist."""
    names = ("_yoyo_migration", "_yoyo_log", "_yoyo_version", "chatdb_migration")
    found = f"SELECT relname FROM pg_class WHERE relname IN {names} AND relkind = 'r'"
    return str([database.query(f"SELECT * FROM {table}") for (table,) in database.query(found)])


def run(chatdb: Chatdb, *words: str) -> str:
    """Run a command in each form of its output; return all that it says."""
    said = ""
    for form in ((), ("--format", "json"), ("-v", "--log-format", "json")):
        result = chatdb(*words, *form)
        assert MARK not in result.out + result.err, words
        said += result.out + result.err
    return said


@pytest.mark.quick
def test_the_text_of_a_secret_file_is_neither_kept_nor_shown(
    chatdb: Chatdb, database: Database, project: Project
) -> None:
    project.write("0001_t", UP, DOWN)
    project.write_tables(2)
    planned = chatdb("migrate", "up", "--dry-run")
    assert "0001_t.sql is secret" in planned.out
    assert "CREATE TABLE t " not in planned.out
    assert "CREATE TABLE t2" in planned.out  # of other files, the text is shown
    assert json.loads(chatdb("migrate", "up", "--dry-run", "--format", "json").out)["steps"][0][
        "sql"
    ].startswith("-- 0001_t.sql is secret")
    run(chatdb, "migrate", "up", "--dry-run")
    run(chatdb, "migrate", "up")
    assert database.query("SELECT a FROM t") == [(MARK,)]
    assert MARK not in kept(database)
    row = "SELECT up_text, down_text, up_checksum ~ '^sha256:', down_checksum ~ '^sha256:'"
    assert database.query(f"{row} FROM chatdb_migration WHERE version = 1") == [
        (None, None, True, True)
    ]
    for words in (("status",), ("history",), ("lint",)):
        run(chatdb, "migrate", *words)


def test_repair_of_a_secret_file_shows_checksums_only(
    chatdb: Chatdb, database: Database, project: Project
) -> None:
    project.write("0001_t", UP, DOWN)
    project.write("0002_u", f"CREATE TABLE u (a text DEFAULT '{MARK}');", "DROP TABLE u;")
    chatdb("migrate", "up")
    assert MARK in kept(database)
    project.write("0001_t", UP.replace("(a text)", "(a text, b text)"), DOWN + "-- more\n")
    project.write("0002_u", f"-- chatdb: secret\nCREATE TABLE u (a text DEFAULT '{MARK}x');", "")
    result = chatdb("migrate", "repair")
    assert MARK not in result.out + result.err
    assert (result.out + result.err).count("(secret; the checksum was sha256:") == 4
    assert "CREATE TABLE" not in result.out + result.err
    run(chatdb, "migrate", "repair", "--yes")
    assert MARK not in kept(database)
    assert chatdb("migrate", "status", "--check").code == 0


def test_down_of_a_secret_file_needs_its_file(
    chatdb: Chatdb, database: Database, project: Project
) -> None:
    project.write("0001_t", UP, DOWN)
    chatdb("migrate", "up")
    down = project.sql / "down" / "0001_t.sql"
    down.unlink()
    result = chatdb("migrate", "down", "--yes", "--allow-data-loss")
    assert result.code == 8
    assert "has no down file, neither on disk nor in the history" in result.err
    down.write_text(DOWN)
    assert chatdb("migrate", "down", "--yes", "--allow-data-loss").code == 0
    assert database.tables() == set()


def test_the_down_file_alone_can_be_secret(
    chatdb: Chatdb, database: Database, project: Project
) -> None:
    project.write("0001_t", "CREATE TABLE t (a text);", f"-- chatdb: secret\n{DOWN}")
    chatdb("migrate", "up")
    assert MARK not in kept(database)
    query = "SELECT up_text, down_text FROM chatdb_migration"
    assert database.query(query) == [("CREATE TABLE t (a text);", None)]
    assert "0001_t.sql is secret" in run(chatdb, "migrate", "down", "--dry-run")


FAILURES = [
    f"SELECT 1;\nSELECT '{MARK}'::int;",
    f"SELECT {MARK} FROM nowhere;",
    f"INSERT INTO pg_class (relname) VALUES ('{MARK}'), ('{MARK}' ;",
    f"DO $$ BEGIN EXECUTE format('SELECT %L::int', '{MARK}'); END $$;",
    f"DO $$ BEGIN RAISE EXCEPTION '%', 'Zz9tokens' USING DETAIL = '{MARK}', HINT = '{MARK}'; END $$;",
    f"CREATE TABLE u (a text UNIQUE); INSERT INTO u VALUES ('{MARK}'), ('{MARK}');",
    f"CREATE TABLE u (a int CHECK (a > 5), b text); INSERT INTO u VALUES (1, '{MARK}');",
    f"SELECT 'unterminated {MARK}",
    f"BEGIN; SELECT '{MARK}';",
    f"COPY t FROM stdin;\n{MARK}\n\\.",
    f"-- chatdb: wrong: {MARK}\nSELECT 1;",
]


def test_no_failure_of_a_secret_file_shows_its_text(
    chatdb: Chatdb, database: Database, project: Project
) -> None:
    for text in FAILURES:
        project.write("0001_t", f"-- chatdb: secret\n{text}")
        result = chatdb("migrate", "up", "-v", "--format", "json", "--log-format", "json")
        assert result.code, text
        assert MARK not in result.out + result.err
        assert "0001_t.sql" in result.out + result.err
    assert MARK not in kept(database)


def test_no_failure_of_a_secret_file_outside_a_transaction_shows_its_text(
    chatdb: Chatdb, database: Database, project: Project
) -> None:
    for number, text in enumerate(FAILURES[:2]):
        project.write("0001_t", f"-- chatdb: secret\n-- chatdb: transactional: false\n{text}")
        database.execute("DROP TABLE IF EXISTS _yoyo_migration, chatdb_migration, _yoyo_log")
        for words in (("migrate", "up", "-v"), ("migrate", "status", "--check")):
            result = chatdb(*words)
            assert result.code, (number, words)
            assert MARK not in result.out + result.err
    assert MARK not in kept(database)


def test_the_journal_of_a_secret_file_keeps_no_literal(
    chatdb: Chatdb, database: Database, project: Project
) -> None:
    project.write(
        "0001_t",
        "-- chatdb: secret\n-- chatdb: transactional: false\n"
        "CREATE TABLE t (a text);\nINSERT INTO t VALUES ('x'), ('x');\n"
        f"CREATE UNIQUE INDEX CONCURRENTLY i ON t (a) WHERE a <> '{MARK}';\n",
    )
    assert chatdb("migrate", "up").code == 5
    query = "SELECT statement_begun FROM chatdb_migration"
    assert f"a <> '{'•' * len(MARK)}'" in database.query(query)[0][0]
    database.execute("DELETE FROM t")
    result = chatdb("migrate", "up")
    assert result.code == 0, result.err
    assert MARK not in kept(database)
    assert database.query("SELECT indisvalid FROM pg_index WHERE indrelid = 't'::regclass") == [
        (True,)
    ]


@pytest.mark.parametrize("directive", ["-- chatdb: secret: true", "-- chatdb: secrets"])
def test_a_wrong_spelling_of_the_directive_is_refused(
    chatdb: Chatdb, project: Project, directive: str
) -> None:
    project.write("0001_t", f"{directive}\nSELECT 1;")
    result = chatdb("migrate", "up")
    assert result.code
    assert "secret" in result.err


# --- files that are not secret --------------------------------------------------------------------

HOLDERS = [
    f"DO $$ BEGIN EXECUTE format('ALTER ROLE postgres PASSWORD %L', '{MARK}'); END $$;",
    f"ALTER ROLE postgres PASSWORD /* a /* b */ 'c' */ '{MARK}';",
    f"ALTER ROLE postgres PASSWORD 'x'\n  '{MARK}';",
    f"CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (\"password\" '{MARK}');",
    f"SELECT 'host=h password={MARK}', 1/0;",
    f"SELECT 'postgres://user:p/{MARK}@host/d', 1/0;",
    f"CREATE TABLE a (b text UNIQUE); INSERT INTO a SELECT 'pass' || 'word {MARK}' FROM "
    "generate_series(1, 2);",
    f"ALTER ROLE postgres PASSWORD '{MARK}",
    f'ALTER ROLE postgres PASSWORD "{MARK}";',
    f"ALTER ROLE postgres PASSWORD {MARK};",
    f"CREATE TABLE a (b text); COPY a FROM PROGRAM 'echo 1 # curl -u me:{MARK} https://h';",
    f"SET app.dbpass = '{MARK}'; SET LOCAL app.api_token TO {MARK};",
    f"SELECT set_config('app.jwt' || '_secret', '{MARK}', true), sha256('{MARK}');",
    f"CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (token '{MARK}');"
    f" CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (user 'b', anything '{MARK}');",
    f"CREATE TABLE a AS SELECT 'SCRAM-SHA-256$4096:{MARK}$x:y' AS b, 'https://h?sig={MARK}' AS c;",
    f'SELECT \'{{"password": "{MARK}}}\'::json;',
    f"CREATE TABLE a (p text, password int CHECK (password > 5));"
    f" INSERT INTO a (p, password) VALUES ('{MARK}{'x' * 100}', 1);",
]
# Where standard_conforming_strings is off, these literals end elsewhere.
ESCAPED = [
    rf"ALTER ROLE postgres PASSWORD 'a\'b {MARK}';",
    rf"SELECT 'it\'s; x', format('PASSWORD %L', '{MARK}');",
    rf"DO $$ BEGIN EXECUTE 'ALTER ROLE postgres PASSWORD \'{MARK}\''; END $$;",
    rf"DO 'BEGIN EXECUTE \'ALTER ROLE postgres PASSWORD \'\'{MARK}\'\'\'; END';",
    rf"SELECT '\x70assword', '{MARK}';",
    rf"SELECT set_config('app.dbpass', 'a\'/*', true), '*/', '{MARK}';",
]


@pytest.mark.parametrize("text", HOLDERS)
def test_a_password_is_neither_kept_nor_shown(
    chatdb: Chatdb, database: Database, project: Project, text: str
) -> None:
    project.write("0001_x", "CREATE FOREIGN DATA WRAPPER w;", "DROP FOREIGN DATA WRAPPER w;")
    project.write("0002_t", f"-- shown\n{text}", text)
    for words in (("up",), ("status",), ("lint",), ("repair",)):
        result = chatdb("migrate", *words, "-v")
        assert MARK not in result.out + result.err, words
    assert MARK not in kept(database)
    project.write("0002_t", f"-- shown, too\n{text} -- more", f"{text} -- more")
    result = chatdb("migrate", "repair")
    assert MARK not in result.out + result.err
    database.execute("ALTER ROLE postgres PASSWORD NULL")


@pytest.mark.parametrize("by_file", [False, True])
def test_a_literal_with_another_end_where_a_backslash_escapes_is_neither_kept_nor_shown(
    chatdb: Chatdb, database: Database, project: Project, by_file: bool
) -> None:
    switch = "SET standard_conforming_strings = off;\n" if by_file else ""
    if not by_file:
        database.execute(f"ALTER DATABASE {database.name} SET standard_conforming_strings = off")
    project.write_tables(1)
    chatdb("migrate", "up")
    for text in ESCAPED:
        project.write("0002_x", f"{switch}{text}", "SELECT 1;")
        applied = chatdb("migrate", "up", "-v")
        project.write("0002_x", f"{switch}{text} -- more", "SELECT 1;")
        for result in (
            applied,
            *(chatdb("migrate", word) for word in ("status", "lint", "repair")),
        ):
            assert MARK not in result.out + result.err, text
        assert MARK not in kept(database)
        if applied.code == 0:
            assert "\n+" in result.err  # the diff of repair
            chatdb("migrate", "unmark", "2", "--yes")
    with database.connect() as conn:
        conn.execute(b"SET standard_conforming_strings = off")
        conn.execute(b"BEGIN; LOCK TABLE t1")
        conn.execute(rf"SELECT 'it\'s; x', format('PASSWORD %L', '{MARK}')".encode())
        project.write("0002_x", "ALTER TABLE t1 ADD COLUMN a int;")
        result = chatdb("migrate", "up", "--lock-timeout", "300ms", "--retries", "0")
        assert f"pid {conn.info.backend_pid}" in result.err
        assert MARK not in result.out + result.err
    database.execute("ALTER ROLE postgres PASSWORD NULL")


def test_the_statement_of_a_session_that_blocks_is_shown_without_its_password(
    chatdb: Chatdb, database: Database, project: Project
) -> None:
    project.write_tables(1)
    chatdb("migrate", "up")
    project.write("0002_t", "ALTER TABLE t1 ADD COLUMN a int;")
    with database.connect() as conn:
        # The first line alone does not say that it has to do with a password.
        query = (
            f"BEGIN; LOCK TABLE t1; SELECT '{MARK}', 'shown no more',\n format('PASSWORD %L', 'x')"
        )
        conn.execute(query.encode())
        result = chatdb("migrate", "up", "--lock-timeout", "300ms", "--retries", "0")
        assert result.code == 7
        assert f"pid {conn.info.backend_pid}" in result.err
        assert f"LOCK TABLE t1; SELECT '{'•' * len(MARK)}'" in result.err
        assert MARK not in result.out + result.err
