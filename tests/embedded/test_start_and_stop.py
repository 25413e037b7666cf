"""A server starts, stops and keeps its data."""

from __future__ import annotations

from pathlib import Path

from chatdb_cli.embedded.server import EmbeddedServer
from tests.support.embedded import Make, assert_refused, query, read_row, write_row


def test_a_server_starts_stops_and_keeps_its_data(stopped: Make) -> None:
    server = stopped()
    assert server.exists
    assert not server.stop()
    assert server.start()
    assert not server.start()
    write_row(server, "here")
    assert server.stop()
    assert not server.stop()
    assert server.start()
    assert read_row(server) == "here"


def test_status_describes_a_missing_a_stopped_and_a_running_server(
    stopped: Make, ground: Path
) -> None:
    nothing = EmbeddedServer(ground / "none" / ".chatdb").status()
    assert (nothing.exists, nothing.running, nothing.pid, nothing.data) == (False,) * 2 + (
        None,
    ) * 2
    server = stopped()
    before = server.status()
    assert (before.exists, before.running, before.pid) == (True, False, None)
    assert before.version == "18"
    server.start()
    status = server.status()
    assert status.running
    assert status.pid
    assert status.data
    assert query(server, "SELECT current_setting('data_directory')") == [(str(status.data),)]
    assert query(server, "SELECT pg_read_file('postmaster.pid')")[0][0].startswith(
        f"{status.pid}\n"
    )
    assert status.log
    assert "ready to accept connections" in status.log.read_text()
    assert status.socket_dir
    assert (status.socket_dir / ".s.PGSQL.5432").is_socket()


def test_status_writes_nothing(ground: Path) -> None:
    server = EmbeddedServer(ground / ".chatdb")
    assert not server.exists
    assert not server.status().exists
    assert not server.stop()
    server.destroy()
    assert_refused(server.params, "EmbeddedServer.start()")
    assert_refused(server.url, "EmbeddedServer.start()")
    assert not list(ground.iterdir())


def test_only_the_owner_can_connect(running: EmbeddedServer) -> None:
    status = running.status()
    for private in (status.data, status.socket_dir):
        assert private
        assert private.stat().st_mode & 0o777 == 0o700
    assert query(running, "SELECT type, auth_method FROM pg_hba_file_rules") == [("local", "peer")]
    assert query(running, "SELECT current_setting('listen_addresses')") == [("",)]
    assert (running.home / ".gitignore").read_text() == "*\n"
