"""Counting: one snapshot, every row, and an error where a row could be missed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from chatdb_cli.cli.progress import count_state
from chatdb_cli.counts.count import count_rows
from chatdb_cli.counts.model import CountProgress, Counts
from chatdb_cli.counts.snapshot import Snapshot
from chatdb_cli.errors import ChatdbError, Code
from tests.support.chatdb import Chatdb
from tests.support.database import Database, wait_for_no_sessions, wait_for_session
from tests.support.pooler import PGBOUNCER, allow_owner_login, pooled
from tests.support.project import Project, command_environment
from tests.support.servers import allow_logins, on_first_server
from tests.support.terminal import Terminal

# Large enough for several connections: 24 MB in ranges of 4 MB and more.
LARGE = """\
CREATE TABLE large (id int, filler text);
ALTER TABLE large ALTER filler SET STORAGE PLAIN;
INSERT INTO large SELECT g, repeat('x', 1900) FROM generate_series(1, 12000) g"""


def rows_of(counts: Counts) -> dict[str, int]:
    return {table.table: table.rows for table in counts.tables}


def count(database: Database, *tables: str, **more: Any) -> dict[str, int]:
    return rows_of(count_rows(database.target(), tables, **more))


def once(act: Callable[[], object]) -> Callable[[CountProgress], None]:
    """Return a progress callback that acts once, when the first piece was counted."""
    done: list[CountProgress] = []

    def progress(event: CountProgress) -> None:
        if event.pages and not done:
            done.append(event)
            act()

    return progress


@contextmanager
def role(database: Database, *grants: str) -> Iterator[str]:
    """Yield the URL of a role without rights of its own."""
    name = f"r_{database.name}"
    database.execute(f"CREATE ROLE {name}")
    try:
        for grant in grants:
            database.execute(grant.format(role=name))
        yield f"{database.url}&options=-c%20role%3D{name}"
    finally:
        database.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


# --- what is counted ------------------------------------------------------------------------------


@pytest.mark.quick
def test_every_table_is_counted_the_largest_first_and_partitions_after_their_table(
    database: Database,
) -> None:
    database.execute(
        "CREATE TABLE small (a int); INSERT INTO small VALUES (1);"
        "CREATE TABLE empty (a int);"
        "CREATE TABLE part (a int) PARTITION BY RANGE (a);"
        "CREATE TABLE p1 PARTITION OF part FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE p2 PARTITION OF part FOR VALUES FROM (10) TO (100) PARTITION BY LIST (a);"
        "CREATE TABLE p2a PARTITION OF p2 DEFAULT;"
        "INSERT INTO part SELECT generate_series(0, 50)"
    )
    counts = count_rows(database.target())
    assert [(t.table, t.rows, t.parent) for t in counts.tables] == [
        ("part", 51, None), ("p2", 41, "part"), ("p2a", 41, "p2"), ("p1", 10, "part"),
        ("small", 1, None), ("empty", 0, None),
    ]  # fmt: skip
    assert counts.rows == 52


def test_partitions_and_inheriting_tables_of_other_schemas_are_counted(database: Database) -> None:
    database.execute(
        "CREATE SCHEMA archive; CREATE TABLE part (a int) PARTITION BY RANGE (a);"
        "CREATE TABLE archive.old PARTITION OF part FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE parent (a int); CREATE TABLE archive.chunk () INHERITS (parent);"
        "INSERT INTO part VALUES (1); INSERT INTO parent VALUES (1);"
        "INSERT INTO archive.chunk VALUES (1), (2)"
    )
    counts = count_rows(database.target())
    assert rows_of(counts) == {"archive.chunk": 2, "parent": 1, "part": 1, "archive.old": 1}
    assert counts.rows == 4


def test_what_is_no_table_of_the_user_is_counted_only_if_it_is_named(
    database: Database, project: Project
) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    database.execute(
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2); CREATE VIEW v AS SELECT * FROM t;"
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM t LIMIT 1;"
        "CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw;"
        "CREATE FOREIGN TABLE f (a int) SERVER s OPTIONS (program 'seq 1 5');"
        "CREATE TABLE x (a int); ALTER EXTENSION file_fdw ADD TABLE x"
    )
    counts = count_rows(database.target())
    assert set(rows_of(counts)) == {"t", "t1"}
    reasons = {item.table: item.reason for item in counts.left_out}
    assert reasons["x"] == "belongs to an extension"
    assert reasons["f"] == "foreign table"
    assert reasons["chatdb_migration"] == "history of the migrations"
    named = count(database, "v", "m", "f", "x", "chatdb_migration")
    assert named == {"f": 5, "v": 2, "m": 1, "chatdb_migration": 1, "x": 0}


def test_temporary_tables_of_any_session_are_left_out(database: Database) -> None:
    with database.connect() as other:
        other.execute("CREATE TEMP TABLE temporary (a int)")
        database.execute("CREATE TABLE t (a int)")
        assert count(database) == {"t": 0}


NAMES = {
    "t": "t", "public.t": "t", "T": "t", '"T"': None, "Odd Name": "Odd Name",
    '"Odd Name"': "Odd Name", "other.t": "other.t", "OTHER.T": "other.t", "a.b": '"a.b"',
    'other."a.b"': 'other."a.b"', "nothing": None, "other.nothing": None, "": None, ".": None,
    "nobody.t": None, "x'y": "x'y",
}  # fmt: skip


def test_a_table_is_named_as_in_sql_or_as_it_is(database: Database) -> None:
    database.execute(
        'CREATE SCHEMA other; CREATE TABLE t (a int); CREATE TABLE "Odd Name" (a int);'
        'CREATE TABLE other.t (a int); CREATE TABLE "a.b" (a int); CREATE TABLE other."a.b" (a int);'
        'CREATE TABLE "x\'y" (a int)'
    )
    for name, expected in NAMES.items():
        if expected is not None:
            assert count(database, name) == {expected: 0}
            continue
        with pytest.raises(ChatdbError) as caught:
            count(database, name)
        assert (caught.value.code, repr(name) in caught.value.message) == (Code.USAGE, True)


def test_an_unknown_name_suggests_the_nearest_one(database: Database, chatdb: Chatdb) -> None:
    database.execute("CREATE TABLE orders (id int, customer int)")
    done = chatdb("counts", "ordres")
    assert (done.code, done.out) == (2, "")
    assert "there is no table 'ordres' in schema 'public'; did you mean orders?" in done.err
    done = chatdb("counts", "--checksum", "--columns", "orders.costumer")
    assert done.code == 2
    assert "has a column 'orders.costumer'" in done.err
    done = chatdb("counts", "--checksum", "--exclude-columns", "costumer")
    assert "did you mean customer?" in done.err


def test_a_schema_that_does_not_exist_is_an_error(database: Database) -> None:
    with pytest.raises(ChatdbError) as caught:
        count_rows(database.target(schema="nope"))
    assert caught.value.code is Code.MISSING_SCHEMA
    database.execute("CREATE SCHEMA bare")
    assert count_rows(database.target(schema="bare")).tables == ()


# --- one snapshot ---------------------------------------------------------------------------------


def test_all_connections_see_one_snapshot(database: Database) -> None:
    database.execute(LARGE)
    database.execute("CREATE TABLE later (a int)")

    def change() -> None:
        database.execute(
            "DELETE FROM large; INSERT INTO large SELECT 1 FROM generate_series(1, 99999)"
        )
        database.execute("INSERT INTO later VALUES (1)")

    before = count_rows(database.target(), checksum=True)
    during = count_rows(database.target(), checksum=True, jobs=3, progress=once(change))
    assert rows_of(during) == {"large": 12000, "later": 0}
    assert [t.checksum for t in during.tables] == [t.checksum for t in before.tables]
    assert count(database) == {"large": 99999, "later": 1}


def test_no_table_is_truncated_or_dropped_while_it_is_counted(database: Database) -> None:
    database.execute(LARGE)
    database.execute("CREATE TABLE other (a int); INSERT INTO other VALUES (1)")
    errors: list[psycopg.Error] = []

    def empty() -> None:
        for statement in ("TRUNCATE other", "DROP TABLE large"):
            with pytest.raises(psycopg.errors.LockNotAvailable) as caught:
                database.execute(f"SET lock_timeout = '50ms'; {statement}")
            errors.append(caught.value)

    assert count(database, progress=once(empty)) == {"large": 12000, "other": 1}
    assert len(errors) == 2


def test_a_statement_that_waits_for_the_table_does_not_make_it_fail(database: Database) -> None:
    """New locks queue behind it; only the connection that holds the lock already can continue."""
    database.execute(LARGE)
    waiting = threading.Thread(target=database.execute, args=("ALTER TABLE large ADD b int",))

    def alter() -> None:
        waiting.start()
        wait_for_session(database, "wait_event_type = 'Lock' AND query LIKE 'ALTER TABLE large%'")

    assert count(database, checksum=True, jobs=3, progress=once(alter)) == {"large": 12000}
    waiting.join()
    assert database.query("SELECT count(b) FROM large") == [(0,)]


def test_a_table_that_another_session_has_locked_ends_it_after_the_lock_timeout(
    database: Database, chatdb: Chatdb
) -> None:
    database.execute("CREATE TABLE t (a int)")
    with database.connect() as other, other.transaction():
        other.execute("LOCK TABLE t")
        blocker = other.info.backend_pid
        done = chatdb("counts", "--lock-timeout", "1s")
    assert done.code == 7
    assert "lock timeout" in done.err
    assert f"it waited for pid {blocker} (" in done.err
    assert "LOCK TABLE t" in done.err
    assert "--lock-timeout" in done.err


def test_a_table_that_is_dropped_before_it_could_be_locked_is_not_counted(
    database: Database,
) -> None:
    database.execute("CREATE TABLE t (a int); CREATE TABLE u (a int)")
    results: list[dict[str, int]] = []
    counting = threading.Thread(target=lambda: results.append(count(database)))
    with database.connect() as other:
        with other.transaction():
            other.execute("LOCK TABLE t")
            counting.start()
            wait_for_session(database, "wait_event_type = 'Lock' AND query LIKE 'LOCK TABLE%'")
            other.execute("DROP TABLE t; CREATE TABLE v (a int)")
        counting.join()
    assert results == [{"u": 0, "v": 0}]


def test_it_writes_nothing_and_leaves_nothing_open(database: Database) -> None:
    database.execute(LARGE)
    database.execute(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    before = database.query(
        "SELECT pg_current_wal_lsn() IS NOT NULL, pg_current_xact_id_if_assigned()"
    )
    assert count(database, checksum=True, jobs=3) == {"large": 12000}
    after = database.query(
        "SELECT pg_current_wal_lsn() IS NOT NULL, pg_current_xact_id_if_assigned()"
    )
    assert before == after
    wait_for_no_sessions(database, "backend_type = 'client backend'")


@pytest.mark.parametrize("setting", ["statement_timeout", "idle_in_transaction_session_timeout"])
def test_timeouts_of_the_role_do_not_end_it(database: Database, setting: str) -> None:
    database.execute("CREATE TABLE t AS SELECT generate_series(1, 10) AS a")
    database.execute("CREATE VIEW slow AS SELECT a, pg_sleep(0.02)::text FROM t")
    database.execute(f"ALTER DATABASE {database.name} SET {setting} = '40ms'")
    with Snapshot(database.target(), ["slow"]) as snapshot:
        assert [t.rows for t in snapshot.count()] == [10]
        database.execute("SET statement_timeout = 0; SELECT pg_sleep(0.1)")
        assert [t.rows for t in snapshot.count()] == [10]


# --- rights ---------------------------------------------------------------------------------------


@on_first_server
def test_a_table_that_one_may_not_read_is_an_error_that_names_the_grant(database: Database) -> None:
    database.execute('CREATE TABLE "T" (a int); CREATE TABLE u (a int)')
    with role(database, "GRANT SELECT ON u TO {role}") as url:
        target = database.target(database_url=url)
        with pytest.raises(ChatdbError) as caught:
            count_rows(target)
        assert count_rows(target, ["u"]).rows == 0
    assert (caught.value.code, caught.value.sqlstate) == (Code.LOGIN, "42501")
    assert "may not read 'T'" in caught.value.message
    assert 'GRANT SELECT ON public."T" TO r_' in (caught.value.hint or "")


@on_first_server
def test_rows_that_a_policy_would_hide_are_never_missed_in_silence(database: Database) -> None:
    database.execute(
        "CREATE TABLE t AS SELECT generate_series(1, 9) AS a; CREATE VIEW v AS SELECT * FROM t;"
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (a < 3)"
    )
    assert count(database) == {"t": 9}
    with role(database, "GRANT SELECT ON t, v TO {role}") as url:
        target = database.target(database_url=url)
        with pytest.raises(ChatdbError) as caught:
            count_rows(target)
        assert caught.value.code is Code.LOGIN
        assert "row-level security may hide rows of 't'" in caught.value.message
        assert "BYPASSRLS" in (caught.value.hint or "")
        assert "options" not in caught.value.message
        database.execute("ALTER VIEW v OWNER TO r_" + database.name)
        with pytest.raises(ChatdbError) as caught:
            count_rows(target, ["v"])
        assert "row-level security" in caught.value.message


# --- connections ----------------------------------------------------------------------------------


@on_first_server
def test_it_continues_with_the_connections_that_it_can_open(database: Database) -> None:
    database.execute(LARGE)
    name = f"r_{database.name}"
    database.execute(
        f"CREATE ROLE {name} LOGIN CONNECTION LIMIT 1; GRANT SELECT ON large TO {name}"
    )
    lines: list[str] = []
    try:
        with allow_logins(database.server, f"local all {name} trust"):
            target = database.target(
                database_url=database.url.replace("postgres@", f"{name}@"), connect_timeout="1s"
            )
            counts = count_rows(target, checksum=True, jobs=2, report=lines.append)
            wait_for_no_sessions(database, f"usename = '{name}'")
    finally:
        database.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
    assert rows_of(counts) == {"large": 12000}


# Two views that can be read only when nobody holds an advisory lock.
GATES = """\
CREATE TABLE t AS SELECT 1 AS a;
CREATE VIEW gate1 AS SELECT pg_advisory_xact_lock_shared(1)::text FROM t;
CREATE VIEW gate2 AS SELECT pg_advisory_xact_lock_shared(1)::text FROM t"""
TERMINATE = """\
SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event = 'advisory' ORDER BY backend_start"""


def count_at_gates(
    database: Database, terminate: str
) -> tuple[list[dict[str, int]], list[ChatdbError], list[str]]:
    """Count over two connections, terminate some of them, and then open the gates."""
    database.execute(GATES)
    results: list[dict[str, int]] = []
    failures: list[ChatdbError] = []
    lines: list[str] = []

    def run() -> None:
        try:
            results.append(count(database, "gate1", "gate2", jobs=2, report=lines.append))
        except ChatdbError as error:
            failures.append(error)

    counting = threading.Thread(target=run)
    with database.connect() as other:
        other.execute("SELECT pg_advisory_lock(1)")
        counting.start()
        wait_for_session(database, BOTH_WAIT)
        database.execute(terminate)
    counting.join()
    return results, failures, lines


BOTH_WAIT = """wait_event = 'advisory' AND 2 = (SELECT count(*) FROM pg_stat_activity b
    WHERE b.datname = current_database() AND b.wait_event = 'advisory')"""


def test_a_worker_that_is_terminated_gives_its_work_back(database: Database) -> None:
    results, failures, lines = count_at_gates(database, f"{TERMINATE} DESC LIMIT 1")
    assert failures == []
    assert results == [{"gate1": 1, "gate2": 1}]
    assert [line for line in lines if "continuing with fewer connections" in line]


def test_a_lost_snapshot_is_an_error(database: Database) -> None:
    results, (failure,), _ = count_at_gates(database, f"{TERMINATE} LIMIT 1")
    assert results == []
    assert failure.code is Code.LOST


@pytest.mark.skipif(PGBOUNCER is None, reason="no pgbouncer")
def test_through_a_pooler_there_is_one_connection_and_one_transaction(
    database: Database, chatdb: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.execute(LARGE)
    direct = count_rows(database.target(), checksum=True)
    allow_owner_login(database.server)
    with pooled(database, size=1) as pooler:
        lines: list[str] = []
        target = database.target(database_url=pooler.url(database.name))
        counts = count_rows(target, checksum=True, report=lines.append)
        assert counts.tables[0].checksum == direct.tables[0].checksum
        assert counts.source.connections == 1
        assert "over one connection, in one transaction" in lines[0]
        monkeypatch.setenv("DATABASE_URL", pooler.url(database.name))
        done = chatdb("counts")
        assert (done.code, done.err.count("over one connection")) == (0, 1)


def test_a_standby_is_counted_but_for_its_unlogged_tables(database: Database) -> None:
    database.execute(LARGE)
    database.execute("CREATE UNLOGGED TABLE u (a int); CHECKPOINT")
    primary = count_rows(database.target(), ["large"], checksum=True)
    server = database.server.embedded
    data = server.status().data
    assert data
    signal_file = data / "standby.signal"
    server.stop()
    owner = data.stat()
    signal_file.touch()
    os.chown(signal_file, owner.st_uid, owner.st_gid)
    server.start()
    try:
        standby = count_rows(database.target(), checksum=True, jobs=3)
    finally:
        server.stop()
        signal_file.unlink()
        server.start()
    assert standby.source.standby
    assert [t.checksum for t in standby.tables] == [t.checksum for t in primary.tables]
    assert [item.table for item in standby.left_out] == ["u"]


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_ctrl_c_ends_it_at_once_on_the_server_too(
    database: Database, project: Project, jobs: str
) -> None:
    database.execute("CREATE TABLE t AS SELECT 1 AS a")
    database.execute("CREATE VIEW forever AS SELECT pg_sleep(3600)::text FROM t")
    process = subprocess.Popen(
        project.command("counts", "-d", database.url, "forever", "--jobs", jobs),
        env=command_environment(project, database),
    )
    wait_for_session(database, "query LIKE '%forever%' AND wait_event = 'PgSleep'")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    wait_for_no_sessions(database, "query LIKE '%forever%'")


@pytest.mark.parametrize(
    ("create", "text"),
    [
        ("CREATE MATERIALIZED VIEW x AS SELECT 1 WITH NO DATA", "has not been populated"),
        ("CREATE VIEW x AS SELECT 1 / (random() * 0)::int AS a", "division by zero"),
    ],
)
def test_what_can_not_be_read_is_an_error_with_the_servers_words(
    database: Database, chatdb: Chatdb, create: str, text: str
) -> None:
    database.execute(create)
    done = chatdb("counts", "x", "--checksum", "--format", "json")
    assert done.code == 3
    assert done.document["error"]["code"] == "unreadable"
    assert text in done.document["error"]["message"]


# --- estimates and output -------------------------------------------------------------------------


def test_an_estimate_reads_no_table_and_says_that_it_is_one(
    database: Database, chatdb: Chatdb
) -> None:
    database.execute("CREATE TABLE t AS SELECT generate_series(1, 5000) AS a; ANALYZE t")
    database.execute("CREATE TABLE fresh AS SELECT generate_series(1, 5000) AS a")
    with database.connect() as other, other.transaction():
        other.execute("INSERT INTO t VALUES (1)")
        document = chatdb("counts", "--estimate", "--format", "json").document
    rows = {table["table"]: table for table in document["tables"]}
    assert rows["t"]["rows"] == 5000
    assert rows["t"]["estimated"] is True
    assert 1000 < rows["fresh"]["rows"] < 20000
    assert "~5,000" in chatdb("counts", "--estimate").out


def test_the_document_has_the_keys_of_the_contract(database: Database, chatdb: Chatdb) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    document = chatdb("counts", "--checksum", "--format", "json").document
    assert document["ok"] is True
    assert document["target"]["database"] == database.name
    assert document["sequences"] == []
    (table,) = document["tables"]
    assert len(table.pop("checksum")) == 16
    assert table == {
        "table": "t", "rows": 1, "other_rows": None, "other_checksum": None, "match": None,
        "differences": [], "checksum_form": "native", "estimated": False, "kind": "table",
        "parent": None,
    }  # fmt: skip


def test_the_text_names_each_table_and_what_was_left_out(
    database: Database, chatdb: Chatdb
) -> None:
    database.execute("CREATE TABLE t AS SELECT generate_series(1, 1234) AS a")
    database.execute('CREATE TABLE "evil\x1b[31m" (a int)')
    done = chatdb("counts")
    lines = done.out.splitlines()
    assert lines[0].split() == ["table", "rows"]
    assert lines[1].split() == ["t", "1,234"]
    assert lines[2].startswith("evil\\x1b[31m")
    assert lines[-1].startswith("1,234 rows in 2 tables (")
    database.execute(
        "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE q PARTITION OF p DEFAULT"
        " PARTITION BY LIST (a); CREATE TABLE r PARTITION OF q DEFAULT; INSERT INTO p VALUES (1)"
    )
    lines = chatdb("counts", "p", "--checksum").out.splitlines()
    assert [line[:5] for line in lines] == ["table", "p    ", "  q  ", "    r", "1 row"]
    assert len({line.split()[-1] for line in lines[1:4]}) == 1


def test_progress_reaches_the_number_of_rows_and_pages(database: Database) -> None:
    database.execute(LARGE)
    events: list[CountProgress] = []
    count(database, checksum=True, jobs=2, progress=events.append)
    assert len(events) > 3
    assert [e.rows for e in events] == sorted(e.rows for e in events)
    assert events[-1].rows == 12000
    assert events[-1].pages == events[-1].total_pages


def test_ranges_are_read_by_tid_range_scans(database: Database) -> None:
    database.execute(LARGE)
    from chatdb_cli.counts.ranges import RANGE, divide

    with Snapshot(database.target()) as snapshot:
        works = divide(
            snapshot.tables, lambda t: f"SELECT count(*) FROM {snapshot.sql_name(t)}{RANGE}",
            {snapshot.tables[0].oid}, connections=2, parallel=False,
        )  # fmt: skip
        assert len(works) > 3
        for work in works:
            plan = json.dumps(
                snapshot.connection.execute(f"EXPLAIN (FORMAT JSON) {work.sql}".encode()).fetchall()
            )
            assert "Tid Range Scan" in plan


def test_the_bar_shows_rows_rate_and_time_left() -> None:
    event = CountProgress("t", 1_500_000, 100, 400)
    assert count_state(event, 3) == "1,500,000 rows, 500,000/s, 0:09 left"
    assert count_state(event._replace(total_pages=400_000), 3) == (
        "1,500,000 rows, 500,000/s, 3:19:57 left"
    )
    assert count_state(CountProgress("", 0, 0, 400), 0) == "0 rows"


@on_first_server
def test_a_terminal_shows_a_bar_and_then_the_table(database: Database, project: Project) -> None:
    database.execute(LARGE)
    terminal = Terminal(project, "counts", "--checksum", env={"DATABASE_URL": database.url})
    terminal.expect("12,000 rows in 1 table")
    assert terminal.end() == 0
    assert re.search(r"large .*12,000 rows, [0-9,]+/s, 0:00 left", terminal.text)
