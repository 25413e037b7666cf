"""Health, migrations and metrics: each is asked for once, and shared by all requests of a second.

    Shared   the result of a job, for everyone who asks within a second
    Probes   the three jobs

All of it runs in the thread that serves the clients, but for the jobs themselves.  What does not belong
here: the connection (`worker.py`), HTTP (`answers.py`).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.health.check import check_connection
from chatdb_cli.health.metrics.collect import collect, read_migrations
from chatdb_cli.health.metrics.files import MigrationFiles
from chatdb_cli.health.serve.worker import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import psycopg
    from psycopg_pool import ConnectionPool

    from chatdb_cli.health.metrics.meters import Meters
    from chatdb_cli.health.metrics.migrations import Migrations
    from chatdb_cli.health.metrics.model import Snapshot
    from chatdb_cli.health.model import Health
    from chatdb_cli.health.serve.worker import Job, Worker
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.settings.model import Settings

# How long a result is reused: the load on the database does not grow with the number of clients.
LIFETIME_S = 1.0


class Shared:
    """The result of a job; at any moment at most one is queued or runs.

    Args:
        worker: runs it.
        job: see `Worker.submit`.
    """

    def __init__(self, worker: Worker, job: Job) -> None:
        self._worker, self._job = worker, job
        self._running: asyncio.Future[object] | None = None
        self._begun = 0.0
        self._result: object = None
        self._until = 0.0

    async def get(self, patience_s: float) -> object:
        """Return the result, or a `Failure`.

        Args:
            patience_s: how long to wait, from the moment when the job was queued; in seconds.
        """
        loop = asyncio.get_running_loop()
        if self._running is None:
            if loop.time() < self._until:
                return self._result
            self._begin(loop)
        assert self._running is not None  # noqa: S101  (it was begun)
        remaining = self._begun + patience_s - loop.time()
        await asyncio.wait((self._running,), timeout=max(0.0, remaining))
        if self._running is None:
            return self._result
        error = ChatdbError(Code.UNREACHABLE, f"no answer from the database in {patience_s:g} s")
        return Failure(error, None)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        future = self._running = loop.create_future()
        self._begun = loop.time()

        def finish(result: object) -> None:
            self._result, self._until = result, loop.time() + LIFETIME_S
            self._running = None
            future.set_result(result)

        def done(result: object) -> None:
            with suppress(RuntimeError):  # the server was closed meanwhile
                loop.call_soon_threadsafe(finish, result)

        self._worker.submit(self._job, done)


class Probes:
    """Health, migrations and metrics of one database.

    Args:
        worker: runs the jobs.
        settings: where the files of the migrations are, and how many series there may be.
        thresholds: as for `check_health`.
        meters: get the durations of the statements.
        pool: the application's pool, or None.
    """

    def __init__(
        self,
        worker: Worker,
        settings: Settings,
        thresholds: Mapping[str, str | float],
        meters: Meters,
        pool: ConnectionPool[Any] | None = None,
    ) -> None:
        files = MigrationFiles(settings)

        def check(conn: psycopg.Connection[Any], target: Target) -> Health:
            health = check_connection(conn, target, thresholds=thresholds, pool=pool)
            if health.error:
                raise health.error
            return health

        def compare(conn: psycopg.Connection[Any], target: Target) -> Migrations | str:
            return read_migrations(conn, target, files)

        def measure(conn: psycopg.Connection[Any], target: Target) -> Snapshot:
            snapshot = collect(conn, target, files, top=settings.metrics_top)
            meters.latency_s.observe(snapshot.latency_s)
            for reading in snapshot.readings:
                if reading.seconds is not None:
                    meters.query_s.labels(reading.collector.name).observe(reading.seconds)
            return snapshot

        self.health = Shared(worker, check)
        self.migrations = Shared(worker, compare)
        self.metrics = Shared(worker, measure)
