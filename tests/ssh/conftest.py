"""Bastions, keys, and a database behind them; no test leaves a thread, a socket or a process."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from tests.support.database import Database
from tests.support.proxy import Proxy
from tests.support.servers import Server, socket_of
from tests.support.ssh import (
    TunnelSetup,
    authorize_keys,
    child_processes,
    make_tunnel_setup,
    needs_sshd,
    open_sockets,
)
from tests.support.ssh_server import SshServer
from tests.support.sshd import SSHD, Sshd, make_key


@pytest.fixture(autouse=True)
def home(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory, which is the folder of the project too."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    return tmp_path


@pytest.fixture(autouse=True)
def _no_leaks(
    python_server: SshServer, request: pytest.FixtureRequest, home: Path
) -> Iterator[None]:
    """Check that a test, even one that fails, leaves no thread, socket or child process."""
    sshd: Sshd | None = request.getfixturevalue("sshd") if SSHD else None

    def open_resources() -> set[Any]:
        """Return what is open, without the servers themselves, which a test may have restarted."""
        servers = {sshd.pid} if sshd else set()
        resources = {*threading.enumerate(), *(child_processes() - servers)}
        return resources | open_sockets() - python_server.listening

    before = open_resources()
    yield
    deadline = time.monotonic() + 5
    while left := open_resources() - before:  # the other side needs time to notice the end
        assert time.monotonic() < deadline, left
        gc.collect()  # the trace of an error may still hold a connection
        time.sleep(0.02)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of keys of each type; `open sesame` is the passphrase of those that end with _locked."""
    folder = tmp_path_factory.mktemp("keys")
    for kind in ("ed25519", "ecdsa", "rsa"):
        make_key(folder / kind, kind)
        make_key(folder / f"{kind}_locked", kind, "open sesame")
    make_key(folder / "rsa_pem", "rsa", "open sesame", "-m", "PEM")
    make_key(folder / "stranger")
    for kind in ("ed25519", "ecdsa", "rsa"):
        write_pkcs8(folder / kind, folder / f"{kind}_pkcs8")
        write_pkcs8(folder / kind, folder / f"{kind}_pkcs8_locked", b"open sesame")
    return folder


def write_pkcs8(key: Path, path: Path, passphrase: bytes | None = None) -> None:
    """Write a key as openssl exports it: PKCS#8, with text before it."""
    loaded = serialization.load_ssh_private_key(key.read_bytes(), None)
    pem = loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption(),
    )
    path.write_bytes(b"Bag Attributes\n    friendlyName: deploy\nKey Attributes: <No>\n" + pem)
    path.chmod(0o600)


@pytest.fixture(scope="module")
def sshd(keys: Path) -> Iterator[Sshd]:
    with Sshd(keys=("ed25519", "rsa", "ecdsa")) as running:
        authorize_keys(running, keys)
        yield running


@pytest.fixture(scope="module")
def python_server(keys: Path) -> Iterator[SshServer]:
    with SshServer(keys=("ed25519", "rsa", "ecdsa")) as running:
        authorize_keys(running, keys)
        yield running


@pytest.fixture(params=[pytest.param("sshd", marks=needs_sshd), "python_server"])
def any_bastion(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
def bastion(request: pytest.FixtureRequest) -> Any:
    """The sshd if it is installed, otherwise the server in Python."""
    return request.getfixturevalue("sshd" if SSHD else "python_server")


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(socket_of(server)) as running:
        yield running


@pytest.fixture(scope="module")
def shared_database(server: Server) -> Iterator[Database]:
    """A database that no test writes to: creating one takes longer than most of the tests."""
    database = server.create()
    yield database
    database.drop()


@pytest.fixture
def tunnel(
    bastion: Any, proxy: Proxy, shared_database: Database, keys: Path, home: Path
) -> TunnelSetup:
    return make_tunnel_setup(bastion, proxy, shared_database, keys, home)


@pytest.fixture
def any_tunnel(
    any_bastion: Any, proxy: Proxy, shared_database: Database, keys: Path, home: Path
) -> TunnelSetup:
    return make_tunnel_setup(any_bastion, proxy, shared_database, keys, home)


@pytest.fixture
def fresh_tunnel(tunnel: TunnelSetup, database: Database) -> TunnelSetup:
    """A tunnel to a database that only this test uses."""
    return tunnel.with_database(database)


@pytest.fixture
def any_fresh_tunnel(any_tunnel: TunnelSetup, database: Database) -> TunnelSetup:
    return any_tunnel.with_database(database)


@pytest.fixture(scope="module")
def sshd_or_python(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("sshd" if SSHD else "python_server")


@pytest.fixture
def make_server(
    proxy: Proxy, shared_database: Database, keys: Path, home: Path
) -> Iterator[Callable[..., TunnelSetup]]:
    """Return a function that starts another server with options, and returns a tunnel through it."""
    running: list[Any] = []

    def make(kind: type[Any], *arguments: Any, **options: Any) -> TunnelSetup:
        started = kind(*arguments, **options)
        running.append(started.__enter__())
        authorize_keys(started, keys)
        return make_tunnel_setup(started, proxy, shared_database, keys, home)

    yield make
    for started in running:
        started.__exit__()
