"""Check the health of a database again and again, on one connection.

What does not belong here: drawing it (`cli/`), serving it (`serve/`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chatdb_cli.closing import Closing
from chatdb_cli.errors import ChatdbError
from chatdb_cli.health.check import check_connection, disconnected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    import psycopg

    from chatdb_cli.health.model import Health
    from chatdb_cli.postgres.model import Target


class HealthWatch(Closing):
    """Checks the health of a database whenever it is asked; reconnects when the connection was lost.

    Args:
        target: from `open_target`.
        thresholds: as for `check_health`.
    """

    def __init__(self, target: Target, thresholds: Mapping[str, str | float] | None = None) -> None:
        self._target = target
        self._thresholds = thresholds
        self._conn: psycopg.Connection[Any] | None = None

    def check(self) -> Health:
        """Return the health now; a database that can't be reached is a result.

        Raises:
            ChatdbError: `SETTINGS` for an unknown threshold or a wrong value.
        """
        from chatdb_cli.health.ask import keep_session
        from chatdb_cli.postgres.connect import connect

        connect_ms = None
        if self._conn is None or self._conn.closed:
            begun = time.monotonic()
            try:
                self._conn = connect(self._target, retries=0)
            except ChatdbError as error:
                return disconnected(error, self._target)
            connect_ms = (time.monotonic() - begun) * 1000
            keep_session(self._conn)
        return check_connection(
            self._conn, self._target, thresholds=self._thresholds, connect_ms=connect_ms
        )

    def every(self, seconds: float) -> Iterator[Health]:
        """Yield the health at once, and then at each interval; a slow check delays the next one.

        Args:
            seconds: the interval, in seconds.
        """
        due = time.monotonic()
        while True:
            yield self.check()
            due = max(due + seconds, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))

    def close(self) -> None:
        """Close the connection."""
        if self._conn is not None:
            self._conn.close()
