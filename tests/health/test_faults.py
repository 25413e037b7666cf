"""The server of health and metrics, while the database, the network or the process has trouble."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from chatdb_cli.health.serve import answers, probes, worker
from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.http import Reply, request, scrape, serving
from tests.support.paths import ROOT
from tests.support.pooler import PGBOUNCER, allow_owner_login, pooled
from tests.support.project import Project
from tests.support.proxy import Proxy
from tests.support.servers import on_first_server, socket_of


def wait_for(act: Callable[[], Reply], expected: Callable[[Reply], object]) -> Reply:
    """Repeat a request until its reply is the expected one; results are reused for a second."""
    paused = threading.Event()
    for _ in range(600):
        reply = act()
        if expected(reply):
            return reply
        paused.wait(0.05)
    raise AssertionError(reply)


def is_up(reply: Reply) -> bool:
    return reply.value("up") == 1


def is_down(reply: Reply) -> bool:
    return reply.value("up") == 0


class Gate:
    """Holds back every message of the clients of a proxy while it is shut."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()

    def __call__(self, *_: object) -> bool:
        self.open.wait()
        return True


@on_first_server
@pytest.mark.quick
def test_while_the_database_hangs_a_scrape_answers_in_time_with_up_0(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "PATIENCE_S", 1.0)
    gate = Gate()
    with (
        Proxy(socket_of(database.server), on_message=gate) as proxy,
        serving(database, database_url=proxy.url(database.name)) as server,
    ):
        assert is_up(scrape(server))
        gate.open.clear()
        try:
            hanging = wait_for(
                lambda: request(server, "/metrics", X_Prometheus_Scrape_Timeout_Seconds="0.5"),
                is_down,
            )
            assert request(server, "/health/live").status == 200
            ready = request(server, "/health/ready")
            health = request(server, "/health")
        finally:
            gate.open.set()
        wait_for(lambda: scrape(server), is_up)
    assert hanging.status == 200
    assert not hanging.labels("table_rows")
    assert (ready.status, ready.document["database"]) == (503, "disconnected")
    assert (health.status, health.document["database"]) == (503, "disconnected")


@on_first_server
def test_a_response_is_never_much_later_than_the_limit(database: Database) -> None:
    gate = Gate()
    gate.open.clear()
    with Proxy(socket_of(database.server), on_message=gate) as proxy:
        try:
            with serving(database, database_url=proxy.url(database.name)) as server:
                begun = os.times().elapsed
                assert is_down(scrape(server))
                took = os.times().elapsed - begun
                assert is_down(scrape(server))  # at once: the limit counts from the first one
        finally:
            gate.open.set()
    assert took < answers.PATIENCE_S + 20


@on_first_server
def test_while_the_database_hangs_its_connections_are_not_used_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "LIFETIME_S", 0.0)
    monkeypatch.setattr(worker, "_FIRST_PAUSE_S", 1000.0)
    gate = Gate()
    gate.open.clear()
    connections = []
    with Proxy(socket_of(database.server), on_message=gate) as proxy:
        try:
            with serving(database, database_url=proxy.url(database.name)) as server:
                wait_for(lambda: request(server, "/health"), lambda r: "timeout" in str(r.document))
                for _ in range(5):
                    connections.append(proxy.connections)
                    for path in ("/health", "/health/ready"):
                        assert request(server, path).status == 503
                    assert is_down(scrape(server))
        finally:
            gate.open.set()
    assert connections == [1] * 5


@on_first_server
def test_it_survives_the_database_going_away_and_coming_back(database: Database) -> None:
    reports: list[str] = []
    with Proxy(socket_of(database.server)) as proxy:
        url = proxy.url(database.name)
        with serving(database, database_url=url, report=reports.append) as server:
            assert is_up(scrape(server))
            # The server ends the idle session: the next scrape connects again, and does not fail.
            proxy.cut()
            again = wait_for(
                lambda: scrape(server), lambda r: r.value("connections_opened_total") == 2
            )
            assert is_up(again)
            proxy.refuse()
            proxy.cut()
            down = wait_for(lambda: scrape(server), is_down)
            assert down.value("probe_failures_total", code="unreachable")
            assert request(server, "/health").document["database"] == "disconnected"
            with proxy_at(proxy.port, database):
                wait_for(lambda: scrape(server), is_up)
                health = wait_for(
                    lambda: request(server, "/health"),
                    lambda r: r.document["database"] == "connected",
                )
    assert health.status == 200
    assert len(reports) == 2
    assert reports[0].startswith("can't connect to ")
    assert reports[1] == "the database answers again"


@contextmanager
def proxy_at(port: int, database: Database) -> Iterator[None]:
    """Run a proxy at a port that was used before."""
    with Proxy(socket_of(database.server), listen_at=port):
        yield


