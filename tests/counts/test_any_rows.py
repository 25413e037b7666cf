"""Any rows of any types: the checksums are equal if and only if the texts of the rows are.

The oracle is COPY: what it writes, under fixed settings and with the columns sorted by name, is compared
as a multiset of lines.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatdb_cli.counts.count import count_rows
from chatdb_cli.counts.model import Form, comparable
from tests.support.database import Database
from tests.support.servers import Server

TYPES = """\
CREATE TYPE e AS ENUM ('a', 'b', 'c');
CREATE TYPE c AS (i int8, t text, n numeric, at timestamptz);
CREATE DOMAIN d AS numeric(9,3);
CREATE DOMAIN big AS int8"""

whole = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, -1, 2**32, 2**32 + 1, -(2**32)])
text = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), max_size=12
) | st.sampled_from(["", " ", "a", "A", "a ", "NULL", "\\N", "\t", "x" * 3000])
floats = st.floats().map(repr) | st.sampled_from(
    ["NaN", "-0", "0", "Infinity", "-Infinity", "1e-320"]
)
numeric = st.decimals(allow_infinity=False, min_value=-(10**12), max_value=10**12).map(
    lambda d: "NaN" if d.is_nan() else f"{d:f}"
) | st.sampled_from(["1", "1.0", "1.00", "-1", "Infinity", "-Infinity", "0", "0.0"])
date = st.dates().map(str) | st.sampled_from(["infinity", "-infinity", "4713-01-01 BC"])
clock = st.times().map(str)
timestamp = st.datetimes().map(str) | st.sampled_from(
    ["infinity", "-infinity", "2000-01-01 00:00:00.000001", "2000-01-01 01:11:34.967296"]
)
interval = st.timedeltas().map(
    lambda t: f"{t.days} days {t.seconds} seconds {t.microseconds} microseconds"
) | st.sampled_from(["1 mon", "30 days", "1 day", "24:00:00"])
json_text = st.sampled_from(
    [
        "1",
        "[1]",
        "[]",
        "{}",
        "null",
        '""',
        '"a"',
        '{"a":1,"b":[1.0,1.00]}',
        '{"b":[1.0], "a":1}',
        "1.0",
        "1.00",
    ]
)
blob = st.binary(max_size=9).map(lambda b: "\\x" + b.hex())
word = st.text(string.ascii_letters, min_size=1, max_size=5)


def array(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def quoted(item: str | None) -> str:
        if item is None:
            return "NULL"
        return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'

    one = st.lists(st.none() | items, max_size=3).map(
        lambda row: "{" + ",".join(map(quoted, row)) + "}"
    )
    return one | st.lists(items, min_size=2, max_size=2).map(
        lambda row: "[2:3]={" + ",".join(map(quoted, row)) + "}"
    )


def composite(*fields: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def quoted(item: str | None) -> str:
        return "" if item is None else '"' + item.replace("\\", "\\\\").replace('"', '""') + '"'

    return st.tuples(*(st.none() | field for field in fields)).map(
        lambda row: "(" + ",".join(map(quoted, row)) + ")"
    )


def span(low: int) -> st.SearchStrategy[str]:
    return st.sampled_from(["empty", "(,)", f"[{low},{low + 5})", f"({low},)", f"(,{low})"])


KINDS: dict[str, st.SearchStrategy[str]] = {
    "bool": st.sampled_from(["t", "f"]),
    "int2": st.integers(-(2**15), 2**15 - 1).map(str),
    "int4": st.integers(-(2**31), 2**31 - 1).map(str),
    "int8": whole.map(str),
    "big": whole.map(str),
    "numeric": numeric,
    "d": st.integers(-99999, 99999).map(lambda n: str(n / 8)),
    "float4": st.floats(width=32).map(repr) | st.sampled_from(["NaN", "-0", "0"]),
    "float8": floats,
    "text": text,
    "varchar(5000)": text,
    "char(4)": word.map(lambda w: w[:4]),
    "bpchar": word | st.sampled_from(["a", "a ", "a  "]),
    '"char"': st.sampled_from(string.ascii_letters),
    "name": word,
    "bytea": blob,
    "date": date,
    "time": clock,
    "timetz": st.tuples(clock, st.sampled_from(["+00", "+05:30", "-11"])).map("".join),
    "timestamp": timestamp,
    "timestamptz": timestamp,
    "interval": interval,
    "uuid": st.uuids().map(str),
    "json": json_text,
    "jsonb": json_text,
    "e": st.sampled_from("abc"),
    "c": composite(whole.map(str), text, numeric, timestamp),
    "int4range": span(1),
    "numrange": span(1) | st.sampled_from(["[1.0,2)", "[1.00,2)"]),
    "int8multirange": span(7).map(lambda s: "{" + ("" if s == "empty" else s) + "}"),
    "int4[]": array(st.integers(-9, 9).map(str)),
    "int8[]": array(whole.map(str)),
    "text[]": array(text),
    "numeric[]": array(numeric),
    "float8[]": array(floats),
    "e[]": array(st.sampled_from("abc")),
    "c[]": array(composite(whole.map(str), text, numeric, timestamp)),
    "inet": st.ip_addresses().map(str) | st.just("10.0.0.1/8"),
    "macaddr": st.integers(0, 2**48 - 1).map(lambda n: f"{n:012x}"),
    "varbit": st.text("01", max_size=9),
    "money": st.integers(-(10**9), 10**9).map(lambda n: f"{n / 100:.2f}"),
    "point": st.tuples(st.integers(-9, 9), st.integers(-9, 9)).map(str),
    "tsvector": st.lists(word, max_size=3).map(" ".join),
    "pg_lsn": st.integers(0, 2**32 - 1).map(lambda n: f"{n:X}/{n:X}"),
    "oid": st.integers(0, 2**32 - 1).map(str),
}

Rows = list[list[str | None]]


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], Rows, Rows]:
    """Return the types of a table's columns, its rows, and those of another table, mostly similar."""
    kinds = draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=6))
    row = st.tuples(*(st.none() | KINDS[kind] for kind in kinds)).map(list)
    rows = draw(st.lists(row, max_size=5))
    others = [list(row) for row in rows]
    change = draw(st.sampled_from(["none", "order", "value", "swap", "repeat", "drop", "any"]))
    if change == "any":
        others = draw(st.lists(row, max_size=5))
    elif others:
        place = draw(st.integers(0, len(others) - 1))
        column = draw(st.integers(0, len(kinds) - 1))
        if change == "order":
            others.reverse()
        elif change == "value":
            others[place][column] = draw(st.none() | KINDS[kinds[column]])
        elif change == "swap":
            first, last = others[0], others[place]
            first[column], last[column] = last[column], first[column]
        elif change == "repeat":
            others.append(list(others[place]))
        elif change == "drop":
            del others[place]
    return kinds, rows, others


