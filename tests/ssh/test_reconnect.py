"""Retries, lost connections, and the time that a tunnel costs."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.pool import open_pool
from chatdb_cli.seed.files import seed_files
from chatdb_cli.ssh import open_route, session
from tests.support.project import Project, states
from tests.support.proxy import Link, Proxy
from tests.support.servers import Server, on_first_server, socket_of
from tests.support.ssh import TunnelSetup, make_tunnel_setup, needs_sshd, wait_for
from tests.support.sshd import USER, Sshd

pytestmark = on_first_server  # these do not depend on the version of PostgreSQL


def test_only_a_transient_failure_is_retried(tunnel: TunnelSetup, keys: Path) -> None:
    lines: list[str] = []
    three_retries = {"SSH_MAX_RETRIES": "3"}
    tunnel.bastion.stop()

    def report(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            tunnel.bastion.start()

    try:
        tunnel.target(report, **three_retries).close()
    finally:
        if len(lines) < 2:
            tunnel.bastion.start()
    assert [line[line.index("trying") :] for line in lines] == [
        "trying again in 0.001 s (1 of 3)",
        "trying again in 0.002 s (2 of 3)",
    ]
    lines.clear()
    for more in ({"SSH_KEY_PATH": str(keys / "stranger")}, {"SSH_HOST": "nowhere.invalid"}):
        with pytest.raises(ChatdbError):
            tunnel.target(lines.append, **more, **three_retries)
    assert lines == []


RUNNING = "query LIKE '%pg_sleep(60)%' AND state = 'active'"


def start_loss(tunnel: TunnelSetup, drop: Callable[[], None]) -> threading.Thread:
    """Start a thread that drops the tunnel while the migration sleeps."""

    def watch() -> None:
        sql = f"SELECT 1 FROM pg_stat_activity WHERE {RUNNING} AND pid <> pg_backend_pid()"
        wait_for(lambda: tunnel.database.query(sql))
        drop()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_a_tunnel_lost_during_a_migration_rolls_it_back_and_the_next_run_continues(
    any_fresh_tunnel: TunnelSetup, project: Project
) -> None:
    project.write_tables(1, 3)
    project.write("0002_slow", "CREATE TABLE t2 (id int); SELECT pg_sleep(60);", "DROP TABLE t2;")
    with any_fresh_tunnel.target() as target:
        thread = start_loss(any_fresh_tunnel, any_fresh_tunnel.bastion.drop_connections)
        start = time.monotonic()
        with pytest.raises(ChatdbError) as caught:
            Migrator(target, project.sql).up()
        assert time.monotonic() - start < 30  # it does not wait for the 60 seconds
        thread.join()
        error = caught.value
        assert (error.code, error.exit) == (Code.TUNNEL_LOST, 4)
        assert f"through {USER}@127.0.0.1" in error.message
        assert states(error) == ["applied", "failed", "not-run"]
        assert any_fresh_tunnel.database.tables() == {"t1"}
        # The tunnel opens again by itself.
        project.write("0002_slow", "CREATE TABLE t2 (id int);", "DROP TABLE t2;")
        assert states(Migrator(target, project.sql).up()) == ["applied"] * 2
    assert any_fresh_tunnel.database.tables() == {"t1", "t2", "t3"}


def test_a_seed_whose_tunnel_is_lost_writes_nothing_and_names_the_tunnel(
    any_fresh_tunnel: TunnelSetup, project: Project
) -> None:
    project.write_tables(1)
    (project.sql / "seed").mkdir()
    (project.sql / "seed" / "0001_rows.sql").write_text(
        "INSERT INTO t1 VALUES (1); SELECT pg_sleep(60);"
    )
    with any_fresh_tunnel.target() as target:
        Migrator(target, project.sql).up()
        thread = start_loss(any_fresh_tunnel, any_fresh_tunnel.bastion.drop_connections)
        with pytest.raises(ChatdbError) as caught:
            seed_files(target, project.sql)
        thread.join()
    assert (caught.value.code, caught.value.exit) == (Code.TUNNEL_LOST, 4)
    assert any_fresh_tunnel.database.query("SELECT count(*) FROM t1") == [(0,)]


def test_a_tunnel_that_cannot_be_opened_again_is_reported_with_an_unknown_outcome(
    fresh_tunnel: TunnelSetup, project: Project
) -> None:
    project.write("0001_slow", "CREATE TABLE t1 (id int); SELECT pg_sleep(60);", None)
    thread = start_loss(fresh_tunnel, fresh_tunnel.bastion.stop)
    try:
        result = project.chatdb("migrate", "up", "--format", "json", env=fresh_tunnel.variables)
    finally:
        thread.join()
        fresh_tunnel.bastion.start()
    assert result.returncode == 4, result.stderr
    assert "Traceback" not in result.stderr
    assert json.loads(result.stdout)["error"]["code"] == "tunnel-lost"
    assert "chatdb migrate status" in result.stderr
    fresh_tunnel.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE {RUNNING} AND pid <> pg_backend_pid()"
    )


@needs_sshd
def test_a_silent_bastion_is_disconnected(
    tunnel: TunnelSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_KEEPALIVE_S", 0.2)
    monkeypatch.setattr(open_route, "_SILENCE_S", 1.5)
    monkeypatch.setattr(open_route, "_LISTEN_S", 0.25)
    assert isinstance(tunnel.bastion, Sshd)
    with tunnel.target() as target, connect(target) as conn:
        conn.execute("SELECT pg_sleep(2)")  # a silent database is not a silent bastion
        tunnel.bastion.signal(signal.SIGSTOP)
        try:
            with pytest.raises(psycopg.OperationalError):
                conn.execute("SELECT 1")
        finally:
            tunnel.bastion.drop_connections()
        assert target.tunnel
        loss = target.tunnel.explain()
        assert loss
        assert "no data was received" in loss.message


def test_a_pool_reconnects_after_a_lost_tunnel(any_tunnel: TunnelSetup) -> None:
    with any_tunnel.target() as target, open_pool(target) as pool:
        for _ in range(2):
            with pool.connection() as conn:
                conn.execute("SELECT 1")
            any_tunnel.bastion.drop_connections()
            assert target.tunnel
            target.tunnel.last.join(5)
        with pool.connection() as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)


def test_the_number_of_round_trips_does_not_grow_with_the_number_of_files(
    sshd_or_python: Any,
    server: Server,
    keys: Path,
    home: Path,
    tmp_path: Path,
) -> None:
    """A link with a round trip of 50 ms leads to the bastion."""
    round_trips, seconds = {}, {}
    with Proxy(socket_of(server)) as proxy, Link(sshd_or_python.port, 0.025) as link:
        for number in (10, 100):
            files = Project(tmp_path / str(number))
            files.write_tables(*range(number))
            database = server.create()
            tunnel = make_tunnel_setup(sshd_or_python, proxy, database, keys, home)
            known = sshd_or_python.known_hosts_line().replace(
                f":{sshd_or_python.port} ", f":{link.port} "
            )
            (home / ".ssh" / "known_hosts").write_text(known)
            for what in ("up", "no-op")[: 2 if number == 100 else 1]:
                before, start = proxy.round_trips(), time.monotonic()
                with tunnel.target(SSH_PORT=str(link.port)) as target:
                    Migrator(target, files.sql).up()
                round_trips[number, what] = proxy.round_trips() - before
                seconds[number, what] = time.monotonic() - start
            database.drop()
    assert round_trips[10, "up"] == round_trips[100, "up"]
    assert seconds[100, "up"] - seconds[100, "no-op"] < 2
