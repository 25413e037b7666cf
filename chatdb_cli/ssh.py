"""The way through SSH: a session with each hop, each through the one before.

    Way        opens the sessions, says why it could not, asks the last for connections
    Transport  one session
    Step       one thing that was done on the way, how long it took, or why it failed

What belongs here: dialling, verifying, logging in, what a failure means.  What does not: what the files
in ~/.ssh say (`sshfiles.py`), the local end and its life (`tunnel.py`).

The order is what makes it safe: own socket with a time limit, then the host's key against known_hosts,
and only then a login, with the keys that were named and no others.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import paramiko
from paramiko.common import cMSG_GLOBAL_REQUEST

from chatdb_cli import sshfiles
from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from chatdb_cli.settings.model import Bastion
    from chatdb_cli.sshfiles import Ask, Hop

# What passes by itself, and is tried again.
PASSING = frozenset(
    {Code.TUNNEL_REFUSED, Code.TUNNEL_TIMEOUT, Code.TUNNEL_UNREACHABLE, Code.TUNNEL_CLOSED}
)
NOWHERE = ("127.0.0.1", 0)  # whose connection it is, where it is our own
_PATIENCE = 5  # an SSH server may take so many times longer to answer than to be reached
_KEEPALIVE_S = 5
_CLOSED_WITHIN_S = 5.0
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)
_ERRNOS = {
    "connection refused": "ECONNREFUSED",
    "connection timed out": "ETIMEDOUT",
    "no route to host": "EHOSTUNREACH",
    "network is unreachable": "ENETUNREACH",
}

# paramiko and sshtunnel log also what they then raise: nothing of it reaches the user by itself.
LOG = logging.getLogger("chatdb.tunnel")
LOG.addHandler(logging.NullHandler())
LOG.propagate = False


@dataclass(frozen=True, slots=True)
class Step:
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


class _Line:
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

    def __init__(self, hop: Hop, line: _Line) -> None:
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


class Way:
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
        self, bastion: Bastion, timeout_s: float, note: Callable[[Step], None], ask: Ask
    ) -> None:
        self.hops = sshfiles.hops(bastion)
        self.patience_s = timeout_s * _PATIENCE
        self._passphrase = bastion.passphrase
        self._timeout_s = timeout_s
        self._note = note
        self._known = {hop: sshfiles.KnownHosts(hop.known_hosts) for hop in self.hops}
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
            self._note(Step(hop, what, "failed", _ms_since(start), failure.message))
            raise
        self._note(Step(hop, what, "ok", _ms_since(start), "".join(said)))

    def _reach(self, hop: Hop, chain: list[Transport]) -> _Line:
        """Connect to a hop's SSH port, straight, through the hop before, or by its ProxyCommand."""
        if chain:
            place = (hop.host, hop.port)
            return _Line(self.channel(chain[-1], place, inner=True))
        if hop.command:
            return _run(hop.command)
        where = f"{hop.host}:{hop.port}"
        try:
            sock = socket.create_connection((hop.host, hop.port), timeout=self._timeout_s)
        except UnicodeError:
            raise _unknown_name(str(hop), hop.host, "it is no host name") from None
        except socket.gaierror as error:
            raise _unknown_name(str(hop), hop.host, error.strerror or "unknown") from None
        except OSError as error:
            raise _not_reached(str(hop), where, error) from None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return _Line(sock)

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
                raise _not_ssh(hop, f"no common algorithm: {error}") from None
            if line.ended or isinstance(error, (EOFError, OSError)):
                raise closed(str(hop), "the connection was closed in front of the login") from None
            if time.monotonic() - start >= patience * 0.9:
                what = "does not say it is an SSH server" if not line.bytes_heard else "fell silent"
                raise ChatdbError(
                    Code.TUNNEL_TIMEOUT,
                    f"{hop} takes the connection and {what} within {patience:g} s",
                    hint="is that the port of SSH? look at the host, or wait longer with "
                    "CHATDB_CONNECT_TIMEOUT",
                    errno="ETIMEDOUT",
                ) from None
            raise _not_ssh(hop, str(error)) from None

    def _verify(self, hop: Hop, transport: Transport) -> str:
        """Refuse a host whose key is not the one that is known; return how it is known."""
        key = transport.get_remote_server_key()
        kind, blob, known = key.get_name(), key.asbytes(), self._known[hop]
        shown = f"{kind} {sshfiles.fingerprint(blob)}"
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
                notes=tuple(
                    f"{k.file}:{k.line} has {k.kind} {sshfiles.fingerprint(k.blob)}" for k in lines
                ),
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
        files = hop.keys if hop.named else sshfiles.present(hop.keys) or hop.keys[:1]
        keys = []
        for file in files:
            try:
                key = sshfiles.private_key(file, self._passphrase, ask)
            except ChatdbError as error:
                if error.code is Code.KEY_LOCKED and hop.agent:
                    continue  # the agent has it, or nobody
                raise
            keys.append((sshfiles.label(key, str(file)), key))
        return keys

    def _log_in(self, hop: Hop, transport: Transport) -> str:
        """Log in with the keys of a hop, in one connection; return which one it was."""
        tried: list[str] = []
        agent = paramiko.Agent() if hop.agent else None
        try:
            keys = list(self._keys[hop])
            if agent:
                keys += [(sshfiles.label(k, "agent"), k) for k in agent.get_keys()]
            for label, key in keys:
                tried.append(label)
                try:
                    more = transport.auth_publickey(hop.user, key)
                except paramiko.BadAuthenticationType as error:
                    raise _not_let_in(hop, error.allowed_types, tried) from None
                except paramiko.AuthenticationException:
                    if transport.is_active():
                        continue
                    raise _not_let_in(hop, [], tried, why_it_ended(transport)) from None
                if more:
                    why = f"it wants {' or '.join(more)} as well, which chatdb can't give"
                    raise _not_let_in(hop, list(more), tried, why)
                return f"{hop.user} with {label}"
            raise _not_let_in(hop, self._methods(hop, transport), tried)
        except (paramiko.SSHException, EOFError, OSError) as error:
            if tried and not transport.is_active():
                raise _not_let_in(hop, [], tried, why_it_ended(transport)) from None
            raise closed(str(hop), str(error)) from None
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
            raise _not_forwarded(error.code, hop, place, why, inner=inner) from None
        except (paramiko.SSHException, EOFError, OSError):
            if not transport.is_active():
                raise closed(hop, why_it_ended(transport)) from None
            code = Code.TUNNEL_TIMEOUT if inner else Code.BEHIND_SILENT
            raise behind(code, hop, *place, "no answer", "ETIMEDOUT") from None


