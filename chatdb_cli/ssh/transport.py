"""A session with one SSH server: the byte stream below it, its log, and keepalive requests.

What does not belong here: connecting (`dial.py`), logging in (`login.py`), the route (`session.py`).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

import paramiko
from paramiko.common import cMSG_GLOBAL_REQUEST

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from chatdb_cli.ssh.model import Hop

_CLOSED_WITHIN_S = 5.0
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)
# paramiko and sshtunnel also log what they raise: nothing of it is shown to the user, nor mixed with the
# records of the logger `chatdb`.
LOG = logging.getLogger("chatdb.tunnel")
LOG.addHandler(logging.NullHandler())
LOG.propagate = False


class Stream:
    """The byte stream of a transport; counts the bytes received.

    Args:
        socket_: a socket, or a channel through the previous hop.
        child: the ProxyCommand at the other end of the socket.

    Attributes:
        bytes_received: the number of bytes received so far.
        ended: the other side has closed the stream, or it broke.
    """

    def __init__(self, socket_: Any, child: subprocess.Popen[bytes] | None = None) -> None:
        self._socket = socket_
        self._child = child
        self._quick = _QUICKACK is not None and isinstance(socket_, socket.socket) and not child
        self.bytes_received = 0
        self.ended = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def recv(self, size: int) -> bytes:
        """Receive up to `size` bytes."""
        try:
            data: bytes = self._socket.recv(size)
        except TimeoutError:
            raise
        except OSError:
            self.ended = True
            raise
        if self._quick:
            # An SSH server delays a small answer until the previous one is acknowledged.
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        self.bytes_received += len(data)
        self.ended = self.ended or not data
        return data

    def close(self) -> None:
        """Close the socket, and end the ProxyCommand."""
        self._socket.close()
        child, self._child = self._child, None
        if child:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
            try:
                child.wait(1)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


class Transport(paramiko.Transport):  # type: ignore[misc]
    """A session with one SSH server; keeps the warnings that paramiko only logs.

    Attributes:
        hop: the server.
        log_lines: the last warnings and errors.
        stream: the byte stream below the session.
    """

    def __init__(self, hop: Hop, stream: Stream) -> None:
        self.hop = hop
        self.log_lines: deque[str] = deque(maxlen=20)
        self.stream = stream
        super().__init__(stream)
        self.set_log_channel(LOG.name)

    def _log(self, level: int, msg: Any, *args: Any) -> None:
        for line in msg if isinstance(msg, list) else [msg]:
            if level >= logging.WARNING:
                self.log_lines.append(str(line) % args if args else str(line))

    def request_keepalive(self, every_s: float) -> None:
        """Ask the other side for an answer whenever it was silent for so many seconds."""
        self.packetizer.set_keepalive(every_s, self._send_keepalive)

    def _send_keepalive(self) -> None:
        message = paramiko.Message()
        message.add_byte(cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)  # request an answer; paramiko's own keepalive does not
        self._send_user_message(message)

    def reason_for_end(self) -> str:
        """Return why the session ended, in the words of the other side if it sent any."""
        lines = [
            line
            for line in self.log_lines
            if "Disconnect" in line or "Exception" in line or "error" in line.lower()
        ]
        if lines and "Disconnect" in lines[-1]:
            return lines[-1].partition(": ")[2] or lines[-1]
        error = self.get_exception()
        if isinstance(error, OSError) and error.strerror:
            return error.strerror.lower()
        return "the connection was closed"

    def shut(self) -> None:
        """Close the session and its stream; wait until its threads have ended."""
        self.close()
        self.stream.close()
        if self.is_alive() and self is not threading.current_thread():
            self.join(_CLOSED_WITHIN_S)
        self.packetizer.complete_handshake()  # ends its timer, which is also a thread


def shut(sessions: Sequence[Transport]) -> None:
    """Close sessions, the last one first."""
    for transport in reversed(sessions):
        transport.shut()


def run_proxy_command(command: str) -> Stream:
    """Start a ProxyCommand of ~/.ssh/config, and return the stream to it."""
    ours, theirs = socket.socketpair()
    with theirs:
        # In its own process group: chatdb handles Ctrl-C, and the shell's children end with it.
        child = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    return Stream(ours, child)
