"""The SSH tunnel under a connection: a local end for libpq, and the way behind it kept open.

    Tunnel   an open way to the database's host; opens again by itself what was lost

What belongs here: listening, forwarding, noticing a loss, opening again, closing.  What does not:
dialling, verifying and logging in (`ssh.py`), which database is meant (`connection.py`).

sshtunnel listens at the local end, serves each connection in a thread of its own and takes all of it
down again.  It is not let near the rest, which it does not do safely: it checks no host key, dials
without a time limit, tries every key that it finds, follows no ProxyJump, and hides why something
failed.  So it is handed a session that `ssh.py` has opened with paramiko.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

import sshtunnel

from chatdb_cli import ssh
from chatdb_cli.callbacks import ignore, no_answer
from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from chatdb_cli.settings.model import Bastion
    from chatdb_cli.ssh import Step, Transport
    from chatdb_cli.sshfiles import Ask

LOOPBACK = "127.0.0.1"
_LISTEN_S, _SILENCE_S = (
    1.0,
    15.0,
)  # then nobody is there any more; a sign of life was asked for three times
_LONGEST_PAUSE_S = 30.0
_CLOSED_WITHIN_S = 5.0
_POLL_S = 0.02  # how soon the local end hears that it is to close
_CHUNK = 65536


class _Forwarder(sshtunnel.SSHTunnelForwarder):  # type: ignore[misc]
    """sshtunnel's local end, over a way that was opened and verified without it.

    It starts and ends in its own manner: wherever an interrupt comes, it can be shut.

    Raises:
        sshtunnel.BaseSSHTunnelForwarderError: a port is not to be had.
    """

    def __init__(self, tunnel: Tunnel, places: Sequence[tuple[str, int]], port: int) -> None:
        self._tunnel = tunnel
        self._threads: list[threading.Thread] = []
        super().__init__(
            (tunnel.via, 22),  # never dialled
            ssh_config_file=None,
            ssh_username="",
            local_bind_addresses=[(LOOPBACK, port and port + n) for n in range(len(places))],
            remote_bind_addresses=list(places),
            set_keepalive=0,
            allow_agent=False,
            host_pkey_directories=[],
            logger=ssh.LOG,
        )

    def __del__(self) -> None:
        """Do nothing, where sshtunnel's own expects that __init__ has come to its end."""

    @staticmethod
    def _consolidate_auth(**_: Any) -> tuple[None, list[Any]]:
        return None, []

    def _make_ssh_forward_handler_class(self, remote_address_: tuple[str, int]) -> type:
        class Handler(_Handler):
            remote_address = remote_address_
            ssh_transport = self._tunnel
            logger = ssh.LOG

        return Handler

    def start(self) -> None:
        """Listen for each place, in a thread of its own."""
        for place, local in zip(self._remote_binds, self._local_binds, strict=True):
            self._make_ssh_forward_server(place, local)
        for server in self._server_list:
            server.timeout = _POLL_S
            thread = threading.Thread(target=self._serve, args=(server,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, server: Any) -> None:
        while not self._tunnel.closing.is_set():
            server.handle_request()

    @property
    def ports(self) -> tuple[int, ...]:
        """The local ports, in the order of the places."""
        return tuple(server.local_port for server in self._server_list)

    def shut(self) -> None:
        """Stop listening, once the tunnel is closing, and wait until no thread is left."""
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_CLOSED_WITHIN_S)
        for server in self._server_list:
            server.server_close()


