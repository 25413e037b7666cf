"""The server of health and metrics of a database behind a bastion."""

from __future__ import annotations

import threading

from chatdb_cli.health.serve.server import HealthServer
from tests.support.http import Reply, request, scrape
from tests.support.servers import on_first_server
from tests.support.ssh import TunnelSetup

pytestmark = on_first_server


def wait_until_up_is(value: int, server: HealthServer) -> Reply:
    paused = threading.Event()
    for _ in range(600):
        reply = scrape(server)
        if reply.value("up") == value:
            return reply
        paused.wait(0.05)
    raise AssertionError(reply)


def test_it_survives_the_tunnel_going_away_and_coming_back(fresh_tunnel: TunnelSetup) -> None:
    reports: list[str] = []
    with HealthServer(fresh_tunnel.settings(), port=0, report=reports.append) as server:
        wait_until_up_is(1, server)
        fresh_tunnel.bastion.stop()
        try:
            fresh_tunnel.bastion.drop_connections()
            down = wait_until_up_is(0, server)
            health = request(server, "/health")
        finally:
            fresh_tunnel.bastion.start()
        wait_until_up_is(1, server)
        again = request(server, "/health/ready")
    assert down.labels("probe_failures_total")
    assert (health.status, health.document["database"]) == (503, "disconnected")
    assert again.document["database"] == "connected"
    assert reports[-1] == "the database answers again"


def test_it_starts_while_the_bastion_is_away(fresh_tunnel: TunnelSetup) -> None:
    fresh_tunnel.bastion.stop()
    try:
        server = HealthServer(fresh_tunnel.settings(), port=0)
    except BaseException:
        fresh_tunnel.bastion.start()
        raise
    with server:
        try:
            wait_until_up_is(0, server)
        finally:
            fresh_tunnel.bastion.start()
        wait_until_up_is(1, server)
