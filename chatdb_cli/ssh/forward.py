"""The local end of a tunnel: it listens, and carries each connection through the session.

sshtunnel listens, serves each connection in a thread of its own and closes all of it again.  It is not
given the rest, which it does not do safely: it checks no host key, dials without a time limit, tries
every key that it finds, follows no ProxyJump, and hides why something failed.  So it is handed a
session that `session.py` has opened with paramiko.  The private names of sshtunnel stand here alone.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import sshtunnel

from chatdb_cli.ssh.session import LOG

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from chatdb_cli.ssh.tunnel import Tunnel

LOOPBACK = "127.0.0.1"
CLOSED_WITHIN_S = 5.0
POLL_S = 0.02  # how soon the local end hears that it is to close
_CHUNK = 65536


class Forwarder(sshtunnel.SSHTunnelForwarder):  # type: ignore[misc]
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
            logger=LOG,
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
            logger = LOG

        return Handler

    def start(self) -> None:
        """Listen for each place, in a thread of its own."""
        for place, local in zip(self._remote_binds, self._local_binds, strict=True):
            self._make_ssh_forward_server(place, local)
        for server in self._server_list:
            server.timeout = POLL_S
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
                thread.join(CLOSED_WITHIN_S)
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
