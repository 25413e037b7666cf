"""A documentation is made from a snapshot alone, and says what PostgreSQL's own catalog says."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg.rows import dict_row

from chatdb_cli.catalog.model import SchemaObject, Snapshot, Unread
from chatdb_cli.catalog.snapshot import read_snapshot
from chatdb_cli.catalog.snapshot_file import load_snapshot, save_snapshot
from chatdb_cli.docs.describe import describe_schema
from chatdb_cli.docs.described import Described
from chatdb_cli.docs.functions import describe_function
from chatdb_cli.docs.read import read_schema
from chatdb_cli.docs.relations import describe_relation
from chatdb_cli.docs.sql_text import Shortener
from chatdb_cli.errors import ChatdbError, Code
from tests.support.database import Database
from tests.support.servers import on_first_server

NOTHING = Shortener(["none"])


@pytest.mark.quick
def test_the_file_of_a_snapshot_is_documented_without_the_database(
    database: Database, tmp_path: Path
) -> None:
    database.execute(
        """
        CREATE TYPE mood AS ENUM ('good', E'back\\\\slash');
        CREATE TABLE parted (day date PRIMARY KEY, m mood DEFAULT 'good') PARTITION BY RANGE (day);
        CREATE SCHEMA apart CREATE TABLE first PARTITION OF public.parted DEFAULT;
        COMMENT ON TABLE parted IS 'By day.';
        """
    )
    with database.connect() as connection:
        save_snapshot(tmp_path / "schema.txt", read_snapshot(connection, ["public", "apart"]))
    snapshot = load_snapshot(tmp_path / "schema.txt")
    docs = describe_schema(snapshot, "public")
    assert docs == read_schema(database.target())
    assert docs.types[0].definition == "'good', 'back\\slash'"
    # A partition whose table is in another schema is a table of its own schema.
    (apart,) = describe_schema(snapshot, "apart").tables
    assert (apart.name, apart.inherits) == ("first", ("public.parted",))
    assert apart.columns[1].type == "public.mood"
    with pytest.raises(
        ChatdbError, match="'other' is not in the snapshot, which has apart, public"
    ):
        describe_schema(snapshot, "other")


def test_what_the_role_may_not_read_is_no_gap_in_the_documentation() -> None:
    for unread in (
        Unread("policy", "", "", "permission denied for pg_policy"),
        Unread("", "", "comment", "permission denied for pg_description"),
    ):
        with pytest.raises(ChatdbError, match=r"can't be read: .*permission denied") as caught:
            describe_schema(Snapshot(18, ("public",), (), (unread,)), "public")
        assert caught.value.code is Code.LOGIN
    hidden = Unread("user mapping", "PUBLIC on server s", "options", "permission denied")
    assert describe_schema(Snapshot(18, ("public",), (), (hidden,)), "public").tables == ()


def part(kind: str, definition: str = "", name: str = "x") -> Described:
    return Described(SchemaObject(kind, name, "t", (("definition", definition),)), NOTHING)


# --- the catalog itself is the oracle -------------------------------------------------------------

FUNCTIONS = """
SELECT proname::text AS name, pg_get_functiondef(p.oid) AS definition,
       pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
       CASE provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END
           AS volatility,
       proisstrict AS strict, prosecdef AS security_definer, lanname::text AS language
FROM pg_proc p JOIN pg_language l ON l.oid = prolang WHERE prokind <> 'a'"""
ODD_FUNCTIONS = r"""
CREATE FUNCTION "f(" (") LANGUAGE c" int DEFAULT 1, b text DEFAULT E'\n LANGUAGE sql\n IMMUTABLE (')
    RETURNS TABLE ("RETURNS )" text) LANGUAGE sql STABLE STRICT SECURITY DEFINER COST 7
    SET work_mem = '1MB' SET search_path = 'STRICT' AS 'SELECT b';
CREATE FUNCTION plain() RETURNS int LANGUAGE plpgsql SET work_mem = '1MB'
    AS E'BEGIN /*\n IMMUTABLE STRICT\n*/ END';
