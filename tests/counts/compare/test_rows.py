"""Any change of a row is found, and named by its key and its columns."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support.servers import on_first_server
from tests.support.sides import Sides, keys

TABLE = """
CREATE TABLE t (id int PRIMARY KEY, a text, b numeric, c timestamptz, d jsonb, e int[]);
INSERT INTO t SELECT i, CASE WHEN i % 5 > 0 THEN 'v' || i % 11 END, (i % 13) / 4.0,
    '2024-01-01 00:00Z'::timestamptz + i % 17 * interval '1 h', jsonb_build_object('k', i % 3),
    ARRAY[i % 4, NULL] FROM generate_series(1, 2000) i;
CREATE TABLE bag AS TABLE t; ALTER TABLE bag DROP id"""


def test_the_same_rows_match_whatever_their_order_and_that_of_the_columns(sides: Sides) -> None:
    sides.this.execute(TABLE)
    sides.other.execute(f"{TABLE}; ALTER TABLE t RENAME TO u")
    sides.other.execute(
        "CREATE TABLE t (e int[], d jsonb, c timestamptz, b numeric, a text, id int PRIMARY KEY);"
        "INSERT INTO t SELECT e, d, c, b, a, id FROM u ORDER BY id DESC; DROP TABLE u;"
        "UPDATE t SET a = a WHERE id % 7 = 0"
    )
    comparison = sides.compare(find=10)
    assert comparison.ok
    assert [(t.table, t.rows, t.match, t.differences) for t in comparison.tables] == [
        ("bag", 2000, True, ()),
        ("t", 2000, True, ()),
    ]
    assert {t.checksum.form for t in comparison.tables if t.checksum} == {"native"}


CHANGES = [
    ("UPDATE t SET a = 'other' WHERE id = 77", [("differs", "77", ("a",))]),
    ("UPDATE t SET a = NULL, b = b + 1 WHERE id = 77", [("differs", "77", ("a", "b"))]),
    ("UPDATE t SET a = '' WHERE id = 75", [("differs", "75", ("a",))]),
    ("UPDATE t SET b = 0.250 WHERE id = 1", [("differs", "1", ("b",))]),
    ("UPDATE t SET e = '{NULL,1}' WHERE id = 1", [("differs", "1", ("e",))]),
    ("UPDATE t SET d = '[]' WHERE id = 9", [("differs", "9", ("d",))]),
    ("DELETE FROM t WHERE id = 2000", [("missing", "2000", ())]),
    ("INSERT INTO t VALUES (-1)", [("extra", "-1", ())]),
    ("UPDATE t SET id = 2001 WHERE id = 1", [("missing", "1", ()), ("extra", "2001", ())]),
    (
        "UPDATE t SET a = x.a FROM (VALUES (1, 'v2'), (2, 'v1')) x (id, a) WHERE x.id = t.id",
        [("differs", "1", ("a",)), ("differs", "2", ("a",))],
    ),
    (
        "ALTER TABLE t DROP CONSTRAINT t_pkey; INSERT INTO t SELECT * FROM t WHERE id = 5",
        [("extra", "5", ())],
    ),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES, ids=range(len(CHANGES)))
def test_a_changed_row_is_named_by_its_key(
    sides: Sides, change: str, expected: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    sides.execute(TABLE)
    sides.other.execute(change)
    table = sides.table("t")
    assert (table.match, table.complete, keys(table)) == (False, True, expected)


VALUES = st.one_of(st.none(), st.integers(0, 2))
ROWS = st.lists(st.tuples(VALUES, VALUES, st.sampled_from([None, "", "x", "NULL"])), min_size=2)


@on_first_server
@pytest.mark.parametrize("key", [True, False], ids=["key", "no key"])
def test_two_tables_match_if_and_only_if_they_have_the_same_rows(sides: Sides, key: bool) -> None:
    column = "id int PRIMARY KEY" if key else "id int"
    sides.execute(f"CREATE TABLE t ({column}, a int, b int, c text)")

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(ROWS, st.data())
    def attempt(rows: list[tuple[Any, ...]], data: st.DataObject) -> None:
        before = [(n if key else 0, *row) for n, row in enumerate(rows)]
        after = changed(before, data, key=key)
        for database, content in ((sides.this, before), (sides.other, after)):
            with database.connect() as conn, conn.transaction():
                conn.execute("DELETE FROM t")
                conn.cursor().executemany("INSERT INTO t VALUES (%s, %s, %s, %s)", content)
        table = sides.table("t")
        this, other = Counter(before), Counter(after)
        assert table.match == (this == other)
        assert table.complete
        if key:
            touched = {row[0] for row in (this - other) + (other - this)}
            assert {dict(d.key or ())["id"] for d in table.differences} == set(map(str, touched))
        else:
            found = sum(abs(d.rows - d.other_rows) for d in table.differences)
            assert found == ((this - other) + (other - this)).total()

    attempt()


def changed(rows: list[Any], data: st.DataObject, *, key: bool) -> list[Any]:
    """Return the rows with one change: a value, two values swapped, a row less, more, or twice."""
    rows = list(rows)
    one = data.draw(st.integers(0, len(rows) - 1))
    another = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(1, 3))
    kind = data.draw(st.sampled_from(["value", "swap", "delete", "copy", "nothing"]))
    if kind == "value":
        value = data.draw(st.sampled_from([None, "", "y"]) if column == 3 else VALUES)
        rows[one] = (*rows[one][:column], value, *rows[one][column + 1 :])
    elif kind == "swap":
        assume(one != another)
        first, second = list(rows[one]), list(rows[another])
        first[column], second[column] = second[column], first[column]
        rows[one], rows[another] = tuple(first), tuple(second)
    elif kind == "delete":
        del rows[one]
    elif kind == "copy":
        rows.append((len(rows) if key else 0, *rows[one][1:]))
    return rows


def test_a_table_without_a_key_is_compared_as_a_multiset(sides: Sides) -> None:
    sides.execute(TABLE)
    sides.other.execute("INSERT INTO bag SELECT * FROM bag WHERE ctid = '(0,3)'")
    (difference,) = sides.table("bag", show_values=True).differences
    assert (difference.kind, difference.key) == ("extra", None)
    assert difference.other_rows == difference.rows + 1
    assert ("a", "v3", "v3") in difference.values


def test_only_as_many_rows_are_listed_as_are_wanted(sides: Sides) -> None:
    sides.execute(TABLE)
    sides.other.execute("UPDATE t SET b = b + 1 WHERE id % 2 = 0; DELETE FROM bag")
    comparison = sides.compare(find=3)
    assert {t.table: (len(t.differences), t.complete) for t in comparison.tables} == {
        "t": (3, False),
        "bag": (3, False),
    }


def test_values_are_returned_only_if_they_are_wanted(sides: Sides) -> None:
    sides.execute(TABLE)
    sides.other.execute(
        "UPDATE t SET a = repeat('hunter2', 100) WHERE id = 1; DELETE FROM t WHERE id = 2"
    )
    assert "hunter2" not in repr(sides.table("t"))
    differs, missing = sides.table("t", show_values=True).differences
    ((name, this, other),) = differs.values
    assert (name, this, len(other or "")) == ("a", "v1", 203)
    assert ("a", "v2", None) in missing.values


def test_keys_of_any_type_and_of_several_columns_are_found(sides: Sides) -> None:
    sides.execute(
        """CREATE DOMAIN code AS text; CREATE TYPE mood AS ENUM ('a', 'b');
        CREATE TABLE t (day date, "Na{0}me" code, m mood, n numeric, v int,
            PRIMARY KEY (day, "Na{0}me", m, n));
        INSERT INTO t SELECT '2024-01-01'::date + i % 9, 'ä"\\' || i, (ARRAY['a', 'b'])[1 + i % 2]::mood,
            i / 8.0, i FROM generate_series(1, 3000) i"""
    )
    sides.other.execute("UPDATE t SET v = 0 WHERE v = 1234")
    (difference,) = sides.table("t").differences
    assert dict(difference.key or ()) == {
        "day": "2024-01-02", "Na{0}me": 'ä"\\1234', "m": "a", "n": "154.2500000000000000",
    }  # fmt: skip
    assert difference.columns == ("v",)


def test_rows_of_partitions_are_found_and_a_partitioned_table_equals_a_plain_one(
    sides: Sides,
) -> None:
    sides.this.execute(
        """CREATE TABLE t (id bigint, v text) PARTITION BY RANGE (id);
        CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (700);
        CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (700) TO (9999);
        CREATE UNIQUE INDEX ON t (id); ALTER TABLE t ALTER id SET NOT NULL"""
    )
    sides.other.execute("CREATE TABLE t (id bigint PRIMARY KEY, v text)")
    sides.execute("INSERT INTO t SELECT i, i::text FROM generate_series(1, 2000) i")
    assert sides.compare(checksum=True).ok
    sides.this.execute("UPDATE t SET v = 'x' WHERE id IN (699, 701)")
    assert keys(sides.table("t")) == [("differs", "699", ("v",)), ("differs", "701", ("v",))]


def test_views_are_compared_if_they_are_named(sides: Sides) -> None:
    sides.execute(f"{TABLE}; CREATE VIEW v AS SELECT id, a FROM t")
    sides.other.execute("UPDATE t SET a = 'w' WHERE id = 3")
    assert [t.table for t in sides.compare().tables] == ["bag", "t"]
    table = sides.table("v", show_values=True)
    assert [(d.kind, d.values) for d in sorted(table.differences, key=lambda d: d.kind)] == [
        ("extra", (("id", None, "3"), ("a", None, "w"))),
        ("missing", (("id", "3", None), ("a", "v3", None))),
    ]
