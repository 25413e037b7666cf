"""The server of health and metrics: what it answers, and what clients can't do to it."""

from __future__ import annotations

import platform
import random
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

import chatdb_cli
from chatdb_cli.errors import ChatdbError
from chatdb_cli.health.serve import listener
from chatdb_cli.health.serve.answers import choose_format
from chatdb_cli.health.serve.listener import CLIENTS
from chatdb_cli.health.serve.server import HealthServer
from tests.support.database import Database, wait_for_no_sessions
from tests.support.http import parse, request, scrape, send, serving
from tests.support.project import Project
from tests.support.servers import Server

PATHS = ("/health", "/health/live", "/health/ready", "/metrics")


@pytest.fixture(scope="module")
def shared(server: Server) -> Iterator[HealthServer]:
    """A server that many tests use; what they do to it must not matter to the next."""
    database = server.create()
    with serving(database, dir="@chat") as running:
        yield running
    database.drop()


# --- what it answers ------------------------------------------------------------------------------

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
OPENMETRICS, PLAIN = "application/openmetrics-text; version=1.0.0; charset=utf-8", "text/plain"
FORMATS = {
    "": PLAIN,
    "*/*": PLAIN,
    PROMETHEUS: OPENMETRICS,
    "application/openmetrics-text": OPENMETRICS,
    "application/openmetrics-text; version=0.0.1": OPENMETRICS,
    "application/openmetrics-text;version=2.0.0,text/plain;q=0.1": PLAIN,
    "text/plain;q=0.9, application/openmetrics-text;q=0.1": PLAIN,
    "application/openmetrics-text;q=0": PLAIN,
    "application/openmetrics-text;q=much": PLAIN,
    "application/openmetrics-text;version=x": OPENMETRICS,
    ";;;=,=;": PLAIN,
}


@pytest.mark.parametrize("accept", FORMATS)
def test_the_client_chooses_the_format(accept: str) -> None:
    assert choose_format(accept)[1].startswith(FORMATS[accept])


@pytest.mark.quick
def test_the_parsers_of_prometheus_accept_both_formats(shared: HealthServer) -> None:
    plain = request(shared, "/metrics")
    open_metrics = request(shared, "/metrics", Accept=PROMETHEUS)
    assert open_metrics.headers["content-type"] == OPENMETRICS
    names = [
        {sample.name for family in families for sample in family.samples}
        for families in (
            parse_text(plain.body.decode()),
            parse_openmetrics(open_metrics.body.decode()),  # type: ignore[no-untyped-call]
        )
    ]
    assert names[1] - names[0] <= {"chatdb_http_requests_total"}  # of the first of the two requests
    assert names[0] <= names[1]
    assert plain.value("up") == 1
    assert plain.value(
        "build_info", version=chatdb_cli.__version__, python=platform.python_version()
    )
    assert (plain.value("probe_duration_seconds_count") or 0) >= 1
    assert (plain.value("round_trip_duration_seconds_count") or 0) >= 1
    assert (plain.value("query_duration_seconds_count", collector="tables") or 0) >= 1


def test_health_is_the_document_of_the_command(shared: HealthServer) -> None:
    reply = request(shared, "/health")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    document = reply.document
    assert document["status"] in ("ok", "degraded")
    assert document["database"] == "connected"
    assert document["timestamp"].endswith("Z")
    assert {"latency_ms", "server_version", "checks"} < document.keys()
    assert {"name", "status", "value", "threshold", "message", "hint"} <= document["checks"][
        0
    ].keys()


def test_a_threshold_decides_the_status_code(database: Database) -> None:
    limits = {"connections": "0%", "connections.error": "0%"}
    with serving(database, thresholds=limits) as server:
        reply = request(server, "/health")
    assert (reply.status, reply.document["status"]) == (503, "error")


def test_ready_means_that_no_migration_is_pending(project: Project, database: Database) -> None:
    project.write_tables(1, 2)
    with serving(database, dir=str(project.sql)) as server:
        before = request(server, "/health/ready")
        project.migrator(database).up()
        after = wait_for(
            lambda: request(server, "/health/ready"), lambda reply: reply.status == 200
        )
    assert (before.status, before.document["pending"]) == (503, 2)
    assert before.document["message"] == "2 migrations are pending"
    assert (after.document["status"], after.document["pending"]) == ("ok", 0)