CREATE FUNCTION atomic(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END;
CREATE PROCEDURE done(INOUT a int) LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN END'"""


def test_what_is_shown_of_a_function_is_what_the_catalog_has(database: Database) -> None:
    database.execute(ODD_FUNCTIONS)
    with database.connect() as connection:
        rows = connection.cursor(row_factory=dict_row).execute(FUNCTIONS).fetchall()
    assert len(rows) > 3000
    for row in rows:
        shown = describe_function(part("function", row.pop("definition")))
        expected = row | {
            "name": "x",
            "arguments": NOTHING(row["arguments"]),
            "result": row["result"] and NOTHING(row["result"]),
        }
        assert {name: getattr(shown, name) for name in expected} == expected, row["name"]


KEYS = """
SELECT pg_get_constraintdef(k.oid, true) AS definition, k.contype::text AS kind,
       ARRAY(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY u (n, place)
             JOIN pg_attribute ON attrelid = k.conrelid AND attnum = n ORDER BY place) AS columns,
       n.nspname::text AS schema, f.relname::text AS referenced,
       ARRAY(SELECT attname::text FROM unnest(confkey) WITH ORDINALITY u (n, place)
             JOIN pg_attribute ON attrelid = k.confrelid AND attnum = n ORDER BY place) AS to_columns
FROM pg_constraint k LEFT JOIN pg_class f ON f.oid = k.confrelid
LEFT JOIN pg_namespace n ON n.oid = f.relnamespace
WHERE k.conrelid <> 0 AND k.contype <> 'n'"""
INDEXES = """
SELECT pg_get_indexdef(indexrelid, 0, true) AS definition, indisunique AS is_unique,
       CASE WHEN indpred IS NULL AND indexprs IS NULL THEN
           ARRAY(SELECT attname::text FROM generate_series(0, indnkeyatts - 1) place
                 JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[place]
                 ORDER BY place) END AS columns
FROM pg_index"""
ODD_KEYS = """
CREATE TABLE "a, b" ("x) REFERENCES y(" int, "a""b" int, "PERIOD" int, "z, (" text COLLATE "C",
    PRIMARY KEY ("a""b", "x) REFERENCES y(") INCLUDE ("PERIOD"),
    CONSTRAINT u UNIQUE NULLS NOT DISTINCT ("PERIOD"),
    CHECK ("PERIOD" > length("z, (" || 'PERIOD') AND "PERIOD" < "a""b"),
    EXCLUDE USING gist (int4range("PERIOD", "a""b") WITH &&) WHERE ("x) REFERENCES y(" > 0),
    FOREIGN KEY ("PERIOD", "x) REFERENCES y(") REFERENCES "a, b" ON DELETE SET NULL);
CREATE UNIQUE INDEX ON "a, b" ("z, (" COLLATE "POSIX" text_pattern_ops DESC NULLS LAST, "PERIOD")
    INCLUDE ("a""b") WITH (fillfactor = 70);
CREATE UNIQUE INDEX ON "a, b" ("PERIOD") WHERE "z, (" <> ' WHERE ';
CREATE UNIQUE INDEX ON "a, b" (lower("z, ("), "PERIOD");
CREATE UNIQUE INDEX ON "a, b" (("PERIOD" + 1))"""


def test_the_columns_of_a_key_are_those_that_the_catalog_has(database: Database) -> None:
    database.execute(ODD_KEYS)
    with database.connect() as connection:
        cursor = connection.cursor(row_factory=dict_row)
        names = cursor.execute("SELECT DISTINCT quote_ident(attname) AS name FROM pg_attribute")
        parts = [part("column", name=row["name"]) for row in names.fetchall()]
        table = Described(SchemaObject("table", "public.t", "", ()), NOTHING)
        connection.execute("SET search_path = pg_catalog")
        constraints = cursor.execute(KEYS).fetchall()
        indexes = cursor.execute(INDEXES).fetchall()
    assert {row["kind"] for row in constraints} == set("pucxf")
    for row in constraints:
        around = parts if row["kind"] == "c" else []
        shown = describe_relation(table, [*around, part("constraint", row["definition"])], [])
        if row["kind"] == "f":
            (key,) = shown.foreign_keys
            assert (key.schema or "public", key.table) == (row["schema"], row["referenced"])
            assert key.to_columns == tuple(row["to_columns"])
            assert key.columns == tuple(row["columns"])
        elif row["kind"] != "x":
            assert shown.rules[0].columns == tuple(row["columns"]), row["definition"]
    assert len(indexes) > 150
    for row in indexes:
        shown = describe_relation(table, [part("index", row["definition"])], [])
        assert len(shown.rules) == row["is_unique"]
        for rule in shown.rules:
            assert rule.columns == tuple(row["columns"] or ()), row["definition"]


# --- shortening -----------------------------------------------------------------------------------

SHORT = [
    ("public.mood", "mood"),
    ("'good'::public.mood", "'good'::mood"),
    ("'public.mood'::text", "'public.mood'"),
    ("nextval('public.t_id_seq'::regclass)", "nextval('t_id_seq'::regclass)"),
    ("nextval('other.t_id_seq'::regclass)", "nextval('other.t_id_seq'::regclass)"),
    ("""nextval('"My ""own"" one"."T"'::regclass)""", """nextval('"T"'::regclass)"""),
    ('"My ""own"" one"."T" || "public".b || publicly.c', '"T" || b || publicly.c'),
    ('"public.a" || \'it\'\'s public.b\'', '"public.a" || \'it\'\'s public.b\''),
    ("a OPERATOR(public.===) b OPERATOR(other.=) c", "a === b OPERATOR(other.=) c"),
    ("x.public.y", "x.public.y"),
    ("ARRAY['public.a'::regproc, 'b'::public.mood]", "ARRAY['a'::regproc, 'b'::mood]"),
    ("E'\\\\public.a'", "E'\\\\public.a'"),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "short"), SHORT)
def test_names_of_the_schema_are_shown_without_it(sql: str, short: str) -> None:
    assert Shortener(["public", 'My "own" one'])(sql) == short


@on_first_server
def test_a_name_is_shortened_whether_or_not_its_schema_is_a_keyword(database: Database) -> None:
    for schema in ("select", "überall", "a.b", "temporal", "it's"):
        quoted = f'"{schema}"'
        database.execute(
            f"CREATE SCHEMA {quoted}; CREATE DOMAIN {quoted}.d AS int;"
            f"CREATE TABLE {quoted}.t (a serial PRIMARY KEY, b {quoted}.d REFERENCES {quoted}.t)"
        )
        (table,) = read_schema(database.target(schema=schema)).tables
        assert (table.columns[0].default, table.columns[1].type) == (
            "nextval('t_a_seq'::regclass)", "d",
        )  # fmt: skip
        assert table.foreign_keys[0].schema is None
