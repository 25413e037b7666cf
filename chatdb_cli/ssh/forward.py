"""The local end of a tunnel: it listens, and carries each connection through the SSH session.

sshtunnel listens, serves each connection in a thread of its own, and closes all of them.  The rest it
does not do safely: it checks no host key, connects without a timeout, tries every key that it finds,
follows no ProxyJump, and hides why something failed.  So it gets a session that `session.py` has opened
with paramiko.  Only this module uses private names of sshtunnel.  What does not belong here: opening the
session (`session.py`), and opening it again (`open_route.py`).
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import sshtunnel

from chatdb_cli.ssh.transport import LOG

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from typing import Any, Protocol

    class Carrier(Protocol):
        """What the local end needs of a tunnel."""

        via: str

        @property
        def closing(self) -> threading.Event:
            """Set when the tunnel is to end."""

        def open_channel(
            self, kind: str, dest_addr: tuple[str, int], src_addr: tuple[str, int], timeout: float
        ) -> Any:
            """Return a connection from the bastion to a place."""

        def carrying(self, request: socket.socket) -> AbstractContextManager[None]:
            """Count a connection as open while the block runs."""

        def notice_loss(self, transport: Any) -> object:
            """Note that a session was lost, if it was."""


LOOPBACK = "127.0.0.1"
CLOSED_WITHIN_S = 5.0
_POLL_S = 0.02  # how soon the local end notices that it is to close
_CHUNK = 65536


class Forwarder(sshtunnel.SSHTunnelForwarder):  # type: ignore[misc]
    """sshtunnel's local end, for a session that was opened and verified without it.

    It does not use sshtunnel's `start` and `stop`: whenever an interrupt comes, `shut` ends it.

    Args:
        carrier: the tunnel.
        places: host and port of each place, as seen from the bastion.
        port: the first local port; 0 lets the system choose.

    Raises:
        sshtunnel.BaseSSHTunnelForwarderError: a port is in use.
    """

    def __init__(self, carrier: Carrier, places: Sequence[tuple[str, int]], port: int) -> None:
        self._carrier = carrier
        self._threads: list[threading.Thread] = []
        super().__init__(
            (carrier.via, 22),  # never connected to
            ssh_config_file=None,
            ssh_username="",
            local_bind_addresses=[(LOOPBACK, port and port + n) for n in range(len(places))],
            remote_bind_addresses=list(places),
            set_keepalive=0,
            allow_agent=False,
            host_pkey_directories=[],
            logger=LOG,
        )

    def __del__(self) -> None:
        """Do nothing: sshtunnel's own expects that __init__ has completed."""

    @staticmethod
    def _consolidate_auth(**_: Any) -> tuple[None, list[Any]]:
        return None, []

    def _make_ssh_forward_handler_class(self, remote_address_: tuple[str, int]) -> type:
        class Handler(_Handler):
            remote_address = remote_address_
            ssh_transport = self._carrier
            logger = LOG

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
        while not self._carrier.closing.is_set():
            server.handle_request()

    @property
    def ports(self) -> tuple[int, ...]:
        """The local ports, in the order of the places."""
        return tuple(server.local_port for server in self._server_list)

    def shut(self) -> None:
        """Stop listening when the tunnel is closing, and wait until no thread is left."""
        for thread in self._threads:
            if thread.is_alive():
                thread.join(CLOSED_WITHIN_S)
        for server in self._server_list:
            server.server_close()


class _Handler(sshtunnel._ForwardHandler):  # type: ignore[misc]
    """One connection at the local end."""

    ssh_transport: Carrier

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # If the channel can't be opened, the carrier keeps the reason; the socket is closed.
        with (
            self.ssh_transport.carrying(self.request),
            suppress(sshtunnel.HandlerSSHTunnelForwarderError),
        ):
            super().handle()

    def _redirect(self, chan: Any) -> None:
        """Carry both directions, each in a thread of its own.

        sshtunnel has one thread for both, which deadlocks when both sides send more than the other
        receives; and its select() does not support file descriptors from 1024 on.
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
            self.ssh_transport.notice_loss(chan.get_transport())
        with suppress(OSError):
            self.request.shutdown(socket.SHUT_RDWR)