@pytest.fixture(scope="module")
def databases(both: tuple[Server, Server]) -> Iterator[tuple[Database, Database]]:
    """A database on each version, with the types."""
    one, other = both[0].empty(), both[1].empty()
    other.execute("CREATE TYPE other_oids AS ENUM ('x')")
    for database in (one, other):
        database.execute(TYPES)
    yield one, other
    both[0].release(one)
    both[1].release(other)


def fill(database: Database, kinds: list[str], rows: Rows, *, backwards: bool) -> Counter[bytes]:
    """Make the table, and return the texts of its rows."""
    order = list(enumerate(kinds))
    columns = ", ".join(f"c{n} {kind}" for n, kind in (reversed(order) if backwards else order))
    names = ", ".join(f"c{n}" for n, _ in order)
    values = ", ".join(f"%s::{kind.replace('%', '%%')}" for kind in kinds)
    with database.connect() as conn:
        conn.execute("DROP TABLE IF EXISTS t; SET timezone = 'UTC'")
        conn.execute(f"CREATE TABLE t ({columns})".encode())
        with conn.pipeline():
            for row in rows:
                conn.execute(f"INSERT INTO t ({names}) VALUES ({values})".encode(), row)
        with conn.cursor().copy(f"COPY t ({names}) TO STDOUT".encode()) as copy:
            return Counter(b"".join(copy).splitlines())


def check(databases: tuple[Database, Database], table: tuple[list[str], Rows, Rows]) -> None:
    kinds, rows, others = table
    lines = fill(databases[0], kinds, rows, backwards=False)
    other_lines = fill(databases[1], kinds, others, backwards=True)
    forms: tuple[Form, ...] = ("native", "text")
    for form in forms:
        one, other = (
            count_rows(database.target(), checksum=True, form=form, jobs=1)
            for database in databases
        )
        sums = one.tables[0].checksum, other.tables[0].checksum
        assert sums[0]
        assert sums[1]
        assert one.rows == len(rows)
        assert comparable(sums[0], sums[1], (one.source, other.source)) is None
        assert (sums[0] == sums[1]) == (lines == other_lines), form


@settings(
    max_examples=20, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(table=tables())
def test_checksums_are_equal_if_and_only_if_the_rows_are(
    databases: tuple[Database, Database], table: tuple[list[str], Rows, Rows]
) -> None:
    check(databases, table)


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(table=tables())
def _many(databases: tuple[Database, Database], table: tuple[list[str], Rows, Rows]) -> None:
    check(databases, table)


def test_the_same_for_many_more_tables(
    request: pytest.FixtureRequest, databases: tuple[Database, Database]
) -> None:
    if not request.config.getoption("--long"):
        pytest.skip("only with --long")
    _many(databases)
