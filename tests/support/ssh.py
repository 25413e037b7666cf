"""A database behind a bastion, the settings that lead to it, and helpers for its tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
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
from chatdb_cli.errors import ChatdbError
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.load import load_settings
from chatdb_cli.settings.model import Settings
from chatdb_cli.ssh.known_hosts import fingerprint
from tests.support.chatdb import Chatdb, Result
from tests.support.database import Database
from tests.support.paths import ROOT
from tests.support.project import Project
from tests.support.proxy import Proxy
from tests.support.ssh_server import SshServer
from tests.support.sshd import SSHD, USER, Sshd, descendants

needs_sshd = pytest.mark.skipif(SSHD is None, reason="OpenSSH's sshd is not installed")


def open_sockets() -> set[str]:
    """Return the sockets that this process has open, including those to an agent."""
    files = set()
    for descriptor in Path("/proc/self/fd").iterdir() if sys.platform == "linux" else ():
        with suppress(OSError):
            files.add(str(descriptor.readlink()))
    return {file for file in files if file.startswith("socket:")}


def child_processes() -> set[int]:
    """Return the child processes of this process."""
    lists = list(Path("/proc/self/task").glob("*/children"))
    if not lists:
        return set(descendants(os.getpid()))
    pids = []
    for file in lists:
        with suppress(OSError):  # that thread has ended
            pids += file.read_text().split()
    return set(map(int, pids))


@dataclass
class TunnelSetup:
    """A database behind a bastion, and the settings that lead to it.

    Attributes:
        bastion: the SSH server, which accepts the key.
        proxy: the proxy between the bastion and the database.
        variables: the settings, as environment variables.
    """

    bastion: Sshd | SshServer
    proxy: Proxy
    database: Database
    key: Path
    variables: dict[str, str] = field(default_factory=dict)

    def with_database(self, database: Database) -> TunnelSetup:
        variables = self.variables | {"DATABASE_URL": self.proxy.url(database.name)}
        return replace(self, database=database, variables=variables)

    def settings(self, flags: dict[str, Any] | None = None, **more: str) -> Settings:
        return load_settings(flags, environ={**self.variables, **more}, cwd=Path("/"))

    def target(self, *more: Any, **variables: Any) -> chatdb_cli.Target:
        return open_target(self.settings(**variables), *more)

    def run(self, call: Chatdb, *arguments: str, **more: str) -> Result:
        """Run a command with these settings in its environment."""
        with pytest.MonkeyPatch.context() as environment:
            for name, text in (self.variables | more).items():
                environment.setenv(name, text)
            return call(*arguments)

    def connect_error(self, **variables: Any) -> ChatdbError:
        """Return the error of a connection that fails."""
        with pytest.raises(ChatdbError) as caught, self.target(**variables) as target:
            connect(target, retries=0).close()
        return caught.value


def authorize_keys(bastion: Sshd | SshServer, keys: Path) -> None:
    for public in keys.glob("*.pub"):
        if public.stem != "stranger":
            bastion.authorize(public.with_suffix(""))


def make_tunnel_setup(
    bastion: Sshd | SshServer, proxy: Proxy, database: Database, keys: Path, home: Path
) -> TunnelSetup:
    (home / ".ssh" / "known_hosts").write_text(bastion.known_hosts_line())
    variables = {
        "DATABASE_URL": proxy.url(database.name),
        "SSH_HOST": "127.0.0.1",
        "SSH_PORT": str(bastion.port),
        "SSH_USER": USER,
        "SSH_KEY_PATH": str(keys / "ed25519"),
        "SSH_MAX_RETRIES": "0",
        "SSH_RETRY_DELAY": "1",
    }
    return TunnelSetup(bastion, proxy, database, keys / "ed25519", variables)


def known_hosts_fields(bastion: Any, kind: str = "ed25519") -> list[str]:
    return str(bastion.known_hosts_line(kind=kind)).split()


def key_fingerprint(key: Path) -> str:
    import base64

    return fingerprint(base64.b64decode(Path(f"{key}.pub").read_text().split()[1]))


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def start_command(project: Project, env: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        project.command(*arguments),
        cwd=project.path,
        env=project.environment(PYTHONPATH=str(ROOT), **env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def can_connect(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def through_two_hops(tunnel: TunnelSetup, home: Path, more: str = "") -> dict[str, Any]:
    """Return settings that lead to the bastion through itself, as the hosts `outer` and `inner`.

    `more` are options of `inner` in ~/.ssh/config.
    """
    (home / ".ssh" / "config").write_text(
        f"Host inner\n ProxyJump outer\n{more}"
        f"Host *\n HostName 127.0.0.1\n Port {tunnel.bastion.port}\n User {USER}\n"
    )
    return {"SSH_HOST": "inner", "SSH_PORT": "", "SSH_USER": ""}


@contextmanager
def silent_port(banner: bytes = b"") -> Iterator[tuple[int, threading.Event]]:
    """Open a port that sends only a banner; yield it, and an event for its first connection."""
    reached = threading.Event()

    def answer() -> None:
        connection, _ = listener.accept()
        reached.set()
        with connection, suppress(OSError):
            connection.sendall(banner)
            while connection.recv(1000):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1], reached
        thread.join()
