"""Whether a connection answers, within a time.

The check of psycopg's own pool waits for ever if the server hangs.  What does not belong here: whether a
server accepts a new connection (`wait.py`).
"""

from __future__ import annotations

import selectors
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    import psycopg


def ping(conn: psycopg.Connection[Any], timeout_s: float) -> bool:
    """Return whether a connection answers in time; if not, it is closed.

    Args:
        conn: a connection that no one uses, without an open transaction or with one.
        timeout_s: how long to wait, in seconds.
    """
    import psycopg

    deadline = time.monotonic() + timeout_s
    try:
        conn.pgconn.send_query(b"")
        while True:
            conn.pgconn.flush()
            if not conn.pgconn.is_busy():
                if conn.pgconn.get_result() is None:
                    return conn.pgconn.status == psycopg.pq.ConnStatus.OK
                continue
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not _readable(conn.pgconn.socket, remaining):
                break
            conn.pgconn.consume_input()
    except psycopg.OperationalError:
        pass  # the connection is lost
    conn.close()
    return False


def _readable(socket: int, timeout_s: float) -> bool:
    # Not select.select(): it can't wait for a descriptor from 1024 on.
    with selectors.DefaultSelector() as selector:
        selector.register(socket, selectors.EVENT_READ)
        return bool(selector.select(timeout_s))
