"""Connections through a tunnel: migrations, other commands, the library."""

from __future__ import annotations

import logging
import socket
import subprocess
from collections.abc import Iterator

import psycopg
import pytest

import chatdb_cli
from chatdb_cli.errors import Code
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.target import open_target
from tests.support.chatdb import Chatdb
from tests.support.project import Project, states
from tests.support.proxy import Proxy
from tests.support.servers import Server, on_first_server, socket_of
from tests.support.ssh import TunnelSetup
from tests.support.sshd import USER, free_port

pytestmark = on_first_server  # these do not depend on the version of PostgreSQL


def test_the_logs_of_the_libraries_below_are_not_mixed_with_chatdbs(
    tunnel: TunnelSetup, offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = tunnel.run(offline, "migrate", "status", "--dir", "@chat", "--verbose", "--quiet")
    assert (result.code, result.err) == (0, "")
    # Not `caplog`: it also captures loggers that do not propagate.
    records: list[logging.LogRecord] = []
    handler, root = logging.Handler(), logging.getLogger()
    monkeypatch.setattr(handler, "emit", records.append)
    monkeypatch.setattr(root, "handlers", [handler])
    with tunnel.target() as target:
        connect(target).close()
    assert records == []


def test_migrations_run_through_a_tunnel_and_leave_nothing_open(
    any_fresh_tunnel: TunnelSetup, project: Project
) -> None:
    project.write_tables(1, 2)
    with any_fresh_tunnel.target() as target:
        assert str(target).startswith(f"postgres@127.0.0.1:{any_fresh_tunnel.proxy.port}/")
        assert f", via {USER}@127.0.0.1:{any_fresh_tunnel.bastion.port} (" in str(target)
        assert states(Migrator(target, project.sql).up()) == ["applied"] * 2
        assert Migrator(target, project.sql).status().pending == ()
    assert any_fresh_tunnel.database.tables() == {"t1", "t2"}


def test_a_command_uses_the_tunnel_set_by_variables_or_flags(
    fresh_tunnel: TunnelSetup, project: Project, offline: Chatdb
) -> None:
    project.write_tables(1)
    result = fresh_tunnel.run(offline, "migrate", "up")
    assert result.code == 0, result.err
    assert f", via {USER}@127.0.0.1:{fresh_tunnel.bastion.port} (DATABASE_URL" in result.err
    flags = [
        part
        for name, value in fresh_tunnel.variables.items()
        if name.startswith("SSH_")
        for part in ("--" + name.lower().replace("_", "-"), value)
    ]
    url = fresh_tunnel.variables["DATABASE_URL"]
    result = offline("migrate", "status", "--format", "json", "-d", url, *flags)
    assert result.code == 0, result.err
    assert result.document["target"]["via"] == f"{USER}@127.0.0.1:{fresh_tunnel.bastion.port}"


def test_no_tunnel_connects_directly(tunnel: TunnelSetup) -> None:
    for settings in (tunnel.settings({"no_tunnel": True}), tunnel.settings(SSH_ENABLED="false")):
        with open_target(settings) as target:
            assert (target.via, target.tunnel) == (None, None)
            connect(target).close()


def test_the_pool_of_setup_closes_the_tunnel(fresh_tunnel: TunnelSetup, project: Project) -> None:
    project.write_tables(1)
    with (
        chatdb_cli.setup(fresh_tunnel.settings(), project.sql) as pool,
        pool.connection() as first,
        pool.connection() as second,
    ):
        for conn in (first, second):
            assert conn.execute("SELECT count(*) FROM t1").fetchone() == (0,)


def test_other_programs_use_the_url_of_a_tunnel(tunnel: TunnelSetup) -> None:
    with chatdb_cli.open_tunnel(tunnel.settings()) as opened:
        assert opened.alive
        with psycopg.connect(opened.url) as conn:
            assert conn.info.dbname == tunnel.database.name
    assert not opened.alive


def test_only_this_machine_reaches_the_local_end(tunnel: TunnelSetup) -> None:
    with tunnel.target() as target:
        assert target.params["hostaddr"] == "127.0.0.1"
        assert target.tunnel
        listening = subprocess.run(["cat", "/proc/net/tcp", "/proc/net/tcp6"], capture_output=True)
        port = f"{target.tunnel.port:04X}"
        ends = {
            w[1] for w in map(str.split, listening.stdout.decode().splitlines()) if w[3] == "0A"
        }
        assert {end for end in ends if end.endswith(f":{port}")} <= {f"0100007F:{port}"}


def test_large_data_flows_in_both_directions_at_once(tunnel: TunnelSetup) -> None:
    """Send more data than any buffer holds in both directions: a single thread would block forever."""
    size, number = 1_000_000, 12
    with tunnel.target() as target, connect(target) as conn:
        with conn.pipeline():
            text = "x" * size
            cursors = [conn.execute("SELECT %s::text", (text,)) for _ in range(number)]
        assert all(c.fetchone() == (text,) for c in cursors)


class Standby(Proxy):
    """A proxy that makes a server report that it is a standby."""

    def _chunks(self, source: socket.socket) -> Iterator[bytes]:
        for data in super()._chunks(source):
            yield data.replace(b"\x17in_hot_standby\0off\0", b"\x16in_hot_standby\0on\0")


def test_target_session_attrs_chooses_among_several_hosts(
    tunnel: TunnelSetup, server: Server, offline: Chatdb
) -> None:
    with Standby(socket_of(server)) as standby:
        ports = {"primary": tunnel.proxy.port, "standby": standby.port, "down": free_port()}

        def url(hosts: str, wanted: str) -> str:
            several = ",".join(f"127.0.0.1:{ports[host]}" for host in hosts.split())
            address, name = f"postgres@{several}", tunnel.database.name
            return f"postgresql://{address}/{name}?sslmode=disable&target_session_attrs={wanted}"

        for hosts, wanted, chosen in (
            ("primary standby", "any", 0),
            ("standby primary", "any", 0),
            ("standby primary", "primary", 1),
            ("primary standby", "standby", 1),
            ("primary standby", "prefer-standby", 1),
            ("down primary", "any", 1),
            ("down standby primary", "read-write", 2),
        ):
            with tunnel.target(DATABASE_URL=url(hosts, wanted)) as target, connect(target) as conn:
                assert target.tunnel
                assert target.tunnel.places == tuple(("127.0.0.1", ports[h]) for h in hosts.split())
                assert conn.info.port == target.tunnel.ports[chosen], (hosts, wanted)
                for port in set(target.tunnel.ports):
                    assert f":{port}" in target.tunnel.url
        assert (
            tunnel.connect_error(DATABASE_URL=url("down down", "any")).code is Code.BEHIND_REFUSED
        )
        assert tunnel.connect_error(DATABASE_URL=url("standby", "primary")).code is Code.UNREACHABLE
        # `tunnel check` shows a host that is down, and still succeeds.
        check = "tunnel", "check", "--format", "json"
        result = tunnel.run(offline, *check, DATABASE_URL=url("down primary", "any"))
        steps = [(s["step"], s["state"]) for s in result.document["steps"][-3:]]
        assert steps == [("forward", "failed"), ("forward", "ok"), ("database", "ok")]
        assert result.code == 0
        assert tunnel.run(offline, *check, DATABASE_URL=url("down down", "any")).code == 3


@pytest.mark.parametrize(
    "several",
    ["host=a,b port=1,2,3", "host=a hostaddr=10.0.0.1,10.0.0.2", "hostaddr=10.0.0.1 port=1,2",
     "host=a,b hostaddr=10.0.0.1 port=1"],
)  # fmt: skip
def test_different_numbers_of_hosts_and_ports_are_refused(
    several: str, tunnel: TunnelSetup
) -> None:
    error = tunnel.connect_error(DATABASE_URL=f"{several} dbname=d user=u")
    assert (error.code, error.exit) == (Code.SETTINGS, 2)
    assert error.hint
