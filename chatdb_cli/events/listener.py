"""Follow the change log as it grows: no event is lost, however long no one listened.

    listen      the events after a cursor, as they come
    Listener    the same, also in batches, with the cursor to continue from

The log is the truth (`events_since()` in the schema); NOTIFY only tells when to read it.  A missed
notification delays an event but never loses it: the log is polled every few seconds anyway.

What does not belong here: writing the log (the triggers in `sql/up`), printing.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from psycopg import errors
from psycopg.rows import class_row

from chatdb_cli import log
from chatdb_cli.callbacks import ignore
from chatdb_cli.closing import Closing
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.events import queries
from chatdb_cli.events.model import Batch, Change
from chatdb_cli.events.topics import concerns_schema, topic_filter
from chatdb_cli.postgres.connect import backoff_s, blame_tunnel, connect
from chatdb_cli.postgres.diagnosis import server_error, unexpected_error
from chatdb_cli.postgres.hints import SETUP
from chatdb_cli.postgres.model import require_target
from chatdb_cli.postgres.own import fetch
from chatdb_cli.postgres.pooler import is_pooled
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.postgres.sqlstates import sqlstate_of
from chatdb_cli.postgres.target import open_target
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from chatdb_cli.postgres.model import Target
    from chatdb_cli.settings.model import Settings

# The largest number of events of one read.
_PAGE = 2000
# The shortest gap between two reads, in seconds; it doubles while there are no events.  If the server
# answers slowly, the gap is as long as the last read took, up to the second figure: then each read
# returns more events.
_SHORTEST_GAP_S, _SHORTEST_GAP_LIMIT_S = 0.004, 0.02
# The longest gap with notifications, which may be missed (the notifying transaction was rolled back, the
# queue was full), and without them.
_SAFETY_GAP_S, _POLL_GAP_S = 2.0, 0.25
# The first and the longest pause between two tries to connect, in seconds.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
# libpq keywords by which a dead connection is noticed in time.
_KEEPALIVES = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
# Classes of SQLSTATE: no connection, no resources, a restart or a canceled statement, a deadlock.
_LOST_CLASSES = ("08", "53", "57", "40")
# Failures that are temporary, once the log has been read: a server that restarts, fails over or is full;
# a broken route to it.
_TEMPORARY = (
    Code.LOST, Code.UNREACHABLE, Code.STANDBY, Code.TUNNEL_LOST, Code.TUNNEL_NAME,
    Code.TUNNEL_REFUSED, Code.TUNNEL_TIMEOUT, Code.TUNNEL_UNREACHABLE, Code.TUNNEL_CLOSED,
    Code.BEHIND_NAME, Code.BEHIND_REFUSED, Code.BEHIND_SILENT,
)  # fmt: skip
_CODES = {
    "CD001": Code.RESYNCHRONISE,  # raised by events_since()
    "CD002": Code.STANDBY,  # raised by events_since()
    sqlstate_of(errors.ReadOnlySqlTransaction): Code.STANDBY,  # LISTEN on a standby
    sqlstate_of(errors.InvalidSchemaName): Code.MISSING_SCHEMA,
    sqlstate_of(errors.UndefinedFunction): Code.NO_EVENTS,
    sqlstate_of(errors.UndefinedTable): Code.NO_EVENTS,
    sqlstate_of(errors.InvalidParameterValue): Code.USAGE,  # not a cursor
}
_HINTS = {
    Code.RESYNCHRONISE: Advice(
        "start again with an empty cursor, and reload the data that you show; {listen_resync} reports "
        "this as an event, and continues from now"
    ),
    Code.STANDBY: "connect to the primary; with several hosts, target_session_attrs=primary finds it",
    Code.MISSING_SCHEMA: SETUP,
    Code.NO_EVENTS: Advice(
        "name the schema of the chat back end with {schema}; {up} brings an older one to its newest "
        "version"
    ),
    Code.USAGE: "give a cursor as it was printed; without one, listening begins from now",
    Code.LOGIN: "GRANT chat_listener to the role",
}


def listen(
    settings: Settings,
    cursor: str = "",
    *,
    topics: Sequence[str] = (),
    report: Callable[[str], None] = ignore,
) -> Listener:
    """Return the events after a cursor, and then new ones as they come, without end.

        for event in chatdb_cli.listen(settings, cursor=last):
            ...
            last = event.cursor

    Args:
        settings: which database, and which schema of it.
        cursor: the cursor of the last event that was processed; empty begins from now.
        topics: return only events of these: a table, `channel:ID` or `user:ID`.
        report: called with a line when the connection is lost, and when it is restored.

    Raises:
        ChatdbError: `RESYNCHRONISE` if the cursor is no longer valid; or a failure that is not
            temporary.
    """
    target = open_target(settings, report)
    return Listener(target, cursor, topics=topics, report=report, owned=True)


class _Row(NamedTuple):
    """A row of `events_since()`; a row without an event has only the cursor."""

    seq: int | None
    table: str | None
    op: str | None
    row_id: str | None
    channel_id: str | None
    user_id: str | None
    at: datetime | None
    cursor: str


class _Function(NamedTuple):
    """A row of `queries.RUNS_AS_OWNER`."""

    as_owner: bool


class Listener(Closing):
    """Follows the change log of a target, from the moment at which the listener is created.

    Iterating yields each event, `batches` yields the events of each read.  A new iteration continues
    after the last event that was yielded.

    Args:
        target: a database and a schema in it.
        cursor: as for `listen`.
        topics: as for `listen`.
        report: as for `listen`.
        owned: closing the listener also closes the target.

    Attributes:
        cursor: where to continue after what was yielded so far.
    """

    def __init__(
        self,
        target: Target,
        cursor: str = "",
        *,
        topics: Sequence[str] = (),
        report: Callable[[str], None] = ignore,
        owned: bool = False,
    ) -> None:
        require_target(target)
        self._target = target
        self._owned = owned
        self._report = report
        self._polls = False
        self._has_worked = False  # a failure may be temporary from now on
        self._read_s = 0.0  # how long the last read took, in seconds
        self._conn: psycopg.Connection[Any] | None = None
        try:
            self._is_wanted = topic_filter(topics)
            with self._explained():
                conn = self._connect(report)
                self.cursor = cursor or self._read(conn, "")[1]
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Change]:
        """Yield each event; the connection is closed at the end of the loop."""
        for batch in self.batches():
            for event in batch.events:
                self.cursor = event.cursor
                yield event
            self.cursor = batch.cursor

    def batches(self, *, resync: bool = False) -> Iterator[Batch]:
        """Yield the events of each read that found any.

        Args:
            resync: if the cursor is no longer valid, yield a batch with the reason, and continue from
                now.
        """
        gap, tries, reason = 0.0, 0, None
        try:
            while True:
                try:
                    gap, events, cursor = self._wait_and_read(gap)
                except ChatdbError as error:
                    gap = 0.0
                    if error.code is Code.RESYNCHRONISE and resync:
                        self.cursor, reason = "", error.message
                    else:
                        self._pause_after(error, tries)
                        tries += 1
                    continue
                if tries:
                    self._report(log.info("connection", "connected again", state="restored"))
                    tries = 0
                if cursor != self.cursor:
                    self.cursor = cursor
                    yield Batch(tuple(filter(self._is_wanted, events)), cursor, reason)
                    reason = None
                gap = self._next_gap(gap, len(events))
        finally:
            self._disconnect()

    def close(self) -> None:
        """Close the connection, and the tunnel that `listen` has opened."""
        self._disconnect()
        if self._owned:
            self._target.close()

    # --- the connection ---------------------------------------------------------------------------

    def _connect(
        self, report: Callable[[str], None] = ignore, retries: int | None = None
    ) -> psycopg.Connection[Any]:
        """Connect, and LISTEN before the first read: later events either notify, or are read."""
        params = self._target.params
        keepalives = {key: value for key, value in _KEEPALIVES.items() if key not in params}
        conn = self._conn = connect(self._target, report, retries=retries, **keepalives)
        quoting = Quoting(conn, self._target.schema)
        functions = fetch(
            conn, _Function, quoting.fill(queries.RUNS_AS_OWNER, name=self._target.schema)
        )
        if not all(function.as_owner for function in functions):
            raise ChatdbError(
                Code.REFUSED,
                f"events_since() in schema {self._target.schema!r} is not that of the chat schema: it "
                "would run with the rights of this role",
                hint=_HINTS[Code.NO_EVENTS],
            )
        self._query = queries.EVENTS_SINCE.format(schema=quoting.schema.replace("%", "%%"))
        if not is_pooled(conn, self._target):
            conn.execute(queries.EVENTS_LISTEN)
            conn.prepare_threshold = 0  # this session of the server is not shared
        elif not self._polls:
            self._polls = True
            text = (
                "through a pooler in transaction mode LISTEN can't work: the log is read every "
                f"{_POLL_GAP_S * 1000:.0f} ms"
            )
            self._report(log.info("pooler", text))
        return conn

    def _disconnect(self) -> None:
        if self._conn:
            self._conn.close()
            self._conn = None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn an exception of psycopg in the block into a `ChatdbError` with a hint."""
        with blame_tunnel(self._target):
            try:
                yield
            except psycopg.Error as error:
                raise _read_error(error) from None

    def _pause_after(self, error: ChatdbError, tries: int) -> None:
        """Disconnect and wait a moment after a temporary failure; raise any other."""
        if error.code not in _TEMPORARY or not self._has_worked:
            raise error
        if tries == 0:
            text = f"{error.message}; connecting until it works again"
            self._report(
                log.warning(
                    "retry", text, what="listener", code=error.code.slug, sqlstate=error.sqlstate,
                    errno=error.errno,
                )
            )  # fmt: skip
        self._disconnect()
        time.sleep(backoff_s(tries, _FIRST_PAUSE_S, _LONGEST_PAUSE_S))

    # --- reading ----------------------------------------------------------------------------------

    def _wait_and_read(self, gap: float) -> tuple[float, tuple[Change, ...], str]:
        """Wait, then read; return the gap that applied, the events, and the new cursor."""
        with self._explained():
            conn = self._conn or self._connect(retries=0)
            if gap:
                gap = self._wait(conn, gap)
            return gap, *self._read(conn, self.cursor)

    def _read(self, conn: psycopg.Connection[Any], cursor: str) -> tuple[tuple[Change, ...], str]:
        """Return the events after a cursor, and the cursor to continue from."""
        start = time.monotonic()
        own = conn.transaction() if self._polls else nullcontext()
        with own, conn.cursor(row_factory=class_row(_Row)) as reader:
            if self._polls:
                reader.execute(queries.NO_STATEMENT_TIMEOUT)
            rows = reader.execute(self._query, (cursor, _PAGE)).fetchall()
        self._read_s = time.monotonic() - start
        self._has_worked = True
        changes = tuple(
            Change(**row._asdict() | {"at": row.at.astimezone(UTC)})
            for row in rows
            if row.at is not None
        )
        return changes, rows[-1].cursor

    def _wait(self, conn: psycopg.Connection[Any], gap: float) -> float:
        """Wait for a notification or `gap` seconds; return the gap, or the shortest if notified."""
        pause = min(max(_SHORTEST_GAP_S, self._read_s), _SHORTEST_GAP_LIMIT_S)
        deadline = time.monotonic() + gap
        time.sleep(gap if self._polls else pause)
        while not self._polls:
            remaining = deadline - time.monotonic()
            notifies = list(conn.notifies(timeout=max(remaining, 0), stop_after=1))
            if any(concerns_schema(self._target.schema, n.payload) for n in notifies):
                return _SHORTEST_GAP_S
            if remaining <= 0:
                break
        return gap

    def _next_gap(self, gap: float, count: int) -> float:
        """Return the gap after a read of so many events, in seconds."""
        if count:
            return 0.0 if count == _PAGE else _SHORTEST_GAP_S
        longest = _POLL_GAP_S if self._polls else _SAFETY_GAP_S
        return max(_SHORTEST_GAP_S, min(2 * gap, longest))


def _read_error(error: psycopg.Error) -> ChatdbError:
    """Return the error of a read of the log that failed."""
    sqlstate, what = error.sqlstate or "", "the change log can't be read"
    code = _CODES.get(sqlstate)
    failure = server_error(error, code, what) if code else unexpected_error(error, what)
    code = Code.LOST if sqlstate.startswith(_LOST_CLASSES) else failure.code
    return failure.with_(code=code, hint=_HINTS.get(code, failure.hint))
