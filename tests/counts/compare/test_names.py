"""Tables and columns of both sides belong together by their names, or by a rename."""

from __future__ import annotations

from typing import Any

import pytest

from chatdb_cli.errors import ChatdbError, Code
from tests.support.servers import on_first_server
from tests.support.sides import Sides, keys

pytestmark = on_first_server


def test_a_table_that_one_side_alone_has_is_named(sides: Sides) -> None:
    sides.execute("CREATE TABLE t (id int)")
    sides.this.execute("CREATE TABLE old (id int); INSERT INTO old VALUES (1)")
    sides.other.execute("CREATE TABLE new (id int)")
    comparison = sides.compare(find=10)
    assert not comparison.ok
    assert [(t.table, t.rows, t.other_rows, t.match, t.reasons) for t in comparison.tables] == [
        ("old", 1, None, False, ("only this side has the table",)),
        ("new", None, 0, False, ("only the other side has the table",)),
        ("t", 0, 0, True, ()),
    ]


@pytest.mark.parametrize("reverse", [False, True])
def test_renamed_tables_and_columns_are_the_same(sides: Sides, reverse: bool) -> None:
    sides.this.execute("CREATE TABLE users (id serial PRIMARY KEY, mail text, city text)")
    sides.other.execute("CREATE TABLE people (city text, email text, id serial PRIMARY KEY)")
    fill = "INSERT INTO {} (id, {}) SELECT i, 'm' || i FROM generate_series(1, 9) i"
    sides.this.execute(fill.format("users", "mail"))
    sides.other.execute(fill.format("people", "email"))
    sides.execute("CREATE TABLE unrelated (x int)")
    names: dict[str, Any] = {
        "renamed_tables": {"people": "users"} if reverse else {"users": "people"},
        "renamed_columns": {"people.email": "mail"} if reverse else {"users.mail": "email"},
    }
    for table in ("users", "people"):
        comparison = sides.compare(table, find=10, **names)
        (only,) = comparison.tables
        assert (only.table, only.other_table, only.match) == ("users", "people", True)
        # Both are behind; that they belong together does not depend on their names.
        (sequence,) = comparison.sequences
        assert (sequence.sequence, sequence.state) == ("users_id_seq", "behind")
        assert sequence.other is not None
        assert sequence.other.sequence == "people_id_seq"
    sides.other.execute("UPDATE people SET email = 'x' WHERE id = 4")
    (only,) = sides.compare("users", find=10, **names).tables
    assert keys(only) == [("differs", "4", ("mail",))]


def test_tables_whose_names_were_exchanged_are_told_apart(sides: Sides) -> None:
    sides.execute("CREATE TABLE a (n int); CREATE TABLE b (n int)")
    sides.this.execute("INSERT INTO a VALUES (1)")
    sides.other.execute("INSERT INTO b VALUES (1)")
    assert not sides.compare(checksum=True).ok
    assert sides.compare(checksum=True, renamed_tables={"a": "b", "b": "a"}).ok


@pytest.mark.parametrize(
    ("tables", "columns", "says"),
    [
        ({"nope": "t"}, {}, "no side has a table 'nope'"),
        ({"t": "u"}, {}, "no side has a table 'u'"),
        ({"mine": "mine2"}, {}, "'mine' and 'mine2' are not on different sides"),
        ({"t": "theirs", "mine": "theirs"}, {}, "table 'theirs' is in two renames"),
        ({}, {"t.id": "nope"}, "no side has a column of 't' 'nope'"),
        ({}, {"id": "x"}, "'id' names no table"),
        ({}, {"nope.id": "x"}, "no side has a table 'nope'"),
    ],
)
def test_a_rename_of_something_that_does_not_exist_is_refused(
    sides: Sides, tables: dict[str, str], columns: dict[str, str], says: str
) -> None:
    sides.execute("CREATE TABLE t (id int)")
    sides.this.execute("CREATE TABLE mine (id int); CREATE TABLE mine2 (id int)")
    sides.other.execute(
        "CREATE TABLE theirs (id int); ALTER TABLE t RENAME TO t1; CREATE TABLE t ()"
    )
    with pytest.raises(ChatdbError, match=says) as caught:
        sides.compare(checksum=True, renamed_tables=tables, renamed_columns=columns)
    assert caught.value.code is Code.USAGE


