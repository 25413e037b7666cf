"""A snapshot is the same wherever and by whichever role it is read, and its file can be read back."""

from __future__ import annotations

import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatdb_cli.catalog.diff import compare_snapshots
from chatdb_cli.catalog.kinds import PARTS, WHOLE
from chatdb_cli.catalog.model import SchemaObject, Snapshot, Unread
from chatdb_cli.catalog.snapshot import read_snapshot
from chatdb_cli.catalog.snapshot_file import load_snapshot, save_snapshot
from chatdb_cli.catalog.snapshot_text import format_snapshot, parse_snapshot
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.migrator import Migrator
from tests.support.database import Database
from tests.support.paths import SHIPPED
from tests.support.proxy import Proxy
from tests.support.schema_changes import SCHEMAS, World
from tests.support.servers import Server, on_first_server, socket_of

# --- the same everywhere --------------------------------------------------------------------------


def test_a_dump_that_was_restored_has_the_same_snapshot(world: World) -> None:
    copy = world.database.server.create()
    programs = world.database.server.embedded.programs
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    try:
        dump = subprocess.run(
            [programs / "pg_dump", "--schema-only", world.database.url],
            env=environment, capture_output=True, check=True,
        )  # fmt: skip
        restore = subprocess.run(
            [programs / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", copy.url],
            env=environment, input=dump.stdout, capture_output=True,
        )  # fmt: skip
        assert restore.returncode == 0, restore.stderr.decode()
        with copy.connect() as connection:
            comparison = compare_snapshots(world.snapshot, read_snapshot(connection, SCHEMAS))
    finally:
        copy.drop()
    assert comparison.differences == ()


# The server spells the definition of a view, and the body of a function that it parses, differently from
# version to version.
SPELLED_BY_THE_SERVER = {
    "view public.active",
    "view public.guarded",
    "materialized view public.totals",
    "function public.atomic(bigint)",
}


def test_every_version_gives_the_text_of_the_example(world: World) -> None:
    path = Path(__file__).parent / "world.snapshot"
    example = load_snapshot(path)
    differences = compare_snapshots(example, world.snapshot).differences
    named = {f"{d.kind} {d.object}" for d in differences}
    assert named <= (
        SPELLED_BY_THE_SERVER if example.server_version != world.snapshot[0] else set()
    )


def test_the_settings_of_the_database_change_nothing(world: World) -> None:
    name = world.database.name
    for setting in (
        "search_path = 'Other one', public, pg_catalog", "quote_all_identifiers = on",
        "DateStyle = 'German'", "standard_conforming_strings = off", "TimeZone = 'Asia/Kolkata'",
        "IntervalStyle = 'iso_8601'", "extra_float_digits = 0", "bytea_output = 'escape'",
    ):  # fmt: skip
        world.database.execute(f"ALTER DATABASE {name} SET {setting}")
    try:
        with world.database.connect() as connection:
            assert read_snapshot(connection, SCHEMAS) == world.snapshot
    finally:
        world.database.execute(f"ALTER DATABASE {name} RESET ALL")


def test_a_role_without_rights_reads_the_same_and_names_what_it_may_not(world: World) -> None:
    connection = world.connection
    connection.execute("SET SESSION AUTHORIZATION fuzz_reader")
    try:
        snapshot = world.read()
    finally:
        connection.execute("RESET SESSION AUTHORIZATION")
    hidden = Unread("user mapping", "PUBLIC on server faraway", "options", "permission denied")
    assert hidden in snapshot.unread
    comparison = compare_snapshots(world.snapshot, snapshot)
    assert comparison.differences == ()
    assert comparison.unread == snapshot.unread


def test_a_catalog_that_may_not_be_read_is_named(world: World) -> None:
    connection = world.connection
    with connection.transaction(force_rollback=True):
        connection.execute("REVOKE SELECT ON pg_policy, pg_description FROM PUBLIC")
        connection.execute("SET LOCAL SESSION AUTHORIZATION fuzz_reader")
        snapshot = world.read()
    unread = {str(u) for u in snapshot.unread}
    assert "policy: permission denied for pg_policy" in unread
    assert "comment of all objects: permission denied for pg_description" in unread
    assert compare_snapshots(world.snapshot, snapshot).differences == ()


def test_a_snapshot_takes_three_round_trips_and_leaves_the_session_as_it_was(
    server: Server, database: Database
) -> None:
    with Proxy(socket_of(server)) as proxy, psycopg.connect(proxy.url(database.name)) as connection:
        connection.autocommit = True
        connection.execute("SET search_path = 'somewhere'")
        before = proxy.round_trips()
        read_snapshot(connection, ["public"])
        assert proxy.round_trips() - before <= 3
        assert connection.execute("SHOW search_path").fetchone() == ("somewhere",)


def test_a_transaction_of_the_caller_continues_as_it_was(database: Database) -> None:
    with database.connect() as connection, connection.transaction():
        connection.execute("SET LOCAL search_path = 'somewhere'; CREATE TABLE public.mine (a int)")
        names = [item.name for item in read_snapshot(connection, ["public"]).objects]
        assert "public.mine" in names
        with pytest.raises(ChatdbError):
            read_snapshot(connection, ["nowhere"])
        assert connection.execute("SHOW search_path").fetchone() == ("somewhere",)
    with psycopg.connect(database.url) as connection:  # not in autocommit mode
        assert "public.mine" in [i.name for i in read_snapshot(connection, ["public"]).objects]
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


CHURN = """
CREATE TABLE churn (a int PRIMARY KEY, b text DEFAULT 'x' CHECK (b <> ''));
CREATE INDEX ON churn (lower(b)) WHERE a > 1;
CREATE VIEW churned AS SELECT a, b FROM churn WHERE a > 1;
CREATE FUNCTION churning() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER t BEFORE INSERT ON churn FOR EACH ROW EXECUTE FUNCTION churning();
CREATE POLICY p ON churn USING (a > 0)"""


def test_objects_that_come_and_go_while_it_reads_do_not_disturb_it(database: Database) -> None:
    database.execute("CREATE TABLE stable (a int PRIMARY KEY); CREATE VIEW v AS TABLE stable")
    stop = threading.Event()

    def churn() -> None:
        with database.connect() as connection:
            while not stop.is_set():
                connection.execute(CHURN)
                connection.execute("DROP TABLE churn CASCADE; DROP FUNCTION churning")

    with database.connect() as connection, ThreadPoolExecutor() as pool:
        expected = read_snapshot(connection, ["public"])
        running = pool.submit(churn)
        try:
            for _ in range(20):
                comparison = compare_snapshots(expected, read_snapshot(connection, ["public"]))
                assert [d.object for d in comparison.differences if "churn" not in d.object] == []
        finally:
            stop.set()
        running.result()


def test_a_statement_that_fails_leaves_no_transaction_behind(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("SET statement_timeout = 1; SET client_min_messages = error")
        database.execute(
            "DO $$ BEGIN FOR n IN 1..300 LOOP EXECUTE format("
            "'CREATE TABLE t%s (a int PRIMARY KEY, b text DEFAULT %L)', n, n); END LOOP; END $$"
        )
        with pytest.raises(ChatdbError) as caught:
            read_snapshot(connection, ["public"])
        assert caught.value.sqlstate == "57014"
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_nothing_that_others_planted_is_run(database: Database) -> None:
    """A function or an operator that fits better than the one of pg_catalog would raise an error."""
    database.execute(
        """
        CREATE FUNCTION public.planted() RETURNS boolean LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'a planted function ran'; END $$;
        CREATE FUNCTION public.planted(name, text[]) RETURNS boolean LANGUAGE sql AS 'SELECT planted()';
        CREATE FUNCTION public.planted(name, name) RETURNS boolean LANGUAGE sql AS 'SELECT planted()';
        CREATE FUNCTION public.planted(name, text) RETURNS boolean LANGUAGE sql AS 'SELECT planted()';
        CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = text, FUNCTION = public.planted);
        CREATE OPERATOR public.<> (LEFTARG = name, RIGHTARG = name, FUNCTION = public.planted);
        CREATE FUNCTION public.quote_ident(name) RETURNS text LANGUAGE sql AS 'SELECT planted()::text';
        CREATE FUNCTION public.set_config(text, text, boolean) RETURNS text LANGUAGE sql
            AS 'SELECT planted()::text';
        CREATE FUNCTION public.pg_get_userbyid(oid) RETURNS name LANGUAGE sql
            AS 'SELECT planted()::text::name';
        """
    )
    with database.connect() as connection:
        connection.execute("SET search_path = public, pg_catalog")
        assert read_snapshot(connection, ["public"]).objects


# --- what is in it --------------------------------------------------------------------------------


@pytest.mark.quick
def test_the_history_and_the_objects_of_extensions_are_left_out(database: Database) -> None:
    with database.connect() as connection:
        before = read_snapshot(connection, ["public"])
        Migrator(database.target(), SHIPPED).baseline("0001")
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchone() == (4,)
        connection.execute("CREATE EXTENSION dict_int")
        after = read_snapshot(connection, ["public"])
    difference = compare_snapshots(before, after).differences
    assert [d.object for d in difference] == ["dict_int"]


def test_no_secret_is_in_a_snapshot(world: World) -> None:
    text = format_snapshot(world.snapshot)
    assert "open-sesame" not in text
    assert text.count("=***") == 3
    assert "user=bob" in text


def test_a_missing_schema_is_named(database: Database) -> None:
    with database.connect() as connection, pytest.raises(ChatdbError) as caught:
        read_snapshot(connection, ["public", "nowhere"])
    assert caught.value.code is Code.MISSING_SCHEMA
    assert "'nowhere'" in caught.value.message


def test_another_order_of_columns_is_a_note_unless_it_is_asked_for(world: World) -> None:
    with world.connection.transaction(force_rollback=True):
        world.connection.execute("ALTER TABLE parent DROP a; ALTER TABLE parent ADD a int")
        after = world.read()
    comparison = compare_snapshots(world.snapshot, after)
    assert comparison.equal
    notes = {d.object: (d.before, d.after) for d in comparison.column_order}
    assert notes["public.parent"] == (("a", "b"), ("b", "a"))
    strict = compare_snapshots(world.snapshot, after, column_order=True)
    assert strict.differences == comparison.column_order
    assert strict.column_order == ()


# --- its file -------------------------------------------------------------------------------------

TEXT = st.text(
    st.characters(codec="utf-8") | st.sampled_from("\n\r\t \\|-:\"'\x00\x85\u2028\ufeff")
)
VALUES = TEXT | st.lists(TEXT, min_size=1, max_size=3).map(tuple)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(("definition", "not null", "from SQL", "lc_ctype", "comment")), VALUES
).map(lambda values: tuple(sorted(values.items())))
NAMES = TEXT.filter(bool).map(lambda name: '"' + name.replace('"', '""') + '"')


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    objects = []
    for kind, name in draw(st.lists(st.tuples(st.sampled_from(WHOLE), NAMES), max_size=4)):
        objects.append(SchemaObject(kind, name, "", draw(ATTRIBUTES)))
        objects += [
            SchemaObject(part, inner, name, draw(ATTRIBUTES))
            for part, inner in draw(st.lists(st.tuples(st.sampled_from(PARTS), NAMES), max_size=3))
        ]
    schemas = draw(st.lists(TEXT, min_size=1, max_size=2))
    unread = draw(st.lists(st.builds(Unread, TEXT, TEXT, TEXT, TEXT), max_size=2))
    return Snapshot(18, tuple(schemas), tuple(objects), tuple(unread))


@pytest.mark.quick
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=50, deadline=None)
@given(snapshots())
def test_any_snapshot_is_read_back_from_its_text(snapshot: Snapshot) -> None:
    text = format_snapshot(snapshot)
    assert parse_snapshot(text) == snapshot
    assert parse_snapshot(text.replace("\n", "\r\n")) == snapshot
    assert not any(line != line.rstrip() for line in text.split("\n"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("SELECT 1;\n", 1),
        ("chatdb snapshot 2\n", 1),
        ("chatdb snapshot 1\n", 1),
        ("chatdb snapshot 1\nserver: 18\nschemas:\n  - public\n\nthing x\n", 6),
        ("chatdb snapshot 1\nserver: 18\nschemas:\n  - public\n\ntable t\n   owner: x\n", 7),
        ("chatdb snapshot 1\nserver: 18\nschemas:\n  - public\n\ntable t\n  owner: \\ x\n", 7),
        ("chatdb snapshot 1\nserver: 18\nschemas:\n  - public\n  column c\n", 5),
        ("chatdb snapshot 1\nserver: 18\nschemas:\n  - public\nunread:\n  - table\n", 1),
    ],
)
def test_a_file_that_is_no_snapshot_is_refused_with_its_line(
    text: str, line: int, tmp_path: Path
) -> None:
    path = tmp_path / "schema.txt"
    path.write_text(text)
    with pytest.raises(ChatdbError) as caught:
        load_snapshot(path)
    assert caught.value.code is Code.BAD_SNAPSHOT
    assert caught.value.place is not None
    assert (caught.value.place.file, caught.value.place.line) == (path, line)


def test_a_file_that_can_not_be_read_or_written_is_named(tmp_path: Path) -> None:
    empty = Snapshot(18, ("public",), ())
    calls: list[Any] = [
        lambda: load_snapshot(tmp_path / "none"),
        lambda: load_snapshot(tmp_path),
        lambda: save_snapshot(tmp_path / "none" / "file", empty),
    ]
    for call in calls:
        with pytest.raises(ChatdbError) as caught:
            call()
        assert caught.value.code is Code.USAGE
        assert str(tmp_path) in caught.value.message
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ChatdbError) as caught:
        load_snapshot(tmp_path / "binary")
    assert caught.value.code is Code.BAD_SNAPSHOT


@on_first_server
def test_a_file_is_written_only_if_the_schema_has_changed(world: World, tmp_path: Path) -> None:
    path = tmp_path / "schema.txt"
    assert save_snapshot(path, world.snapshot)
    assert not save_snapshot(path, world.read())
    assert load_snapshot(path) == world.snapshot
