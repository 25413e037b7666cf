"""Checksums: the same rows have the same checksum on any server, other rows have another one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from chatdb_cli.counts.count import count_rows
from chatdb_cli.counts.model import Checksum, Form, HashedColumn, comparable
from chatdb_cli.counts.snapshot import Hashing, Snapshot
from tests.support.database import Database
from tests.support.servers import Server

Pair = tuple[Database, Database]


def checksums(database: Database, form: Form = "native") -> dict[str, str]:
    counts = count_rows(database.target(), checksum=True, form=form)
    return {t.table: t.checksum.value for t in counts.tables if t.checksum}


# --- what PostgreSQL's hashes take for equal -----------------------------------------------------------

# A type, what creates it, and two values of different text.
DIFFERENT: dict[str, tuple[str, str, str, str]] = {
    "int8 folds its halves": ("int8", "", "4294967296", "1"),
    "a negative int8": ("int8", "", "-4294967297", "-1"),
    "a domain over int8": ("d", "CREATE DOMAIN d AS int8", "4294967296", "1"),
    "int8 in an array": ("int8[]", "", "{4294967296}", "{1}"),
    "timestamptz folds its halves": (
        "timestamptz", "",
        "2000-01-01 01:11:34.967296+00", "2000-01-01 00:00:00.000001+00",
    ),
    "timestamp folds its halves": (
        "timestamp", "", "2000-01-01 01:11:34.967296", "2000-01-01 00:00:00.000001",
    ),
    "time folds its halves": ("time", "", "01:11:34.967296", "00:00:00.000001"),
    "zones of timetz": ("timetz", "", "12:00:00+00", "13:00:00+01"),
    "the scale of numeric": ("numeric", "", "1.0", "1.00"),
    "the sign of numeric": ("numeric", "", "1", "-1"),
    "the special values of numeric": ("numeric", "", "NaN", "Infinity"),
    "numeric in an array": ("numeric[]", "", "{1.0}", "{1.00}"),
    "numeric in a range": ("numrange", "", "[1.0,2)", "[1.00,2)"),
    "numeric in a composite": ("c", "CREATE TYPE c AS (a numeric, b text)", "(1.0,x)", "(1.00,x)"),
    "numeric in a domain": ("d", "CREATE DOMAIN d AS numeric", "1.0", "1.00"),
    "the zeros of float8": ("float8", "", "0", "-0"),
    "the zeros of float4": ("float4", "", "0", "-0"),
    "the zeros of float8 in an array": ("float8[]", "", "{0}", "{-0}"),
    "float8 that differs in the last digit": ("float8", "", "0.1", "0.10000000000000002"),
    "float8 zero and NULL": ("float8", "", "0", "NULL"),
    "infinite float8": ("float8", "", "Infinity", "-Infinity"),
    "a month and 30 days": ("interval", "", "1 mon", "30 days"),
    "a day and 24 hours": ("interval", "", "1 day", "24:00:00"),
    "blanks of bpchar": ("bpchar", "", "a", "a "),
    "blanks of a domain over bpchar": ("d", "CREATE DOMAIN d AS bpchar", "a", "a "),
    "blanks in an array of bpchar": ("bpchar[]", "", '{"a"}', '{"a "}'),
    "empty text and NULL": ("text", "", "", "NULL"),
    "empty bytea and NULL": ("bytea", "", "", "NULL"),
    "bytea with a zero": ("bytea", "", "\\x", "\\x00"),
    "jsonb array and object": ("jsonb", "", "[]", "{}"),
    "jsonb number and array": ("jsonb", "", "1", "[1]"),
    "the scale of a number in jsonb": ("jsonb", "", "1.0", "1.00"),
    "jsonb null and NULL": ("jsonb", "", "null", "NULL"),
    "blanks in json": ("json", "", '{"a":1}', '{"a": 1}'),
    "the shape of an array": ("int[]", "", "{1,2,3,4}", "{{1,2},{3,4}}"),
    "the bounds of an array": ("int[]", "", "{1,2}", "[2:3]={1,2}"),
    "a NULL in an array": ("text[]", "", "{NULL}", '{"NULL"}'),
    "an empty array and NULL": ("int[]", "", "{}", "NULL"),
    "a composite of NULLs and NULL": ("c", "CREATE TYPE c AS (a int, b int)", "(,)", "NULL"),
    "infinite dates": ("date", "", "infinity", "-infinity"),
    "an empty range": ("int4range", "", "empty", "[1,2)"),
    "multiranges": ("int4multirange", "", "{[1,3)}", "{[1,2)}"),
    "bits of another length": ("varbit", "", "0", "00"),
    "enum": ("e", "CREATE TYPE e AS ENUM ('a', 'b')", "a", "b"),
    "tsvector": ("tsvector", "", "a:1", "a:2"),
    "points": ("point", "", "(1,2)", "(2,1)"),
    "money": ("money", "", "1.00", "2.00"),
    "bool": ("bool", "", "true", "false"),
    "int2": ("int2", "", "1", "-1"),
    "int4": ("int4", "", "1", "65537"),
    "uuid": (
        "uuid", "", "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000100",
    ),
    "name": ("name", "", "a", "b"),
    '"char"': ('"char"', "", "a", "b"),
    "network addresses": ("inet", "", "10.0.0.1/8", "10.0.0.1/16"),
    "case": ("text", "", "a", "A"),
}  # fmt: skip


# Tables of (a text, b text, n int8) that differ in ways that a weak sum would not see.
ROWS: dict[str, tuple[str, str]] = {
    "values swapped between rows": (
        "('a', 'b', 1), ('c', 'd', 2)", "('a', 'd', 1), ('c', 'b', 2)",
    ),
    "values swapped between columns": ("('a', 'b', 1)", "('b', 'a', 1)"),
    "a duplicate more": ("('a', 'b', 1)", "('a', 'b', 1), ('a', 'b', 1)"),
    "a duplicate of another row": (
        "('a', 'b', 1), ('a', 'b', 1), ('c', 'd', 2)",
        "('a', 'b', 1), ('c', 'd', 2), ('c', 'd', 2)",
    ),
    "a row of NULLs": ("('a', 'b', 1)", "('a', 'b', 1), (NULL, NULL, NULL)"),
    "a NULL in another column": ("('a', NULL, 1)", "(NULL, 'a', 1)"),
    "NULLs swapped between rows": (
        "('a', NULL, 1), (NULL, 'b', 2)", "('a', 'b', 1), (NULL, NULL, 2)",
    ),
    "text that moves between columns": ("('ab', 'c', 1)", "('a', 'bc', 1)"),
    "a comma that moves": ("('a,b', 'c', 1)", "('a', 'b,c', 1)"),
    "numbers swapped": ("('a', 'a', 1), ('b', 'b', 2)", "('a', 'a', 2), ('b', 'b', 1)"),
    "an empty table": ("('a', 'b', 1)", ""),
}  # fmt: skip


Sums = dict[Form, tuple[dict[str, str], dict[str, str]]]
FORMS: tuple[Form, ...] = ("native", "text")


def scripts() -> Iterator[str]:
    """Yield what creates two tables for each case, `v0_0` and `v0_1`, or `r0_0` and `r0_1`."""
    for number, (kind, create, *values) in enumerate(DIFFERENT.values()):
        own = f"own{number}"
        if create:
            yield re.sub(rf"\b{kind}\b", own, create, count=1)
            kind = own
        for side, value in enumerate(values):
            literal = "NULL" if value == "NULL" else "'" + value.replace("'", "''") + "'"
            yield f"CREATE TABLE v{number}_{side} AS SELECT 1 AS a, {literal}::{kind} AS v"
    for number, sides in enumerate(ROWS.values()):
        for side, rows in enumerate(sides):
            name = f"r{number}_{side}"
            yield f"CREATE TABLE {name} (a text, b text, n int8)"
            if rows:
                yield f"INSERT INTO {name} VALUES {rows}"


@pytest.fixture(scope="module")
def sums(both: tuple[Server, Server]) -> Iterator[Sums]:
    """The checksums of all those tables, in both forms, on the oldest and on the newest version."""
    databases = [server.empty() for server in both]
    for database in databases:
        database.execute(";\n".join(scripts()))
    yield {form: (checksums(databases[0], form), checksums(databases[1], form)) for form in FORMS}
    for server, database in zip(both, databases, strict=True):
        server.release(database)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", DIFFERENT)
def test_values_of_different_text_have_different_checksums(
    sums: Sums, case: str, form: Form
) -> None:
    number = list(DIFFERENT).index(case)
    for version in sums[form]:
        assert version[f"v{number}_0"] != version[f"v{number}_1"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", ROWS)
def test_rows_that_differ_have_different_checksums(sums: Sums, case: str, form: Form) -> None:
    number = list(ROWS).index(case)
    for version in sums[form]:
        assert version[f"r{number}_0"] != version[f"r{number}_1"]


@pytest.mark.quick
@pytest.mark.parametrize("form", FORMS)
def test_the_oldest_and_the_newest_version_compute_the_same(sums: Sums, form: Form) -> None:
    old, new = sums[form]
    assert len(old) == 2 * (len(DIFFERENT) + len(ROWS))
    assert {name for name in old if old[name] != new[name]} == set()


def test_the_order_of_rows_and_columns_and_the_layout_do_not_matter(pair: Pair) -> None:
    pair[0].execute(
        "CREATE TABLE t (id int8, gone int, b text, a timestamptz);"
        "ALTER TABLE t DROP COLUMN gone;"
        "INSERT INTO t SELECT g, 'text ' || g, '2024-01-01 00:00+00'::timestamptz"
        " + g * interval '1 s' FROM generate_series(1, 1000) g;"
        "UPDATE t SET b = b WHERE id % 3 = 0; DELETE FROM t WHERE id > 990"
    )
    pair[1].execute(
        "CREATE TABLE t (a timestamptz, b text, id int8 PRIMARY KEY) PARTITION BY RANGE (id);"
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (300);"
        "CREATE TABLE t2 (id int8 NOT NULL, a timestamptz, b text);"
        "ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (300) TO (2000);"
        "INSERT INTO t SELECT '2024-01-01 00:00+00'::timestamptz + g * interval '1 s',"
        " 'text ' || g, g FROM generate_series(990, 1, -1) g"
    )
    for form in FORMS:
        assert checksums(pair[0], form)["t"] == checksums(pair[1], form)["t"]


def test_not_a_number_is_the_same_however_it_was_computed(pair: Pair) -> None:
    pair[0].execute("CREATE TABLE t AS SELECT 'NaN'::float8 AS a, 'NaN'::float4 AS b")
    pair[1].execute(
        "CREATE TABLE t AS SELECT 'Infinity'::float8 - 'Infinity'::float8 AS a,"
        " 'Infinity'::float4 - 'Infinity'::float4 AS b"
    )
    assert checksums(pair[0]) == checksums(pair[1])


SETTINGS = {
    "TimeZone": "'Asia/Kolkata'", "DateStyle": "'SQL, DMY'", "IntervalStyle": "'iso_8601'",
    "extra_float_digits": "-5", "bytea_output": "'escape'", "lc_monetary": "'C'",
    "xmlbinary": "'hex'", "search_path": "public, pg_catalog", "quote_all_identifiers": "on",
    "enable_tidscan": "off", "default_transaction_isolation": "'serializable'",
}  # fmt: skip
EVERYTHING = """\
CREATE TYPE e AS ENUM ('b', 'a');
CREATE TYPE c AS (at timestamptz, x float8, b bytea);
CREATE TABLE t (at timestamptz, i interval, f float8, r real, b bytea, e e, c c, l regclass, o oid,
                p regproc, d date, m money, cs c[], tr tstzrange);
