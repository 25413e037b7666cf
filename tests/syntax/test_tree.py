"""Statements as typed values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatdb_cli.syntax.statements import split_statements
from chatdb_cli.syntax.tree import model as sql
from chatdb_cli.syntax.tree.locations import end_of_part, find_name
from chatdb_cli.syntax.tree.parse import Unreadable, parse_statements
from tests.support.paths import SHIPPED


def body(text: str) -> sql.Body:
    parsed = parse_statements(text)
    assert not isinstance(parsed, Unreadable)
    (statement,) = parsed
    return statement.body


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DROP INDEX CONCURRENTLY IF EXISTS s.i",
         sql.Drop("index", (sql.Name("i", "s"),), None, False, True, True)),
        ("DROP POLICY p ON s.t",
         sql.Drop("policy", (sql.Name("p"),), sql.Name("t", "s"))),
        ("DROP FUNCTION f(int), g CASCADE",
         sql.Drop("function", (sql.Name("f"), sql.Name("g")), None, True)),
        ("DROP DATABASE d", sql.Drop("database", (sql.Name("d"),))),
        ("ALTER TABLE t RENAME a TO b",
         sql.Rename("column", sql.Name("t", "", 12), "a", "b")),
        ("ALTER TYPE e RENAME VALUE 'a' TO 'b'",
         sql.Rename("enum value", sql.Name("e"), "a", "b")),
        ("ALTER TYPE e ADD VALUE IF NOT EXISTS 'x'",
         sql.AddEnumValue(sql.Name("e"), "x", True)),
        ("SET LOCAL lock_timeout = 0",
         sql.SetParameter("lock_timeout", ("0",), True, False)),
        ("RESET ALL", sql.SetParameter("", (), False, True)),
        ("ALTER ROLE r SET search_path = a, b",
         sql.SetParameter("search_path", ("a", "b"), False, False, "role", "r")),
        ("ALTER SYSTEM SET work_mem = '1GB'",
         sql.SetParameter("work_mem", ("1GB",), False, False, "system")),
        ("UPDATE t SET a = 1 WHERE true", sql.Write("update", sql.Name("t", "", 7), False)),
        ("DELETE FROM t WHERE a = 1", sql.Write("delete", sql.Name("t", "", 12), True)),
        ("INSERT INTO t VALUES (1)", sql.Write("insert", sql.Name("t", "", 12), True)),
        ("INSERT INTO t SELECT * FROM u", sql.Write("insert", sql.Name("t", "", 12), False)),
        ("VACUUM FULL t", sql.Maintain("vacuum", (sql.Name("t", "", 12),), True)),
        ("CLUSTER", sql.Maintain("cluster", ())),
        ("REINDEX TABLE CONCURRENTLY t", sql.Reindex("table", sql.Name("t", "", 27), True)),
        ("REINDEX SCHEMA s", sql.Reindex("schema", None, False)),
        ("GRANT SELECT ON t TO PUBLIC",
         sql.Grant(True, "table", ("select",), (sql.Name("t"),), True)),
        ("CREATE EXTENSION IF NOT EXISTS citext",
         sql.Create("extension", sql.Name("citext"), True)),
        ("CREATE TYPE e AS ENUM ('a', 'b')",
         sql.Create("type", sql.Name("e"), labels=("a", "b"))),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = a RETURN 1",
         sql.CreateFunction(sql.Name("f"), "sql", True, ("search_path",), False, True)),
        ("COMMENT ON COLUMN s.t.c IS 'x'", sql.Comment("column", sql.Name("t", "s"), "c")),
        ("DO $$BEGIN END$$", sql.DoBlock("BEGIN END")),
        ("ALTER TABLE t OWNER TO r", sql.AlterTable(
            "table", sql.Name("t", "", 12), (sql.Action("ChangeOwner"),))),
        ("LISTEN x", sql.Other("listen_stmt")),
    ],
)  # fmt: skip
def test_a_statement_is_a_value(text: str, expected: sql.Body) -> None:
    assert body(text) == expected


def test_a_table_has_columns_and_constraints_with_their_places() -> None:
    text = 'CREATE TABLE s."É" (a numeric(12,2)[] DEFAULT random() NOT NULL, CHECK (a IS NOT NULL))'
    table = body(text)
    assert isinstance(table, sql.CreateTable)
    (column,) = table.columns
    assert column.type == sql.Type("numeric", "pg_catalog", (12, 2), True, text.index("numeric"))
    default = column.has("default")
    assert default is not None
    assert default.expression is not None
    assert default.expression.calls == ("random",)
    assert column.has("not null")
    (check,) = table.constraints
    assert (check.kind, check.offset) == ("check", text.index("CHECK"))
    assert check.expression is not None
    assert check.expression.not_null == "a"
    assert str(table.table) == 's."É"'


def test_the_places_are_those_of_the_splitter() -> None:
    for path in sorted((SHIPPED / "up").glob("*.sql")):
        text = path.read_text(encoding="utf-8")
        parsed, split = parse_statements(text), split_statements(text)
        assert split is not None
        assert not isinstance(parsed, Unreadable)
        assert [(s.text, s.span.start) for s in parsed] == [(s.text, s.offset) for s in split]


@given(
    st.lists(st.sampled_from(["SELECT 1", "/* é; */", "-- ü\n", ";", 'DROP TABLE "ä;"', " ", "漢"]))
)
def test_a_statement_is_that_part_of_the_text(pieces: list[str]) -> None:
    text = "".join(pieces)
    parsed = parse_statements(text)
    if isinstance(parsed, Unreadable):
        assert 0 <= parsed.offset <= len(text)
        return
    for statement in parsed:
        assert text[statement.span.start : statement.span.end] == statement.text
        assert statement.text.startswith(("SELECT", "DROP", "漢"))


@pytest.mark.parametrize(
    ("text", "at", "end"),
    [
        ("CREATE TABLE t (a int DEFAULT f(1, ')'), b text)", "a int", "f(1, ')')"),
        ("CREATE TABLE t (a int -- why, so\n, b text)", "a int", "a int"),
        (
            "ALTER TABLE t ADD CONSTRAINT c CHECK (a IN (1, 2)) NOT VALID, DROP b",
            "CON",
            "NOT VALID",
        ),
        ("ALTER TABLE t ADD a text DEFAULT $x$ , ) $x$", "a text", "$x$ , ) $x$"),
    ],
)
def test_the_end_of_a_part(text: str, at: str, end: str) -> None:
    parsed = parse_statements(text)
    assert not isinstance(parsed, Unreadable)
    assert end_of_part(parsed[0], text.index(at)) == text.index(end) + len(end)


def test_a_name_is_found_as_a_word_alone() -> None:
    text = "DROP TABLE /* t */ tt, 't', \"t\""
    statement = sql.Statement(sql.Span(10, 10 + len(text)), text, sql.Other(""))
    assert find_name(statement, "t") == 10 + text.index('"t"')
    assert find_name(statement, "missing") == 10
