"""A tunnel: a local end for libpq, and a route to the host of the database that is kept open.

What does not belong here: the route (`open_route.py`), listening (`forward.py`), which database is meant
(`postgres/`).
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import sshtunnel

from chatdb_cli import log
from chatdb_cli.callbacks import ignore, no_answer
from chatdb_cli.closing import Closing
from chatdb_cli.errors import ChatdbError, Code, errno_name
from chatdb_cli.remedy import Advice
from chatdb_cli.ssh.connections import Connections
from chatdb_cli.ssh.failures import behind_bastion
from chatdb_cli.ssh.forward import CLOSED_WITHIN_S, LOOPBACK, Forwarder
from chatdb_cli.ssh.open_route import OpenRoute
from chatdb_cli.ssh.session import Route

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

    from chatdb_cli.settings.model import Bastion
    from chatdb_cli.ssh.keys import Ask
    from chatdb_cli.ssh.model import TunnelStep
    from chatdb_cli.ssh.transport import Transport


class Tunnel(Closing):
    """An open tunnel through SSH to one or several hosts; a context manager.

    A route that was lost is opened again when it is needed: by the next connection at the local end, by
    `ensure`, or at once while `keep_open` runs.  The local ports stay the same.

    Args:
        bastion: the settings of the bastion.
        places: host and port of the database, as seen from the bastion; several of a cluster.
        timeout_ms: how long the connection to one host may take, in milliseconds.
        report: called with a line before each retry.
        ask: asks a person for the passphrase of a key.
        port: the first local port; 0 lets the system choose.
        watch: called with a line when a connection is opened or closed.
        note: called with each step of the route.

    Attributes:
        via: the bastion, as `user@host`.
        ports: the local ports, one for each place; the host is `LOOPBACK`.
        url: the URL for other programs, without a password.

    Raises:
        ChatdbError: the tunnel can't be opened; the error tells at which hop.
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
        self._route = Route(bastion, timeout_ms / 1000, note, ask)
        self.via = str(self._route.hops[-1])
        self._open_route = OpenRoute(bastion, self._route, report)
        self._connections = Connections(watch)
        self._forwarder: Forwarder | None = None
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
            self._open_route.watch()
            text = f"the tunnel through {self.via} is open"
            log.info("tunnel", text, state="open", via=self.via, ports=self.ports)
        except BaseException:
            self.close()
            raise

    # --- the route --------------------------------------------------------------------------------

    @property
    def last(self) -> Transport:
        """The session with the bastion itself."""
        return self._open_route.last

    @property
    def alive(self) -> bool:
        """The route is open, as far as is known."""
        return self._open_route.alive

    @property
    def lost(self) -> ChatdbError | None:
        """How the route was lost the last time, or None."""
        return self._open_route.lost

    @property
    def closing(self) -> threading.Event:
        """Set when the tunnel is to end."""
        return self._open_route.closing

    @property
    def host(self) -> str:
        """The address of the local end."""
        return LOOPBACK

    @property
    def port(self) -> int:
        """The port of the local end; of several, the first."""
        return self.ports[0]

    def ensure(self, retries: int | None = None) -> None:
        """Open the route if it is not open; the arguments and errors are those of `OpenRoute.ensure`."""
        self._open_route.ensure(retries)

    def keep_open(self) -> None:
        """Open the route again whenever it is lost, until interrupted.

        Raises:
            ChatdbError: it can't be opened again, and the failure is not temporary.
        """
        self._open_route.keep_open()

    def step(self, hop: str, what: str) -> AbstractContextManager[list[str]]:
        """Note one step of the route when the block ends, as `Route.step` does."""
        return self._route.step(hop, what)

    def close(self) -> None:
        """Close every connection and the tunnel itself; no thread is left."""
        was_closed = self.closing.is_set()
        self._open_route.begin_closing()
        if self._forwarder:
            self._forwarder.shut()
        self._connections.close(CLOSED_WITHIN_S)
        self._open_route.close()
        if self._open_route.was_opened and not was_closed:
            text = f"the tunnel through {self.via} is closed"
            log.info("tunnel", text, state="closed", via=self.via)

    # --- connections ------------------------------------------------------------------------------

    def begin(self) -> None:
        """Forget the failure of earlier connections, before a new one is opened."""
        self._connections.failure = None

    def explain(self) -> ChatdbError | None:
        """Return why a connection at the local end failed, if the tunnel is the cause."""
        if self._connections.failure:
            return self._connections.failure
        if self._open_route.was_opened and not self.alive:
            return self.notice_loss(self.last)
        if place := self._connections.unanswered:
            return behind_bastion(Code.BEHIND_SILENT, self.via, *place, "no answer", "ETIMEDOUT")
        return None

    def notice_loss(self, transport: Transport) -> ChatdbError | None:
        """Return how a session was lost, or None; waits a moment for a session that is ending."""
        return self._open_route.notice_loss(transport)

    def open_channel(
        self, kind: str, dest_addr: tuple[str, int], src_addr: tuple[str, int], timeout: float
    ) -> Any:
        """Ask the bastion for a connection to a place; sshtunnel calls this for each connection.

        Raises:
            ChatdbError: the bastion did not open it; `explain` returns the same error afterwards.
        """
        del kind
        with self._connections.requesting(dest_addr):
            bastion = self._open_route.ensure(retries=0)
            return self._route.open_channel(bastion, dest_addr, src_addr, timeout)

    def carrying(self, request: socket.socket) -> AbstractContextManager[None]:
        """Count a connection at the local end as open while the block runs."""
        return self._connections.carrying(request)

    def probe(self) -> None:
        """Open a connection from the bastion to each place, and close it at once.

        Raises:
            ChatdbError: no place can be reached; the error is that of the first.
        """
        failures = []
        for host, port in self.places:
            try:
                with self.step(f"{host}:{port}", "forward") as details:
                    self._route.open_channel(self.last, (host, port)).close()
                    details.append(f"{self.via} connects to it")
            except ChatdbError as failure:
                failures.append(failure)
        if len(failures) == len(self.places):
            raise failures[0]


def _check_free(port: int, count: int) -> None:
    """Refuse local ports that are in use; sshtunnel would not report the reason."""
    try:
        for number in range(port, port + count):
            socket.create_server((LOOPBACK, number)).close()
    except OSError as error:
        raise ChatdbError(
            Code.TUNNEL,
            f"the tunnel can't listen on {LOOPBACK}:{number}: {(error.strerror or '').lower()}",
            hint=Advice("give another {port}, or none"),
            errno=errno_name(error),
        ) from None
