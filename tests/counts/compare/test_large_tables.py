"""Large tables: ranges of the key where a table is stored in its order, else buckets of its hash."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import pytest

from chatdb_cli.counts import find
from chatdb_cli.counts.key_ranges import KeyRanges
from tests.support.servers import on_first_server
from tests.support.sides import Sides, keys

TABLE = """CREATE TABLE t (id {type} PRIMARY KEY, v text);
INSERT INTO t SELECT {key}, 'value ' || i FROM generate_series(1, 20000) i ORDER BY {order}"""
ORDERED = TABLE.format(type="bigint", key="i * 10", order="i")
DAMAGE = """UPDATE t SET v = 'x' WHERE id IN (10, 100000); DELETE FROM t WHERE id = 150000;
INSERT INTO t VALUES (-5, 'first'), (55555, 'middle'), (999999, 'last')"""
FOUND = [
    ("extra", "-5", ()),
    ("differs", "10", ("v",)),
    ("extra", "55555", ()),
    ("differs", "100000", ("v",)),
    ("missing", "150000", ()),
    ("extra", "999999", ()),
]


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Record whether each search went by ranges of the key."""
    used: list[bool] = []
    search: Callable[..., Any] = find._search

    def record(sides: Any, parts: Any, limit: int) -> Any:
        used.append(isinstance(parts, KeyRanges))
        return search(sides, parts, limit)

    monkeypatch.setattr(find, "_search", record)
    return used


def test_rows_of_a_table_in_the_order_of_its_key_are_found_by_ranges(
    sides: Sides, ways: list[bool]
) -> None:
    sides.execute(ORDERED)
    sides.other.execute(DAMAGE)
    table = sides.table("t")
    assert sorted(keys(table), key=lambda one: int(one[1])) == FOUND
    assert (table.complete, ways) == (True, [True])


UNORDERED = [
    ("bigint", "i * 10", "md5(i::text)"),
    ("numeric", "i * 10", "i"),
    ("text", "i * 10", "i"),
]


@pytest.mark.parametrize(("type_", "key", "order"), UNORDERED)
def test_rows_of_another_table_are_found_by_buckets(
    sides: Sides, ways: list[bool], type_: str, key: str, order: str
) -> None:
    sides.execute(TABLE.format(type=type_, key=key, order=order))
    sides.other.execute(
        DAMAGE.replace("(10, 100000)", "('10', '100000')").replace("150000", "'150000'")
    )
    table = sides.table("t")
    assert sorted(keys(table), key=lambda one: int(one[1])) == FOUND
    assert (table.complete, ways) == (True, [False])


@on_first_server
@pytest.mark.parametrize(
    ("type_", "key"),
    [
        ("uuid", "('00000000-0000-0000-0000-' || lpad(i::text, 12, '0'))::uuid"),
        ("timestamptz", "'2024-01-01 00:00Z'::timestamptz + i * interval '1 s'"),
        ("date", "'2000-01-01'::date + i"),
        ("int", "i - 10000"),
    ],
)
def test_ranges_can_be_of_several_types(
    sides: Sides, ways: list[bool], type_: str, key: str
) -> None:
    sides.execute(TABLE.format(type=type_, key=key, order="i"))
    sides.other.execute("UPDATE t SET v = 'x' WHERE v = 'value 12345'")
    (difference,) = sides.table("t").differences
    assert (difference.kind, difference.columns, ways) == ("differs", ("v",), [True])


@on_first_server
def test_a_range_with_too_many_rows_for_memory_is_left_to_buckets(
    sides: Sides, ways: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "_ROWS_TOGETHER", 5000)
    sides.execute(ORDERED)
    sides.other.execute("INSERT INTO t SELECT 1000000 + i, 'x' FROM generate_series(1, 9000) i")
    table = sides.table("t")
    assert ways == [True, False]
    assert (len(table.differences), table.complete) == (100, False)
    assert {d.kind for d in table.differences} == {"extra"}


@on_first_server
def test_one_side_without_the_key_is_searched_by_buckets(sides: Sides, ways: list[bool]) -> None:
    """Without its index each range would read the whole table."""
    sides.execute(ORDERED)
    sides.other.execute(
        "ALTER TABLE t DROP CONSTRAINT t_pkey; INSERT INTO t VALUES (10, 'value 1')"
    )
    assert keys(sides.table("t")) == [("extra", "10", ())]
    assert ways == [False]


@on_first_server
def test_memory_does_not_grow_with_the_table(sides: Sides) -> None:
    sides.execute(
        "CREATE TABLE t (id int, v text); ALTER TABLE t ALTER v SET STORAGE EXTERNAL;"
        "INSERT INTO t SELECT i, repeat('x', 20000) || i FROM generate_series(1, 3000) i"
    )
    sides.other.execute("UPDATE t SET v = v || 'y'")
    sides.compare(find=10, show_values=True)  # imports
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (table,) = sides.compare(find=10, show_values=True).tables
    assert len(table.differences) == 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
