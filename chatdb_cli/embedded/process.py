"""Programs run as the server's user, names of users, and locks on files.

What does not belong here: where the server's files are (`home.py`), `postgres` itself (`postmaster.py`).
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

# A child gets none of our environment: PGDATA, PGPORT or PGOPTIONS would change its behavior.
CLEAN_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}


def start_process(user: struct_passwd, command: list[str], **more: Any) -> Popen[bytes]:
    """Start a program as the server's user, in an environment of its own.

    Args:
        user: the user to run as; only root can change to another.
        command: the program and its arguments.
        more: further arguments of `subprocess.Popen`.

    Returns:
        The process; its output is one stream with its errors.
    """
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
    """Run a program as a user, and return whether it exits with 0."""
    child = start_process(user, list(command), cwd="/")
    child.communicate()
    return child.returncode == 0


def can_enter(user: struct_passwd, path: Path) -> bool:
    """Return whether a user can enter a directory.

    This tries it, because mode bits do not show ACLs and mounts.

    Raises:
        ChatdbError: SERVER, root lacks the permission to change users.
    """
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
    """Return the name of a user id, or None if it has no name."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def processes_with_file_open(path: Path) -> set[int] | None:
    """Return the other processes that have a file open, or None on a system without /proc."""
    proc = Path("/proc")
    if not (proc / "self" / "fd").is_dir():
        return None
    pids = set()
    for process in proc.iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            with suppress(OSError):  # it has ended, or belongs to another user
                if any(link.samefile(path) for link in (process / "fd").iterdir()):
                    pids.add(int(process.name))
    return pids


def try_lock(descriptor: int) -> bool:
    """Acquire the lock of an open file if it is free, and return whether it was."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_within(seconds: float, descriptor: int) -> bool:
    """Acquire the lock of an open file, and return False if that takes longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while not try_lock(descriptor):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