# --- errors ---------------------------------------------------------------------------------------


def _unknown_name(hop: str, host: str, why: str, through: str = "") -> ChatdbError:
    return ChatdbError(
        Code.TUNNEL_NAME,
        f"{through}{host} of {hop} is not found: {why[:1].lower()}{why[1:]}",
        hint="correct SSH_HOST, or HostName and ProxyJump in ~/.ssh/config",
        errno="ENOTFOUND",
    )


def _not_reached(hop: str, where: str, error: OSError) -> ChatdbError:
    name = errno.errorcode.get(error.errno or 0)
    if isinstance(error, TimeoutError):
        name = "ETIMEDOUT"
    code, way = {
        "ECONNREFUSED": (Code.TUNNEL_REFUSED, "correct SSH_PORT, or start its SSH server"),
        "ETIMEDOUT": (
            Code.TUNNEL_TIMEOUT,
            "look at host and firewall, or wait longer with CHATDB_CONNECT_TIMEOUT",
        ),
    }.get(name or "", (Code.TUNNEL_UNREACHABLE, "look at the network, a VPN, a firewall"))
    why = "no answer" if name == "ETIMEDOUT" else (error.strerror or str(error)).lower()
    return ChatdbError(code, f"can't reach {hop} at {where}: {why}", hint=way, errno=name)


def closed(hop: str, why: str) -> ChatdbError:
    """Return the error of a session that a host ended before it was of use."""
    return ChatdbError(
        Code.TUNNEL_CLOSED,
        f"{hop} ended the session: {why[:1].lower()}{why[1:] or 'no reason given'}",
        hint="try again; if it stays so, it lets nobody in from here (MaxStartups, a firewall, a ban)",
        errno="ECONNRESET",
    )


