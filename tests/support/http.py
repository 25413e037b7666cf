"""Requests to a health server: whole and well-formed ones, and bytes as they come."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from chatdb_cli.health.serve.server import HealthServer
from tests.support.database import Database

Labels = frozenset[tuple[str, str]]


@dataclass
class Reply:
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        assert document["format"] == 1
        return document

    @property
    def samples(self) -> dict[tuple[str, Labels], float]:
        """Return the value of each sample, by name and labels; no sample may be there twice."""
        found: dict[tuple[str, Labels], float] = {}
        for family in text_string_to_metric_families(self.body.decode()):
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items())
                assert key not in found
                found[key] = sample.value
        return found

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of a sample, or None if it is absent."""
        return self.samples.get((f"chatdb_{name}", frozenset(labels.items())))

    def labels(self, name: str) -> list[dict[str, str]]:
        """Return the labels of each sample of a name."""
        return [dict(labels) for key, labels in self.samples if key == f"chatdb_{name}"]


def send(port: int, data: bytes, timeout: float = 30) -> bytes:
    """Send bytes, and return all that comes back until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout) as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the server has closed the connection
        received = b""
        try:
            while piece := client.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
    return received


def parse(data: bytes) -> Reply:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Reply(int(first.split()[1]), headers, body)


def request(server: HealthServer | int, path: str, method: str = "GET", **headers: str) -> Reply:
    """Send a request without a body; `_` in the name of a header is a dash."""
    port = server if isinstance(server, int) else server.port
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return parse(send(port, "\r\n".join([*lines, "", ""]).encode()))


def scrape(server: HealthServer | int) -> Reply:
    """Return the metrics; they can be a second old."""
    reply = request(server, "/metrics")
    assert reply.status == 200
    return reply


@contextmanager
def serving(database: Database, **options: Any) -> Iterator[HealthServer]:
    """Run a health server at a port that the system chooses.

    Args:
        database: the database; the setting `database_url` can lead there through a proxy.
        options: those of `HealthServer`; a key that is none of them is a setting.
    """
    ours = ("pool", "thresholds", "report", "document", "host")
    arguments = {key: options.pop(key) for key in ours if key in options}
    with HealthServer(database.settings(**options), port=0, **arguments) as server:
        yield server
