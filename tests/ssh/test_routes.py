"""Failures on the route: each has its own error."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chatdb_cli.errors import Code
from tests.support.servers import on_first_server
from tests.support.ssh import TunnelSetup, key_fingerprint, needs_sshd
from tests.support.ssh_server import SshServer
from tests.support.sshd import USER, Sshd, free_port

pytestmark = on_first_server  # these do not depend on the version of PostgreSQL


@dataclass
class Failure:
    """A route that fails, and the error that reports it.

    Attributes:
        settings: the settings of the route; `{web}` and the like are ports (see PORTS).
        code: the code of the error.
        errno: the name of the operating system's error, if it is one.
        message: a part of its message that no other failure here has.
    """

    settings: dict[str, str]
    code: Code
    errno: str | None
    message: str


QUICK = {"CHATDB_CONNECT_TIMEOUT": "100ms"}
FAILURES = {
    "an unknown name": Failure(
        {"SSH_HOST": "no-such-host.invalid"}, Code.TUNNEL_NAME, "ENOTFOUND", "can't be resolved"
    ),
    "a closed port": Failure(
        {"SSH_PORT": "{closed}"}, Code.TUNNEL_REFUSED, "ECONNREFUSED",
        "at 127.0.0.1:{closed}: connection refused",
    ),
    "a port that accepts no connection": Failure(
        {"SSH_PORT": "{full}", **QUICK}, Code.TUNNEL_TIMEOUT, "ETIMEDOUT", "no answer"
    ),
    "a port that says nothing": Failure(
        {"SSH_PORT": "{silent}", **QUICK}, Code.TUNNEL_TIMEOUT, "ETIMEDOUT",
        "did not identify as SSH",
    ),
    "a web server": Failure(
        {"SSH_PORT": "{web}"}, Code.TUNNEL_PROTOCOL, None, "no SSH session"
    ),
    "a port that hangs up": Failure(
        {"SSH_PORT": "{hangs_up}"}, Code.TUNNEL_CLOSED, "ECONNRESET", "before the login"
    ),
    "a key that is not authorized": Failure(
        {"SSH_KEY_PATH": "{keys}/stranger"}, Code.TUNNEL_LOGIN, None, f"allow {USER} to log in"
    ),
    "an unknown user": Failure(
        {"SSH_USER": "nobody-of-that-name"}, Code.TUNNEL_LOGIN, None, "allow nobody-of-that-name to"
    ),
    "a closed port of the database": Failure(
        {"DATABASE_URL": "postgresql://u@127.0.0.1:{closed}/d"}, Code.BEHIND_REFUSED,
        "ECONNREFUSED", "can't connect to 127.0.0.1:",
    ),
    "an unknown name of the database": Failure(
        {"DATABASE_URL": "postgresql://u@no-such-host.invalid/d"}, Code.BEHIND_NAME, "ENOTFOUND",
        "no-such-host.invalid:5432: the name is not known there",
    ),
    "a Unix socket of the database": Failure(
        {"DATABASE_URL": "postgresql:///d?host=/run/pg"}, Code.TUNNEL, None, "Unix socket"
    ),
}  # fmt: skip


def answer_once(listener: socket.socket, text: bytes) -> None:
    listener.settimeout(20)
    with suppress(OSError):  # no test connected
        connection, _ = listener.accept()
        with connection:
            connection.sendall(text)
            connection.recv(1000)


@contextmanager
def listener(answer: bytes | None = None, **options: Any) -> Iterator[int]:
    """Open a port that sends one answer, or that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0), **options) as server:
        thread = threading.Thread(target=answer_once, args=(server, answer))
        if answer is not None:
            thread.start()
        yield server.getsockname()[1]
        if answer is not None:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def full_port() -> Iterator[int]:
    """Open a port whose queue of connections is full."""
    with listener(backlog=0) as port, ExitStack() as stack:
        for _ in range(4):
            connection = stack.enter_context(socket.socket())
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", port))
        yield port


