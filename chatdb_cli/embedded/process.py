"""Processes, users and file locks of the embedded server.

What does not belong here: where its files are (`home.py`).
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.embedded.failures import USE_ANOTHER_SERVER, server_failure

if TYPE_CHECKING:
    from pwd import struct_passwd
    from subprocess import Popen
    from typing import Any

# A child sees nothing of our environment: PGDATA, PGPORT or PGOPTIONS would change what it does.
CLEAN_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}


def start_process(user: struct_passwd, command: list[str], **more: Any) -> Popen[bytes]:
    """Start a program as the server's user, with no more of ours than is given."""
    import subprocess

    if os.geteuid() == 0:
        more |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=more.pop("stdout", subprocess.PIPE),
        stderr=subprocess.STDOUT,
        env=CLEAN_ENVIRONMENT,
        umask=0o077,
        **more,
    )


def succeeds(user: struct_passwd, *command: str) -> bool:
    """Return whether a program, run as a user, ends with 0."""
    child = start_process(user, list(command), cwd="/")
    child.communicate()
    return child.returncode == 0


def can_enter(user: struct_passwd, path: Path) -> bool:
    """Try whether a user can go to a directory: mode bits don't tell of ACLs and mounts."""
    if os.geteuid() != 0:
        return True
    try:
        return succeeds(user, "/bin/sh", "-c", 'cd -- "$1"', "sh", str(path))
    except OSError as error:
        raise server_failure(
            f'root can\'t run a program as the user "{user.pw_name}" here: {error.strerror}',
            "give the container CAP_SETUID and CAP_SETGID, run chatdb as an ordinary user, "
            f"or {USE_ANOTHER_SERVER}",
        ) from error


def user_name(uid: int) -> str | None:
    """Return the name of a user, or None where it has none."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def processes_with_file_open(alive: Path) -> set[int] | None:
    """Give the processes, but for this one, that have a file open; None where nobody can tell."""
    processes = Path("/proc")
    if not (processes / "self" / "fd").is_dir():
        return None
    found = set()
    for process in processes.iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            with suppress(OSError):  # it has ended, or is another user's
                if any(link.samefile(alive) for link in (process / "fd").iterdir()):
                    found.add(int(process.name))
    return found


def try_lock(opened: int) -> bool:
    """Take the lock of an open file if it is free."""
    import fcntl

    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_within(seconds: float, opened: int) -> bool:
    """Acquire the lock of an open file, and return False when that takes too long."""
    deadline = time.monotonic() + seconds
    while not try_lock(opened):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
