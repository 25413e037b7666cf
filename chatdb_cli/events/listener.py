"""Follow the change log as it grows: no event is lost, however long nobody listened.

    listen      the events after a cursor, as they come
    Listener    the same, in batches, with the cursor to continue from

The log is the truth (`events_since()` in the schema); NOTIFY only says when to look.  A missed
notification delays an event but never loses it: the log is polled every few seconds anyway.

What does not belong here: writing the log (the triggers in `sql/up`), printing.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING

import psycopg

from chatdb_cli.callbacks import ignore
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.events import queries
from chatdb_cli.events.model import Batch, Change
from chatdb_cli.events.topics import rings_for, topic_filter
from chatdb_cli.postgres import queries as postgres_queries
from chatdb_cli.postgres.connect import backoff_s, blame_tunnel, connect
from chatdb_cli.postgres.diagnosis import server_error, unexpected_error
from chatdb_cli.postgres.hints import SETUP
from chatdb_cli.postgres.pooler import is_pooled
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.postgres.target import open_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType
    from typing import Any, Self

    from chatdb_cli.postgres.model import Target
    from chatdb_cli.settings.model import Settings

# How many events are asked for at once.
_PAGE = 2000
# While there is news it is read this often, in seconds; the gap doubles when there is none.  On a
# server that is slow to answer it is longer, up to the second figure: more is read at once then.
_SOON_S, _SOON_AT_MOST_S = 0.004, 0.02
# ... and this many times as long as the last reading took.
_SHARE = 1
# The longest gap: with a bell, which may be missed (its ring was rolled back, the queue was full), and
# without one.
_SAFETY_S, _POLL_S = 2.0, 0.25
# Between two tries to connect.
_AGAIN_S, _AGAIN_AT_MOST_S = 0.1, 5.0
# A server that is gone without a word is noticed within this time.
_ALIVE = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
# Classes of SQLSTATE: no connection, no resources, a restart or a cancelled statement, a deadlock.
_LOST = ("08", "53", "57", "40")
# What passes by itself, once it has worked: a server that restarts, fails over, or is full; a way to
# it that is broken.
_PASSING = (
    Code.LOST, Code.UNREACHABLE, Code.STANDBY, Code.TUNNEL_LOST, Code.TUNNEL_NAME,
    Code.TUNNEL_REFUSED, Code.TUNNEL_TIMEOUT, Code.TUNNEL_UNREACHABLE, Code.TUNNEL_CLOSED,
    Code.BEHIND_NAME, Code.BEHIND_REFUSED, Code.BEHIND_SILENT,
)  # fmt: skip
_CODES = {
    "CD001": Code.RESYNCHRONISE,
    "CD002": Code.STANDBY,
    "25006": Code.STANDBY,  # LISTEN itself is refused there
    "3F000": Code.MISSING_SCHEMA,
    "42883": Code.NO_EVENTS,
    "42P01": Code.NO_EVENTS,
    "22023": Code.USAGE,  # no cursor at all
}
_HINTS = {
    Code.RESYNCHRONISE: "read what you show anew, and go on with an empty cursor; "
    '"chatdb listen --resync" says so in its output and goes on from now',
    Code.STANDBY: "connect to the primary; with several hosts, target_session_attrs=primary finds it",
    Code.MISSING_SCHEMA: SETUP,
    Code.NO_EVENTS: 'name the schema of the chat back end with --schema; "chatdb migrate up" brings '
    "an older one to its newest version",
    Code.USAGE: "give a cursor as it was printed; without one it begins from now",
    Code.LOGIN: "GRANT chat_listener to the role",
}


def listen(
    settings: Settings,
    cursor: str = "",
    *,
    topics: Sequence[str] = (),
    tell: Callable[[str], None] = ignore,
) -> Listener:
    """Return the events after a cursor, and then those to come, without end.

        for event in chatdb_cli.listen(settings, cursor=kept):
            ...
            kept = event.cursor

    Args:
        settings: which database, and which schema of it.
        cursor: of the last event that you are done with; empty is from now on.
        topics: only these: a table, `channel:ID` or `user:ID`.
        tell: called with a line when the connection is lost, and when it is back.

    Raises:
        ChatdbError: `RESYNCHRONISE` when the cursor says nothing any more; or what will not pass.
    """
    target = open_target(settings, tell)
    return Listener(target, cursor, topics=topics, tell=tell, owned=True)


class Listener:
    """Follows the change log of a target; from the moment on at which it was made.

    Iterating gives each event, `batches` what was read at once.  Stop, and iterate again: it goes on
    behind the last event that was given.

    Args:
        target: a database and a schema of it.
        cursor: as for `listen`.
        topics: likewise.
        tell: likewise.
        owned: closing it closes the target, too.

    Attributes:
        cursor: where to go on behind what was given so far.
    """

    def __init__(
        self,
        target: Target,
        cursor: str = "",
        *,
        topics: Sequence[str] = (),
        tell: Callable[[str], None] = ignore,
        owned: bool = False,
    ) -> None:
        self._target = target
        self._owned = owned
        self._tell = tell
        self._polls = False
        self._works = False  # what fails now may pass
        self._took = 0.0  # the last reading, in seconds
        self._conn: psycopg.Connection[Any] | None = None
        try:
            self._wanted = topic_filter(topics)
            with self._explained():
                conn = self._open(tell)
                self.cursor = cursor or self._since(conn, "")[1]
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Change]:
        """Yield each event; the connection is closed when the loop is left."""
        for batch in self.batches():
            for event in batch.events:
                self.cursor = event.cursor
                yield event
            self.cursor = batch.cursor

    def batches(self, *, resync: bool = False) -> Iterator[Batch]:
        """Yield what was read at once, whenever there is something to read.

        Args:
            resync: where the cursor says nothing any more, say so in a batch, and go on from now.
        """
        gap, tries, reason = 0.0, 0, None
        try:
            while True:
                try:
                    gap, events, cursor = self._next(gap)
                except ChatdbError as error:
                    gap = 0.0
                    if error.code is Code.RESYNCHRONISE and resync:
                        self.cursor, reason = "", error.message
                    else:
                        self._let_pass(error, tries)
                        tries += 1
                    continue
                if tries:
                    self._tell("connected again")
                    tries = 0
                if cursor != self.cursor:
                    self.cursor = cursor
                    yield Batch(tuple(filter(self._wanted, events)), cursor, reason)
                    reason = None
                if events:
                    gap = 0.0 if len(events) == _PAGE else _SOON_S
                else:
                    gap = max(_SOON_S, min(2 * gap, _POLL_S if self._polls else _SAFETY_S))
        finally:
            self._hang_up()

    def close(self) -> None:
        """Close the connection, and the tunnel that `listen` has opened."""
        self._hang_up()
        if self._owned:
            self._target.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- the connection ---------------------------------------------------------------------------

    def _open(
        self, tell: Callable[[str], None] = ignore, retries: int | None = None
    ) -> psycopg.Connection[Any]:
        """Connect, and listen before anything is read: what is written then rings, or is read."""
        alive = {key: value for key, value in _ALIVE.items() if key not in self._target.params}
        conn = self._conn = connect(self._target, tell, retries=retries, **alive)
        schema = Quoting(conn, self._target.schema).schema.replace("%", "%%")
        self._query = queries.EVENTS_SINCE.format(schema=schema)
        (pid,) = conn.execute(postgres_queries.BACKEND_PID).fetchone() or (0,)
        if not is_pooled(conn, self._target, pid):
            conn.execute(queries.EVENTS_LISTEN)
            conn.prepare_threshold = 0  # the session is ours alone
        elif not self._polls:
            self._polls = True
            self._tell(
                "through a pooler in transaction mode LISTEN can't work: the log is read every "
                f"{_POLL_S * 1000:.0f} ms"
            )
        return conn

    def _hang_up(self) -> None:
        if self._conn:
            self._conn.close()
            self._conn = None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what psycopg raises inside into a `ChatdbError` with a way out."""
        with blame_tunnel(self._target):
            try:
                yield
            except psycopg.Error as error:
                raise _failure(error) from None

    def _let_pass(self, error: ChatdbError, tries: int) -> None:
        """Wait a moment after what passes by itself; raise what does not."""
        if error.code not in _PASSING or not self._works:
            raise error
        if tries == 0:
            self._tell(f"{error.message}; connecting until it works again")
        self._hang_up()
        time.sleep(backoff_s(tries, _AGAIN_S, _AGAIN_AT_MOST_S))

    # --- reading ----------------------------------------------------------------------------------

    def _next(self, gap: float) -> tuple[float, tuple[Change, ...], str]:
        """Wait, and read; return how long it was to be waited, the events, and the new cursor."""
        with self._explained():
            conn = self._conn or self._open(retries=0)
            if gap:
                gap = self._wait(conn, gap)
            return gap, *self._since(conn, self.cursor)

    def _since(self, conn: psycopg.Connection[Any], cursor: str) -> tuple[tuple[Change, ...], str]:
        began = time.monotonic()
        rows = conn.execute(self._query, (cursor, _PAGE)).fetchall()
        self._took = time.monotonic() - began
        self._works = True
        events = tuple(
            Change(seq, table, op, row_id, channel_id, user_id, at.astimezone(UTC), behind)
            for seq, table, op, row_id, channel_id, user_id, at, behind in rows
            if seq is not None
        )
        return events, rows[-1][-1]

    def _wait(self, conn: psycopg.Connection[Any], gap: float) -> float:
        """Wait so long, or until it rings; return the gap, the shortest when it rang."""
        pause = min(max(_SOON_S, self._took * _SHARE), _SOON_AT_MOST_S)
        deadline = time.monotonic() + gap
        time.sleep(gap if self._polls else pause)
        while not self._polls:
            left = deadline - time.monotonic()
            heard = list(conn.notifies(timeout=max(left, 0), stop_after=1))
            if any(rings_for(self._target.schema, one.payload) for one in heard):
                return _SOON_S
            if left <= 0:
                break
        return gap


def _failure(error: psycopg.Error) -> ChatdbError:
    state, what = error.sqlstate or "", "the change log can't be read"
    code = _CODES.get(state)
    failure = server_error(error, code, what) if code else unexpected_error(error, what)
    if state.startswith(_LOST):
        failure.code = Code.LOST
    failure.hint = _HINTS.get(failure.code, failure.hint)
    return failure
