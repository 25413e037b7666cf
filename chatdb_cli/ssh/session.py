"""SSH sessions along a route of jump hosts, each tunnelled through the previous one.

    Route        the hops to a bastion, and the sessions with each of them
    TunnelStep   one thing that was done on the way

What belongs here: dialling, verifying the host key, logging in.  What does not: the user's SSH files
(`config.py`, `known_hosts.py`, `keys.py`), forwarding (`forward.py`).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import paramiko
from paramiko.common import cMSG_GLOBAL_REQUEST

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.ssh.config import existing_files, read_hops
from chatdb_cli.ssh.failures import (
    behind_bastion,
    login_failed,
    not_forwarded,
    not_reached,
    not_ssh,
    session_closed,
    unknown_name,
)
from chatdb_cli.ssh.keys import key_label, load_private_key
from chatdb_cli.ssh.known_hosts import KnownHosts, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, Literal

    from chatdb_cli.settings.model import Bastion
    from chatdb_cli.ssh.config import Hop
    from chatdb_cli.ssh.keys import Ask

# What passes by itself, and is tried again.
PASSING = frozenset(
    {Code.TUNNEL_REFUSED, Code.TUNNEL_TIMEOUT, Code.TUNNEL_UNREACHABLE, Code.TUNNEL_CLOSED}
)
NOWHERE = ("127.0.0.1", 0)  # whose connection it is, where it is our own
_PATIENCE = 5  # an SSH server may take so many times longer to answer than to be reached
_KEEPALIVE_S = 5
_CLOSED_WITHIN_S = 5.0
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)
# paramiko and sshtunnel log also what they then raise: nothing of it reaches the user by itself.
LOG = logging.getLogger("chatdb.tunnel")


@dataclass(frozen=True, slots=True)
class TunnelStep:
    """One thing that was done on the way.

    Attributes:
        hop: where, as `user@host`, or the database's `host:port`.
        what: keys, connect, host key, login, forward or database.
        state: ok or failed.
        duration_ms: how long it took.
        detail: what was found, in words.
    """

    hop: str
    what: str
    state: Literal["ok", "failed"]
    duration_ms: int
    detail: str


class _Stream:
    """What a transport reads and writes; it notes what was heard.

    Args:
        under: a socket, or a channel of the hop before.
        child: a ProxyCommand behind the socket.
    """

    def __init__(self, under: Any, child: subprocess.Popen[bytes] | None = None) -> None:
        self._under = under
        self._child = child
        self._quick = _QUICKACK is not None and isinstance(under, socket.socket) and not child
        self.bytes_heard = 0
        self.ended = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._under, name)

    def recv(self, size: int) -> bytes:
        try:
            data: bytes = self._under.recv(size)
        except TimeoutError:
            raise
        except OSError:
            self.ended = True
            raise
        if self._quick:
            # An SSH server holds a small answer back until the one before is acknowledged.
            self._under.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        self.bytes_heard += len(data)
        self.ended = self.ended or not data
        return data

    def close(self) -> None:
        self._under.close()
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
    """A session with one SSH server, that keeps what paramiko only logs, and asks for signs of life."""

    def __init__(self, hop: Hop, line: _Stream) -> None:
        self.hop = hop
        self.said: deque[str] = deque(maxlen=20)
        self.line = line
        super().__init__(line)
        self.set_log_channel(LOG.name)

    def _log(self, level: int, msg: Any, *args: Any) -> None:
        for one in msg if isinstance(msg, list) else [msg]:
            if level >= logging.WARNING:
                self.said.append(str(one) % args if args else str(one))

    def ask_for_life(self, every_s: float) -> None:
        """Ask the other side to answer, whenever it was silent for some time."""
        self.packetizer.set_keepalive(every_s, self._ask)

    def _ask(self) -> None:
        message = paramiko.Message()
        message.add_byte(cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)  # an answer is wanted; paramiko's own asks for none
        self._send_user_message(message)

    def shut(self) -> None:
        """Close it with all that is under it; no thread stays."""
        self.close()
        self.line.close()
        if self.is_alive() and self is not threading.current_thread():
            self.join(_CLOSED_WITHIN_S)
        self.packetizer.complete_handshake()  # ends its timer, which is a thread, too


class Route:
    """The way to a bastion over every hop.

    Args:
        bastion: where the settings want to go through.
        timeout_s: how long one host may take to be reached.
        note: called with each step.
        ask: asks a person for the passphrase of a key.

    Attributes:
        hops: the bastion is the last.

    Raises:
        ChatdbError: the files in ~/.ssh are not as they should be; nothing was dialled.
    """

    def __init__(
        self, bastion: Bastion, timeout_s: float, note: Callable[[TunnelStep], None], ask: Ask
    ) -> None:
        self.hops = read_hops(bastion)
        self.patience_s = timeout_s * _PATIENCE
        self._passphrase = bastion.passphrase
        self._timeout_s = timeout_s
        self._note = note
        self._known = {hop: KnownHosts(hop.known_hosts) for hop in self.hops}
        self._keys: dict[Hop, list[tuple[str, paramiko.PKey]]] = {}
        for hop in self.hops:
            with self.step(str(hop), "keys") as said:
                self._keys[hop] = self._load(hop, ask)
                said.append(", ".join(label for label, _ in self._keys[hop]) or "none named")

    def open(self) -> list[Transport]:
        """Open a session with each hop, each through the one before."""
        chain: list[Transport] = []
        try:
            for hop in self.hops:
                with self.step(str(hop), "connect") as said:
                    line = self._reach(hop, chain)
                    chain.append(Transport(hop, line))
                    self._negotiate(hop, chain[-1])
                    said.append(chain[-1].remote_version)
                with self.step(str(hop), "host key") as said:
                    said.append(self._verify(hop, chain[-1]))
                with self.step(str(hop), "login") as said:
                    said.append(self._log_in(hop, chain[-1]))
            chain[-1].ask_for_life(_KEEPALIVE_S)
        except BaseException:
            shut(chain)
            raise
        return chain

    @contextmanager
    def step(self, hop: str, what: str) -> Iterator[list[str]]:
        """Note one more step of the way; what is put into the list is what was found."""
        said: list[str] = []
        start = time.monotonic()
        try:
            yield said
        except ChatdbError as failure:
            self._note(TunnelStep(hop, what, "failed", _ms_since(start), failure.message))
            raise
        self._note(TunnelStep(hop, what, "ok", _ms_since(start), "".join(said)))

    def _reach(self, hop: Hop, chain: list[Transport]) -> _Stream:
        """Connect to a hop's SSH port, straight, through the hop before, or by its ProxyCommand."""
        if chain:
            place = (hop.host, hop.port)
            return _Stream(self.channel(chain[-1], place, inner=True))
        if hop.command:
            return _run(hop.command)
        where = f"{hop.host}:{hop.port}"
        try:
            sock = socket.create_connection((hop.host, hop.port), timeout=self._timeout_s)
        except UnicodeError:
            raise unknown_name(str(hop), hop.host, "it is no host name") from None
        except socket.gaierror as error:
            raise unknown_name(str(hop), hop.host, error.strerror or "unknown") from None
        except OSError as error:
            raise not_reached(str(hop), where, error) from None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return _Stream(sock)

    def _negotiate(self, hop: Hop, transport: Transport) -> None:
        """Agree on how to speak; nothing of the user is sent yet."""
        patience = self.patience_s
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = patience
        # The types of key that are known come first: a server shows one key alone.
        options = transport.get_security_options()
        known = {key.kind for key in self._known[hop].of(hop.known_as)}
        options.key_types = sorted(options.key_types, key=lambda k: _kind(k) not in known)
        start = time.monotonic()
        try:
            transport.start_client(timeout=patience)
            transport.get_remote_server_key()  # at its time limit it returns as if all were well
        except (paramiko.SSHException, EOFError, OSError) as error:
            line = transport.line
            if isinstance(error, paramiko.IncompatiblePeer):
                raise not_ssh(hop, f"no common algorithm: {error}") from None
            if line.ended or isinstance(error, (EOFError, OSError)):
                raise session_closed(
                    str(hop), "the connection was closed in front of the login"
                ) from None
            if time.monotonic() - start >= patience * 0.9:
                what = "does not say it is an SSH server" if not line.bytes_heard else "fell silent"
                raise ChatdbError(
                    Code.TUNNEL_TIMEOUT,
                    f"{hop} takes the connection and {what} within {patience:g} s",
                    hint="is that the port of SSH? look at the host, or wait longer with "
                    "CHATDB_CONNECT_TIMEOUT",
                    errno="ETIMEDOUT",
                ) from None
            raise not_ssh(hop, str(error)) from None

    def _verify(self, hop: Hop, transport: Transport) -> str:
        """Refuse a host whose key is not the one that is known; return how it is known."""
        key = transport.get_remote_server_key()
        kind, blob, known = key.get_name(), key.asbytes(), self._known[hop]
        shown = f"{kind} {fingerprint(blob)}"
        name = hop.known_as
        line = f"{name} {kind} {key.get_base64()}"
        if revoked := known.is_revoked(name, blob):
            raise ChatdbError(
                Code.HOST_KEY_REVOKED,
                f"{hop} shows a host key that is revoked: {shown}",
                hint="do not go on; ask its administrator",
                notes=(f"{revoked.file}:{revoked.line} revokes it",),
            )
        lines = known.of(name)
        if found := next((k for k in lines if k.blob == blob), None):
            return f"{shown} ({found.file}:{found.line})"
        if lines:
            raise ChatdbError(
                Code.HOST_KEY_CHANGED,
                f"{hop} shows another host key than the one that is known: {shown}",
                hint="somebody may listen in between: ask its administrator for the fingerprint; only "
                f"if it is this one, \"ssh-keygen -R '{name}' -f {lines[0].file}\" removes the old "
                f"key, and this line is the new one: {line}",
                notes=tuple(f"{k.file}:{k.line} has {k.kind} {fingerprint(k.blob)}" for k in lines),
            )
        raise ChatdbError(
            Code.HOST_KEY_UNKNOWN,
            f"the host key of {hop} is not known: {shown}",
            hint="compare the fingerprint with what its administrator says, then add this line to "
            f"{hop.known_hosts[0]}: {line}",
            notes=("its line of @cert-authority is not used: host certificates are not supported",)
            if known.has_authority(name)
            else (),
        )

    def _load(self, hop: Hop, ask: Ask) -> list[tuple[str, paramiko.PKey]]:
        """Read the key files of a hop, before anything is dialled."""
        files = hop.keys if hop.named else existing_files(hop.keys) or hop.keys[:1]
        keys = []
        for file in files:
            try:
                key = load_private_key(file, self._passphrase, ask)
            except ChatdbError as error:
                if error.code is Code.KEY_LOCKED and hop.agent:
                    continue  # the agent has it, or nobody
                raise
            keys.append((key_label(key, str(file)), key))
        return keys

    def _log_in(self, hop: Hop, transport: Transport) -> str:
        """Log in with the keys of a hop, in one connection; return which one it was."""
        tried: list[str] = []
        agent = paramiko.Agent() if hop.agent else None
        try:
            keys = list(self._keys[hop])
            if agent:
                keys += [(key_label(k, "agent"), k) for k in agent.get_keys()]
            for label, key in keys:
                tried.append(label)
                try:
                    more = transport.auth_publickey(hop.user, key)
                except paramiko.BadAuthenticationType as error:
                    raise login_failed(hop, error.allowed_types, tried) from None
                except paramiko.AuthenticationException:
                    if transport.is_active():
                        continue
                    raise login_failed(hop, [], tried, why_it_ended(transport)) from None
                if more:
                    why = f"it wants {' or '.join(more)} as well, which chatdb can't give"
                    raise login_failed(hop, list(more), tried, why)
                return f"{hop.user} with {label}"
            raise login_failed(hop, self._methods(hop, transport), tried)
        except (paramiko.SSHException, EOFError, OSError) as error:
            if tried and not transport.is_active():
                raise login_failed(hop, [], tried, why_it_ended(transport)) from None
            raise session_closed(str(hop), str(error)) from None
        finally:
            if agent:
                agent.close()

    @staticmethod
    def _methods(hop: Hop, transport: Transport) -> list[str]:
        """Ask which ways to log in there are; only who was refused wants to know."""
        try:
            transport.auth_none(hop.user)
        except paramiko.BadAuthenticationType as error:
            return list(error.allowed_types)
        except paramiko.SSHException:
            pass
        return []

    def channel(
        self,
        transport: Transport,
        place: tuple[str, int],
        origin: tuple[str, int] = NOWHERE,
        timeout: float | None = None,
        *,
        inner: bool = False,
    ) -> Any:
        """Ask a hop for a connection to a place behind it.

        Args:
            transport: the session with the hop.
            place: the database, or the next hop.
            origin: whose connection it is.
            timeout: in seconds, in place of what is usual.
            inner: whether the place is a hop.

        Raises:
            ChatdbError: there is none to be had.
        """
        hop = str(transport.hop)
        timeout = self.patience_s if timeout is None else timeout
        try:
            return transport.open_channel("direct-tcpip", place, origin, timeout=timeout)
        except paramiko.ChannelException as error:
            said = next((s for s in reversed(transport.said) if " open FAILED: " in s), "")
            why = said.partition(" open FAILED: ")[2].rpartition(": ")[0] or error.text
            raise not_forwarded(error.code, hop, place, why, inner=inner) from None
        except (paramiko.SSHException, EOFError, OSError):
            if not transport.is_active():
                raise session_closed(hop, why_it_ended(transport)) from None
            code = Code.TUNNEL_TIMEOUT if inner else Code.BEHIND_SILENT
            raise behind_bastion(code, hop, *place, "no answer", "ETIMEDOUT") from None


def why_it_ended(transport: Transport) -> str:
    """Return what a session ended with, in the words of the other side where it said some."""
    said = [
        s for s in transport.said if "Disconnect" in s or "Exception" in s or "error" in s.lower()
    ]
    if said and "Disconnect" in said[-1]:
        return said[-1].partition(": ")[2] or said[-1]
    problem = transport.get_exception()
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror.lower()
    return "the connection was closed"


def shut(chain: Sequence[Transport]) -> None:
    """Close sessions, the last first."""
    for transport in reversed(chain):
        transport.shut()


def _kind(algorithm: str) -> str:
    """Return the type of key that an algorithm signs with."""
    return "ssh-rsa" if algorithm.startswith("rsa-sha2-") else algorithm


def _ms_since(start: float) -> int:
    return round((time.monotonic() - start) * 1000)


def _run(command: str) -> _Stream:
    """Start a ProxyCommand, as the user's ~/.ssh/config has it, and speak through it."""
    ours, theirs = socket.socketpair()
    with theirs:
        # In a group of its own: Ctrl-C is chatdb's to handle, and the shell's children end with it.
        child = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    return _Stream(ours, child)
