"""Where an error says that it is: in long lines, in one-line files, in the bodies of functions."""

from __future__ import annotations

import pytest

from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.project import Project

FUNCTION = """\
CREATE FUNCTION half(a int DEFAULT length('x')) RETURNS int LANGUAGE plpgsql AS $f$
BEGIN
  -- divide
  RETURN 1 / a;
END $f$;
CREATE FUNCTION "Out Er"() RETURNS int LANGUAGE plpgsql AS '
BEGIN
  RETURN half(0);
END';
"""
LONG = "INSERT INTO a VALUES " + ",".join(f"({n})" for n in range(1000))
# A file, and what its error has to contain: the place, and the lines that are shown.
PLACES = {
    "a position in a long line": (
        f"CREATE TABLE a (id int);\n{LONG},('x');\n",
        [".sql:2:5913\n", "| ...994),(995),", ",(999),('x');\n", " ^\n"],
    ),
    "a long statement without a position": (
        f"CREATE TABLE a (id int PRIMARY KEY);\n{LONG},(1);\n",
        [".sql:2\n", "2 | INSERT INTO a VALUES (0),(1),", "...\n"],
    ),
    "one of several statements in a line": (
        "CREATE TABLE a (id int UNIQUE); INSERT INTO a VALUES (1); INSERT INTO a VALUES (1); SELECT 1;",
        [".sql:1\n", "1 | INSERT INTO a VALUES (1)\n", "= it is statement 3 of 4 of the file\n"],
    ),
    "a line of a DO block": (
        "SELECT 1;\nDO $$\nBEGIN\n  PERFORM 1;\n  PERFORM 1/0;\nEND $$;\n",
        [".sql:5\n", "5 |   PERFORM 1/0;\n"],
    ),
    "a position in a DO block": (
        "SELECT 1;\nDO $$\nBEGIN\n  INSERT INTO\n    nope VALUES (1);\nEND $$;\n",
        [".sql:5:5\n", "5 |     nope VALUES (1);\n  |     ^\n"],
    ),
    "a block in one line": (
        "DO 'BEGIN PERFORM 1/0; END';",
        [".sql:1\n", "1 | DO 'BEGIN PERFORM 1/0; END';\n"],
    ),
    "a function of the file, called by another": (
        FUNCTION + 'SELECT "Out Er"();',
        [".sql:4\n", "4 |   RETURN 1 / a;\n", '"Out Er"() line 3'],
    ),
    "a trigger function of the file": (
        """CREATE TABLE t (id int);
CREATE FUNCTION check_t() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'no: %', NEW.id;
END $$;
CREATE TRIGGER c BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION check_t();
INSERT INTO t VALUES (1);""",
        [".sql:4\n", "4 |   RAISE EXCEPTION 'no: %', NEW.id;\n"],
    ),
    "two functions of one name: it is not clear which": (
        FUNCTION.replace("AS '", "AS $$").replace("END';", "END $$;")
        + "CREATE FUNCTION half(a text) RETURNS int LANGUAGE sql AS 'SELECT 1';\nSELECT half(0);",
        [".sql:11\n", "11 | SELECT half(0);\n"],
    ),
    "a huge word": (f"SELECT '{'a' * 50_000}", [".sql:1:8\n", "1 | SELECT 'aaa", "...\n"]),
    "a huge message": (
        "DO $$ BEGIN RAISE EXCEPTION '%', repeat('b', 50000); END $$;",
        ["error: bbbb", "bbb...bbb"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PLACES)
def test_an_error_shows_its_place_and_no_more_of_a_long_line_than_fits(
    case: str, project: Project, chatdb: Chatdb
) -> None:
    text, expected = PLACES[case]
    project.write("0001_a", text)
    result = chatdb("migrate", "up")
    assert result.code == 5
    assert not [part for part in expected if part not in result.err], result.err
    assert len(result.err) < 3000


@pytest.mark.parametrize(
    ("sqlstate", "name", "blames_the_file"),
    [
        ("XX000", "internal_error", False),
        ("XX001", "data_corrupted", False),
        ("53100", "disk_full", False),
        ("55006", "object_in_use", False),
        ("58030", "io_error", False),
        ("HV000", "fdw_error", False),
        ("22012", "division_by_zero", True),
        ("42601", "syntax_error", True),
        ("P0001", "raise_exception", True),
    ],
)
def test_the_file_is_blamed_only_for_what_can_be_its_fault(
    sqlstate: str, name: str, blames_the_file: bool, project: Project, chatdb: Chatdb
) -> None:
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'broken' USING ERRCODE = '{sqlstate}'; END $$;"
    project.write("0001_a", raising)
    result = chatdb("migrate", "up")
    assert f"error: broken [{sqlstate} {name}]\n" in result.err
    assert ("correct the file" in result.err) is blames_the_file
    assert 'run "chatdb migrate up" again' in result.err or sqlstate == "53100"


def test_the_lines_of_a_body_are_found_whatever_the_language_of_the_server() -> None:
    from chatdb_cli.syntax.function_body import find_failed_line
    from chatdb_cli.syntax.statements import split_statements

    statements = split_statements(FUNCTION) or ()
    for call in (
        "PL/pgSQL function half(integer) line 4 at RETURN",
        "PL/pgSQL-Funktion half(integer) Zeile 4 bei RETURN",
        "fonction PL/pgSQL half(integer), ligne 4 à RETURN",
        "функция PL/pgSQL half(integer), строка 4, оператор RETURN",
        "関数shop.half(integer) PL/pgSQL\nPL/pgSQL関数shop.half(integer)の4行目 - RETURN",
    ):
        found = find_failed_line(call, None, 0, statements[-1], statements)
        assert found == (FUNCTION.index("RETURN 1"), False), call


def test_one_of_a_thing_is_not_many(project: Project, chatdb: Chatdb, database: Database) -> None:
    project.write("0001_a", "CREATE TABLE a (id int PRIMARY KEY);", "DROP TABLE a;")
    (project.sql / "seed").mkdir()
    (project.sql / "seed/a.sql").write_text("INSERT INTO a VALUES (1)")
    assert chatdb("migrate", "up").code == 0
    assert "1 row in 1 table (" in chatdb("seed").out
    assert "1 row in 1 table (" in chatdb("counts").out
    assert "1 file" in chatdb("migrate", "lint", "sql/up/0001_a.sql").out
