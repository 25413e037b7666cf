"""The connections at the local end of a tunnel: which are open, and why the last one failed.

What does not belong here: carrying their data (`forward.py`).
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from chatdb_cli import log
from chatdb_cli.errors import ChatdbError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Connections:
    """The connections at the local end.

    Args:
        watch: called with a line when a connection is opened or closed.

    Attributes:
        failure: why the last connection could not be opened, or None.
    """

    def __init__(self, watch: Callable[[str], None]) -> None:
        self.failure: ChatdbError | None = None
        self._watch = watch
        self._lock = threading.Lock()
        self._count = 0
        self._open: dict[int, tuple[threading.Thread, socket.socket]] = {}
        self._requested: dict[int, tuple[str, int]] = {}  # by thread

    @contextmanager
    def requesting(self, place: tuple[str, int]) -> Iterator[None]:
        """Note that the bastion is asked for a connection to a place, and why it fails."""
        thread = threading.get_ident()
        self._requested[thread] = place
        try:
            yield
            self.failure = None
        except ChatdbError as failure:
            self.failure = failure
            raise
        finally:
            del self._requested[thread]

    @property
    def unanswered(self) -> tuple[str, int] | None:
        """Host and port of a connection that the bastion has not answered yet, or None."""
        return next(iter(list(self._requested.values())), None)

    @contextmanager
    def carrying(self, request: socket.socket) -> Iterator[None]:
        """Count a connection as open while the block runs."""
        with self._lock:
            self._count += 1
            number = self._count
        self._open[number] = (threading.current_thread(), request)
        start = time.monotonic()
        text = f"connection {number} opened"
        self._watch(log.info("tunnel", text, state="connection-opened", connection=number))
        try:
            yield
        finally:
            del self._open[number]
            reason = f": {self.failure.message}" if self.failure else ""
            duration_s = time.monotonic() - start
            text = f"connection {number} closed after {duration_s:.1f} s{reason}"
            self._watch(
                log.info(
                    "tunnel", text, state="connection-closed", connection=number,
                    duration_ms=round(duration_s * 1000),
                )
            )  # fmt: skip

    def close(self, within_s: float) -> None:
        """Close every connection, and wait for their threads for so many seconds at most."""
        deadline = time.monotonic() + within_s
        for thread, request in list(self._open.values()):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
