"""Wait until a server answers: what a start script needs.

    wait_for_server    until the server of a target accepts a connection
    Patience           tries again until a time is over

What does not belong here: the retries of a single connection (`connect.py`), the migration lock
(`advisory_lock.py`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from chatdb_cli import log
from chatdb_cli.callbacks import ignore
from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatdb_cli.postgres.model import Target

_T = TypeVar("_T")
# What may go away by itself while a server, a bastion or a network starts.  An answer ends the waiting,
# also one that refuses the login.
_AWAITED = (
    Code.UNREACHABLE, Code.LOST, Code.TUNNEL_NAME, Code.TUNNEL_REFUSED, Code.TUNNEL_TIMEOUT,
    Code.TUNNEL_UNREACHABLE, Code.TUNNEL_CLOSED, Code.TUNNEL_LOST, Code.BEHIND_NAME,
    Code.BEHIND_REFUSED, Code.BEHIND_SILENT,
)  # fmt: skip
# The pause between two tries, in seconds: it doubles from the first to the longest.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0


class Patience:
    """Tries again, while a server may be starting, until a time is over.

    Args:
        wait_ms: how long to try again, in milliseconds; 0 is not at all.
        report: called with a line when the reason of the failure is another one than before.
    """

    def __init__(self, wait_ms: int, report: Callable[[str], None] = ignore) -> None:
        self._wait_ms = wait_ms
        self._report = report
        self._deadline = time.monotonic() + wait_ms / 1000

    def try_until(self, action: Callable[[], _T]) -> _T:
        """Return the result of an action, as soon as it succeeds.

        Raises:
            ChatdbError: what the action raised last; at once, if waiting can't help.
        """
        pause, reported = _FIRST_PAUSE_S, ""
        while True:
            try:
                return action()
            except ChatdbError as error:
                remaining = self._deadline - time.monotonic()
                if error.code not in _AWAITED or remaining <= 0:
                    raise
                if error.message != reported:
                    reported = error.message
                    self._report_wait(error)
            # Outside of `except`: a traceback would keep the socket of the failed try open.
            time.sleep(min(pause, remaining))
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _report_wait(self, error: ChatdbError) -> None:
        text = f"{error.message}; waiting up to {self._wait_ms / 1000:g} s"
        self._report(
            log.warning(
                "retry", text, what="server", code=error.code.slug, sqlstate=error.sqlstate,
                errno=error.errno,
            )
        )  # fmt: skip


def wait_for_server(target: Target, wait_ms: int, report: Callable[[str], None] = ignore) -> None:
    """Wait until the server of a target accepts a connection.

    A try that has begun is finished, so it may take longer by `connect_timeout`.

    Args:
        target: from `open_target`.
        wait_ms: how long to wait, in milliseconds; 0 is one try.
        report: called with a line when it has to wait, and for which reason.

    Raises:
        ChatdbError: `UNREACHABLE` or a failure of the tunnel, when the time is over; `LOGIN` or
            `MISSING_DATABASE` at once.
    """
    from chatdb_cli.postgres.connect import connect

    Patience(wait_ms, report).try_until(lambda: connect(target, retries=0).close())
