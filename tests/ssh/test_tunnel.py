"""Promises about the SSH tunnel, against real servers: sshd, and one in Python for faults."""

from __future__ import annotations

import gc
import getpass
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

import chatdb_cli
from chatdb_cli import ssh, tunnel
from chatdb_cli.connection import check_tunnel, connect, open_pool, open_target
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrator import Migrator
from chatdb_cli.seed import seed_small
from chatdb_cli.settings import Settings, load
from chatdb_cli.sshfiles import Hop, fingerprint, hops
from tests.support.chatdb import Chatdb, Result
from tests.support.database import Database
from tests.support.paths import ROOT
from tests.support.project import Project, states
from tests.support.proxy import Link, Proxy
from tests.support.servers import GROUND, Server, first, socket_of
from tests.support.ssh_server import SshServer
from tests.support.sshd import SSHD, USER, Sshd, children, free_port, make_key
from tests.support.tls import TlsFront, write_certificate

pytestmark = first  # it is not the server's version that matters here
needs_sshd = pytest.mark.skipif(SSHD is None, reason="OpenSSH's sshd is not installed")


@pytest.fixture(autouse=True)
def home(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with nothing in it; it is the project's folder, too."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def open_sockets() -> set[str]:
    """What this process holds open, by number; those of an agent are sockets, too."""
    found = set()
    for one in Path("/proc/self/fd").iterdir() if sys.platform == "linux" else ():
        with suppress(OSError):
            found.add(str(one.readlink()))
    return {one for one in found if one.startswith("socket:")}


def own_children() -> set[int]:
    """The children of this process."""
    lists = list(Path("/proc/self/task").glob("*/children"))
    if not lists:
        return set(children(os.getpid()))
    found = []
    for one in lists:
        with suppress(OSError):  # that thread has ended
            found += one.read_text().split()
    return set(map(int, found))


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

    def to(self, database: Database) -> Place:
        variables = self.variables | {"DATABASE_URL": self.proxy.url(database.name)}
        return replace(self, database=database, variables=variables)

    def settings(self, flags: dict[str, Any] | None = None, **more: str) -> Settings:
        return load(flags, environ={**self.variables, **more}, cwd=Path("/"))

    def target(self, *more: Any, **variables: Any) -> chatdb_cli.Target:
        return open_target(self.settings(**variables), *more)

    def run(self, call: Chatdb, *arguments: str, **more: str) -> Result:
        """What a command does, with these settings in its environment."""
        with pytest.MonkeyPatch.context() as here:
            for name, text in (self.variables | more).items():
                here.setenv(name, text)
            return call(*arguments)

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


def place_of(
    bastion: Sshd | SshServer, proxy: Proxy, database: Database, keys: Path, home: Path
) -> Place:
    (home / ".ssh" / "known_hosts").write_text(bastion.known())
    variables = {
        "DATABASE_URL": proxy.url(database.name),
        "SSH_HOST": "127.0.0.1",
        "SSH_PORT": str(bastion.port),
        "SSH_USER": USER,
        "SSH_KEY_PATH": str(keys / "ed25519"),
        "SSH_MAX_RETRIES": "0",
        "SSH_RETRY_DELAY": "1",
    }
    return Place(bastion, proxy, database, keys / "ed25519", variables)


@pytest.fixture(scope="module")
def standing(server: Server) -> Iterator[Database]:
    """A database that no test writes to: a new one for each would cost more than the test."""
    made = server.create()
    yield made
    made.drop()


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


# --- the ordinary day -----------------------------------------------------------------------------


def test_migrations_go_through_and_nothing_is_left_behind(
    any_fresh: Place, project: Project
) -> None:
    project.write_tables(1, 2)
    with any_fresh.target() as target:
        assert str(target).startswith(f"postgres@127.0.0.1:{any_fresh.proxy.port}/")
        assert f", via {USER}@127.0.0.1:{any_fresh.bastion.port} (" in str(target)
        assert states(Migrator(target, project.sql).up()) == ["applied"] * 2
        assert Migrator(target, project.sql).status().pending == ()
    assert any_fresh.database.tables() == {"t1", "t2"}


def test_the_command_goes_through_by_variables_or_by_flags(
    fresh: Place, project: Project, offline: Chatdb
) -> None:
    project.write_tables(1)
    said = fresh.run(offline, "migrate", "up")
    assert said.code == 0, said.err
    assert f", via {USER}@127.0.0.1:{fresh.bastion.port} (DATABASE_URL" in said.err
    flags = [
        part
        for name, value in fresh.variables.items()
        if name.startswith("SSH_")
        for part in ("--" + name.lower().replace("_", "-"), value)
    ]
    url = fresh.variables["DATABASE_URL"]
    said = offline("migrate", "status", "--format", "json", "-d", url, *flags)
    assert said.code == 0, said.err
    assert said.document["target"]["via"] == f"{USER}@127.0.0.1:{fresh.bastion.port}"


def test_no_tunnel_goes_straight(place: Place) -> None:
    for settings in (place.settings({"no_tunnel": True}), place.settings(SSH_ENABLED="false")):
        with open_target(settings) as target:
            assert (target.via, target.tunnel) == (None, None)
            connect(target).close()


def test_setup_gives_a_pool_that_closes_the_tunnel(fresh: Place, project: Project) -> None:
    project.write_tables(1)
    with (
        chatdb_cli.setup(fresh.settings(), project.sql) as pool,
        pool.connection() as one,
        pool.connection() as two,
    ):
        for conn in (one, two):
            assert conn.execute("SELECT count(*) FROM t1").fetchone() == (0,)


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


class Standby(Proxy):
    """In front of a server, which it makes say that it is a standby."""

    def _chunks(self, source: socket.socket) -> Iterator[bytes]:
        for data in super()._chunks(source):
            yield data.replace(b"\x17in_hot_standby\0off\0", b"\x16in_hot_standby\0on\0")


def test_of_several_hosts_each_has_a_way_and_the_one_that_is_wanted_is_taken(
    place: Place, server: Server, offline: Chatdb
) -> None:
    with Standby(socket_of(server)) as standby:
        at = {"primary": place.proxy.port, "standby": standby.port, "down": free_port()}

        def url(hosts: str, wanted: str) -> str:
            several = ",".join(f"127.0.0.1:{at[host]}" for host in hosts.split())
            place_, name = f"postgres@{several}", place.database.name
            return f"postgresql://{place_}/{name}?sslmode=disable&target_session_attrs={wanted}"

        for hosts, wanted, taken in (
            ("primary standby", "any", 0),
            ("standby primary", "any", 0),
            ("standby primary", "primary", 1),
            ("primary standby", "standby", 1),
            ("primary standby", "prefer-standby", 1),
            ("down primary", "any", 1),
            ("down standby primary", "read-write", 2),
        ):
            with place.target(DATABASE_URL=url(hosts, wanted)) as target, connect(target) as conn:
                assert target.tunnel
                assert target.tunnel.places == tuple(("127.0.0.1", at[h]) for h in hosts.split())
                assert conn.info.port == target.tunnel.ports[taken], (hosts, wanted)
                for port in set(target.tunnel.ports):
                    assert f":{port}" in target.tunnel.url
        assert place.refusal(DATABASE_URL=url("down down", "any")).code is Code.BEHIND_REFUSED
        assert place.refusal(DATABASE_URL=url("standby", "primary")).code is Code.UNREACHABLE
        # One that is down is shown, and no obstacle.
        check = "tunnel", "check", "--format", "json"
        said = place.run(offline, *check, DATABASE_URL=url("down primary", "any"))
        steps = [(s["step"], s["state"]) for s in said.document["steps"][-3:]]
        assert steps == [("forward", "failed"), ("forward", "ok"), ("database", "ok")]
        assert said.code == 0
        assert place.run(offline, *check, DATABASE_URL=url("down down", "any")).code == 3


@pytest.mark.parametrize(
    "several",
    ["host=a,b port=1,2,3", "host=a hostaddr=10.0.0.1,10.0.0.2", "hostaddr=10.0.0.1 port=1,2",
     "host=a,b hostaddr=10.0.0.1 port=1"],
)  # fmt: skip
def test_hosts_and_ports_that_are_not_as_many_are_refused(several: str, place: Place) -> None:
    error = place.refusal(DATABASE_URL=f"{several} dbname=d user=u")
    assert (error.code, error.exit) == (Code.SETTINGS, 2)
    assert error.hint


# --- who may know what ----------------------------------------------------------------------------


def entry(bastion: Any, kind: str = "ed25519") -> list[str]:
    return str(bastion.known(kind=kind)).split()


def test_an_unknown_host_is_refused_and_the_line_that_is_shown_makes_it_known(
    any_place: Place, home: Path
) -> None:
    file = home / ".ssh" / "known_hosts"
    file.write_text("# nobody\n")
    error = any_place.refusal()
    public = any_place.bastion.folder / "ed25519.pub"
    said = subprocess.run(["ssh-keygen", "-lf", public], capture_output=True, text=True)
    shown = said.stdout.split()[1]
    assert (error.code, error.exit) == (Code.HOST_KEY_UNKNOWN, 4)
    assert shown in error.message
    assert f"add this line to {file}: " in (error.hint or "")
    file.write_text((error.hint or "").partition(f"{file}: ")[2] + "\n")
    any_place.target().close()


def test_nothing_is_sent_to_a_host_that_is_not_known(
    python_server: SshServer, proxy: Proxy, standing: Database, keys: Path, home: Path
) -> None:
    there = place_of(python_server, proxy, standing, keys, home)
    (home / ".ssh" / "known_hosts").unlink()
    before = list(python_server.logins)
    assert there.refusal().code is Code.HOST_KEY_UNKNOWN
    assert python_server.logins == before


OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAIJfyfDjUR9CIGPXGvmV17Ms4OhANgyYmvl0v2O2Bv2Cz"
# Lines of known_hosts, where {name}, {kind} and {key} are the bastion's, and what comes of them.
KNOWN: dict[str, Code | None] = {
    "{name} {kind} {key}": None,
    "{name} {kind} {key} a comment": None,
    "# first\r\n\r\nother ssh-ed25519 !!\n{name}\t{kind}\t{key}\r\n": None,
    "a.example,{name},b.example {kind} {key}": None,
    "[127.0.0.*]:{port} {kind} {key}": None,
    "[127.0.?.1]:{port} {kind} {key}": None,
    "{hashed} {kind} {key}": None,
    "{name} ssh-ed25519 " + OTHER + "\n{name} {kind} {key}": None,  # a key that is being replaced
    "{name} ssh-rsa {rsa}": None,  # the server shows the type that is known
    "{name} ecdsa-sha2-nistp256 {ecdsa}": None,
    "@revoked * ssh-ed25519 " + OTHER + "\n{name} {kind} {key}": None,
    "127.0.0.1 {kind} {key}": Code.HOST_KEY_UNKNOWN,  # that is port 22
    "[127.0.0.1]:1 {kind} {key}": Code.HOST_KEY_UNKNOWN,
    "[127.0.0.*]:{port},!{name} {kind} {key}": Code.HOST_KEY_UNKNOWN,
    "@cert-authority {name} {kind} {key}": Code.HOST_KEY_UNKNOWN,
    "#{name} {kind} {key}": Code.HOST_KEY_UNKNOWN,
    "{name} {kind}": Code.HOST_KEY_UNKNOWN,
    "{name} ssh-ed25519 " + OTHER: Code.HOST_KEY_CHANGED,
    "{hashed} ssh-ed25519 " + OTHER: Code.HOST_KEY_CHANGED,
    "{name} ssh-rsa " + OTHER: Code.HOST_KEY_CHANGED,
    "@revoked {name} {kind} {key}\n{name} {kind} {key}": Code.HOST_KEY_REVOKED,
    "{name} {kind} {key}\n@revoked * {kind} {key}": Code.HOST_KEY_REVOKED,
    "@revoked {hashed} {kind} {key}\n{name} {kind} {key}": Code.HOST_KEY_REVOKED,
}


@pytest.fixture(scope="module")
def hashed(sshd_or_python: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The bastion's name as ssh-keygen hashes it."""
    file = tmp_path_factory.mktemp("hashed") / "known_hosts"
    file.write_text(sshd_or_python.known())
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    return file.read_text().split()[0]


@pytest.fixture(scope="module")
def sshd_or_python(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("sshd" if SSHD else "python_server")


@pytest.mark.parametrize("lines", KNOWN)
def test_only_a_key_that_is_known_is_believed(
    lines: str, sshd_or_python: Any, hashed: str, keys: Path, home: Path
) -> None:
    name, kind, key = entry(sshd_or_python)
    text = lines.format(
        name=name,
        kind=kind,
        key=key,
        port=sshd_or_python.port,
        hashed=hashed,
        rsa=entry(sshd_or_python, "rsa")[2],
        ecdsa=entry(sshd_or_python, "ecdsa")[2],
    )
    (home / ".ssh" / "known_hosts").write_text(text)
    settings = load(environ=ssh_variables(sshd_or_python, keys), cwd=Path("/"))
    assert settings.bastion
    way = ssh.Way(settings.bastion, 2, lambda _: None, lambda _: None)
    expected = KNOWN[lines]
    if expected is None:
        ssh.shut(way.open())
        return
    with pytest.raises(ChatdbError) as caught:
        way.open()
    assert (caught.value.code, caught.value.exit) == (expected, 4)
    assert "SHA256:" in caught.value.message
    if expected is not Code.HOST_KEY_UNKNOWN:
        assert f"{home}/.ssh/known_hosts:1" in caught.value.notes[0] or "known_hosts:2" in str(
            caught.value.notes
        )


def ssh_variables(bastion: Any, keys: Path) -> dict[str, str]:
    return {
        "SSH_HOST": "127.0.0.1",
        "SSH_PORT": str(bastion.port),
        "SSH_USER": USER,
        "SSH_KEY_PATH": str(keys / "ed25519"),
        "SSH_MAX_RETRIES": "0",
    }


def test_a_file_of_known_hosts_that_cannot_be_read_is_no_empty_one(
    place: Place, home: Path
) -> None:
    error = place.refusal(SSH_KNOWN_HOSTS=str(home))
    assert (error.code, error.errno) == (Code.TUNNEL, "EISDIR")


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ed25519", "ecdsa", "rsa"])
def test_keys_of_every_type_open_the_door(name: str, any_place: Place, keys: Path) -> None:
    any_place.target(SSH_KEY_PATH=str(keys / name)).close()


@pytest.mark.parametrize("name", ["ed25519_locked", "ecdsa_locked", "rsa_locked", "rsa_pem"])
def test_a_locked_key_is_unlocked_by_the_setting_or_by_who_is_asked(
    name: str, place: Place, keys: Path
) -> None:
    key = str(keys / name)
    place.target(SSH_KEY_PATH=key, SSH_KEY_PASSPHRASE="open sesame").close()
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return "open sesame"

    open_target(place.settings(SSH_KEY_PATH=key), ask=ask).close()
    assert asked == [f"passphrase of {key}: "]


def test_a_passphrase_is_asked_for_on_a_terminal(
    place: Place, project: Project, keys: Path
) -> None:
    env = place.variables | {"SSH_KEY_PATH": str(keys / "ed25519_locked")}
    said = on_a_terminal(project, env, "open sesame\n", "tunnel", "check")
    assert "passphrase of " in said
    assert "PostgreSQL" in said
    assert "open sesame" not in said


def on_a_terminal(project: Project, env: dict[str, str], typed: str, *arguments: str) -> str:
    import pty

    ours, theirs = pty.openpty()
    root = str(ROOT)
    process = subprocess.Popen(
        project.command(*arguments),
        cwd=project.path,
        env=project.environment(PYTHONPATH=root, **env),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    said = b""
    with suppress(OSError):
        while data := os.read(ours, 4096):
            said += data
            if b"passphrase" in said and typed:
                time.sleep(0.1)  # until the terminal no longer echoes
                os.write(ours, typed.encode())
                typed = ""
    os.close(ours)
    process.wait(20)
    return said.decode()


def write_bad_keys(folder: Path, keys: Path) -> None:
    good = (keys / "ed25519").read_bytes()
    for name, mode in (("open", 0o644), ("group", 0o640)):
        (folder / name).write_bytes(good)
        (folder / name).chmod(mode)
    (folder / "folder").mkdir()
    (folder / "junk").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nnothing\n")
    (folder / "junk").chmod(0o600)
    (folder / "empty").touch(0o600)
    (folder / "public").write_bytes((keys / "ed25519.pub").read_bytes())
    (folder / "public").chmod(0o600)
    (folder / "locked").write_bytes((keys / "ed25519_locked").read_bytes())
    (folder / "locked").chmod(0o600)


BAD_KEYS = [
    ("nowhere", "", Code.KEY_MISSING, "ENOENT", "there is no key "),
    ("folder", "", Code.KEY_UNREADABLE, "EISDIR", "is a directory"),
    ("open", "", Code.KEY_TOO_OPEN, None, "mode 0644"),
    ("group", "", Code.KEY_TOO_OPEN, None, "mode 0640"),
    ("locked", "", Code.KEY_LOCKED, None, "none was given"),
    ("locked", "open window", Code.KEY_LOCKED, None, "does not unlock"),
    ("junk", "", Code.KEY_INVALID, None, "no private key"),
    ("empty", "", Code.KEY_INVALID, None, "no private key"),
    ("public", "", Code.KEY_INVALID, None, "is a public key"),
]


@pytest.mark.parametrize(("name", "passphrase", "code", "errno", "says"), BAD_KEYS)
def test_a_key_that_is_of_no_use_is_named_with_the_reason_before_anything_is_dialled(
    name: str, passphrase: str, code: Code, errno: str | None, says: str, tmp_path: Path, keys: Path
) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    write_bad_keys(folder, keys)
    variables = {"SSH_HOST": "192.0.2.1", "SSH_KEY_PATH": str(folder / name)}
    variables |= {"SSH_KEY_PASSPHRASE": passphrase, "DATABASE_URL": "postgresql://app@db/chat"}
    with pytest.raises(ChatdbError) as caught:
        open_target(load(environ=variables, cwd=Path("/")))
    error = caught.value
    assert (error.code, error.exit, error.errno) == (code, 4, errno)
    assert says in error.message
    assert str(folder / name) in error.message
    assert error.hint
    assert "open window" not in f"{error} {error.hint} {error.notes}"


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """A running ssh-agent without keys; gives what adds one."""
    sock = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", sock], stdout=subprocess.DEVNULL)
    while not sock.exists():
        time.sleep(0.01)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(sock))

    def add(key: Path) -> None:
        subprocess.run(["ssh-add", "-q", key], check=True, stdin=subprocess.DEVNULL)

    yield add
    process.terminate()
    process.wait()


@needs_sshd  # asyncssh ends the session at the second key
def test_the_agent_is_asked_when_no_key_is_named_or_when_told_to(
    place: Place, keys: Path, agent: Callable[[Path], None]
) -> None:
    assert "the agent has none" in place.refusal(SSH_KEY_PATH="").message
    agent(keys / "stranger")
    agent(keys / "ecdsa")
    place.target(SSH_KEY_PATH="").close()
    assert place.refusal(SSH_KEY_PATH="", SSH_AGENT="false").code is Code.TUNNEL_LOGIN
    # A key that is named is the only one that is tried.
    error = place.refusal(SSH_KEY_PATH=str(keys / "stranger"))
    assert [n for n in error.notes if n.startswith("tried")] == [
        f"tried ssh-ed25519 {print_of(keys / 'stranger')} ({keys / 'stranger'})"
    ]
    place.target(SSH_KEY_PATH=str(keys / "stranger"), SSH_AGENT="true").close()
    # What is locked, and in the agent, needs no passphrase.
    place.target(SSH_KEY_PATH=str(keys / "ed25519_locked"), SSH_AGENT="true").close()


def print_of(key: Path) -> str:
    import base64

    return fingerprint(base64.b64decode(Path(f"{key}.pub").read_text().split()[1]))


# --- the way there, and what may be on it ---------------------------------------------------------


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


# --- ~/.ssh/config --------------------------------------------------------------------------------


def test_an_alias_brings_host_port_user_key_and_known_hosts(
    place: Place, keys: Path, home: Path
) -> None:
    (home / "hosts").write_text(f"the-bastion {' '.join(entry(place.bastion)[1:])}\n")
    (home / ".ssh" / "config").write_text(
        "Include extra/*\nHost other\n  HostName 192.0.2.1\n"
        "Host *\n  UserKnownHostsFile ~/hosts\n  HostKeyAlias the-bastion\n"
    )
    (home / ".ssh" / "extra").mkdir()
    (home / ".ssh" / "extra" / "one").write_text(
        f"Host prod\n  HostName=127.0.0.1\n  Port {place.bastion.port}\n  User {USER}\n"
        f"  IdentityFile {home}/gone\n  IdentityFile {keys}/ecdsa\n"
    )
    more: dict[str, Any] = {"SSH_HOST": "prod", "SSH_PORT": "", "SSH_KEY_PATH": ""}
    with place.target(**more) as target:
        assert target.via == f"{USER}@prod:{place.bastion.port}"
        connect(target).close()
    # The settings win over the file.
    assert place.refusal(**more | {"SSH_USER": "nobody-x"}).code is Code.TUNNEL_LOGIN
    assert place.refusal(**more | {"SSH_PORT": str(free_port())}).code is Code.TUNNEL_REFUSED


WAYS = [
    ("Host b\n ProxyJump j", ["j:22", "b:22"]),
    ("Host b\n ProxyJump me@j:2222", ["j:2222", "b:22"]),
    ("Host b\n ProxyJump j,k", ["j:22", "k:22", "b:22"]),
    ("Host b\n ProxyJump j\nHost j\n ProxyJump k\n HostName J\nHost k\n Port 23",
     ["k:23", "J:22", "b:22"]),
    ("Host b\n ProxyJump j,k\nHost k\n ProxyJump nobody", ["j:22", "k:22", "b:22"]),
    ("Host b\n ProxyJump ssh://me@[::1]:99", ["::1:99", "b:22"]),
    ("Host b\n ProxyJump none", ["b:22"]),
    ("Host b\n ProxyJump none\nHost *\n ProxyJump j", ["b:22"]),
    ("Match host b\n HostName c", ["c:22"]),
    ("", ["b:22"]),
]  # fmt: skip


@pytest.mark.parametrize(("config", "expected"), WAYS)
def test_the_way_is_the_one_that_ssh_would_take(
    config: str, expected: list[str], home: Path
) -> None:
    (home / ".ssh" / "config").write_text(config)
    bastion = load(environ={"SSH_HOST": "b"}, cwd=Path("/")).bastion
    assert bastion
    assert [f"{hop.host}:{hop.port}" for hop in hops(bastion)] == expected


def test_where_nothing_is_said_it_is_port_22_ourselves_and_the_agent(home: Path) -> None:
    bastion = load(environ={"SSH_HOST": "b"}, cwd=Path("/")).bastion
    assert bastion
    known = (home / ".ssh" / "known_hosts", Path("/etc/ssh/ssh_known_hosts"))
    expected = Hop("b", "b", 22, getpass.getuser(), (), False, True, None, known)
    assert hops(bastion) == (expected,)
    key = home / "key"
    assert hops(replace(bastion, key_path=key)) == (
        replace(expected, keys=(key,), named=True, agent=False),
    )
    assert hops(replace(bastion, key_path=key, agent=True))[0].agent


@pytest.mark.parametrize(
    "config",
    ["Host b\n ProxyJump b", "Host b\n ProxyJump j\nHost j\n ProxyJump b", "Host b\n Port x",
     "Include ~/.ssh/config", "Host b\n ProxyJump @:", "Host b\n  Port", b"\xff\xfe", "Match\n"],
)  # fmt: skip
def test_a_config_that_leads_nowhere_is_refused_with_its_name(
    config: str | bytes, home: Path
) -> None:
    data = config if isinstance(config, bytes) else config.encode()
    (home / ".ssh" / "config").write_bytes(data)
    bastion = load(environ={"SSH_HOST": "b"}, cwd=Path("/")).bastion
    assert bastion
    with pytest.raises(ChatdbError) as caught:
        hops(bastion)
    assert caught.value.code is Code.TUNNEL
    assert str(home / ".ssh" / "config") in caught.value.message


@needs_sshd
def test_a_failure_behind_the_first_hop_is_named_as_well(
    place: Place, keys: Path, home: Path
) -> None:
    with mute() as (silent, _):
        cases: list[tuple[str, dict[str, str], Code, str | None, str]] = [
            ("HostName no-such-host.invalid", {}, Code.TUNNEL_NAME, "ENOTFOUND", "@outer"),
            (f"Port {free_port()}", {}, Code.TUNNEL_REFUSED, "ECONNREFUSED", "@outer"),
            (f"Port {silent}", {"CHATDB_CONNECT_TIMEOUT": "100ms"}, Code.TUNNEL_TIMEOUT,
             "ETIMEDOUT", "@inner"),
            ("HostKeyAlias nobody", {}, Code.HOST_KEY_UNKNOWN, None, "@inner"),
            ("StrictHostKeyChecking no\n UserKnownHostsFile /dev/null", {}, Code.HOST_KEY_UNKNOWN,
             None, "@inner"),
            (f"IdentityFile {keys}/stranger\nHost outer\n IdentityFile {keys}/rsa",
             {"SSH_KEY_PATH": ""}, Code.TUNNEL_LOGIN, None, "@inner"),
        ]  # fmt: skip
        for line, more, code, errno, hop in cases:
            error = place.refusal(**over_two(place, home, f" {line}\n") | more)
            assert (error.code, error.exit, error.errno) == (code, 4, errno), error
            assert hop in error.message
            assert error.hint


@needs_sshd
def test_the_line_of_the_docs_lets_to_the_database_and_nowhere_else(
    place: Place, tmp_path: Path
) -> None:
    docs = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    options = re.findall(r"^(restrict,\S+) ssh-ed25519 ", docs, re.MULTILINE)[0]
    key = make_key(tmp_path / "narrow")
    place.bastion.let_in(key, options.replace("db.internal:5432", f"127.0.0.1:{place.proxy.port}"))
    with place.target(SSH_KEY_PATH=str(key)) as target:
        connect(target).close()
    far = f"postgresql://u@127.0.0.1:{free_port()}/d"
    assert place.refusal(SSH_KEY_PATH=str(key), DATABASE_URL=far).code is Code.TUNNEL_FORBIDDEN


@needs_sshd
def test_two_jumps_lead_through_three_servers_each_with_its_own_key(
    place: Place, make_server: Callable[..., Place], keys: Path, home: Path
) -> None:
    first_, second = make_server(Sshd).bastion, make_server(Sshd).bastion
    third = place.bastion
    known = home / ".ssh" / "known_hosts"
    known.write_text(first_.known() + second.known() + third.known())
    (home / ".ssh" / "config").write_text(
        "".join(
            f"Host {name}\n HostName 127.0.0.1\n Port {server.port}\n User {USER}\n"
            f" IdentityFile {keys}/{key}\n{more}"
            for name, server, key, more in (
                ("one", first_, "rsa", ""),
                ("two", second, "ecdsa", " ProxyJump one\n"),
                ("three", third, "ed25519", " ProxyJump two\n"),
            )
        )
    )
    more: dict[str, Any] = {"SSH_HOST": "three", "SSH_PORT": "", "SSH_KEY_PATH": ""}
    with place.target(**more) as target:
        connect(target).close()
        steps, failure = check_tunnel(place.settings(**more))
        assert failure is None
        assert [s.hop.split("@")[1].split(":")[0] for s in steps if s.what == "login"] == [
            "one", "two", "three",
        ]  # fmt: skip
        # Each of them is verified, and a loss anywhere is named.
        first_.lose()
        assert target.tunnel
        target.tunnel.last.join(5)
        loss = target.tunnel.explain()
        assert loss
        assert loss.code is Code.TUNNEL_LOST
    known.write_text(first_.known() + third.known())
    error = place.refusal(**more)
    assert error.code is Code.HOST_KEY_UNKNOWN
    assert "@two" in error.message
    known.write_text(first_.known() + second.known() + third.known())
    second.stop()
    error = place.refusal(**more)
    assert (error.code, error.errno) == (Code.TUNNEL_REFUSED, "ECONNREFUSED")
    assert "@one" in error.message
    second.start()


def test_a_proxy_command_is_used_and_ends_with_the_tunnel(place: Place, home: Path) -> None:
    relay = home / "relay.py"
    relay.write_text(
        "import socket, sys, threading, os\n"
        "s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
        "def back():\n"
        "    while d := s.recv(65536): os.write(1, d)\n"
        "    os._exit(0)\n"
        "threading.Thread(target=back).start()\n"
        "while d := os.read(0, 65536): s.sendall(d)\n"
        "os._exit(0)\n"
    )
    (home / ".ssh" / "config").write_text(
        f"Host 127.0.0.1\n  ProxyCommand {sys.executable} {relay} %p\n"
    )
    with place.target() as target:
        connect(target).close()
    (home / ".ssh" / "config").write_text("Host 127.0.0.1\n  ProxyCommand exit 1\n")
    assert place.refusal().code is Code.TUNNEL_CLOSED


# --- retries, loss, reconnecting ------------------------------------------------------------------


def test_what_passes_by_itself_is_tried_again_and_nothing_else(place: Place, keys: Path) -> None:
    told: list[str] = []
    again = {"SSH_MAX_RETRIES": "3"}
    place.bastion.stop()

    def tell(line: str) -> None:
        told.append(line)
        if len(told) == 2:
            place.bastion.start()

    try:
        place.target(tell, **again).close()
    finally:
        if len(told) < 2:
            place.bastion.start()
    assert [line[line.index("trying") :] for line in told] == [
        "trying again in 0.001 s (1 of 3)",
        "trying again in 0.002 s (2 of 3)",
    ]
    told.clear()
    for more in ({"SSH_KEY_PATH": str(keys / "stranger")}, {"SSH_HOST": "nowhere.invalid"}):
        with pytest.raises(ChatdbError):
            place.target(told.append, **more, **again)
    assert told == []


RUNNING = "query LIKE '%pg_sleep(60)%' AND state = 'active'"


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def lose_in_the_middle(there: Place, lose: Callable[[], None]) -> threading.Thread:
    """Lose the tunnel as soon as the migration that sleeps is at it."""

    def watch() -> None:
        sql = f"SELECT 1 FROM pg_stat_activity WHERE {RUNNING} AND pid <> pg_backend_pid()"
        wait_for(lambda: there.database.query(sql))
        lose()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_a_tunnel_that_is_lost_in_a_migration_rolls_it_back_and_the_next_run_goes_on(
    any_fresh: Place, project: Project
) -> None:
    project.write_tables(1, 3)
    project.write("0002_slow", "CREATE TABLE t2 (id int); SELECT pg_sleep(60);", "DROP TABLE t2;")
    with any_fresh.target() as target:
        thread = lose_in_the_middle(any_fresh, any_fresh.bastion.lose)
        start = time.monotonic()
        with pytest.raises(ChatdbError) as caught:
            Migrator(target, project.sql).up()
        assert time.monotonic() - start < 30  # the 60 seconds are not waited for
        thread.join()
        error = caught.value
        assert (error.code, error.exit) == (Code.TUNNEL_LOST, 4)
        assert f"through {USER}@127.0.0.1" in error.message
        assert states(error) == ["applied", "failed", "not-run"]
        assert any_fresh.database.tables() == {"t1"}
        # The way is open again by itself.
        project.write("0002_slow", "CREATE TABLE t2 (id int);", "DROP TABLE t2;")
        assert states(Migrator(target, project.sql).up()) == ["applied"] * 2
    assert any_fresh.database.tables() == {"t1", "t2", "t3"}


def test_a_seed_whose_tunnel_is_lost_writes_nothing_and_names_the_tunnel(
    any_fresh: Place, project: Project
) -> None:
    project.write_tables(1)
    (project.sql / "seed").mkdir()
    (project.sql / "seed" / "0001_rows.sql").write_text(
        "INSERT INTO t1 VALUES (1); SELECT pg_sleep(60);"
    )
    with any_fresh.target() as target:
        Migrator(target, project.sql).up()
        thread = lose_in_the_middle(any_fresh, any_fresh.bastion.lose)
        with pytest.raises(ChatdbError) as caught:
            seed_small(target, project.sql)
        thread.join()
    assert (caught.value.code, caught.value.exit) == (Code.TUNNEL_LOST, 4)
    assert any_fresh.database.query("SELECT count(*) FROM t1") == [(0,)]


def test_a_tunnel_that_cannot_be_opened_again_leaves_the_outcome_open_and_says_so(
    fresh: Place, project: Project
) -> None:
    project.write("0001_slow", "CREATE TABLE t1 (id int); SELECT pg_sleep(60);", None)
    thread = lose_in_the_middle(fresh, fresh.bastion.stop)
    try:
        said = project.chatdb("migrate", "up", "--format", "json", env=fresh.variables)
    finally:
        thread.join()
        fresh.bastion.start()
    assert said.returncode == 4, said.stderr
    assert "Traceback" not in said.stderr
    assert json.loads(said.stdout)["error"]["code"] == "tunnel-lost"
    assert "chatdb migrate status" in said.stderr
    fresh.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE {RUNNING} AND pid <> pg_backend_pid()"
    )


@needs_sshd
def test_a_bastion_that_falls_silent_is_given_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "_KEEPALIVE_S", 0.2)
    monkeypatch.setattr(tunnel, "_SILENCE_S", 1.5)
    monkeypatch.setattr(tunnel, "_LISTEN_S", 0.25)
    assert isinstance(place.bastion, Sshd)
    with place.target() as target, connect(target) as conn:
        conn.execute("SELECT pg_sleep(2)")  # silence of the database alone is none of the bastion
        place.bastion.signal(signal.SIGSTOP)
        try:
            with pytest.raises(psycopg.OperationalError):
                conn.execute("SELECT 1")
        finally:
            place.bastion.lose()
        assert target.tunnel
        loss = target.tunnel.explain()
        assert loss
        assert "nothing was heard" in loss.message


def test_a_pool_goes_on_after_a_loss(any_place: Place) -> None:
    with any_place.target() as target, open_pool(target) as pool:
        for _ in range(2):
            with pool.connection() as conn:
                conn.execute("SELECT 1")
            any_place.bastion.lose()
            assert target.tunnel
            target.tunnel.last.join(5)
        with pool.connection() as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)


