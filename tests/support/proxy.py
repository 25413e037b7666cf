"""A proxy between chatdb and a server: it counts, delays, holds and cuts.

It reads the client's side as protocol messages, so that a test can say "after the seventh message".
The connection has to be without TLS, as that to the embedded server is.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

_SYNC, _QUERY, _PASSWORD, _STARTUP = "S", "Q", "p", "startup"
# After each of these a client has to wait for an answer.
WAITING = (_SYNC, _QUERY, _PASSWORD, _STARTUP)


@dataclass
class Proxy:
    """Listens on a loopback port, and forwards to a server's Unix socket.

    Attributes:
        upstream: the server's socket.
        delay: how long each direction takes, in seconds.
        on_message: called with (connection, kind, number) before a message of a client goes on; the
            number counts the messages of that connection.  What it returns as False cuts.
        cut_after: cut when the servers have sent this many bytes, in the middle of an answer.
        kinds: of all messages of all clients so far, in order.
        answered: how many bytes the servers have sent so far.
    """

    upstream: str | Path
    delay: float = 0.0
    on_message: Callable[[int, str, int], bool | None] | None = None
    cut_after: int | None = None
    kinds: list[str] = field(default_factory=list)
    answered: int = 0
    _threads: list[threading.Thread] = field(default_factory=list)
    _sockets: list[socket.socket] = field(default_factory=list)
    _count: int = 0

    def __enter__(self) -> Proxy:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.refuse()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgresql://{quote(user)}@127.0.0.1:{self.port}/{quote(database)}?sslmode=disable"

    def round_trips(self) -> int:
        """How often a client had to wait for an answer so far."""
        return sum(kind in WAITING for kind in self.kinds)

    def refuse(self) -> None:
        """Take no more connections; those that are open stay."""
        with suppress(OSError):  # refused already
            # A thread that waits in accept() does not wake up from close() alone.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def cut(self, *, clients_only: bool = False) -> None:
        """Break every connection that is open now; on the clients' side alone, if that is said."""
        if clients_only:
            for client in self._sockets[::2]:
                client.shutdown(socket.SHUT_RDWR)
            return
        cut = self._sockets[:]
        del self._sockets[: len(cut)]  # whoever comes back meanwhile is let through
        for one in cut:
            with suppress(OSError):  # gone already
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = self._upstream()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.extend((client, server))
            self._count += 1
            self._link(self._messages(client, self._count), server)
            self._link(self._chunks(server), client)

    def _upstream(self) -> socket.socket:
        """Connect to the server; one that is being started anew is waited for."""
        for _ in range(1000):
            server = socket.socket(socket.AF_UNIX)
            with suppress(ConnectionRefusedError, FileNotFoundError):
                server.connect(str(self.upstream))
                return server
            server.close()
            time.sleep(0.02)
        raise TimeoutError(self.upstream)

    def _link(self, source: Iterator[bytes], sink: socket.socket) -> None:
        """Carry what a source gives to a sink, each piece as much later as the link is long."""
        line: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

        def at_once() -> None:
            with suppress(OSError):  # cut
                for piece in source:
                    sink.sendall(piece)
            with suppress(OSError):  # whoever waits there hears that the other has gone
                sink.shutdown(socket.SHUT_WR)

        def read() -> None:
            try:
                for piece in source:
                    line.put((time.monotonic() + self.delay, piece))
            except OSError:
                pass  # cut
            line.put((0.0, b""))

        def write() -> None:
            try:
                while True:
                    due, piece = line.get()
                    if not piece:
                        break
                    time.sleep(max(0.0, due - time.monotonic()))
                    sink.sendall(piece)
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # cut

        if self.delay:
            self._start(read)
            self._start(write)
        else:  # one thread less to wake up for each message
            self._start(at_once)

    def _chunks(self, source: socket.socket) -> Iterator[bytes]:
        while data := source.recv(65536):
            if self.cut_after is not None:
                data = data[: self.cut_after]
                self.cut_after -= len(data)
            self.answered += len(data)
            yield data
            if self.cut_after == 0:
                self.cut_after = None  # once
                source.shutdown(socket.SHUT_RDWR)
                return

    def _messages(self, source: socket.socket, connection: int) -> Iterator[bytes]:
        """Yield what a client sends, message by message."""
        buffer = b""
        number = 0
        startup = True
        while data := source.recv(65536):
            buffer += data
            whole = b""
            while True:
                head = 0 if startup else 1
                if len(buffer) < head + 4:
                    break
                size = head + int.from_bytes(buffer[head : head + 4], "big")
                if len(buffer) < size:
                    break
                kind = _STARTUP if startup else chr(buffer[0])
                message, buffer = buffer[:size], buffer[size:]
                # An SSL or GSS request is answered with one byte; the startup packet comes then.
                startup = startup and message[4:8] in (b"\x04\xd2\x16\x2f", b"\x04\xd2\x16\x30")
                number += 1
                self.kinds.append(kind)
                if self.on_message and self.on_message(connection, kind, number) is False:
                    if whole:
                        yield whole
                    return
                if self.on_message:
                    yield message
                else:
                    whole += message
            if whole:
                yield whole


class Link(Proxy):
    """A link to a loopback port: it delays what goes over it, and looks at nothing."""

    def __init__(self, port: int, delay: float) -> None:
        super().__init__(str(port), delay)

    def _upstream(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", int(str(self.upstream))))

    def _messages(self, source: socket.socket, connection: int) -> Iterator[bytes]:
        del connection
        return self._chunks(source)
