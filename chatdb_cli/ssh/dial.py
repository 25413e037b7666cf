"""Connect to a hop and negotiate the SSH protocol, before anything about the user is sent.

What does not belong here: the host key (`known_hosts.py`), logging in (`login.py`).
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import paramiko

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.ssh.failures import (
    behind_bastion,
    not_forwarded,
    not_reached,
    not_ssh,
    session_closed,
    unknown_name,
)
from chatdb_cli.ssh.transport import Stream, run_proxy_command

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from chatdb_cli.ssh.model import Hop
    from chatdb_cli.ssh.transport import Transport

LOCAL_ORIGIN = ("127.0.0.1", 0)  # the origin of a connection of chatdb's own


def dial(hop: Hop, timeout_s: float) -> Stream:
    """Connect to the SSH port of the first hop, or run its ProxyCommand.

    Raises:
        ChatdbError: the host can't be reached.
    """
    if hop.command:
        return run_proxy_command(hop.command)
    try:
        connection = socket.create_connection((hop.host, hop.port), timeout=timeout_s)
    except UnicodeError:
        raise unknown_name(str(hop), hop.host, "it is not a valid host name") from None
    except socket.gaierror as error:
        raise unknown_name(str(hop), hop.host, error.strerror or "unknown") from None
    except OSError as error:
        raise not_reached(str(hop), f"{hop.host}:{hop.port}", error) from None
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return Stream(connection)


def open_channel(
    transport: Transport,
    place: tuple[str, int],
    timeout_s: float,
    origin: tuple[str, int] = LOCAL_ORIGIN,
    *,
    to_hop: bool = False,
) -> Any:
    """Ask a hop for a connection to a host and port, and return the channel.

    Args:
        transport: the session with the hop.
        place: host and port of the database, or of the next hop.
        timeout_s: how long to wait for the answer, in seconds.
        origin: host and port of the client that is connected.
        to_hop: `place` is a hop, not the database.

    Raises:
        ChatdbError: the hop did not open the connection.
    """
    hop = str(transport.hop)
    try:
        return transport.open_channel("direct-tcpip", place, origin, timeout=timeout_s)
    except paramiko.ChannelException as error:
        lines = (line for line in reversed(transport.log_lines) if " open FAILED: " in line)
        line = next(lines, "")
        why = line.partition(" open FAILED: ")[2].rpartition(": ")[0] or error.text
        raise not_forwarded(error.code, hop, place, why, inner=to_hop) from None
    except (paramiko.SSHException, EOFError, OSError):
        if not transport.is_active():
            raise session_closed(hop, transport.reason_for_end()) from None
        code = Code.TUNNEL_TIMEOUT if to_hop else Code.BEHIND_SILENT
        raise behind_bastion(code, hop, *place, "no answer", "ETIMEDOUT") from None


def negotiate(transport: Transport, known_kinds: Collection[str], timeout_s: float) -> None:
    """Agree on algorithms with a hop, and receive its host key.

    Args:
        transport: a session that is not started yet.
        known_kinds: the types of its known host keys, which are asked for first: a server shows one key.
        timeout_s: how long the server may take, in seconds.

    Raises:
        ChatdbError: the server closed the connection, did not answer, or does not speak SSH.
    """
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = timeout_s
    options = transport.get_security_options()
    options.key_types = sorted(options.key_types, key=lambda k: _key_kind(k) not in known_kinds)
    start = time.monotonic()
    try:
        transport.start_client(timeout=timeout_s)
        transport.get_remote_server_key()  # fails if start_client returned because of its timeout
    except (paramiko.SSHException, EOFError, OSError) as error:
        hop, stream = transport.hop, transport.stream
        if isinstance(error, paramiko.IncompatiblePeer):
            raise not_ssh(hop, f"no common algorithm: {error}") from None
        if stream.ended or isinstance(error, (EOFError, OSError)):
            raise session_closed(str(hop), "the connection was closed before the login") from None
        if time.monotonic() - start >= timeout_s * 0.9:
            what = "stopped answering" if stream.bytes_received else "did not identify as SSH"
            raise ChatdbError(
                Code.TUNNEL_TIMEOUT,
                f"{hop} accepted the connection, but {what} within {timeout_s:g} s",
                hint="is that the port of SSH? look at the host, or wait longer with "
                "CHATDB_CONNECT_TIMEOUT",
                errno="ETIMEDOUT",
            ) from None
        raise not_ssh(hop, str(error)) from None


def _key_kind(algorithm: str) -> str:
    """Return the type of the key that an algorithm signs with."""
    return "ssh-rsa" if algorithm.startswith("rsa-sha2-") else algorithm
