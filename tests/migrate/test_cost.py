"""Round trips, commits and sizes."""

from __future__ import annotations

from collections.abc import Callable

from chatdb_cli.migrate.migrator import Migrator
from tests.support.database import Database
from tests.support.project import Project, migrator_through
from tests.support.proxy import Proxy
from tests.support.servers import socket_of


def test_round_trips_do_not_grow_with_the_number_of_files(
    project: Project, database: Database
) -> None:
    counts: dict[int, list[int]] = {}
    with Proxy(socket_of(database.server)) as proxy:
        for number in (10, 50):
            project.write_tables(*range(1, number + 1))
            runs: list[Callable[[Migrator], object]] = [
                lambda m: m.up(),
                lambda m: m.up(),
                lambda m: m.status(),
                lambda m: m.down(everything=True),
            ]
            for run in runs:
                proxy.kinds.clear()
                run(migrator_through(proxy, project, database))
                counts.setdefault(number, []).append(proxy.round_trips())
    # Connecting is one; then two to read, and one for all of the files together with the lock, the
    # history's tables and letting go.  The first run ever reads once: there is nothing to read.
    assert counts[50][1:] == counts[10][1:]
    assert counts[10][1] - 1 <= 3  # an up that has nothing to do
    assert counts[10] == [3, 3, 3, 8]  # a down is tried first, in three round trips


def test_only_the_last_commit_of_a_run_waits_for_the_disk(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2, 3)
    scripts = [s.sql or "" for s in project.migrator(database).up(dry_run=True).steps]
    off = (
        "'synchronous_commit', 'off'"  # the last asks for a wait, whatever the server's default is
    )
    assert [off in sql for sql in scripts] == [True, True, False]
    assert scripts[-1].count("'synchronous_commit'") > 0
    migrator = project.migrator(database)
    each = Migrator(migrator.target, project.sql, sync_each=True).up(dry_run=True)
    assert not any(off in (s.sql or "") for s in each.steps)


def test_a_select_of_100_mb_and_a_statement_of_10_mb_pass(
    project: Project, database: Database
) -> None:
    # The server is busy sending while the client still has much to send: neither may wait for the
    # other for ever, and nothing of it is kept in memory.
    big = "x" * 10_000_000
    project.write(
        "1_much",
        f"SELECT repeat('y', 1000000) FROM generate_series(1, 100);\nSELECT length('{big}');\n"
        "CREATE TABLE done (id int);",
    )
    project.migrator(database).up()
    assert database.tables() == {"done"}


def test_more_files_than_are_ever_under_way_at_once_are_all_applied(
    project: Project, database: Database
) -> None:
    project.write_tables(*range(1, 201))
    assert len(project.migrator(database).up().steps) == 200
    assert len(database.tables()) == 200
