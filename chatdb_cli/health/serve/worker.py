"""The thread that owns the only connection to the database, and runs one job after another.

    Worker   connects when a job needs it, and again after the connection was lost

However long the database takes, nobody else waits: a job has a callback.  Its statements end by
themselves (`health/ask.py`), connecting ends by `connect_timeout`.  What does not belong here: the jobs
(`probes.py`).
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import psycopg

from chatdb_cli import log
from chatdb_cli.callbacks import ignore, no_answer
from chatdb_cli.closing import Closing
from chatdb_cli.errors import ChatdbError, Code, Exit
from chatdb_cli.postgres.connect import backoff_s, connect
from chatdb_cli.postgres.diagnosis import unexpected_error
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.database import require_database

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from chatdb_cli.health.metrics.meters import Meters
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.settings.model import Settings

    Job = Callable[[psycopg.Connection[Any], Target], Any]

# A session that hangs may stay on the server when its client has gone: the next ones come at longer and
# longer intervals, so that probes never use up the connections of a sick server.
_HANGS_S = 2.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 60.0
# How long `close` waits for the thread: a connection that is just being opened can't be interrupted.
_ENDED_WITHIN_S = 1.0


class Failure(NamedTuple):
    """Why a job has no result.

    Attributes:
        error: the error.
        target: the database, or None if it could not be opened.
    """

    error: ChatdbError
    target: Target | None


class _Task(NamedTuple):
    job: Job
    done: Callable[[object], None]


class Worker(Closing):
    """A thread that runs jobs on one connection.

    Args:
        settings: name the database.
        meters: count connections, probes and their failures.
        report: called with a line when the database stops answering, and when it answers again; from
            the thread.
        ask: asks a person for the passphrase of an SSH key.
        broken: called with an exception that ends the thread: a bug, or wrong settings.

    Raises:
        ChatdbError: the settings name no database, or one that may not be used.
    """

    def __init__(
        self,
        settings: Settings,
        meters: Meters,
        *,
        report: Callable[[str], None] = ignore,
        ask: Callable[[str], str | None] = no_answer,
        broken: Callable[[BaseException], None] = ignore,
    ) -> None:
        require_database(settings)
        bastion = settings.bastion and replace(
            settings.bastion, retries=0
        )  # the next probe retries
        self._settings = replace(settings, bastion=bastion)
        self._meters, self._report, self._ask, self._broken = meters, report, ask, broken
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._target: Target | None = None
        self._conn: psycopg.Connection[Any] | None = None
        self._silent = False  # the last failure was reported
        self._hung: Failure | None = None  # until `_resume_at`, no connection is opened
        self._hangs, self._resume_at = 0, 0.0
        try:
            self._open()
        except ChatdbError as error:
            if not _is_about_reaching(error):
                raise
            self._note_failure(error)
        self._thread = threading.Thread(target=self._run, name="chatdb-health-probe", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """The thread runs."""
        return self._thread.is_alive()

    def submit(self, job: Job, done: Callable[[object], None]) -> None:
        """Run a job when its turn comes.

        Args:
            job: called in the thread with a connection and its target.
            done: called in the thread with its result, or with a `Failure`.
        """
        self._tasks.put(_Task(job, done))

    def close(self) -> None:
        """End the thread and the connection; a job that waits for the database fails."""
        self._tasks.put(None)
        conn = self._conn
        with suppress(OSError, psycopg.Error):  # it is closed already
            if conn:
                # Only wakes up the thread: libpq's own functions are not for two threads at once.
                with socket.socket(fileno=socket.dup(conn.fileno())) as duplicate:
                    duplicate.shutdown(socket.SHUT_RDWR)
        self._thread.join(_ENDED_WITHIN_S)

    # --- in the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while task := self._tasks.get():
                task.done(self._attempt(task.job))
        except BaseException as error:  # noqa: BLE001  (`broken` raises it where someone sees it)
            self._broken(error)
        finally:
            self._disconnect()
            if self._target:
                self._target.close()

    def _attempt(self, job: Job) -> object:
        """Return the result of a job, or why it has none; a stale connection is replaced once."""
        stale = self._conn is not None
        begun = time.monotonic()
        if self._hung and begun < self._resume_at:
            return self._hung
        try:
            try:
                result = self._once(job)
            except ChatdbError as error:
                # The server may have ended the idle session since the last probe.
                if not stale or error.code is not Code.LOST or time.monotonic() - begun > 1:
                    raise
                result = self._once(job)
        except ChatdbError as error:
            if not _is_about_reaching(error):
                raise  # no probe will ever succeed
            self._note_failure(error)
            failure = Failure(error, self._target)
            if _is_hanging(error, time.monotonic() - begun):
                pause_s = backoff_s(self._hangs, _FIRST_PAUSE_S, _LONGEST_PAUSE_S)
                self._hung, self._resume_at = failure, time.monotonic() + pause_s
                self._hangs += 1
            return failure
        self._hung, self._hangs = None, 0
        self._meters.up.set(1)
        self._meters.probe_s.observe(time.monotonic() - begun)
        if self._silent:
            text = "the database answers again"
            self._report(log.info("connection", text, state="restored"))
            self._silent = False
        return result

    def _once(self, job: Job) -> object:
        """Run a job once.

        Raises:
            ChatdbError: the database can't be reached, or does not answer.
        """
        target = self._target or self._open()
        try:
            if self._conn is None or self._conn.closed:
                self._conn = connect(target, retries=0)
                self._meters.opened.inc()
            return job(self._conn, target)
        except psycopg.Error as error:
            raise unexpected_error(error, f"{target.where} does not answer", Code.LOST) from None
        finally:
            if self._conn and (self._conn.closed or self._conn.broken):
                self._disconnect()

    def _open(self) -> Target:
        self._target = open_target(self._settings, self._report, ask=self._ask)
        return self._target

    def _note_failure(self, error: ChatdbError) -> None:
        self._meters.up.set(0)
        self._meters.failures.labels(error.code.slug).inc()
        if not self._silent:
            text = f"{error.message}; trying again with each probe"
            self._report(
                log.warning(
                    "retry", text, what="probe", code=error.code.slug, sqlstate=error.sqlstate,
                    errno=error.errno,
                )
            )  # fmt: skip
        self._silent = True

    def _disconnect(self) -> None:
        if self._conn:
            self._conn.close()
        self._conn = None


def _is_about_reaching(error: ChatdbError) -> bool:
    """Return whether an error says that the database can't be reached; it may pass."""
    return error.exit in (Exit.UNREACHABLE, Exit.TUNNEL)


def _is_hanging(error: ChatdbError, took_s: float) -> bool:
    """Return whether an error says that the server accepts a connection, and then does not answer."""
    return error.errno == "ETIMEDOUT" or (error.code is Code.LOST and took_s >= _HANGS_S)