INSERT INTO t VALUES ('2024-02-03 04:05:06.789+00', '1 mon 2 days 03:04:05.6', 0.1, 0.1,
    '\\x00ff41', 'a', ('2024-02-03 04:05:06+00', 0.3, '\\x01'), 't', 1, 'now', '2024-02-03', 12.34,
    ARRAY[('2024-02-03 04:05:06+00', 0.3, '\\x01')::c], '[2024-01-01 00:00+00,2024-01-02 00:00+00)')"""


@pytest.mark.parametrize("form", FORMS)
def test_settings_and_oids_of_a_database_do_not_matter(pair: Pair, form: Form) -> None:
    pair[1].execute(
        "CREATE TYPE junk AS ENUM ('x'); CREATE TABLE junks (a junk); DROP TABLE junks; DROP TYPE junk"
    )
    for database in pair:
        database.execute(EVERYTHING)
    for name, value in SETTINGS.items():
        pair[1].execute(f"ALTER DATABASE {pair[1].name} SET {name} = {value}")
    assert checksums(pair[0], form) == checksums(pair[1], form)


def test_no_function_or_operator_of_the_schema_is_run(pair: Pair) -> None:
    for database in pair:
        database.execute(
            "CREATE TABLE t (a text, b int8, c numeric); INSERT INTO t VALUES ('a', 1, 2)"
        )
    before = checksums(pair[0])
    pair[1].execute(
        "CREATE FUNCTION planted() RETURNS int8 LANGUAGE plpgsql"
        " AS $$ BEGIN RAISE 'the planted function was run'; END $$;"
        "CREATE FUNCTION hashtextextended(text, int8) RETURNS int8 LANGUAGE sql AS 'SELECT planted()';"
        "CREATE FUNCTION hashint8extended(int, int8) RETURNS int8 LANGUAGE sql AS 'SELECT planted()';"
        "CREATE FUNCTION hashint8extended(int8, int8) RETURNS int8 LANGUAGE sql AS 'SELECT planted()';"
        "CREATE FUNCTION x(int8, int8) RETURNS int8 LANGUAGE sql AS 'SELECT planted()';"
        "CREATE OPERATOR # (LEFTARG = int8, RIGHTARG = int8, FUNCTION = x);"
        "CREATE AGGREGATE sum (int8) (SFUNC = x, STYPE = int8);"
        f"ALTER DATABASE {pair[1].name} SET search_path = public, pg_catalog"
    )
    assert checksums(pair[1]) == before


def test_a_table_may_have_1600_columns_and_any_names(database: Database) -> None:
    names = ['a"b', "{value}", "%s", "ctid2", "select", "ä ö", "'", "\\"]
    quoted = ", ".join('"{}" int'.format(name.replace('"', '""')) for name in names)
    wide = ", ".join(f"c{n} int4" for n in range(1600))
    with database.connect() as conn:
        conn.execute(f'CREATE TABLE "{{odd}} %s ""x""" ({quoted})'.encode())
        conn.execute(
            f'INSERT INTO "{{odd}} %s ""x""" VALUES ({", ".join("1" * len(names))})'.encode()
        )
        conn.execute(f"CREATE TABLE wide ({wide}); INSERT INTO wide DEFAULT VALUES")
        conn.execute("CREATE TABLE none (); INSERT INTO none DEFAULT VALUES")
    for form in FORMS:
        counts = count_rows(database.target(), checksum=True, form=form)
        assert [(t.table, t.rows) for t in counts.tables] == [
            ('"{odd} %s ""x"""', 1), ("none", 1), ("wide", 1),
        ]  # fmt: skip
        assert all(t.checksum for t in counts.tables)


