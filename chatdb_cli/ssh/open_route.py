"""A route that is kept open: noticing that it was lost, and opening it again.

What does not belong here: opening it once (`session.py`), the local end (`forward.py`).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from chatdb_cli import log
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.ssh.failures import errno_in
from chatdb_cli.ssh.session import TEMPORARY
from chatdb_cli.ssh.transport import shut

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatdb_cli.settings.model import Bastion
    from chatdb_cli.ssh.session import Route
    from chatdb_cli.ssh.transport import Transport

_LISTEN_S = 1.0  # how often to look whether data was received
_SILENCE_S = 15.0  # three unanswered keepalive requests: the other side is gone
_CLOSED_WITHIN_S = 5.0
_LONGEST_PAUSE_S = 30.0


class OpenRoute:
    """The sessions of a route, opened again when they were lost.

    Args:
        bastion: the settings of the bastion, for the retries.
        route: the route; nothing is connected before `ensure`.
        report: called with a line before each retry.

    Attributes:
        closing: set when the route is to end.
        lost: how the route was lost the last time, or None.
    """

    def __init__(self, bastion: Bastion, route: Route, report: Callable[[str], None]) -> None:
        self.closing = threading.Event()
        self.lost: ChatdbError | None = None
        self._bastion = bastion
        self._route = route
        self._report = report
        self._sessions: list[Transport] = []
        self._lock = threading.RLock()
        self._silence: str | None = None
        self._noted: Transport | None = None  # the session whose loss is noted already
        self._watcher = threading.Thread(target=self._watch_for_silence, daemon=True)

    @property
    def last(self) -> Transport:
        """The session with the bastion itself; the route has been opened."""
        return self._sessions[-1]

    @property
    def was_opened(self) -> bool:
        """The route has been opened; it may be lost now."""
        return bool(self._sessions)

    @property
    def alive(self) -> bool:
        """The route is open, as far as is known."""
        return bool(self._sessions) and all(t.is_active() for t in self._sessions)

    def watch(self) -> None:
        """Start to watch for silence, in a thread of its own."""
        self._watcher.start()

    def ensure(self, retries: int | None = None) -> Transport:
        """Open the route if it is not open, and return the session with the bastion.

        Args:
            retries: how often to retry after a temporary failure, in place of the settings' number.

        Raises:
            ChatdbError: the route can't be opened.
        """
        retries = self._bastion.retries if retries is None else retries
        with self._lock:
            attempt = 0
            while not self.alive and not self.closing.is_set():
                self._note_loss()
                self._silence = None
                shut(self._sessions)
                try:
                    self._sessions = self._route.open()
                except ChatdbError as failure:
                    attempt += 1
                    if failure.code not in TEMPORARY or attempt > retries:
                        raise
                    delay = self._bastion.retry_delay_ms * attempt / 1000
                    self._report_retry(failure, delay, attempt, retries)
                    self.closing.wait(delay)
                    continue
                if self.closing.is_set():  # by another thread, in the meantime
                    shut(self._sessions)
            if self.closing.is_set():
                raise ChatdbError(Code.TUNNEL, "the tunnel is closed")
            return self.last

    def keep_open(self) -> None:
        """Open the route again whenever it is lost, until it is closed or interrupted.

        Raises:
            ChatdbError: it can't be opened again, and the failure is not temporary.
        """
        while not self.closing.is_set():
            self.last.join(1)
            if self.alive:
                continue
            loss = self.notice_loss(self.last)
            text = f"{loss.message if loss else 'the tunnel was lost'}; opening it again"
            errno = loss.errno if loss else None
            self._report(log.warning("tunnel", text, state="lost", errno=errno))
            pause, attempt = self._bastion.retry_delay_ms / 1000, 0
            while True:
                attempt += 1
                try:
                    self.ensure(retries=0)
                    break
                except ChatdbError as failure:
                    if failure.code not in TEMPORARY:
                        raise
                    self._report_retry(failure, pause, attempt)
                    self.closing.wait(pause)
                    pause = min(2 * pause + 0.1, _LONGEST_PAUSE_S)
            self._report(log.info("tunnel", "the tunnel is open again", state="restored"))

    def _report_retry(
        self, failure: ChatdbError, delay_s: float, attempt: int, retries: int | None = None
    ) -> None:
        """Report a temporary failure, and the pause before the next try; without end if no limit."""
        tries = "" if retries is None else f" ({attempt} of {retries})"
        text = f"{failure.message}; trying again in {delay_s:g} s{tries}"
        self._report(
            log.warning(
                "retry", text, what="tunnel", attempt=attempt, retries=retries,
                delay_ms=round(delay_s * 1000), code=failure.code.slug, errno=failure.errno,
            )
        )  # fmt: skip

    def notice_loss(self, transport: Transport) -> ChatdbError | None:
        """Return how a session was lost, or None; waits a moment for a session that is ending."""
        if transport is not threading.current_thread() and self.alive:
            transport.join(1)
        if self.was_opened and transport is self.last and not self.alive:
            self._note_loss()
        return self.lost

    def _note_loss(self) -> None:
        dead = next((n for n, t in enumerate(self._sessions) if not t.is_active()), None)
        if dead is None or self.closing.is_set() or self._sessions[dead] is self._noted:
            return
        self._noted = self._sessions[dead]
        why = self._silence or self._noted.reason_for_end()
        self.lost = ChatdbError(
            Code.TUNNEL_LOST,
            f"the tunnel through {self._route.hops[dead]} was lost: {why}",
            hint="run the same command again to continue",
            errno=errno_in(why),
        )

    def _watch_for_silence(self) -> None:
        """Close a route that has been silent for 15 seconds."""
        before, silent_s = 0, 0.0
        while not self.closing.wait(_LISTEN_S):
            sessions = self._sessions
            received = sessions[-1].stream.bytes_received if self.alive else before - 1
            # Count the waits of this loop, not the clock: this process itself may have been stopped.
            silent_s = silent_s + _LISTEN_S if received == before else 0.0
            before = received
            if silent_s > _SILENCE_S:
                self._silence = f"no data was received for {silent_s:g} s"
                shut(sessions)

    def begin_closing(self) -> None:
        """Close the sessions, without waiting for their threads."""
        self.closing.set()
        for transport in reversed(self._sessions):
            transport.close()

    def close(self) -> None:
        """Close the sessions, and wait for every thread."""
        self.begin_closing()
        shut(self._sessions)
        if self._watcher.is_alive() and self._watcher is not threading.current_thread():
            self._watcher.join(_CLOSED_WITHIN_S)
