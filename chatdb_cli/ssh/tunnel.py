"""The tunnel under a connection: a local end for libpq, and the route after it kept open.

    Tunnel   an open route to the host of the database; opens again by itself what was lost

What belongs here: noticing a loss, opening again, closing.  What does not: dialling, verifying and
logging in (`session.py`), listening (`forward.py`), which database is meant (`postgres/`).
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import sshtunnel

from chatdb_cli.callbacks import ignore, no_answer
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.ssh.failures import behind_bastion, errno_in
from chatdb_cli.ssh.forward import CLOSED_WITHIN_S, LOOPBACK, Forwarder
from chatdb_cli.ssh.session import PASSING, Route, shut, why_it_ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType
    from typing import Any

    from chatdb_cli.settings.model import Bastion
    from chatdb_cli.ssh.keys import Ask
    from chatdb_cli.ssh.session import Transport, TunnelStep

_LISTEN_S, _SILENCE_S = (
    1.0,
    15.0,
)  # then nobody is there any more; a sign of life was asked for three times
_LONGEST_PAUSE_S = 30.0


class Tunnel:
    """An open way through SSH to one host, or several; a context manager.

    What is lost is opened again when it is needed: by the next connection at the local end, by
    `ensure`, or at once while `hold` runs.  The local end stays the same.

    Args:
        bastion: where the settings want to go through.
        places: host and port of the database, as seen from the bastion; several of a cluster.
        timeout_ms: how long one host may take to be reached.
        report: called with a line before each new try.
        ask: asks a person for the passphrase of a key.
        port: of the local end; 0 is one that the system chooses.
        watch: called with a line when connections come and go.
        note: called with each step of the way.

    Attributes:
        via: the bastion, as `user@host`.
        ports: the local ports, one for each place; the host is `LOOPBACK`.
        url: what other programs connect to; no password is in it.
        closing: set when it is to end.

    Raises:
        ChatdbError: what stands in the way, and where.
    """

    def __init__(
        self,
        bastion: Bastion,
        places: Sequence[tuple[str, int]],
        *,
        timeout_ms: int = 2000,
        report: Callable[[str], None] = ignore,
        ask: Ask = no_answer,
        port: int = 0,
        watch: Callable[[str], None] = ignore,
        note: Callable[[TunnelStep], None] = ignore,
    ) -> None:
        self.places = tuple(places)
        self.url = ""
        self._bastion = bastion
        self._report = report
        self._watch = watch
        self._way = Route(bastion, timeout_ms / 1000, note, ask)
        self.via = str(self._way.hops[-1])
        self.step = self._way.step
        self._chain: list[Transport] = []
        self._lock = threading.RLock()
        self.closing = threading.Event()
        self._carried: dict[int, tuple[threading.Thread, socket.socket]] = {}
        self._count = 0
        self._opening: dict[int, tuple[str, int]] = {}  # asked of the bastion and not answered yet
        self._failure: ChatdbError | None = None
        self._silence: str | None = None
        self._noted: Transport | None = None
        self.lost: ChatdbError | None = None
        self._forwarder: Forwarder | None = None
        self._guard = threading.Thread(target=self._stand_guard, daemon=True)
        try:
            if port:
                _check_free(port, len(places))
            self.ensure()
            self._forwarder = Forwarder(self, self.places, port)
            try:
                self._forwarder.start()
            except sshtunnel.BaseSSHTunnelForwarderError as error:
                raise ChatdbError(Code.TUNNEL, str(error)) from None
            self.ports = self._forwarder.ports
            self._guard.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Tunnel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- its life ---------------------------------------------------------------------------------

    @property
    def last(self) -> Transport:
        """The session with the bastion itself."""
        return self._chain[-1]

    @property
    def alive(self) -> bool:
        """Whether the way is open, as far as is known."""
        return bool(self._chain) and all(t.is_active() for t in self._chain)

    @property
    def host(self) -> str:
        """The local end's address."""
        return LOOPBACK

    @property
    def port(self) -> int:
        """The local end's port; of several, the first."""
        return self.ports[0]

    def ensure(self, retries: int | None = None) -> None:
        """Open the way if it is not open; what passes by itself is tried again.

        Args:
            retries: how often, in place of the settings' own.

        Raises:
            ChatdbError: what stands in the way, and where.
        """
        retries = self._bastion.retries if retries is None else retries
        with self._lock:
            attempt = 0
            while not self.alive and not self.closing.is_set():
                self._note_loss()
                self._silence = None
                shut(self._chain)
                try:
                    self._chain = self._way.open()
                except ChatdbError as failure:
                    attempt += 1
                    if failure.code not in PASSING or attempt > retries:
                        raise
                    delay = self._bastion.retry_delay_ms * attempt / 1000
                    self._report(
                        f"{failure.message}; trying again in {delay:g} s ({attempt} of {retries})"
                    )
                    self.closing.wait(delay)
                    continue
                if self.closing.is_set():  # by another thread, in the meantime
                    shut(self._chain)
            if self.closing.is_set():
                raise ChatdbError(Code.TUNNEL, "the tunnel is closed")

    def hold(self) -> None:
        """Keep the way open until interrupted, however often it is lost.

        Raises:
            ChatdbError: it can't be opened again for a reason that does not pass by itself.
        """
        while not self.closing.is_set():
            self.last.join(1)
            if self.alive:
                continue
            loss = self.notice(self.last)
            self._report(f"{loss.message if loss else 'the tunnel was lost'}; opening it again")
            pause = self._bastion.retry_delay_ms / 1000
            while True:
                try:
                    self.ensure(retries=0)
                    break
                except ChatdbError as failure:
                    if failure.code not in PASSING:
                        raise
                    self._report(f"{failure.message}; trying again in {pause:g} s")
                    self.closing.wait(pause)
                    pause = min(2 * pause + 0.1, _LONGEST_PAUSE_S)
            self._report("the tunnel is open again")

    def close(self) -> None:
        """End every connection and the tunnel itself; nothing of it stays."""
        self.closing.set()
        for transport in reversed(self._chain):
            transport.close()
        if self._forwarder:
            self._forwarder.shut()
        deadline = time.monotonic() + CLOSED_WITHIN_S
        for thread, request in list(self._carried.values()):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        shut(self._chain)
        if self._guard.is_alive() and self._guard is not threading.current_thread():
            self._guard.join(CLOSED_WITHIN_S)

    # --- what went wrong --------------------------------------------------------------------------

    def begin(self) -> None:
        """Forget what went wrong with connections before the one that is made now."""
        self._failure = None

    def explain(self) -> ChatdbError | None:
        """Say why a connection at the local end came to nothing, if the tunnel knows."""
        if self._failure:
            return self._failure
        if self._chain and not self.alive:
            return self.notice(self.last)
        for host, port in list(self._opening.values()):
            return behind_bastion(
                Code.BEHIND_SILENT, self.via, host, port, "no answer", "ETIMEDOUT"
            )
        return None

    def notice(self, transport: Transport) -> ChatdbError | None:
        """Return how a session was lost, if it was; one that is just ending is waited for."""
        if transport is not threading.current_thread() and self.alive:
            transport.join(1)
        if not self._chain or transport is not self.last or self.alive:
            return self.lost
        self._note_loss()
        return self.lost

    def _note_loss(self) -> None:
        dead = next((n for n, t in enumerate(self._chain) if not t.is_active()), None)
        if dead is None or self.closing.is_set() or self._chain[dead] is self._noted:
            return
        self._noted = self._chain[dead]
        hop = self._way.hops[dead]
        why = self._silence or why_it_ended(self._chain[dead])
        self.lost = ChatdbError(
            Code.TUNNEL_LOST,
            f"the tunnel through {hop} was lost: {why}",
            hint="run the same command again to go on",
            errno=errno_in(why),
        )

    def _stand_guard(self) -> None:
        """Give up a way from which nothing more is heard."""
        before, silent = 0, 0.0
        while not self.closing.wait(_LISTEN_S):
            chain = self._chain
            heard = chain[-1].line.bytes_heard if self.alive else before - 1
            # What this process itself stood still does not count.
            silent = silent + _LISTEN_S if heard == before else 0.0
            before = heard
            if silent > _SILENCE_S:
                self._silence = f"nothing was heard for {silent:g} s"
                shut(chain)

    # --- connections at the local end -------------------------------------------------------------

    def open_channel(
        self, kind: str, dest_addr: tuple[str, int], src_addr: tuple[str, int], timeout: float
    ) -> Any:
        """Ask the bastion for a connection to a place; sshtunnel calls it for each one.

        Raises:
            ChatdbError: none was to be had; `explain` says so later, too.
        """
        del kind
        me = threading.get_ident()
        self._opening[me] = dest_addr
        try:
            self.ensure(retries=0)
            channel = self._way.channel(self.last, dest_addr, src_addr, timeout)
            self._failure = None
            return channel
        except ChatdbError as failure:
            self._failure = failure
            raise
        finally:
            del self._opening[me]

    @contextmanager
    def carrying(self, request: socket.socket) -> Iterator[None]:
        """Count a connection at the local end while it lasts."""
        with self._lock:
            self._count += 1
            number = self._count
        self._carried[number] = (threading.current_thread(), request)
        start = time.monotonic()
        self._watch(f"connection {number} opened")
        try:
            yield
        finally:
            del self._carried[number]
            failed = f": {self._failure.message}" if self._failure else ""
            self._watch(
                f"connection {number} closed after {time.monotonic() - start:.1f} s{failed}"
            )

    def probe(self) -> None:
        """Ask the bastion for a connection to each place, and give it back at once.

        Raises:
            ChatdbError: none is to be had; of several places one is enough.
        """
        failures = []
        for host, port in self.places:
            try:
                with self._way.step(f"{host}:{port}", "forward") as said:
                    self._way.channel(self.last, (host, port)).close()
                    said.append(f"{self.via} connects to it")
            except ChatdbError as failure:
                failures.append(failure)
        if len(failures) == len(self.places):
            raise failures[0]


def _check_free(port: int, count: int) -> None:
    """Refuse a local port that is in use; sshtunnel would not say why."""
    try:
        for number in range(port, port + count):
            socket.create_server((LOOPBACK, number)).close()
    except OSError as error:
        raise ChatdbError(
            Code.TUNNEL,
            f"the tunnel can't listen on {LOOPBACK}:{number}: {(error.strerror or '').lower()}",
            hint="give another --port, or none",
            errno=errno.errorcode.get(error.errno or 0),
        ) from None
