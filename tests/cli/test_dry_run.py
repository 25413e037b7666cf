"""A dry run prints a script for psql."""

from __future__ import annotations

import re

import pytest

from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.project import Project
from tests.support.psql import run_psql, schema_and_history
from tests.support.servers import on_first_server
from tests.support.terminal import Terminal


def _timeless(script: str) -> str:
    """Return a script without times: those at which yoyo's tables were created."""
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]*", "", script)


AWKWARD = {
    "0001_words": "CREATE TABLE words (word text, n int[]); -- no; statement\n/* nor; /* here */ ; */",
    "0002_quotes": "INSERT INTO words VALUES ('it''s; 100 % :name \\ ünï 漢字'), (E'a\\'b'), "
    "($$ dollar; 'quoted' $$), ($x$ $$ $x$) -- the end",
    "0003_crlf": "\ufeffINSERT INTO words\r\n  VALUES ('two\r\nlines');\r\n",
    "0004_function": "CREATE FUNCTION f(int) RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n"
    "  RETURN $1 + 1;\nEND; $$;\n"
    "CREATE FUNCTION g() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;",
    "0005_empty": "-- only a comment",
    "0006_serializable": "-- chatdb: isolation: serializable\n-- chatdb: lock-timeout: 1s\n"
    "SELECT 1/count(*) FROM (SELECT current_setting('transaction_isolation')) s(i) "
    "WHERE i = 'serializable'",
    "0007_slice": "SELECT (array[1,2,3])[1:2], 'a'::text;\n"
    "UPDATE words SET n = '{1,2}' WHERE n[1:2] IS NULL;",
    "0008_leftovers": "SET ROLE pg_monitor; RESET ROLE; SET search_path = ''; "
    "CREATE TEMP TABLE gone (); PREPARE p AS SELECT 1; SET standard_conforming_strings = on;",
    "0009_rule": "CREATE OR REPLACE RULE r AS ON DELETE TO words DO ALSO (SELECT 1; SELECT 2);",
}


EMPTY = "warning: sql/up/0005_empty.sql has no statement\n"


def test_a_dry_run_is_a_script_that_does_the_same_in_psql(
    project: Project, chatdb: Chatdb, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stem, text in AWKWARD.items():
        project.write(stem, text, f"-- rolls back {stem}\n-- chatdb: nothing-to-undo: a test\n")
    project.write("0001_words", AWKWARD["0001_words"], "DROP TABLE words;")
    project.write("0004_function", AWKWARD["0004_function"], "DROP FUNCTION f, g;")
    other = database.server.create()
    try:
        flag = "--allow-data-loss"
        for line in ("up --to 3", "up", "redo", "down", f"down --to 4 {flag}",
                     f"down --all {flag}", "up"):  # fmt: skip
            monkeypatch.setenv("DATABASE_URL", other.url)
            printed = chatdb("migrate", *line.split(), "--dry-run")
            document = chatdb("migrate", *line.split(), "--dry-run", "--format", "json").document
            assert (printed.code, printed.err.replace(EMPTY, "")) == (0, "")
            monkeypatch.setenv("DATABASE_URL", database.url)
            assert chatdb("migrate", *line.split()).code == 0
            assert {s["state"] for s in document["steps"]} == {"planned"}
            assert {s["duration_ms"] for s in document["steps"]} == {None}
            # The script consists of the SQL of the steps.
            script, position = _timeless(printed.out), 0
            for sql in (document.get("prepare_sql", ""), *(s["sql"] for s in document["steps"])):
                position = script.index(_timeless(sql), position) + len(_timeless(sql))
            run_psql(other, printed.out)
            assert schema_and_history(other) == schema_and_history(database), line
    finally:
        other.drop()


@pytest.mark.quick
@on_first_server
def test_a_dry_run_with_nothing_to_do_is_an_empty_script(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1)
    assert chatdb("migrate", "down", "--dry-run").out.splitlines()[1:] == [
        "-- nothing to roll back; current none"
    ]
    run_psql(database, chatdb("migrate", "up", "--dry-run").out)
    result = chatdb("migrate", "up", "--dry-run")
    assert [line[:3] for line in result.out.splitlines()] == ["-- ", "-- "]
    run_psql(database, result.out)
    assert chatdb("migrate", "up", "--dry-run", "--format", "json").document["steps"] == []


@on_first_server
def test_a_script_that_is_outdated_changes_nothing(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1, 2)
    script = chatdb("migrate", "up", "--dry-run").out
    chatdb("migrate", "up", "--to", "1")
    with pytest.raises(AssertionError, match="ERROR"):
        run_psql(database, script)
    assert database.applied() == ["0001_t1"]


@pytest.mark.quick
@on_first_server
def test_on_a_terminal_it_shows_the_statements_of_each_file_and_with_v_the_whole_script(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1)
    assert chatdb("migrate", "up").code == 0
    screens = []
    for flags in ((), ("-v",)):
        terminal = Terminal(
            project, "migrate", "down", "--dry-run", *flags, env={"DATABASE_URL": database.url}
        )
        assert terminal.end() == 0
        screens.append(terminal.text)
    for screen in screens:
        assert "-- down 0001 t1: sql/down/0001_t1.sql" in screen
        assert "DROP TABLE t1" in screen
        assert "No rows were looked at" in screen
    assert "COMMIT" not in screens[0]
    assert "-v also shows" in screens[0]
    assert "COMMIT" in screens[1]
