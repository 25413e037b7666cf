"""Jump hosts, and what a server may refuse."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatdb_cli.errors import Code
from tests.support.servers import first
from tests.support.ssh import Place, needs_sshd, print_of
from tests.support.ssh_server import SshServer
from tests.support.sshd import USER, Sshd, free_port

pytestmark = first  # it is not the server's version that matters here


def black_hole() -> socket.socket:
    """A port that takes a connection and never says a word."""
    return socket.create_server(("127.0.0.1", 0))


def test_every_failure_of_the_way_has_its_own_name(place: Place, keys: Path, home: Path) -> None:
    """Each hop's own trouble: code, errno, and what the message and the hint speak of."""
    silent, web, shut = black_hole(), black_hole(), black_hole()
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:  # a port that does not even take the connection
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())

    def answer(listener: socket.socket, text: bytes) -> None:
        listener.settimeout(20)
        one, _ = listener.accept()
        one.sendall(text)
        one.recv(1000)
        one.close()

    threads = [
        threading.Thread(target=answer, args=(web, b"HTTP/1.1 400 Bad Request\r\n\r\n" * 200)),
        threading.Thread(target=answer, args=(shut, b"")),
    ]
    for thread in threads:
        thread.start()
    quick = {"CHATDB_CONNECT_TIMEOUT": "100ms"}
    cases: list[tuple[dict[str, str], Code, str | None, str]] = [
        ({"SSH_HOST": "no-such-host.invalid"}, Code.TUNNEL_NAME, "ENOTFOUND", "is not found"),
        ({"SSH_PORT": str(free_port())}, Code.TUNNEL_REFUSED, "ECONNREFUSED", "can't reach"),
        ({"SSH_PORT": str(full.getsockname()[1]), **quick}, Code.TUNNEL_TIMEOUT, "ETIMEDOUT",
         "no answer"),
        ({"SSH_PORT": str(silent.getsockname()[1]), **quick}, Code.TUNNEL_TIMEOUT, "ETIMEDOUT",
         "does not say it is an SSH server"),
        ({"SSH_PORT": str(web.getsockname()[1])}, Code.TUNNEL_PROTOCOL, None, "can't be spoken to"),
        ({"SSH_PORT": str(shut.getsockname()[1])}, Code.TUNNEL_CLOSED, "ECONNRESET", "in front of"),
        ({"SSH_KEY_PATH": str(keys / "stranger")}, Code.TUNNEL_LOGIN, None, f"let {USER} in"),
        ({"SSH_USER": "nobody-of-that-name"}, Code.TUNNEL_LOGIN, None, "let nobody-of-that-name"),
        ({"DATABASE_URL": f"postgresql://u@127.0.0.1:{free_port()}/d"}, Code.BEHIND_REFUSED,
         "ECONNREFUSED", "can't connect to 127.0.0.1:"),
        ({"DATABASE_URL": "postgresql://u@no-such-host.invalid/d"}, Code.BEHIND_NAME, "ENOTFOUND",
         "no-such-host.invalid:5432: the name is not known there"),
        ({"DATABASE_URL": "postgresql:///d?host=/run/pg"}, Code.TUNNEL, None, "Unix socket"),
    ]  # fmt: skip
    seen = set()
    try:
        for variables, code, errno, says in cases:
            error = place.refusal(**variables)
            assert (error.code, error.errno) == (code, errno), error
            assert int(error.exit) == (3 if code.slug.startswith("behind") else 4)
            assert says in error.message
            assert error.hint
            seen.add((error.message, error.hint))
    finally:
        for thread in threads:
            thread.join()
        for one in (silent, web, shut, full, *fillers):
            one.close()
    assert len(seen) == len(cases)


@needs_sshd  # asyncssh ends the session at the second key
def test_who_is_not_let_in_hears_what_was_offered_and_what_was_tried(
    place: Place, keys: Path
) -> None:
    error = place.refusal(SSH_KEY_PATH=str(keys / "stranger"))
    assert "it offers publickey" in error.notes
    assert any(print_of(keys / "stranger") in note for note in error.notes)


SSHD_REFUSES = {
    "AllowTcpForwarding no": (Code.TUNNEL_FORBIDDEN, "AllowTcpForwarding"),
    "PermitOpen 192.0.2.1:1": (Code.TUNNEL_FORBIDDEN, "PermitOpen"),
    "PubkeyAuthentication no\nPasswordAuthentication yes\n": (Code.TUNNEL_LOGIN, "keys alone"),
    "AuthenticationMethods publickey,password\nPasswordAuthentication yes": (
        Code.TUNNEL_LOGIN,
        "keys alone",
    ),
    "DenyUsers *": (Code.TUNNEL_LOGIN, "SSH_USER"),
    "KexAlgorithms diffie-hellman-group1-sha1": (Code.TUNNEL_PROTOCOL, "too old"),
    "HostKeyAlgorithms ssh-rsa": (Code.TUNNEL_PROTOCOL, "too old"),
    "Ciphers aes256-ctr\nMACs hmac-sha2-512\n": (None, ""),
}


@needs_sshd
@pytest.mark.parametrize("options", SSHD_REFUSES)
def test_what_an_sshd_forbids_is_told(options: str, make_server: Callable[..., Place]) -> None:
    there = make_server(Sshd, options, keys=("ed25519", "rsa"))
    code, says = SSHD_REFUSES[options]
    if code is None:
        there.target().close()
        return
    error = there.refusal()
    assert (error.code, error.exit) == (code, 4), error
    assert says in (error.hint or "")
    if "password" in options.lower():
        assert "password" in f"{error.message} {error.notes}"


async def never(*_: Any) -> None:
    import asyncio

    await asyncio.sleep(1000)


def test_a_database_that_is_silent_behind_the_bastion_is_told_from_a_silent_bastion(
    make_server: Callable[..., Place],
) -> None:
    error = make_server(SshServer, never).refusal()
    assert (error.code, error.exit, error.errno) == (Code.BEHIND_SILENT, 3, "ETIMEDOUT")
    assert "no answer" in error.message


def test_a_server_that_takes_no_keys_says_what_it_takes(make_server: Callable[..., Place]) -> None:
    there = make_server(SshServer, takes_keys=False, takes_answers=True)
    error = there.refusal()
    assert error.code is Code.TUNNEL_LOGIN
    assert "it offers keyboard-interactive" in error.notes
    assert "PubkeyAuthentication" in (error.hint or "")
