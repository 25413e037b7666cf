"""The SQLSTATE with which a server refuses a connection.

libpq shows only the server's message, in the server's language, and psycopg passes it on.  libpq's trace
of a connection has the whole answer, with its SQLSTATE; it exists on Linux only.  What does not belong
here: what the SQLSTATE means (`connect_failures.py`).
"""

from __future__ import annotations

import os
import re
import selectors
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg.pq.abc import PGconn

# The fields of an ErrorResponse in libpq's trace: severity, severity in English, SQLSTATE.
_REFUSAL = re.compile(rb'ErrorResponse\t (?:[SV] "[^"]*" )*C "([0-9A-Z]{5})"')
_LONGEST_TRACE = 1 << 20
ACCEPTED = "00000"  # PostgreSQL's code of success


def no_sqlstate() -> str | None:
    """Return None: nobody can be asked."""
    return None


def refusal_sqlstate(params: Mapping[str, str]) -> str | None:
    """Connect again, and return the SQLSTATE with which the server refuses, or `ACCEPTED`.

    None if that can't be known.

    Args:
        params: the libpq keywords of the connection that was refused.
    """
    import psycopg
    from psycopg.conninfo import make_conninfo

    if not hasattr(os, "memfd_create"):
        return None
    conninfo = make_conninfo("", **params)
    trace = os.memfd_create("chatdb-connect")  # in memory alone: it may hold the password
    try:
        conn = psycopg.pq.PGconn.connect_start(conninfo.encode())
        try:
            conn.trace(trace)
            if _finish_connecting(conn, float(params.get("connect_timeout") or 10)):
                return ACCEPTED
            conn.untrace()
        finally:
            conn.finish()
        refusals = _REFUSAL.findall(os.pread(trace, _LONGEST_TRACE, 0))
    except psycopg.Error:
        return None
    finally:
        os.close(trace)
    return refusals[0].decode() if refusals else None


def _finish_connecting(conn: PGconn, timeout_s: float) -> bool:
    """Return whether a connection was made; False if it was refused, or the time is over."""
    from psycopg.pq import ConnStatus, PollingStatus

    deadline = time.monotonic() + timeout_s
    events = {
        PollingStatus.READING: selectors.EVENT_READ,
        PollingStatus.WRITING: selectors.EVENT_WRITE,
    }
    wanted = selectors.EVENT_WRITE
    while conn.status != ConnStatus.BAD and (remaining := deadline - time.monotonic()) > 0:
        with selectors.DefaultSelector() as selector:
            selector.register(conn.socket, wanted)
            selector.select(remaining)
        status = conn.connect_poll()
        if status not in events:
            return status == PollingStatus.OK
        wanted = events[PollingStatus(status)]
    return False
