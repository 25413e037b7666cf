"""Bastions, keys and a database behind them; and nothing is left behind by any test."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.database import Database
from tests.support.proxy import Proxy
from tests.support.servers import Server, socket_of
from tests.support.ssh import Place, let_in, needs_sshd, open_sockets, own_children, place_of
from tests.support.ssh_server import SshServer
from tests.support.sshd import SSHD, Sshd, make_key


@pytest.fixture(autouse=True)
def home(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with nothing in it; it is the project's folder, too."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    return tmp_path


@pytest.fixture(autouse=True)
def _nothing_left(
    python_server: SshServer, request: pytest.FixtureRequest, home: Path
) -> Iterator[None]:
    """After each of these tests, however it ends, no thread, socket or child is there that was not."""
    sshd: Sshd | None = request.getfixturevalue("sshd") if SSHD else None

    def there() -> set[Any]:
        """But for the servers themselves, which a test may have started anew."""
        ours = {sshd.pid} if sshd else set()
        found = {*threading.enumerate(), *(own_children() - ours)}
        return found | open_sockets() - python_server.listening

    before = there()
    yield
    deadline = time.monotonic() + 5
    while left := there() - before:  # the other side, too, has to hear of the end
        assert time.monotonic() < deadline, left
        gc.collect()  # the trace of an error may still hold a connection
        time.sleep(0.02)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of keys of each type; those with _locked have the passphrase `open sesame`."""
    folder = tmp_path_factory.mktemp("keys")
    for kind in ("ed25519", "ecdsa", "rsa"):
        make_key(folder / kind, kind)
        make_key(folder / f"{kind}_locked", kind, "open sesame")
    make_key(folder / "rsa_pem", "rsa", "open sesame", "-m", "PEM")
    make_key(folder / "stranger")
    return folder


@pytest.fixture(scope="module")
def sshd(keys: Path) -> Iterator[Sshd]:
    with Sshd(keys=("ed25519", "rsa", "ecdsa")) as running:
        let_in(running, keys)
        yield running


@pytest.fixture(scope="module")
def python_server(keys: Path) -> Iterator[SshServer]:
    with SshServer(keys=("ed25519", "rsa", "ecdsa")) as running:
        let_in(running, keys)
        yield running


@pytest.fixture(params=[pytest.param("sshd", marks=needs_sshd), "python_server"])
def any_bastion(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
def bastion(request: pytest.FixtureRequest) -> Any:
    """sshd where it is installed."""
    return request.getfixturevalue("sshd" if SSHD else "python_server")


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(socket_of(server)) as running:
        yield running


@pytest.fixture(scope="module")
def standing(server: Server) -> Iterator[Database]:
    """A database that no test writes to: a new one for each would cost more than the test."""
    database = server.create()
    yield database
    database.drop()


@pytest.fixture
def place(bastion: Any, proxy: Proxy, standing: Database, keys: Path, home: Path) -> Place:
    return place_of(bastion, proxy, standing, keys, home)


@pytest.fixture
def any_place(any_bastion: Any, proxy: Proxy, standing: Database, keys: Path, home: Path) -> Place:
    return place_of(any_bastion, proxy, standing, keys, home)


@pytest.fixture
def fresh(place: Place, database: Database) -> Place:
    """The same way, to a database of this test alone."""
    return place.to(database)


@pytest.fixture
def any_fresh(any_place: Place, database: Database) -> Place:
    return any_place.to(database)


@pytest.fixture(scope="module")
def sshd_or_python(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("sshd" if SSHD else "python_server")


@pytest.fixture
def make_server(
    proxy: Proxy, standing: Database, keys: Path, home: Path
) -> Iterator[Callable[..., Place]]:
    """Start another server with options of its own, and give the way through it."""
    running: list[Any] = []

    def make(kind: type[Any], *arguments: Any, **options: Any) -> Place:
        one = kind(*arguments, **options)
        running.append(one.__enter__())
        let_in(one, keys)
        return place_of(one, proxy, standing, keys, home)

    yield make
    for one in running:
        one.__exit__()