PORTS: dict[str, Callable[[], AbstractContextManager[int]]] = {
    "closed": lambda: nullcontext(free_port()),
    "full": full_port,
    "silent": listener,
    "web": lambda: listener(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 200),
    "hangs_up": lambda: listener(b""),
}


@pytest.mark.parametrize("name", FAILURES)
def test_each_failure_of_a_route_has_its_own_error(
    name: str, tunnel: TunnelSetup, keys: Path
) -> None:
    failure = FAILURES[name]
    with ExitStack() as stack:
        ports = {
            port: stack.enter_context(listen())
            for port, listen in PORTS.items()
            if any(f"{{{port}}}" in text for text in failure.settings.values())
        }
        settings = {key: text.format(**ports, keys=keys) for key, text in failure.settings.items()}
        error = tunnel.connect_error(**settings)
    assert (error.code, error.errno) == (failure.code, failure.errno), error
    assert int(error.exit) == (3 if failure.code.slug.startswith("behind") else 4)
    assert failure.message.format(**ports) in error.message
    others = [other.message for other in FAILURES.values() if other is not failure]
    assert not any(message in error.message for message in others)
    assert error.hint


@needs_sshd  # asyncssh ends the session at the second key
def test_a_refused_login_names_what_the_server_offers_and_what_was_tried(
    tunnel: TunnelSetup, keys: Path
) -> None:
    error = tunnel.connect_error(SSH_KEY_PATH=str(keys / "stranger"))
    assert "it offers publickey" in error.notes
    assert any(key_fingerprint(keys / "stranger") in note for note in error.notes)


SSHD_REFUSES = {
    "AllowTcpForwarding no": (Code.TUNNEL_FORBIDDEN, "AllowTcpForwarding"),
    "PermitOpen 192.0.2.1:1": (Code.TUNNEL_FORBIDDEN, "PermitOpen"),
    "PubkeyAuthentication no\nPasswordAuthentication yes\n": (
        Code.TUNNEL_LOGIN,
        "only logs in with keys",
    ),
    "AuthenticationMethods publickey,password\nPasswordAuthentication yes": (
        Code.TUNNEL_LOGIN,
        "only logs in with keys",
    ),
    "DenyUsers *": (Code.TUNNEL_LOGIN, "SSH_USER"),
    "KexAlgorithms diffie-hellman-group1-sha1": (Code.TUNNEL_PROTOCOL, "too old"),
    "HostKeyAlgorithms ssh-rsa": (Code.TUNNEL_PROTOCOL, "too old"),
    "Ciphers aes256-ctr\nMACs hmac-sha2-512\n": (None, ""),
}


@needs_sshd
@pytest.mark.parametrize("options", SSHD_REFUSES)
def test_a_restriction_of_the_sshd_is_reported(
    options: str, make_server: Callable[..., TunnelSetup]
) -> None:
    tunnel = make_server(Sshd, options, keys=("ed25519", "rsa"))
    code, hint = SSHD_REFUSES[options]
    if code is None:
        tunnel.target().close()
        return
    error = tunnel.connect_error()
    assert (error.code, error.exit) == (code, 4), error
    assert hint in (error.hint or "")
    if "password" in options.lower():
        assert "password" in f"{error.message} {error.notes}"


async def wait_forever(*_: Any) -> None:
    import asyncio

    await asyncio.sleep(1000)


def test_a_silent_database_behind_the_bastion_is_distinguished_from_a_silent_bastion(
    make_server: Callable[..., TunnelSetup],
) -> None:
    error = make_server(SshServer, wait_forever).connect_error()
    assert (error.code, error.exit, error.errno) == (Code.BEHIND_SILENT, 3, "ETIMEDOUT")
    assert "no answer" in error.message


def test_a_server_that_accepts_no_keys_is_reported_with_what_it_accepts(
    make_server: Callable[..., TunnelSetup],
) -> None:
    tunnel = make_server(SshServer, takes_keys=False, takes_answers=True)
    error = tunnel.connect_error()
    assert error.code is Code.TUNNEL_LOGIN
    assert "it offers keyboard-interactive" in error.notes
    assert "PubkeyAuthentication" in (error.hint or "")