def test_columns_that_are_left_out_do_not_count(pair: Pair) -> None:
    for database, at in zip(pair, ("2024-01-01", "2025-01-01"), strict=True):
        database.execute(f"CREATE TABLE t (id int, at date); INSERT INTO t VALUES (1, '{at}')")
        database.execute("CREATE TABLE u (id int, at date); INSERT INTO u VALUES (1, '2024-01-01')")
    ways: tuple[dict[str, Any], ...] = (
        {"columns": ["id"]}, {"exclude_columns": ["t.at"]}, {"columns": ["id", "u.at"]},
    )  # fmt: skip
    for kept in ways:
        both = [count_rows(d.target(), checksum=True, **kept).tables for d in pair]
        assert [t.checksum for t in both[0]] == [t.checksum for t in both[1]], kept


# --- what can be compared ------------------------------------------------------------------------------


def test_columns_of_different_types_are_compared_as_text(pair: Pair) -> None:
    pair[0].execute("CREATE TABLE t (id int4, e text); INSERT INTO t VALUES (1, 'a'), (2, NULL)")
    pair[1].execute(
        "CREATE TYPE e AS ENUM ('b', 'a');"
        "CREATE TABLE t (id int8, e e); INSERT INTO t VALUES (1, 'a'), (2, NULL)"
    )
    results = []
    for as_text in (False, True):
        found = []
        for database in pair:
            with Snapshot(database.target()) as snapshot:
                (table,) = snapshot.tables
                columns = tuple(HashedColumn(c, c.name, as_text) for c in table.columns)
                (count,) = snapshot.count({table.oid: Hashing("native", columns)})
                found.append((count.checksum, snapshot.source))
        results.append(found)
    (a, one), (b, other) = results[0]
    assert a
    assert b
    assert comparable(a, b, (one, other)) == "columns of different types are hashed differently: id"
    (a, one), (b, other) = results[1]
    assert a
    assert b
    assert comparable(a, b, (one, other)) is None
    assert a == b