def wait_for(act: Any, expected: Any) -> Any:
    """Repeat an action until its result is the expected one; results are reused for a second."""
    paused = threading.Event()
    for _ in range(600):
        result = act()
        if expected(result):
            return result
        paused.wait(0.05)
    raise AssertionError(result)


def test_the_statistics_of_a_pool_are_metrics(database: Database) -> None:
    settings = database.settings()
    with chatdb_cli.open_target(settings) as target, chatdb_cli.open_pool(target) as pool:
        with pool.connection() as conn:
            conn.execute("SELECT 1")
        with serving(database, pool=pool) as server:
            found = scrape(server)
    assert found.value("pool_requests_total") == 1
    assert found.value("pool_connections_max") == settings.pool_size


CASES = {
    b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n": 200,
    b"GET /metrics HTTP/1.0\r\n\r\n": 200,
    b"GET /metrics?name[]=up HTTP/1.1\r\nHost: x\r\n\r\n": 200,
    b"GET http://x/metrics HTTP/1.1\r\nHost: x\r\n\r\n": 200,
    b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n": 200,
    b"GET /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello": 200,
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n": 404,
    b"GET /metrics/ HTTP/1.1\r\nHost: x\r\n\r\n": 404,
    b"GET //metrics HTTP/1.1\r\nHost: x\r\n\r\n": 404,
    b"GET /../metrics HTTP/1.1\r\nHost: x\r\n\r\n": 404,
    b"GET /METRICS HTTP/1.1\r\nHost: x\r\n\r\n": 404,
    b"POST /nothing HTTP/1.1\r\nHost: x\r\n\r\n": 404,
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n": 404,
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000: 405,
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n": 405,
    b"PUT /health HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n": 405,
    b"DELETE /health HTTP/1.1\r\nHost: x\r\n\r\n": 405,
    b"get /health HTTP/1.1\r\nHost: x\r\n\r\n": 405,
    b"GET /metrics HTTP/1.1\r\n\r\n": 400,  # no Host
    b"GET /metrics HTTP/9.9\r\nHost: x\r\n\r\n": 505,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": 505,
    b"GET  HTTP/1.1\r\nHost: x\r\n\r\n": 400,
    b"GET http://[/ HTTP/1.1\r\nHost: x\r\n\r\n": 400,
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n": 400,
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n": 400,
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"\r\n\r\n": 400,  # TLS
    b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n": 431,
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100_000 + b"\r\n": 431,
    b"a" * 1_000_000: 431,
}


@pytest.mark.parametrize("data", CASES, ids=lambda data: data[:40].decode("latin-1"))
def test_each_request_has_the_answer_that_http_prescribes(
    data: bytes, shared: HealthServer
) -> None:
    reply = parse(send(shared.port, data))
    assert reply.status == CASES[data]
    assert int(reply.headers["content-length"]) == len(reply.body) or data.startswith(b"HEAD")
    assert (reply.headers.get("allow") == "GET, HEAD") == (reply.status == 405)
    assert request(shared, "/health/live").status == 200


@pytest.mark.parametrize("path", PATHS)
def test_head_is_get_without_the_content(path: str, shared: HealthServer) -> None:
    head, get = request(shared, path, "HEAD"), request(shared, path)
    assert head.body == b""
    assert (head.status, head.headers["content-type"]) == (get.status, get.headers["content-type"])


def test_nothing_that_a_client_sends_is_a_label(shared: HealthServer) -> None:
    for n in range(20):
        request(shared, f"/{n}", f"M{n}")
    labels = scrape(shared).labels("http_requests_total")
    assert {label["path"] for label in labels} <= {*PATHS, "other"}


# --- what clients can't do to it ------------------------------------------------------------------


def test_clients_that_say_nothing_or_little_stop_no_one_else(shared: HealthServer) -> None:
    with ExitStack() as stack:
        for n in range(3 * CLIENTS):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", shared.port)))
            with suppress(OSError):  # it was dropped already
                client.sendall(b"GET /metrics HTTP/1.1\r\nX-" * (n % 3))
        for path in PATHS:
            assert request(shared, path).status in (200, 503)
        found = scrape(shared).samples
        ((descriptors),) = (v for (name, _), v in found.items() if name == "process_open_fds")
        assert descriptors < 3 * CLIENTS + 2 * CLIENTS + 50  # this process has the clients, too


