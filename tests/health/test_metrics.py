"""The metrics: what each of them shows, for whom, and what they cost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

from chatdb_cli.health.metrics.collect import collect
from chatdb_cli.health.metrics.collectors import COLLECTORS, MIGRATIONS
from chatdb_cli.health.metrics.files import MigrationFiles
from chatdb_cli.health.metrics.model import Metric
from chatdb_cli.migrate.model import MigrationError
from chatdb_cli.postgres.connect import connect
from tests.support.database import Database, wait_for_no_sessions, wait_for_session
from tests.support.metrics import measure, take_snapshot, to_reply
from tests.support.project import Project
from tests.support.proxy import Proxy
from tests.support.servers import Server, allow_logins, on_first_server, socket_of
from tests.support.standby import copied

METRICS = [m for c in (*COLLECTORS, MIGRATIONS) for m in c.metrics]
# What a database without a standby, a slot, or pg_stat_statements has no value for.
SPECIAL = {
    "standby_lag_seconds", "replication_lag_bytes", "replication_lag_seconds",
    "replication_slot_active", "replication_slot_retained_bytes", "trigger_calls_total",
    "trigger_seconds_total", "statement_calls_total", "statement_seconds_total",
    "statement_rows_total", "statement_mean_seconds", "table_last_vacuum_timestamp_seconds",
    "table_last_analyze_timestamp_seconds",
}  # fmt: skip

TABLE = "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE INDEX t_v ON t (v)"
ROWS = "INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 1000) n;"


@pytest.mark.quick
def test_every_metric_is_read(project: Project, database: Database) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    names = {name for name, _ in measure(database, dir=str(project.sql)).samples}
    missing = {m.name for m in METRICS if m.full_name not in names}
    assert missing <= SPECIAL
    assert names == {m.full_name for m in METRICS if m.name not in missing} | {
        "chatdb_collector_success"
    }


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
def test_names_and_units_follow_the_rules_of_prometheus(metric: Metric) -> None:
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.name.endswith("_info") == (metric.kind == "info")
    assert not {"ms", "milliseconds", "percent", "kb", "mb", "count"} & set(metric.name.split("_"))
    for word, unit in (("size", "bytes"), ("duration", "seconds"), ("lag", ("seconds", "bytes"))):
        if word in metric.name.split("_"):
            assert metric.name.removesuffix("_total").endswith(unit)
    assert metric.help.endswith(".")


@contextmanager
def idle_in_transaction(database: Database) -> Iterator[None]:
    with database.connect() as conn:
        conn.execute("BEGIN")
        conn.execute("SELECT 1")
        yield


@contextmanager
def waiting(database: Database) -> Iterator[None]:
    with database.connect() as holder, database.connect() as waiter:
        holder.execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        thread = threading.Thread(target=lambda: waiter.execute("SELECT count(*) FROM t"))
        thread.start()
        wait_for_session(database, "wait_event_type = 'Lock'")
        try:
            yield
        finally:
            holder.execute("ROLLBACK")
            thread.join()


def doing(*statements: str) -> Callable[[Database], Any]:
    """Return a cause: a session that runs statements, reports its statistics, and ends."""

    @contextmanager
    def cause(database: Database) -> Iterator[None]:
        with database.connect() as conn:
            for statement in (*statements, "SELECT pg_stat_force_next_flush()"):
                conn.execute(statement)
        wait_for_no_sessions(database)  # its statistics are there when it has ended
        yield

    return cause


nothing = doing()
scan = doing("SET enable_seqscan = off", "SELECT * FROM t WHERE v = 'v7'")
T = {"schema": "public", "table": "t"}
TRIGGER = (
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER touch BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION touch()",
    "SET track_functions = 'pl'",
    "INSERT INTO t SELECT n FROM generate_series(2001, 2005) n",
)

FAULTS: dict[str, tuple[Callable[[Database], Any], str, dict[str, str], Callable[[float], bool]]] = {
    "an idle transaction": (
        idle_in_transaction, "connections", {"state": "idle in transaction"}, lambda v: v == 1),
    "its age": (idle_in_transaction, "longest_transaction_seconds", {}, lambda v: 0 < v < 600),
    "how long it is idle": (
        idle_in_transaction, "longest_idle_in_transaction_seconds", {}, lambda v: 0 < v < 600),
    "a session that waits": (waiting, "sessions_waiting_for_lock", {}, lambda v: v == 1),
    "its lock": (waiting, "locks_waited_for", {"mode": "AccessShareLock"}, lambda v: v == 1),
    "how long it waits": (
        waiting, "longest_lock_wait_seconds", {"mode": "AccessShareLock"}, lambda v: 0 < v < 600),
    "its query": (waiting, "longest_query_seconds", {}, lambda v: 0 < v < 600),
    "dead rows": (
        doing("DELETE FROM t WHERE id <= 400"), "table_dead_rows", T, lambda v: v == 400),
    "deleted rows": (
        doing("DELETE FROM t WHERE id <= 400"), "table_rows_deleted_total", T, lambda v: v == 400),
    "updated rows": (
        doing("UPDATE t SET v = 'x' WHERE id <= 40"), "table_rows_updated_total", T,
        lambda v: v == 40),
    "inserted rows": (nothing, "table_rows_inserted_total", T, lambda v: v == 1000),
    "rows that no one has analyzed": (nothing, "table_rows", T, lambda v: v == 1000),
    "rows after ANALYZE": (
        doing("DELETE FROM t WHERE id <= 400", "ANALYZE t"), "table_rows", T, lambda v: v == 600),
    "when it was analyzed": (
        doing("ANALYZE t"), "table_last_analyze_timestamp_seconds", T, lambda v: v > 1.7e9),
    "when it was vacuumed": (
        doing("VACUUM t"), "table_last_vacuum_timestamp_seconds", T, lambda v: v > 1.7e9),
    "the size of a table": (nothing, "table_size_bytes", T, lambda v: 40_000 < v < 200_000),
    "the size of its indexes": (
        nothing, "table_indexes_size_bytes", T, lambda v: 40_000 < v < 300_000),
    "an index scan": (scan, "index_scans_total", T | {"index": "t_v"}, lambda v: v == 1),
    "the index scans of a table": (scan, "table_index_scans_total", T, lambda v: v == 1),
    "a sequential scan": (
        doing("SELECT sum(id) FROM t"), "table_sequential_scans_total", T, lambda v: v >= 1),
    "an unused index": (nothing, "indexes_unused", {}, lambda v: v == 1),
    "what it costs": (nothing, "indexes_unused_size_bytes", {}, lambda v: v > 8000),
    "no unused index": (scan, "indexes_unused", {}, lambda v: v == 0),
    "an invalid index": (
        doing("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_v'::regclass"),
        "indexes_invalid", {}, lambda v: v == 1),
    "calls of a trigger": (
        doing(*TRIGGER), "trigger_calls_total", {"schema": "public", "function": "touch"},
        lambda v: v == 5),
    "the size of the database": (nothing, "database_size_bytes", {}, lambda v: v > 5e6),
    "the cache": (nothing, "cache_hit_ratio", {}, lambda v: 0 < v <= 1),
    "the queue of NOTIFY": (nothing, "notify_queue_ratio", {}, lambda v: 0 <= v < 0.5),
    "the age of transaction ids": (nothing, "transaction_id_age", {}, lambda v: 0 < v < 1e8),
    "no standby": (nothing, "in_recovery", {}, lambda v: v == 0),
    "when the server was started": (nothing, "postgres_start_time_seconds", {}, lambda v: v > 1.7e9),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS)
def test_a_metric_shows_what_happens(case: str, database: Database) -> None:
    cause, name, labels, expected = FAULTS[case]
    database.execute(TABLE)
    database.execute(ROWS)
    with cause(database):
        value = measure(database).value(name, **labels)
    assert value is not None
    assert expected(value), value


# --- what is bounded ------------------------------------------------------------------------------


def create_tables(database: Database, count: int) -> None:
    database.execute(
        f"DO $$ BEGIN FOR n IN 1..{count} LOOP EXECUTE format('CREATE TABLE t%s AS SELECT g FROM "
        "generate_series(1, %s) g', n, n * 10); END LOOP; END $$; ANALYZE"
    )


def test_the_largest_get_series_of_their_own_and_the_others_are_summed_up(
    database: Database,
) -> None:
    database.execute("CREATE SCHEMA other; CREATE TABLE other.other AS SELECT 1 AS n")
    database.execute("CREATE TABLE large AS SELECT repeat('x', 500) FROM generate_series(1, 2000)")
    create_tables(database, 8)
    found = measure(database, top=3)
    assert len(found.labels("table_rows")) == 4
    assert {"schema": "public", "table": "large"} in found.labels("table_rows")
    everything = measure(database)
    others = [
        value
        for (name, labels), value in everything.samples.items()
        if name == "chatdb_table_rows" and dict(labels) not in found.labels("table_rows")
    ]
    assert len(others) == 7
    assert found.value("table_rows", schema="", table="other") == sum(others)
    # A counter of "other" would fall when a table leaves it, which Prometheus takes for a restart.
    assert len(found.labels("table_sequential_scans_total")) == 3
    assert not everything.labels("table_rows").count({"schema": "", "table": "other"})


def test_a_scrape_takes_as_many_round_trips_with_500_tables_as_with_5(
    database: Database, pytestconfig: pytest.Config
) -> None:
    """Without --long there are 60: more than get series of their own."""
    trips = []
    more = 495 if pytestconfig.getoption("--long") else 55
    with Proxy(socket_of(database.server), delay=0.1) as proxy:
        for count in (5, more):
            create_schema(database, f"s{count}", count)
            before = proxy.turns, proxy.round_trips()
            measure(database, database_url=proxy.url(database.name))
            trips.append((proxy.turns - before[0], proxy.round_trips() - before[1]))
    assert trips[0] == trips[1]
    assert trips[0][0] == 3  # connecting is one


def create_schema(database: Database, schema: str, count: int) -> None:
    database.execute(
        f"CREATE SCHEMA {schema}; DO $$ BEGIN FOR n IN 1..{count} LOOP EXECUTE format('CREATE TABLE "
        f"{schema}.t%s (id int PRIMARY KEY, v text UNIQUE)', n); END LOOP; END $$"
    )


def test_names_of_any_kind_are_escaped(database: Database) -> None:
    names = ['a"b', "a\\b", "a\nb", "{schema}", "%s", "é 漢", " ", "other", "x" * 63]
    with database.connect() as conn:
        for name in names:
            conn.execute(sql.SQL("CREATE TABLE {} (n int)").format(sql.Identifier(name)))
    found = {labels["table"] for labels in measure(database).labels("table_rows")}
    assert found == set(names)


# --- what is not in the way of others -------------------------------------------------------------


@pytest.mark.parametrize("state", ["held", "waited for"])
@pytest.mark.parametrize("relation", ["t", "t_v"])
def test_a_table_that_is_locked_has_its_last_known_size(
    relation: str, state: str, database: Database
) -> None:
    database.execute(TABLE)
    database.execute(ROWS)
    database.execute("ANALYZE t")
    size = measure(database).value("table_size_bytes", **T)
    change = "ALTER TABLE t ADD c int" if relation == "t" else "REINDEX INDEX t_v"
    with database.connect() as reader, database.connect() as changer:
        reader.execute("BEGIN")
        if state == "waited for":
            reader.execute("SELECT * FROM t WHERE v = 'v1'")
        changer.execute("BEGIN")
        thread = threading.Thread(target=lambda: changer.execute(change))
        thread.start()
        if state == "waited for":
            wait_for_session(database, "wait_event_type = 'Lock'")
        else:
            thread.join()
        try:
            snapshot = take_snapshot(database)
        finally:
            reader.execute("ROLLBACK")
            thread.join()
            changer.execute("ROLLBACK")
    (reading,) = (r for r in snapshot.readings if r.collector.name == "tables")
    assert reading.rows is not None, reading.reason
    assert 0 < reading.rows[0]["table_size_bytes"] <= (size or 0)


def test_a_statement_that_waits_for_a_lock_costs_its_own_metrics_alone(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    with database.connect() as holder:
        holder.execute("BEGIN; LOCK TABLE chatdb_migration IN ACCESS EXCLUSIVE MODE")
        snapshot = take_snapshot(database, dir=str(project.sql))
    failed = {r.collector.name: r.reason for r in snapshot.readings if r.rows is None}
    assert failed == {"migrations": "canceling statement due to lock timeout"}


def test_reading_the_metrics_rolls_back_no_transaction_of_the_statistics(
    database: Database,
) -> None:
    before = measure(database).value("transactions_rolled_back_total")
    for _ in range(3):
        measure(database)
    database.execute("SELECT pg_stat_force_next_flush()")
    assert measure(database).value("transactions_rolled_back_total") == before


def test_no_function_that_a_user_has_planted_is_run(database: Database) -> None:
    database.execute(TABLE)
    database.execute(
        "CREATE FUNCTION public.pg_database_size(oid) RETURNS bigint LANGUAGE sql AS 'SELECT 666';"
        "CREATE FUNCTION public.eq(name, name) RETURNS boolean LANGUAGE sql AS 'SELECT 1/0 = 1';"
        "CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = name, FUNCTION = public.eq);"
        f"ALTER DATABASE {database.name} SET search_path = public, pg_catalog"
    )
    found = measure(database)
    assert found.value("database_size_bytes") != 666
    assert found.value("table_rows", **T) == 0


# --- who may see what -----------------------------------------------------------------------------


@pytest.fixture
def stranger(database: Database) -> Iterator[str]:
    """The URL of a role that may do nothing but connect."""
    name = f"stranger_{database.name}"
    database.execute(f"CREATE ROLE {name} LOGIN")
    yield database.url.replace("postgres@", f"{name}@")
    database.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


PRIVILEGED = {c.name for c in COLLECTORS if c.privileged and c.name != "statements"}


def test_a_role_that_may_only_connect_gets_all_that_it_may_see(
    project: Project, database: Database, stranger: str
) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    with allow_logins(database.server, "local all all trust"):
        found = measure(database, database_url=stranger)
        database.execute(f"GRANT pg_monitor TO stranger_{database.name}")
        monitor = measure(database, database_url=stranger)
    success = "collector_success"
    failed = {x["collector"] for x in found.labels(success) if not found.value(success, **x)}
    assert failed == PRIVILEGED | {"migrations"}
    hidden = {m.full_name for c in COLLECTORS if c.privileged for m in c.metrics}
    assert not hidden & {name for name, _ in found.samples}
    assert found.value("table_rows", schema="public", table="t1") == 0
    assert (found.value("connections_used") or 0) >= 1
    failed = {x["collector"] for x in monitor.labels(success) if not monitor.value(success, **x)}
    assert failed == {"migrations"}  # its tables are not readable for pg_monitor


def test_a_history_that_may_not_be_read_says_why(database: Database, stranger: str) -> None:
    database.execute("CREATE TABLE _yoyo_migration (migration_id text, applied_at_utc timestamp)")
    with allow_logins(database.server, "local all all trust"):
        snapshot = take_snapshot(database, database_url=stranger)
    reasons = {r.collector.name: r.reason for r in snapshot.readings}
    assert reasons["migrations"] == f"role 'stranger_{database.name}' may not read the history"
    assert reasons["activity"] == f"role 'stranger_{database.name}' is not a member of pg_monitor"


# --- migrations -----------------------------------------------------------------------------------


def test_pending_migrations_follow_the_files_and_the_history(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2)
    target = database.target(dir=str(project.sql))
    files = MigrationFiles(target.settings)

    def pending() -> tuple[float | None, float | None]:
        with connect(target) as conn:
            found = to_reply(collect(conn, target, files))
        return found.value("migrations_applied"), found.value("migrations_pending")

    assert pending() == (0, 2)
    project.migrator(database).up(steps=1)
    assert pending() == (1, 1)
    project.write_tables(3)
    assert pending() == (1, 2)
    project.migrator(database).up()
    assert pending() == (3, 0)
    (project.sql / "up" / "0004_bad.sql").write_bytes(b"\xff")
    assert pending() == (3, 1)


def test_without_files_the_pending_migrations_are_unknown(
    project: Project, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(7001)
    project.migrator(database).up()
    empty = project.path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    found = measure(database)
    assert found.value("migrations_applied") == 1
    assert found.value("migrations_pending") is None


def test_a_file_that_stopped_part_way_is_counted(project: Project, database: Database) -> None:
    project.write("1_two", "-- chatdb: transactional: false\nSELECT 1;\nVACUUM missing;\n")
    with pytest.raises(MigrationError):
        project.migrator(database).up()
    assert measure(database, dir=str(project.sql)).value("migrations_unfinished") == 1


# --- pg_stat_statements, replication --------------------------------------------------------------


@on_first_server
def test_statements_are_counted_by_their_id(small: Database) -> None:
    assert not measure(small).labels("statement_calls_total")  # not installed: nothing to say
    small.execute('CREATE SCHEMA "{x}"; CREATE EXTENSION pg_stat_statements SCHEMA "{x}"')
    with small.connect() as conn:
        for n in range(7):
            conn.execute(f"SELECT {n} + pg_backend_pid()")
    found = measure(small, top=5)
    (queryid,) = small.query(
        """SELECT queryid FROM "{x}".pg_stat_statements WHERE query LIKE 'SELECT $1 + pg_back%'"""
    )[0]
    calls = found.value("statement_calls_total", queryid=str(queryid))
    everything = measure(small)
    assert everything.value("statement_calls_total", queryid=str(queryid)) == 7
    assert calls in (7, None)
    assert len(found.labels("statement_calls_total")) == 5
    total = everything.value("statement_seconds_total", queryid=str(queryid)) or 0
    mean = everything.value("statement_mean_seconds", queryid=str(queryid)) or 0
    assert 0 < mean == pytest.approx(total / 7)


@on_first_server
def test_a_replication_slot_shows_what_it_holds_back(small: Database) -> None:
    small.execute("SELECT pg_create_physical_replication_slot('late', true)")
    try:
        small.execute("CREATE TABLE t AS SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
        found = measure(small)
        assert found.value("replication_slot_active", slot="late") == 0
        assert (found.value("replication_slot_retained_bytes", slot="late") or 0) > 1e6
    finally:
        small.execute("SELECT pg_drop_replication_slot('late')")


@on_first_server
def test_a_standby_and_its_primary_show_the_lag(
    small: Database, small_server: Server, pytestconfig: pytest.Config
) -> None:
    if not pytestconfig.getoption("--long"):
        pytest.skip("a standby takes seconds to start")
    with (
        allow_logins(small_server, "local replication all trust"),
        copied(small_server) as standby,
    ):
        standby.start(hot=True)
        with psycopg.connect(small_server.url("postgres"), autocommit=True) as conn:
            conn.execute(
                "DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_stat_replication WHERE replay_lsn IS NOT"
                " NULL) LOOP PERFORM pg_sleep(0.01), pg_stat_clear_snapshot(); END LOOP; END $$"
            )
        here = measure(small)
        there = measure(small, database_url=standby.url(small.name))
    assert (here.value("in_recovery"), there.value("in_recovery")) == (0, 1)
    assert 0 <= (here.value("replication_lag_bytes", standby="walreceiver") or 0) < 1e9
    assert 0 <= (here.value("replication_lag_seconds", standby="walreceiver") or 0) < 600
    assert 0 <= (there.value("standby_lag_seconds") or 0) < 600
    assert here.value("standby_lag_seconds") is None