def test_databases_of_different_encodings_are_compared_in_the_text_form(pair: Pair) -> None:
    server = pair[0].server
    server.execute(
        "CREATE DATABASE t_latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    latin = Database(server, "t_latin")
    try:
        for database in (latin, pair[1]):
            with database.connect(client_encoding="utf8") as conn:
                conn.execute("CREATE TABLE t (a text)")
                conn.execute("INSERT INTO t VALUES ('größer'), ('ä')")
        both = [count_rows(d.target(), checksum=True) for d in (latin, pair[1])]
        sums = [c.tables[0].checksum for c in both]
        assert sums[0]
        assert sums[1]
        reason = comparable(sums[0], sums[1], (both[0].source, both[1].source))
        assert reason == "the servers hash differently (byte order or encoding)"
        assert checksums(latin, "text") == checksums(pair[1], "text")
    finally:
        latin.drop()


def test_checksums_of_different_forms_or_columns_are_not_compared(database: Database) -> None:
    source = count_rows(database.target()).source
    native = Checksum("0" * 16, "native", (("a", "int4"),))
    others = [native._replace(form="text"), native._replace(columns=(("b", "int4"),))]
    for other in others:
        assert comparable(native, other, (source, source))
    assert comparable(native, native, (source, source)) is None


# --- types that not every server has -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "create"),
    [
        ("citext", "CREATE EXTENSION citext"),
        ("ci", "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2',"
         " deterministic = false); CREATE DOMAIN ci AS text COLLATE any_case"),
        ("vc", "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2',"
         " deterministic = false); CREATE DOMAIN vc AS varchar(9) COLLATE any_case"),
    ],
)  # fmt: skip
def test_case_matters_where_it_does_not_matter_to_equality(
    pair: Pair, kind: str, create: str
) -> None:
    tried = 0
    for database in pair:
        try:
            database.execute(create)
        except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile):
            continue
        database.execute(
            f"CREATE TABLE t (a {kind}); CREATE TABLE u (a {kind});"
            "INSERT INTO t VALUES ('a'); INSERT INTO u VALUES ('A')"
        )
        values = checksums(database)
        assert values["t"] != values["u"]
        tried += 1
    if not tried:
        pytest.skip("no server of this machine has it")
