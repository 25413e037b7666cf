"""The metrics of a database, read without a server, so that none of them is a second old."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from prometheus_client import generate_latest
from prometheus_client.core import Metric as Family

from chatdb_cli.health.metrics.collect import collect
from chatdb_cli.health.metrics.families import families
from chatdb_cli.health.metrics.files import MigrationFiles
from chatdb_cli.health.metrics.model import Snapshot
from chatdb_cli.postgres.connect import connect
from tests.support.database import Database
from tests.support.http import Reply


class Families:
    """The families of a snapshot, as prometheus_client formats them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Family]:
        return families(self._snapshot.readings)


def take_snapshot(database: Database, *, top: int = 50, **flags: Any) -> Snapshot:
    target = database.target(**flags)
    with connect(target) as conn:
        return collect(conn, target, MigrationFiles(target.settings), top=top)


def measure(database: Database, *, top: int = 50, **flags: Any) -> Reply:
    """Return the metrics of a database, by name and labels; the flags are settings."""
    return to_reply(take_snapshot(database, top=top, **flags))


def measure_with(conn: psycopg.Connection[Any], database: Database, *, top: int = 50) -> Reply:
    """Return the metrics that are read by a connection that is open."""
    target = database.target()
    return to_reply(collect(conn, target, MigrationFiles(target.settings), top=top))


def to_reply(snapshot: Snapshot) -> Reply:
    return Reply(200, {}, generate_latest(Families(snapshot)))