def test_a_column_that_one_side_alone_has_is_a_difference_unless_it_is_left_out(
    sides: Sides,
) -> None:
    sides.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'x')")
    sides.this.execute("ALTER TABLE t ADD note text")
    sides.other.execute("ALTER TABLE t ADD at timestamptz, ADD code int")
    (table,) = sides.compare(find=10).tables
    assert (table.match, table.differences, table.complete) == (False, (), True)
    assert table.reasons == (
        "only this side has column note",
        "only the other side has columns at, code",
    )
    assert sides.compare(checksum=True, exclude_columns=["note", "t.at", "code"]).ok
    assert sides.compare(checksum=True, columns=["v", "t.id"]).ok
    assert sides.compare().ok  # rows alone were asked for


def test_a_key_that_is_left_out_does_not_count(sides: Sides) -> None:
    table = "CREATE TABLE t (id int PRIMARY KEY, mail text UNIQUE NOT NULL, v int)"
    sides.execute(f"{table}; INSERT INTO t SELECT i, 'm' || i, i FROM generate_series(1, 900) i")
    sides.other.execute("UPDATE t SET id = -id; UPDATE t SET v = 0 WHERE mail = 'm7'")
    table_ = sides.table("t", exclude_columns=["id"])
    assert sorted(d.kind for d in table_.differences) == ["extra", "missing"]
    assert {d.key for d in table_.differences} == {None}


@pytest.mark.parametrize("option", ["columns", "exclude_columns"])
def test_a_column_that_no_table_has_is_refused(sides: Sides, option: str) -> None:
    sides.execute("CREATE TABLE t (id int)")
    with pytest.raises(ChatdbError, match="has a column 'ids'; did you mean id") as caught:
        sides.compare(checksum=True, **{option: ["ids"]})
    assert caught.value.code is Code.USAGE


def test_a_table_that_no_side_has_is_refused_and_one_that_a_side_has_is_compared(
    sides: Sides,
) -> None:
    sides.other.execute("CREATE TABLE only_there (id int)")
    with pytest.raises(ChatdbError, match="no side has a table 'nope'") as caught:
        sides.compare("only_there", "nope")
    assert caught.value.code is Code.USAGE
    (table,) = sides.compare("only_there").tables
    assert (table.table, table.match) == ("only_there", False)


def test_another_schema_can_be_the_other_side(sides: Sides) -> None:
    sides.this.execute("CREATE TYPE mood AS ENUM ('a'); CREATE TABLE t (m mood)")
    sides.other.execute(
        "CREATE SCHEMA new; CREATE TYPE new.mood AS ENUM ('b', 'a'); CREATE TABLE new.t (m new.mood)"
    )
    sides.this.execute("INSERT INTO t VALUES ('a')")
    sides.other.execute("INSERT INTO new.t VALUES ('a')")
    from chatdb_cli.counts.compare import compare_counts

    with sides.this.target() as this, sides.other.target(schema="new") as other:
        comparison = compare_counts(this, other, checksum=True)
    assert comparison.ok
    assert (comparison.this.schema, comparison.other.schema) == ("public", "new")
    assert comparison.notes != ("both sides are the same schema of the same database",)


def test_the_same_schema_on_both_sides_is_said(sides: Sides) -> None:
    sides.this.execute("CREATE TABLE t (id int)")
    same = Sides(sides.this, sides.this)
    assert same.compare().notes == ("both sides are the same schema of the same database",)
    assert sides.compare().notes == ()
