"""Promises about the SSH tunnel, against real servers: sshd, and one in Python for faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import Database, Project, Server, first
from proxy import Proxy
from ssh_server import SshServer
from sshd import PROGRAM, USER, Sshd, make_key
from test_engine import socket_of, states

import chatdb_cli
from chatdb_cli.connection import connect, open_target
from chatdb_cli.errors import ChatdbError
from chatdb_cli.migrator import Migrator
from chatdb_cli.settings import Settings, load

pytestmark = first  # it is not the server's version that matters here
needs_sshd = pytest.mark.skipif(PROGRAM is None, reason="OpenSSH's sshd is not installed")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with nothing in it; it is the project's folder, too."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def open_files() -> set[str]:
    """What this process holds open: sockets and pipes by their number."""
    found = set()
    for one in Path("/proc/self/fd").iterdir() if sys.platform == "linux" else ():
        with suppress(OSError):
            found.add(f"{one.name} {one.readlink()}")
    return {one for one in found if "socket:" in one}


def own_children() -> set[int]:
    """The children of this process; those of a server come and go."""
    said = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    )
    return {int(line.split()[0]) for line in said.stdout.splitlines() if "ps -o" not in line}


@pytest.fixture
def nothing_left(python_server: SshServer, request: pytest.FixtureRequest) -> Iterator[None]:
    """No thread, no socket and no child is there that was not there before."""
    if PROGRAM:
        request.getfixturevalue("sshd")
    threads, files, processes = set(threading.enumerate()), open_files(), own_children()
    yield
    assert set(threading.enumerate()) - threads == set()
    assert open_files() - files == set()
    assert own_children() - processes == set()


@dataclass
class Place:
    """A database behind a bastion, and what it takes to get there.

    Attributes:
        bastion: lets in whoever has the key.
        proxy: in front of the database, as seen from the bastion.
        variables: the settings.
    """

    bastion: Sshd | SshServer
    proxy: Proxy
    database: Database
    key: Path
    variables: dict[str, str] = field(default_factory=dict)

    def settings(self, flags: dict[str, Any] | None = None, **more: str) -> Settings:
        return load(flags, environ={**self.variables, **more}, cwd=Path("/"))

    def target(self, *more: Any, **variables: Any) -> chatdb_cli.Target:
        return open_target(self.settings(**variables), *more)

    def refusal(self, **variables: Any) -> ChatdbError:
        """Why nothing came of it."""
        with pytest.raises(ChatdbError) as caught, self.target(**variables) as target:
            connect(target, retries=0).close()
        return caught.value


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


def let_in(bastion: Sshd | SshServer, keys: Path) -> None:
    for public in keys.glob("*.pub"):
        if public.stem != "stranger":
            bastion.let_in(public.with_suffix(""))


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("sshd"), keys=("ed25519", "rsa", "ecdsa")) as running:
        let_in(running, keys)
        yield running


@pytest.fixture(scope="module")
def python_server(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[SshServer]:
    with SshServer(tmp_path_factory.mktemp("ssh"), keys=("ed25519", "rsa", "ecdsa")) as running:
        let_in(running, keys)
        yield running


@pytest.fixture(params=[pytest.param("sshd", marks=needs_sshd), "python_server"])
def any_bastion(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
def bastion(request: pytest.FixtureRequest) -> Any:
    """sshd where it is installed."""
    return request.getfixturevalue("sshd" if PROGRAM else "python_server")


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(socket_of(server)) as running:
        yield running


def place_of(
    bastion: Sshd | SshServer, proxy: Proxy, database: Database, keys: Path, home: Path
) -> Place:
    (home / ".ssh" / "known_hosts").write_text(bastion.known())
    variables = {
        "DATABASE_URL": proxy.url(database.name),
        "SSH_HOST": "127.0.0.1",
        "SSH_PORT": str(bastion.port),
        "SSH_KEY_PATH": str(keys / "ed25519"),
        "SSH_MAX_RETRIES": "0",
        "SSH_RETRY_DELAY": "1",
    }
    return Place(bastion, proxy, database, keys / "ed25519", variables)


@pytest.fixture
def place(bastion: Any, proxy: Proxy, database: Database, keys: Path, home: Path) -> Place:
    return place_of(bastion, proxy, database, keys, home)


@pytest.fixture
def any_place(any_bastion: Any, proxy: Proxy, database: Database, keys: Path, home: Path) -> Place:
    return place_of(any_bastion, proxy, database, keys, home)


# --- the ordinary day -----------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_left")
def test_migrations_go_through_and_nothing_is_left_behind(
    any_place: Place, project: Project
) -> None:
    project.write_tables(1, 2)
    with any_place.target() as target:
        assert str(target).startswith(f"postgres@127.0.0.1:{any_place.proxy.port}/")
        assert f", via {USER}@127.0.0.1:{any_place.bastion.port} (" in str(target)
        assert states(Migrator(target, project.sql).up()) == ["applied"] * 2
        assert Migrator(target, project.sql).status().pending == ()
    assert any_place.database.tables() == {"t1", "t2"}


def test_the_command_goes_through_by_variables_or_by_flags(place: Place, project: Project) -> None:
    project.write_tables(1)
    said = project.chatdb("migrate", "up", env=place.variables)
    assert said.returncode == 0, said.stderr
    assert f", via {USER}@127.0.0.1:{place.bastion.port} (DATABASE_URL" in said.stderr
    flags = [
        part
        for name, value in place.variables.items()
        if name.startswith("SSH_")
        for part in ("--" + name.lower().replace("_", "-"), value)
    ]
    said = project.chatdb(
        "migrate", "status", "--format", "json", "-d", place.variables["DATABASE_URL"], *flags
    )
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["target"]["via"] == f"{USER}@127.0.0.1:{place.bastion.port}"


def test_no_tunnel_goes_straight(place: Place) -> None:
    for settings in (place.settings({"no_tunnel": True}), place.settings(SSH_ENABLED="false")):
        with open_target(settings) as target:
            assert (target.via, target.tunnel) == (None, None)
            connect(target).close()


@pytest.mark.usefixtures("nothing_left")
def test_setup_gives_a_pool_that_closes_the_tunnel(place: Place, project: Project) -> None:
    project.write_tables(1)
    with (
        chatdb_cli.setup(place.settings(), project.sql) as pool,
        pool.connection() as one,
        pool.connection() as two,
    ):
        for conn in (one, two):
            assert conn.execute("SELECT count(*) FROM t1").fetchone() == (0,)


@pytest.mark.usefixtures("nothing_left")
def test_other_programs_use_the_url_of_a_tunnel(place: Place) -> None:
    with chatdb_cli.open_tunnel(place.settings()) as opened:
        assert opened.alive
        with psycopg.connect(opened.url) as conn:
            assert conn.info.dbname == place.database.name
    assert not opened.alive


def test_only_this_machine_reaches_the_local_end(place: Place) -> None:
    with place.target() as target:
        assert target.params["hostaddr"] == "127.0.0.1"
        assert target.tunnel
        listening = subprocess.run(["cat", "/proc/net/tcp", "/proc/net/tcp6"], capture_output=True)
        port = f"{target.tunnel.port:04X}"
        ends = {
            w[1] for w in map(str.split, listening.stdout.decode().splitlines()) if w[3] == "0A"
        }
        assert {end for end in ends if end.endswith(f":{port}")} <= {f"0100007F:{port}"}


def test_much_goes_both_ways_at_once(place: Place) -> None:
    """More than any buffer holds, each way; one thread for both directions would stand still."""
    size, number = 1_000_000, 12
    with place.target() as target, connect(target) as conn:
        with conn.pipeline():
            text = "x" * size
            cursors = [conn.execute("SELECT %s::text", (text,)) for _ in range(number)]
        assert all(c.fetchone() == (text,) for c in cursors)