@on_first_server
def test_a_database_that_was_never_there_is_no_error(database: Database) -> None:
    database.execute("SELECT 1")
    url = database.url.replace(database.name, "missing")
    with serving(database, database_url=url) as server:
        assert is_down(scrape(server))
        health = request(server, "/health")
    assert health.status == 503
    assert health.document["status"] == "error"


def test_sessions_that_the_server_ends_are_replaced(database: Database) -> None:
    with serving(database) as server:
        assert is_up(scrape(server))
        database.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name LIKE 'chatdb %' AND datname = current_database()"
        )
        reply = wait_for(lambda: scrape(server), lambda r: r.value("connections_opened_total") == 2)
    assert is_up(reply)
    assert not reply.labels("probe_failures_total")


@pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")
@on_first_server
def test_through_a_pooler_it_reads_the_same_and_survives_a_restart_of_the_pooler(
    database: Database,
) -> None:
    allow_owner_login(database.server)
    with (
        pooled(database, size=1) as pooler,
        serving(database, database_url=pooler.url(database.name)) as server,
    ):
        reply = scrape(server)
        assert is_up(reply)
        assert all(
            reply.value("collector_success", **labels) == 1
            for labels in reply.labels("collector_success")
        )
        pooler.restart()
        again = wait_for(lambda: scrape(server), lambda r: r.value("connections_opened_total") == 2)
        assert is_up(again)


# --- the command ----------------------------------------------------------------------------------


class Served:
    """A running `chatdb health --serve`."""

    def __init__(self, project: Project, *arguments: str, **env: str) -> None:
        self.process = subprocess.Popen(
            project.command("health", *arguments),
            cwd=project.path,
            env=project.environment(PYTHONPATH=str(ROOT), **env),
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            if " at http://" in line:
                break
        found = re.search(r"http://[\d.]+:(\d+)", self.lines[-1])
        assert found, self.lines
        self.port = int(found[1])

    def end(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        assert self.process.stderr
        rest = self.process.stderr.read()
        return self.process.wait(), rest

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stderr
        self.process.stderr.close()


@on_first_server
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_command(
    number: int, code: int, project: Project, database: Database
) -> None:
    with Served(project, "--serve", "127.0.0.1:0", "-d", database.url) as served:
        assert is_up(scrape(served.port))
        assert served.end(number) == (code, "")


@on_first_server
def test_a_signal_ends_the_command_also_while_the_database_hangs(
    project: Project, database: Database
) -> None:
    gate = Gate()
    with Proxy(socket_of(database.server), on_message=gate) as proxy:
        url = proxy.url(database.name)
        with Served(project, "--serve", "127.0.0.1:0", "-d", url) as served:
            scrape(served.port)
            gate.open.clear()
            try:
                wait_for(
                    lambda: request(
                        served.port, "/metrics", X_Prometheus_Scrape_Timeout_Seconds="0.5"
                    ),
                    is_down,
                )
                assert served.end(signal.SIGTERM)[0] == 143
            finally:
                gate.open.set()


@on_first_server
def test_another_address_has_to_be_written_out_and_is_warned_about(
    project: Project, database: Database
) -> None:
    port = str(free_port())
    listen = {"CHATDB_HEALTH_LISTEN": "0.0.0.0", "PORT": port}
    with Served(project, DATABASE_URL=database.url, **listen) as served:
        assert served.lines == [f"serving /health and /metrics at http://0.0.0.0:{port}"]
        assert request(served.port, "/health").status in (200, 503)
        _, rest = served.end(signal.SIGTERM)
    assert rest.startswith("warning: other machines can reach ")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


@on_first_server
def test_with_json_logs_every_line_is_a_record(project: Project, database: Database) -> None:
    arguments = ("--serve", "127.0.0.1:0", "-d", database.url, "--log-format", "json")
    with Served(project, *arguments) as served:
        scrape(served.port)
        _, rest = served.end(signal.SIGTERM)
    for line in [*served.lines, *rest.splitlines()]:
        assert {"timestamp", "level", "event", "message", "correlation_id", "data"} <= set(
            json.loads(line)
        )


@on_first_server
def test_a_port_that_is_in_use_is_named_with_the_reason(chatdb: Chatdb) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = chatdb("health", "--serve", f"127.0.0.1:{port}")
    assert result.code == 2
    assert result.err.startswith(
        f"error: can't listen on 127.0.0.1:{port}: address already in use [EADDRINUSE]\n"
    )


@on_first_server
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--serve", "9432"), "names no host"),
        (("--serve", "x:99999"), "port"),
        (("--serve", "[::1"), "is not an address"),
        (("--serve", "127.0.0.1:0", "--metrics-top", "0"), "whole number from 1"),
        (("--serve", "127.0.0.1:0", "--threshold", "nothing=1"), "does not exist"),
    ],
)
def test_wrong_options_are_refused_before_it_serves(
    arguments: tuple[str, ...], message: str, chatdb: Chatdb
) -> None:
    result = chatdb("health", *arguments)
    assert result.code == 2
    assert message in result.err