class _Handler(sshtunnel._ForwardHandler):  # type: ignore[misc]
    """One connection at the local end."""

    ssh_transport: Tunnel

    def handle(self) -> None:
        tunnel = self.ssh_transport
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # That it could not be opened is kept for whoever asks, and the socket closed.
        with tunnel.carrying(self.request), suppress(sshtunnel.HandlerSSHTunnelForwarderError):
            super().handle()

    def _redirect(self, chan: Any) -> None:
        """Carry both directions, each in a thread of its own.

        sshtunnel's one thread for both stands still when both sides send more than the other takes;
        and its select() takes no descriptor from 1024 on.
        """
        back = threading.Thread(target=self._carry_back, args=(chan,), daemon=True)
        back.start()
        try:
            while data := self.request.recv(_CHUNK):
                chan.sendall(data)
            chan.shutdown_write()
        except OSError:
            chan.close()
        back.join()

    def _carry_back(self, chan: Any) -> None:
        with suppress(OSError):
            while data := chan.recv(_CHUNK):
                self.request.sendall(data)
        if not chan.eof_received:
            self.ssh_transport.notice(chan.get_transport())
        with suppress(OSError):
            self.request.shutdown(socket.SHUT_RDWR)


class Tunnel:
    """An open way through SSH to one host, or several; a context manager.

    What is lost is opened again when it is needed: by the next connection at the local end, by
    `ensure`, or at once while `hold` runs.  The local end stays the same.

    Args:
        bastion: where the settings want to go through.
        places: host and port of the database, as seen from the bastion; several of a cluster.
        timeout_ms: how long one host may take to be reached.
        tell: called with a line before each new try.
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
        tell: Callable[[str], None] = ignore,
        ask: Ask = no_answer,
        port: int = 0,
        watch: Callable[[str], None] = ignore,
        note: Callable[[Step], None] = ignore,
    ) -> None:
        self.places = tuple(places)
        self.url = ""
        self._bastion = bastion
        self._tell = tell
        self._watch = watch
        self._way = ssh.Way(bastion, timeout_ms / 1000, note, ask)
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
        self._forwarder: _Forwarder | None = None
        self._guard = threading.Thread(target=self._stand_guard, daemon=True)
        try:
            if port:
                _check_free(port, len(places))
            self.ensure()
            self._forwarder = _Forwarder(self, self.places, port)
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
                ssh.shut(self._chain)
                try:
                    self._chain = self._way.open()
                except ChatdbError as failure:
                    attempt += 1
                    if failure.code not in ssh.PASSING or attempt > retries:
                        raise
                    delay = self._bastion.retry_delay_ms * attempt / 1000
                    self._tell(
                        f"{failure.message}; trying again in {delay:g} s ({attempt} of {retries})"
                    )
                    self.closing.wait(delay)
                    continue
                if self.closing.is_set():  # by another thread, in the meantime
                    ssh.shut(self._chain)
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
            self._tell(f"{loss.message if loss else 'the tunnel was lost'}; opening it again")
            pause = self._bastion.retry_delay_ms / 1000
            while True:
                try:
                    self.ensure(retries=0)
                    break
                except ChatdbError as failure:
                    if failure.code not in ssh.PASSING:
                        raise
                    self._tell(f"{failure.message}; trying again in {pause:g} s")
                    self.closing.wait(pause)
                    pause = min(2 * pause + 0.1, _LONGEST_PAUSE_S)
            self._tell("the tunnel is open again")

    def close(self) -> None:
        """End every connection and the tunnel itself; nothing of it stays."""
        self.closing.set()
        for transport in reversed(self._chain):
            transport.close()
        if self._forwarder:
            self._forwarder.shut()
        deadline = time.monotonic() + _CLOSED_WITHIN_S
        for thread, request in list(self._carried.values()):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        ssh.shut(self._chain)
        if self._guard.is_alive() and self._guard is not threading.current_thread():
            self._guard.join(_CLOSED_WITHIN_S)

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
            return ssh.behind(Code.BEHIND_SILENT, self.via, host, port, "no answer", "ETIMEDOUT")
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
        why = self._silence or ssh.why_it_ended(self._chain[dead])
        self.lost = ChatdbError(
            Code.TUNNEL_LOST,
            f"the tunnel through {hop} was lost: {why}",
            hint="run the same command again to go on",
            errno=ssh.errno_in(why),
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
                ssh.shut(chain)

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


# --- small things ---------------------------------------------------------------------------------


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