def _not_ssh(hop: Hop, why: str) -> ChatdbError:
    return ChatdbError(
        Code.TUNNEL_PROTOCOL,
        f"what answers for {hop} can't be spoken to: {why[:1].lower()}{why[1:]}",
        hint="is that the port of SSH? an SSH server that knows only SHA-1 or DSA is too old",
    )


def _not_let_in(
    hop: Hop, methods: Sequence[str], tried: Sequence[str], why: str = ""
) -> ChatdbError:
    if not tried:
        there = [
            f for f in ("id_ed25519", "id_ecdsa", "id_rsa") if sshfiles.present([sshfiles._ssh(f)])
        ]
        way = "name a key by SSH_KEY_PATH" + (f", such as ~/.ssh/{there[0]}" if there else "")
        why = why or ("no key is named, and the agent has none" if hop.agent else "no key is named")
    elif methods and "publickey" not in methods:
        way = "chatdb logs in with keys alone: let the host take them (PubkeyAuthentication)"
    else:
        way = f"correct SSH_USER or SSH_KEY_PATH, or add the public key to {hop.user}'s authorized_keys"
    offered = (f"it offers {', '.join(methods)}",) if methods else ()
    return ChatdbError(
        Code.TUNNEL_LOGIN,
        f"{hop} does not let {hop.user} in" + (f": {why}" if why else ""),
        hint=way,
        notes=(*offered, *(f"tried {label}" for label in tried)),
    )


def _not_forwarded(
    code: int, hop: str, place: tuple[str, int], why: str, *, inner: bool
) -> ChatdbError:
    """Return why a hop makes no connection to what is behind it, from its own words."""
    low = why.lower()
    if code == 1:  # administratively prohibited
        return ChatdbError(
            Code.TUNNEL_FORBIDDEN,
            f"{hop} forwards nothing to {place[0]}:{place[1]}: {low or 'prohibited'}",
            hint="let its administrator allow it: AllowTcpForwarding, PermitOpen, or the options in "
            "authorized_keys",
        )
    if any(sign in low for sign in ("not known", "unknown host", "name resolution", "no address")):
        if inner:
            return _unknown_name(f"{place[0]}:{place[1]}", place[0], why, f"from {hop}: ")
        return behind(Code.BEHIND_NAME, hop, *place, "the name is not known there", "ENOTFOUND")
    if "timed out" in low:
        silent = Code.TUNNEL_TIMEOUT if inner else Code.BEHIND_SILENT
        return behind(silent, hop, *place, "no answer", "ETIMEDOUT")
    refused = Code.TUNNEL_REFUSED if inner else Code.BEHIND_REFUSED
    return behind(refused, hop, *place, low, errno_in(low) or "ECONNREFUSED")


def behind(code: Code, hop: str, host: str, port: int, why: str, name: str) -> ChatdbError:
    """Return the error of a connection that a hop could not make."""
    hints = {
        Code.BEHIND_NAME: "name the host as it is called there; localhost is the bastion itself",
        Code.BEHIND_REFUSED: "correct host and port, as seen from there, or start the server",
        Code.BEHIND_SILENT: "look at host, port and the firewall between the two",
    }
    return ChatdbError(
        code,
        f"{hop} can't connect to {host}:{port}: {why}",
        hint=hints.get(code, "correct ProxyJump, HostName and Port in ~/.ssh/config"),
        errno=name,
    )


def errno_in(why: str) -> str | None:
    """Return the name of the error that the words of another system mean, or None."""
    return next((name for text, name in _ERRNOS.items() if text in why.lower()), None)


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


# --- small things ---------------------------------------------------------------------------------


def shut(chain: Sequence[Transport]) -> None:
    """Close sessions, the last first."""
    for transport in reversed(chain):
        transport.shut()


def _kind(algorithm: str) -> str:
    """Return the type of key that an algorithm signs with."""
    return "ssh-rsa" if algorithm.startswith("rsa-sha2-") else algorithm


def _ms_since(start: float) -> int:
    return round((time.monotonic() - start) * 1000)


def _run(command: str) -> _Line:
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
    return _Line(ours, child)