# --- chatdb tunnel --------------------------------------------------------------------------------


def start_command(project: Project, env: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        project.command(*arguments),
        cwd=project.path,
        env=project.environment(PYTHONPATH=str(ROOT), **env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_holds_a_tunnel_open_through_a_loss_and_ends_cleanly(
    number: int, code: int, place: Place, project: Project
) -> None:
    env = place.variables | {"PGPASSWORD": "hunter2", "SSH_KEY_PASSPHRASE": "hunter2"}
    process = start_command(project, env, "tunnel")
    assert process.stdout
    url = process.stdout.readline().strip()
    psycopg.connect(url).close()
    place.bastion.lose()
    wait_for(lambda: can_connect(url))
    place.bastion.stop()
    try:
        assert not can_connect(url)
    finally:
        place.bastion.start()
    wait_for(lambda: can_connect(url))  # the same one as before
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert out == ""
    for line in ("connection 1 opened", "connection 1 closed after ", "was lost: ",
                 "the tunnel is open again", "the tunnel is closed"):  # fmt: skip
        assert line in err
    assert "error" not in err
    assert "hunter2" not in url + err


def can_connect(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def test_the_command_says_which_port_and_takes_one(
    place: Place, project: Project, offline: Chatdb
) -> None:
    port = free_port()
    process = start_command(
        project, place.variables, "tunnel", "--port", str(port), "--format", "json"
    )
    assert process.stdout
    said = json.loads(process.stdout.readline())
    assert said["local"] == {"host": "127.0.0.1", "port": port}
    assert said["target"]["via"] == f"{USER}@127.0.0.1:{place.bastion.port}"
    psycopg.connect(said["url"]).close()
    second = place.run(offline, "tunnel", "--port", str(port))
    assert (second.code, second.out) == (4, "")
    assert "[EADDRINUSE]" in second.err
    process.terminate()
    process.communicate(timeout=20)


README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(text: str) -> list[list[str]]:
    """The cells of a printed table, without what is another each time: times, keys, versions."""
    text = re.sub(r"SHA256:\S+ \(.*?\)", "KEY", text)
    text = re.sub(r"(SSH-2.0-|PostgreSQL )\S.*", r"\1", text)
    rows = [re.split(" {2,}", line.strip()) for line in text.splitlines()]
    return [[*row[:3], *row[4:]] for row in rows]


def test_tunnel_check_walks_the_hops_as_the_readme_shows(
    place: Place, offline: Chatdb, keys: Path
) -> None:
    said = place.run(offline, "tunnel", "check")
    assert said.code == 0, said.err
    names = {
        f"127.0.0.1:{place.proxy.port}/{place.database.name}": "db.internal:5432/shop",
        f"127.0.0.1:{place.proxy.port}": "db.internal:5432",
        f"{USER}@127.0.0.1:{place.bastion.port}": "ops@bastion",
        f"{USER} with": "ops with",
        "postgres@db.internal": "app@db.internal",
    }
    for ours, readme in names.items():
        said.out = said.out.replace(ours, readme)
    _, _, shown = README.partition("$ chatdb tunnel check\n")
    assert table(said.out) == table(shown.partition("```")[0])
    stranger = {"SSH_KEY_PATH": str(keys / "stranger")}
    said = place.run(offline, "tunnel", "check", "--format", "json", **stranger)
    assert said.code == 4
    assert [(s["step"], s["state"]) for s in said.document["steps"]] == [
        ("keys", "ok"), ("connect", "ok"), ("host key", "ok"), ("login", "failed"),
    ]  # fmt: skip
    assert (said.document["ok"], said.document["error"]["code"]) == (False, "tunnel-login")
    assert "error: " in said.err


def test_without_a_bastion_the_command_says_what_to_set(
    offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@db.internal/chat")
    for arguments in (["tunnel"], ["tunnel", "check"]):
        said = offline(*arguments)
        assert said.code == 2
        assert "SSH_HOST" in said.err


# --- nothing is left behind: `_nothing_left` looks after each test of this file, and after these ----


def over_two(place: Place, home: Path, more: str = "") -> dict[str, Any]:
    """What leads to the bastion over itself; `more` is for the first of its two names, `inner`."""
    (home / ".ssh" / "config").write_text(
        f"Host inner\n ProxyJump outer\n{more}"
        f"Host *\n HostName 127.0.0.1\n Port {place.bastion.port}\n User {USER}\n"
    )
    return {"SSH_HOST": "inner", "SSH_PORT": "", "SSH_USER": ""}


def test_an_interrupt_after_any_step_of_the_way_leaves_nothing(place: Place, home: Path) -> None:
    settings = place.settings(**over_two(place, home))
    steps: list[ssh.Step] = []
    open_target(settings, note=steps.append).close()
    assert len(steps) == 8
    for number in range(len(steps)):

        def note(step: ssh.Step, last: ssh.Step = steps[number]) -> None:
            if (step.hop, step.what) == (last.hop, last.what):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            open_target(settings, note=note)


@contextmanager
def mute(banner: bytes = b"") -> Iterator[tuple[int, threading.Event]]:
    """A port that says no more than the beginning, and whether somebody came there."""
    reached = threading.Event()

    def answer() -> None:
        one, _ = listener.accept()
        reached.set()
        with one, suppress(OSError):
            one.sendall(banner)
            while one.recv(1000):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1], reached
        thread.join()


@pytest.mark.parametrize("banner", [b"", b"SSH-2.0-mute\r\n"])
def test_an_interrupt_while_a_host_is_silent_leaves_nothing(place: Place, banner: bytes) -> None:
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    with mute(banner) as (port, _):
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            place.target(SSH_PORT=str(port))
        timer.join()


def test_an_interrupt_while_a_user_is_asked_or_told_leaves_nothing(
    place: Place, keys: Path
) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_target(place.settings(SSH_KEY_PATH=str(keys / "rsa_locked")), ask=interrupt)
    with pytest.raises(KeyboardInterrupt):
        place.target(interrupt, SSH_PORT=str(free_port()), SSH_MAX_RETRIES="1")


def test_two_tunnels_of_one_process_live_and_end_apart(place: Place) -> None:
    with chatdb_cli.open_tunnel(place.settings()) as one:
        with chatdb_cli.open_tunnel(place.settings()) as two:
            assert one.port != two.port
            for tunnel_ in (one, two):
                psycopg.connect(tunnel_.url).close()
        assert not can_connect(two.url)
        psycopg.connect(one.url).close()
    one.close()  # a second time is nothing
    with suppress(ZeroDivisionError), chatdb_cli.open_tunnel(place.settings()) as three:
        conn = psycopg.connect(three.url)
        raise ZeroDivisionError
    with pytest.raises(psycopg.OperationalError):
        conn.execute("SELECT 1")
    conn.close()


def test_a_signal_ends_the_command_at_any_stage_and_its_children_with_it(
    place: Place, project: Project, home: Path
) -> None:
    (home / ".ssh" / "config").write_text("Host by-command\n ProxyCommand sleep 1000\n")
    with mute(b"SSH-2.0-mute\r\n") as (bastion, dialled), mute() as (database, asked):
        # What it is told, and the signal that it gets then.
        stages: list[tuple[dict[str, str], int]] = [
            ({"SSH_HOST": "by-command"}, signal.SIGTERM),
            ({"SSH_PORT": str(bastion)}, signal.SIGINT),
            ({"SSH_PORT": str(free_port()), "SSH_MAX_RETRIES": "1", "SSH_RETRY_DELAY": "60s"},
             signal.SIGTERM),
            ({"DATABASE_URL": f"postgresql://u@127.0.0.1:{database}/d",
              "CHATDB_CONNECT_TIMEOUT": "60s"}, signal.SIGINT),
        ]  # fmt: skip
        running = [
            start_command(project, place.variables | more, "migrate", "status")
            for more, _ in stages
        ]
        wait_for(lambda: children(running[0].pid))
        below = children(running[0].pid)
        assert running[2].stderr
        assert "trying again in 60 s (1 of 1)" in running[2].stderr.readline()
        assert dialled.wait(20)
        assert asked.wait(20)
        for process, (_, number) in zip(running, stages, strict=True):
            process.send_signal(number)
        for process, (_, number) in zip(running, stages, strict=True):
            out, err = process.communicate(timeout=20)
            assert (process.returncode, out) == (128 + number, ""), err
            said = [line for line in err.splitlines() if line and not line.startswith("files: ")]
            assert said in (["error: interrupted"], ["error: terminated"])
    for pid in below:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_no_secret_is_in_what_a_tunnel_says_of_itself(place: Place, keys: Path) -> None:
    more: dict[str, Any] = {
        "SSH_KEY_PATH": str(keys / "rsa_locked"),
        "SSH_KEY_PASSPHRASE": "open sesame",
    }
    settings = place.settings(**more)
    with open_target(settings) as target:
        assert (
            "open sesame"
            not in f"{settings!r} {target!r} {target.tunnel!r} {vars(target.tunnel)!r}"
        )
    flag = place.settings({"ssh_key_passphrase": "open sesame"})
    assert any("--ssh-key-passphrase" in warning for warning in flag.warnings)
    assert "open sesame" not in str(flag.warnings)


# --- TLS and passwords ----------------------------------------------------------------------------

REAL_NAME = "db.internal.example"


@pytest.fixture(scope="module")
def guarded(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A PostgreSQL with TLS and passwords: its port, and its certificate, which is for REAL_NAME."""
    certificates = tmp_path_factory.mktemp("tls")
    write_certificate(certificates, REAL_NAME)
    owner = Path(socket_of(server)).owner()
    programs = server.bin
    port = free_port()
    as_owner: dict[str, Any] = {"user": owner} if os.getuid() == 0 else {}
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    with tempfile.TemporaryDirectory(prefix="chatdb-tls-", dir=GROUND) as folder:
        Path(folder, "password").write_text("s3:cret\\x")
        if as_owner:
            shutil.chown(folder, owner)
            shutil.chown(f"{folder}/password", owner)
        subprocess.run(
            [programs / "initdb", "-D", f"{folder}/data", "-U", "app", "-A", "scram-sha-256",
             f"--pwfile={folder}/password", "--no-sync", "-E", "UTF8"],
            check=True, **quiet, **as_owner,
        )  # fmt: skip
        process = subprocess.Popen(
            [programs / "postgres", "-D", f"{folder}/data", "-p", str(port), "-F",
             "-h", "127.0.0.1", "-c", "unix_socket_directories="],
            **quiet, **as_owner,
        )  # fmt: skip
        try:
            url = f"postgresql://app:s3%3Acret%5Cx@127.0.0.1:{port}/postgres"
            wait_for(lambda: can_connect(url))
            with TlsFront(certificates, port) as front:
                yield front.port, certificates / "server.crt"
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def test_the_real_name_is_the_one_for_tls_and_for_pgpass(
    guarded: tuple[int, Path],
    make_server: Callable[..., Place],
    home: Path,
    project: Project,
    offline: Chatdb,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only the bastion knows the database's host by name; its certificate and .pgpass name it."""
    port, certificate = guarded
    there = make_server(SshServer, names={REAL_NAME: "127.0.0.1", "other.example": "127.0.0.1"})
    (home / ".pgpass").write_text(
        "# host, port, database, user, password\n"
        "127.0.0.1:*:*:*:wrong\nother:*:*:*:wrong\n"
        f"{REAL_NAME}:5432:*:*:wrong\n{REAL_NAME}:{port}:postgres:app:s3\\:cret\\\\x\n"
        "other.example:*:*:*:s3\\:cret\\\\x\n"
    )
    (home / ".pgpass").chmod(0o600)
    tls = f"sslmode=verify-full&sslrootcert={certificate}"
    url = f"postgresql://app@{REAL_NAME}:{port}/postgres?{tls}"
    with there.target(DATABASE_URL=url) as target:
        assert target.where == f"app@{REAL_NAME}:{port}/postgres"
        with connect(target) as conn, open_pool(target) as pool, pool.connection() as other:
            for one in (conn, other):
                assert one.pgconn.ssl_in_use
        assert target.tunnel
        assert "cret" not in target.tunnel.url
        # Other programs check the name as well; their .pgpass needs * for the port.
        monkeypatch.setenv("PGPASSWORD", "s3:cret\\x")
        psycopg.connect(target.tunnel.url).close()
        monkeypatch.delenv("PGPASSWORD")
    # Of two hosts each is compared with its own name.
    two = url.replace(f"{REAL_NAME}:{port}", f"other.example:{port},{REAL_NAME}:{port}")
    with there.target(DATABASE_URL=two) as target, connect(target) as conn:
        assert target.tunnel
        assert conn.info.port == target.tunnel.ports[1]
    error = there.refusal(DATABASE_URL=url.replace(REAL_NAME, "other.example"))
    assert error.code is Code.UNREACHABLE
    assert "other.example" in error.message
    (home / ".pgpass").unlink()
    assert there.refusal(DATABASE_URL=url).code is Code.LOGIN
    project.write_tables(1)
    said = there.run(offline, "migrate", "up", DATABASE_URL=url, PGPASSWORD="s3:cret\\x")
    assert said.code == 0, said.err


def test_production_without_protection_is_refused_and_a_tunnel_protects(place: Place) -> None:
    far = "postgresql://app@192.0.2.1/chat?sslmode=prefer"
    settings = load(environ={"DATABASE_URL": far, "CHATDB_ENV": "production"}, cwd=Path("/"))
    with pytest.raises(ChatdbError) as caught:
        open_target(settings)
    assert (caught.value.code, caught.value.exit) == (Code.REFUSED, 8)
    with place.target(CHATDB_ENV="production", DATABASE_URL=far):
        pass  # the way to the bastion is protected


# --- how long it takes ----------------------------------------------------------------------------


def test_the_turns_through_a_tunnel_do_not_grow_with_the_files(
    sshd_or_python: Any,
    server: Server,
    keys: Path,
    home: Path,
    tmp_path: Path,
) -> None:
    """A link of 50 ms, there and back, in front of the bastion."""
    turns, seconds = {}, {}
    with Proxy(socket_of(server)) as proxy, Link(sshd_or_python.port, 0.025) as link:
        for number in (10, 100):
            files = Project(tmp_path / str(number))
            files.write_tables(*range(number))
            database = server.create()
            there = place_of(sshd_or_python, proxy, database, keys, home)
            known = sshd_or_python.known().replace(f":{sshd_or_python.port} ", f":{link.port} ")
            (home / ".ssh" / "known_hosts").write_text(known)
            for what in ("up", "no-op")[: 2 if number == 100 else 1]:
                before, start = proxy.round_trips(), time.monotonic()
                with there.target(SSH_PORT=str(link.port)) as target:
                    Migrator(target, files.sql).up()
                turns[number, what] = proxy.round_trips() - before
                seconds[number, what] = time.monotonic() - start
            database.drop()
    assert turns[10, "up"] == turns[100, "up"]
    assert seconds[100, "up"] - seconds[100, "no-op"] < 2