def test_a_silent_client_is_dropped_in_the_end(
    shared: HealthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "HEAD_S", 0.5)
    with socket.create_connection(("127.0.0.1", shared.port), timeout=60) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n")
        with suppress(ConnectionResetError):
            assert client.recv(100) == b""


def test_many_scrapes_at_once_share_one_connection_and_one_reading(database: Database) -> None:
    with serving(database) as server:
        with ThreadPoolExecutor(20) as pool:
            replies = list(pool.map(lambda _: scrape(server), range(40)))
        found = scrape(server)
        sessions = database.query(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name LIKE 'chatdb %' AND datname = current_database()"
        )
    assert all(reply.value("up") == 1 for reply in replies)
    assert found.value("connections_opened_total") == 1
    assert sessions == [(1,)]
    assert (found.value("query_duration_seconds_count", collector="tables") or 99) < 20


FUZZ_PARTS = (
    b"GET", b"HEAD", b"POST", b"/", b"/metrics", b"/health", b"/health/ready", b" ", b"HTTP/1.1",
    b"\r\n", b"\n", b"\r", b"Host: x", b":", b"Content-Length: ", b"-1", b"99999999999999999999",
    b"\0", b"\xff\xfe", b"Transfer-Encoding: chunked", b"Accept: ", b"application/openmetrics-text",
    b";version=", b"q=", b",", b"%00", b"?", b"http://", b"[", b"]", b"Expect: 100-continue",
    b"Connection: keep-alive", b"a" * 20_000, b"X-Prometheus-Scrape-Timeout-Seconds: ", b"nan", b"inf",
    b"1e999", b"Upgrade: h2c",
)  # fmt: skip


def random_request(choose: random.Random) -> bytes:
    if choose.random() < 0.2:
        return choose.randbytes(choose.randrange(2000))
    data = b"".join(choose.choices(FUZZ_PARTS, k=choose.randrange(1, 30)))
    if choose.random() < 0.5:
        data = (
            b"GET " + choose.choice((b"/metrics", b"/health")) + b" HTTP/1.1\r\nHost: x\r\n" + data
        )
    return data + choose.choice((b"", b"\r\n", b"\r\n\r\n"))


def test_random_requests_leave_it_serving(
    shared: HealthServer, request: pytest.FixtureRequest
) -> None:
    long = request.config.getoption("--long")
    seed = request.config.getoption("--seed") or random.randrange(2**32)
    request.node.add_report_section("setup", "seed", f"--seed {seed}")
    choose = random.Random(seed)
    requests = [random_request(choose) for _ in range(10_000 if long else 300)]
    with ThreadPoolExecutor(8) as pool:
        for data, answer in zip(
            requests, pool.map(lambda data: send(shared.port, data), requests), strict=True
        ):
            assert answer == b"" or parse(answer).status in (200, 400, 404, 405, 431, 501, 503), (
                data
            )
    assert scrape(shared).value("up") == 1


# --- where it listens -----------------------------------------------------------------------------


def test_it_listens_on_loopback_unless_an_address_is_given(database: Database) -> None:
    with serving(database) as server:
        assert server.host == "127.0.0.1"
    with serving(database, host="0.0.0.0") as server:
        assert server.host == "0.0.0.0"
    with serving(database, host="::1") as server:
        assert server.url == f"http://[::1]:{server.port}"
    with serving(database, host="::") as server:
        assert request(server, "/health/live").status == 200  # through IPv4


def test_an_address_that_is_not_free_or_not_here_is_refused(
    shared: HealthServer, database: Database
) -> None:
    for host, port, errno in (
        (None, shared.port, "EADDRINUSE"),
        ("192.0.2.1", 0, "EADDRNOTAVAIL"),
        ("no.such.host.invalid", 0, "ENOTFOUND"),
    ):
        with pytest.raises(ChatdbError) as caught:
            HealthServer(database.settings(), host, port)
        assert (caught.value.exit, caught.value.errno) == (2, errno)


def test_a_closed_server_leaves_no_thread_and_no_session(database: Database) -> None:
    before = threading.enumerate()
    with serving(database) as server:
        request(server, "/metrics")
    assert threading.enumerate() == before
    wait_for_no_sessions(database)
