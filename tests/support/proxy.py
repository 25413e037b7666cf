"""A proxy between chatdb and a server that counts and delays messages and cuts connections.

It parses the messages of the client, so that a test can cut "after the seventh message".
The connection must not use TLS; those to the embedded server do not.
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
from urllib.parse import quote

_SYNC, _QUERY, _PASSWORD, _STARTUP, _TERMINATE = "S", "Q", "p", "startup", "X"
# After each of these messages a client waits for an answer.
WAITING = (_SYNC, _QUERY, _PASSWORD, _STARTUP)


@dataclass
class Proxy:
    """A loopback port that forwards to the Unix socket of a server.

    Attributes:
        upstream: the server's socket.
        delay: seconds that each direction takes.
        on_message: called with (connection, kind, number) before a message of a client is forwarded;
            the number counts the messages of that connection.  If it returns False, the proxy cuts.
        cut_after: cut after the servers have sent this many bytes, in the middle of an answer.
        kinds: the type of each message that clients have sent so far, in order.
        answered: how many bytes the servers have sent so far.
        listen_at: the port; 0 lets the system choose.
        turns: how often a client has sent something after an answer.  Exact with a delay that is longer
            than a client needs to send a whole pipeline, whose first answers arrive later then.
    """

    upstream: str | Path
    delay: float = 0.0
    on_message: Callable[[int, str, int], bool | None] | None = None
    cut_after: int | None = None
    kinds: list[str] = field(default_factory=list)
    answered: int = 0
    turns: int = 0
    listen_at: int = 0
    _answered_before: int = -1
    _threads: list[threading.Thread] = field(default_factory=list)
    _sockets: list[socket.socket] = field(default_factory=list)
    _count: int = 0

    def __enter__(self) -> Proxy:
        self._listener = socket.create_server(("127.0.0.1", self.listen_at))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgresql://{quote(user)}@127.0.0.1:{self.port}/{quote(database)}?sslmode=disable"

    @property
    def connections(self) -> int:
        """How many connections clients have opened so far."""
        return self._count

    def round_trips(self) -> int:
        """Return how often a client has waited for an answer so far."""
        return sum(kind in WAITING for kind in self.kinds)

    def refuse(self) -> None:
        """Accept no more connections; those that are open stay open."""
        with suppress(OSError):  # refused already
            # A thread that waits in accept() does not wake up from close() alone.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def cut(self, *, clients_only: bool = False) -> None:
        """Close every open connection; with `clients_only` the server does not notice."""
        if clients_only:
            for client in self._sockets[::2]:
                client.shutdown(socket.SHUT_RDWR)
            return
        sockets = self._sockets[:]
        del self._sockets[: len(sockets)]  # a client that reconnects meanwhile is not cut
        for connection in sockets:
            with suppress(OSError):  # already closed
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

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
        """Connect to the server, after waiting until it has restarted."""
        for _ in range(1000):
            server = socket.socket(socket.AF_UNIX)
            with suppress(ConnectionRefusedError, FileNotFoundError):
                server.connect(str(self.upstream))
                return server
            server.close()
            time.sleep(0.02)
        raise TimeoutError(self.upstream)

    def _link(self, source: Iterator[bytes], sink: socket.socket) -> None:
        """Forward the data of a source to a sink in a thread, each piece after the delay."""
        line: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

        def forward() -> None:
            with suppress(OSError):  # cut
                for piece in source:
                    sink.sendall(piece)
            with suppress(OSError):  # tell the other side that this one has closed
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
        else:  # one thread fewer to wake up for each message
            self._start(forward)

    def _chunks(self, source: socket.socket) -> Iterator[bytes]:
        while data := source.recv(65536):
            if self.cut_after is not None:
                data = data[: self.cut_after]
                self.cut_after -= len(data)
            self.answered += len(data)
            yield data
            if self.cut_after == 0:
                self.cut_after = None  # cut only once
                source.shutdown(socket.SHUT_RDWR)
                return

    def _messages(self, source: socket.socket, connection: int) -> Iterator[bytes]:
        """Yield what a client sends, message by message."""
        buffer = b""
        number = 0
        startup = True
        while data := source.recv(65536):
            buffer += data
            complete = b""
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
                if kind != _TERMINATE and self.answered != self._answered_before:
                    self.turns += 1
                    self._answered_before = self.answered
                if self.on_message and self.on_message(connection, kind, number) is False:
                    if complete:
                        yield complete
                    return
                if self.on_message:
                    yield message
                else:
                    complete += message
            if complete:
                yield complete


class Link(Proxy):
    """A proxy to a loopback port that only delays, and does not parse messages."""

    def __init__(self, port: int, delay: float) -> None:
        super().__init__(str(port), delay)

    def _upstream(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", int(str(self.upstream))))

    def _messages(self, source: socket.socket, connection: int) -> Iterator[bytes]:
        del connection
        return self._chunks(source)
