"""OpenSSH's sshd for the tests: on a loopback port, with its own keys and configuration.

It runs as an ordinary user, and only that user can log in: the user that runs the tests, or if that is
root, the user as which the embedded server runs.
"""

from __future__ import annotations

import getpass
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
IS_ROOT = os.geteuid() == 0

CONFIGURATION = """\
ListenAddress 127.0.0.1
AuthorizedKeysFile {folder}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
LogLevel VERBOSE
"""


def _user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()} if IS_ROOT else set()
    return next((name for name in ("postgres", "nobody") if name in names), getpass.getuser())


USER = _user()


def make_folder() -> Path:
    """Create a folder that the user of sshd can enter, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp(prefix="chatdb-test-"))
    if IS_ROOT:
        shutil.chown(folder, USER)
    return folder


def free_port() -> int:
    """Return a free port, below those that the system assigns, so that it stays free."""
    while True:
        port = 10000 + secrets.randbelow(22000)
        with suppress(OSError), socket.socket() as sock:
            sock.bind(("127.0.0.1", port))
            return port


_rsa_key: dict[str, bytes] = {}


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "", *more: str) -> Path:
    """Create a pair of keys, the public one with .pub; all RSA keys are copies of the first one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "rsa" and _rsa_key:
        for end in ("", ".pub"):
            Path(f"{path}{end}").write_bytes(_rsa_key[end])
        path.chmod(0o600)
    else:
        size = ["-b", "2048"] if kind == "rsa" else []
        _keygen("-t", kind, *size, "-N", "", "-C", "test", "-f", path)
        if kind == "rsa":
            _rsa_key.update({end: Path(f"{path}{end}").read_bytes() for end in ("", ".pub")})
    if passphrase:
        _keygen("-p", "-P", "", "-N", passphrase, *more, "-f", path)
    return path


def _keygen(*arguments: str | Path) -> None:
    command = ["ssh-keygen", "-q", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def descendants(*parents: int) -> list[int]:
    """Return the descendants of processes."""
    result = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    parent_of = {
        int(pid): int(parent) for pid, parent in map(str.split, result.stdout.splitlines())
    }
    pids = set(parents)
    while more := {pid for pid, parent in parent_of.items() if parent in pids} - pids:
        pids |= more
    return sorted(pids - set(parents))


@dataclass
class Sshd:
    """A running sshd.

    Attributes:
        options: lines at the top of its configuration, where the first setting of a kind applies.
        keys: its host keys.
        folder: the folder of its files.
    """

    options: str = ""
    keys: tuple[str, ...] = ("ed25519",)
    folder: Path = field(default_factory=make_folder)
    port: int = field(default_factory=free_port)

    def __enter__(self) -> Sshd:
        for kind in self.keys:
            make_key(self.folder / kind, kind)
        (self.folder / "authorized").touch()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return (self.folder / "log").read_bytes().decode()

    def start(self) -> None:
        assert SSHD is not None
        keys = "".join(f"HostKey {self.folder}/{kind}\n" for kind in self.keys)
        text = self.options + f"\nPort {self.port}\n" + keys
        text += CONFIGURATION.format(folder=self.folder)
        (self.folder / "config").write_text(text)
        as_user: dict[str, Any] = {
            "user": USER,
            "group": pwd.getpwnam(USER).pw_gid,
            "extra_groups": [],
        }
        for file in self.folder.iterdir() if IS_ROOT else ():
            shutil.chown(file, USER)
        with (self.folder / "log").open("ab") as log:
            before = log.tell()
            self._process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", self.folder / "config"],
                stderr=log,
                stdout=log,
                cwd="/",
                **(as_user if IS_ROOT else {}),
            )
        for _ in range(2000):
            if "Server listening on" in self.log[before:]:
                return
            assert self._process.poll() is None, self.log
            time.sleep(0.01)
        raise TimeoutError(self.log)

    def stop(self) -> None:
        """Kill it and all of its sessions."""
        sessions = self.sessions()
        self._process.kill()
        self._process.wait()
        self.signal(signal.SIGKILL, sessions)

    def drop_connections(self) -> None:
        """Drop every connection."""
        self.signal(signal.SIGKILL)

    def sessions(self) -> list[int]:
        """Return the processes of the open connections."""
        return descendants(self._process.pid)

    def signal(self, number: int, pids: list[int] | None = None) -> None:
        """Send a signal to every session."""
        for pid in self.sessions() if pids is None else pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def authorize(self, key: Path, options: str = "") -> None:
        """Accept a key, with options of authorized_keys."""
        with (self.folder / "authorized").open("a") as file:
            file.write(f"{options} {Path(f'{key}.pub').read_text()}".lstrip())

    def known_hosts_line(self, name: str = "127.0.0.1", kind: str | None = None) -> str:
        """Return the line of known_hosts for this server."""
        key = (self.folder / f"{kind or self.keys[0]}.pub").read_text().split()
        return f"[{name}]:{self.port} {key[0]} {key[1]}\n"
