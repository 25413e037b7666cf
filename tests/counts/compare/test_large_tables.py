"""Large tables: the rows that differ are found by buckets of the key's hash, step by step."""

from __future__ import annotations

import resource

import pytest

from chatdb_cli.counts import find, plan
from tests.support.servers import on_first_server
from tests.support.sides import Sides, keys

TABLE = """CREATE TABLE t (id {type} PRIMARY KEY, v text);
INSERT INTO t SELECT {key}, 'value ' || i FROM generate_series(1, 20000) i ORDER BY {order}"""
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
def buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search tables of any size by buckets."""
    monkeypatch.setattr(plan, "SMALLEST", 0)


KINDS = [
    ("bigint", "i * 10", "i"),
    ("bigint", "i * 10", "md5(i::text)"),
    ("numeric", "i * 10", "i"),
    ("text", "i * 10", "i"),
]


@pytest.mark.usefixtures("buckets")
@pytest.mark.parametrize(
    ("rows_together", "type_", "key", "order"),
    [(number, *kind) for number, kind in zip((100, 50_000, 100, 50_000), KINDS, strict=True)],
)
def test_rows_that_differ_are_found_whatever_the_key_and_the_order(
    sides: Sides,
    monkeypatch: pytest.MonkeyPatch,
    type_: str,
    key: str,
    order: str,
    rows_together: int,
) -> None:
    monkeypatch.setattr(find, "_ROWS_TOGETHER", rows_together)
    monkeypatch.setattr(find, "_ROWS_IN_BUCKET", 1)
    sides.execute(TABLE.format(type=type_, key=key, order=order))
    sides.other.execute(
        DAMAGE.replace("(10, 100000)", "('10', '100000')").replace("150000", "'150000'")
    )
    table = sides.table("t")
    assert sorted(keys(table), key=lambda one: int(one[1])) == FOUND
    assert table.complete


@on_first_server
@pytest.mark.usefixtures("buckets")
@pytest.mark.parametrize("key", ["id", "none"])
def test_a_side_that_has_lost_most_rows_is_searched_in_bounded_steps(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr(find, "_ROWS_TOGETHER", 500)
    sides.execute(TABLE.format(type="int", key="i", order="i"))
    if key == "none":
        sides.execute("ALTER TABLE t DROP CONSTRAINT t_pkey; UPDATE t SET id = 1, v = 'x'")
    sides.other.execute("DELETE FROM t WHERE ctid > '(5,0)'")
    table = sides.table("t")
    assert {d.kind for d in table.differences} == {"missing"}
    (count, complete) = (1, True) if key == "none" else (100, False)
    assert (len(table.differences), table.complete) == (count, complete)


@on_first_server
@pytest.mark.usefixtures("buckets")
def test_the_buckets_of_partitions_are_those_of_their_table(sides: Sides) -> None:
    sides.this.execute(
        "CREATE TABLE t (v text, id bigint PRIMARY KEY) PARTITION BY RANGE (id);"
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (7000);"
        "CREATE TABLE t2 (id bigint NOT NULL, v text);"
        "ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (7000) TO (99999)"
    )
    sides.other.execute("CREATE TABLE t (id bigint PRIMARY KEY, v text)")
    sides.execute("INSERT INTO t (id, v) SELECT i, i::text FROM generate_series(1, 20000) i")
    assert sides.compare(find=10).ok
    sides.this.execute("UPDATE t SET v = 'x' WHERE id IN (6999, 7001)")
    assert keys(sides.table("t")) == [("differs", "6999", ("v",)), ("differs", "7001", ("v",))]


@on_first_server
def test_one_side_without_the_key_may_have_it_twice(sides: Sides) -> None:
    """The table has more than 4 MB, so that it is read in ranges by several connections."""
    sides.execute(TABLE.format(type="bigint", key="i * 10", order="i"))
    sides.execute("ALTER TABLE t ADD filler char(300) DEFAULT 'x'; ANALYZE t")
    sides.other.execute(
        "ALTER TABLE t DROP CONSTRAINT t_pkey; INSERT INTO t VALUES (10, 'value 1')"
    )
    assert keys(sides.table("t")) == [("extra", "10", ())]


@on_first_server
def test_memory_does_not_grow_with_the_table(sides: Sides) -> None:
    sides.execute(
        "CREATE TABLE t (id int, v text); ALTER TABLE t ALTER v SET STORAGE EXTERNAL;"
        "INSERT INTO t SELECT i, repeat('x', 20000) || i FROM generate_series(1, 2000) i"
    )
    sides.other.execute("UPDATE t SET v = v || 'y'")
    sides.compare(find=10, show_values=True)  # imports
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (table,) = sides.compare(find=10, show_values=True).tables
    assert len(table.differences) == 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
