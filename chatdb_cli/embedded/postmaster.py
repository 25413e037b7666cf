"""The processes of the embedded server: starting `postgres`, waiting for it, shutting it down.

What does not belong here: the order of the steps of a start (`server.py`), its files (`home.py`).
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from chatdb_cli.embedded import unix_socket
from chatdb_cli.embedded.failures import program_failure
from chatdb_cli.embedded.process import (
    lock_within,
    processes_with_file_open,
    start_process,
    try_lock,
    user_name,
)
from chatdb_cli.embedded.unix_socket import PORT, SOCKET_NAME, SUPERUSER
from chatdb_cli.syntax.identifiers import quote_identifier

if TYPE_CHECKING:
    from pathlib import Path
    from pwd import struct_passwd

    from chatdb_cli.embedded.home import Home
    from chatdb_cli.embedded.unix_socket import Answer
    from chatdb_cli.errors import ChatdbError

_START_SECONDS = 60.0  # recovery after a crash takes some time
_ORPHAN_SECONDS = 5.0  # the children of a killed server end in well under a second
_STOP_SECONDS = 60.0


def ping_server(home: Home) -> Answer:
    """Ask whether the server of a home answers: OK, REJECT while it starts or stops, NO_RESPONSE."""
    try:
        home.check_owner()
        directory = home.socket_folder()
    except FileNotFoundError:
        return "NO_RESPONSE"
    return unix_socket.ping(directory) if home.has_data() else "NO_RESPONSE"


def wait_for_previous(home: Home, alive: int) -> bool:
    """Wait until the processes of an earlier start have ended.

    Args:
        home: the home of the server, locked.
        alive: the open `alive` file.

    Returns:
        False when the earlier server answers, so that there is nothing to start.
    """
    begin = time.monotonic()
    while not try_lock(alive):
        answer, seconds = ping_server(home), time.monotonic() - begin
        if answer == "OK":
            return False
        if answer == "REJECT" and seconds > _START_SECONDS:
            raise _log_failure(home, f"is still not ready after {_START_SECONDS:.0f} seconds")
        if answer != "REJECT" and seconds > _ORPHAN_SECONDS:  # such as when its socket was removed
            shut_down(home, alive)
            return True
        time.sleep(0.05)
    return True


def launch(home: Home, user: struct_passwd, programs: Path, alive: int) -> None:
    """Start `postgres` and wait until it answers.

    It is started without pg_ctl, which would send paths with a `$` or `"` through a shell.

    Args:
        home: the home of the server, locked and prepared.
        user: the user that the server runs as.
        programs: the directory of `postgres`.
        alive: the open `alive` file, which the server inherits.

    Raises:
        ChatdbError: SERVER, it has ended, or is not ready in time.
    """
    base = home.base()
    command = [str(programs / "postgres"), "-D", "data"]
    for name, value in _write_configuration(home, base).items():
        command += ["-c", f"{name}={value}"]
    with suppress(FileNotFoundError):
        (base / "log").replace(base / "log.old")
    log = home.open_file(base / "log", os.O_WRONLY | os.O_APPEND)
    try:
        # In a session of its own, so that Ctrl-C on our terminal does not reach the server.
        child = start_process(
            user, command, cwd=base, stdout=log, pass_fds=[alive], start_new_session=True
        )
    finally:
        os.close(log)
    deadline = time.monotonic() + _START_SECONDS
    try:
        while ping_server(home) != "OK":
            if child.poll() is not None:
                raise _log_failure(home, "did not start")
            if time.monotonic() > deadline:
                raise _log_failure(home, f"is not ready after {_START_SECONDS:.0f} seconds")
            time.sleep(0.02)
    finally:
        child.returncode = child.returncode or 0  # it outlives this process: no ResourceWarning


def _write_configuration(home: Home, base: Path) -> dict[str, str]:
    """Remove stale pid files, write the login rules, and return the parameters of the server."""
    directory = home.socket_folder()
    # Their writers have ended.  PostgreSQL would trust an unrelated process that now has the pid.
    (base / "data" / "postmaster.pid").unlink(missing_ok=True)
    (directory / f"{SOCKET_NAME}.lock").unlink(missing_ok=True)
    users = {user_name(0), user_name(home.path.stat().st_uid)} - {None}
    lines = (f'chatdb "{user}" {SUPERUSER}\n' for user in users)
    home.write_file(base / "hba.conf", "local all all peer map=chatdb\n")
    home.write_file(base / "ident.conf", "".join(lines))
    return {
        "listen_addresses": "",
        "port": PORT,
        "unix_socket_directories": quote_identifier(str(directory)),
        "unix_socket_permissions": "0700",
        "hba_file": "hba.conf",
        "ident_file": "ident.conf",
    }


def stop(home: Home) -> bool:
    """Shut the server down, if it is running.

    Args:
        home: the home of the server, locked.

    Returns:
        False when it was not running.
    """
    path = home.base() / "alive"
    if not path.exists():
        return False
    alive = home.open_file(path, os.O_RDWR)
    try:
        if try_lock(alive):
            return False
        shut_down(home, alive)
        return True
    finally:
        os.close(alive)


def shut_down(home: Home, alive: int) -> None:
    """Request a fast shutdown and wait until the last process has ended.

    Args:
        home: the home of the server, locked.
        alive: the open `alive` file, locked by the server's processes.

    Raises:
        ChatdbError: SERVER, it is not down in time.
    """
    import signal

    pid = home.postmaster_pid()
    processes = processes_with_file_open(home.base() / "alive")
    if pid and (processes is None or pid in processes):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
    else:
        # Children of a killed postmaster can wait for ever for a lock that one of them still holds.
        for orphan in processes or ():
            with suppress(ProcessLookupError):
                os.kill(orphan, signal.SIGKILL)
    if not lock_within(_STOP_SECONDS, alive):
        raise _log_failure(home, f"is not down after {_STOP_SECONDS:.0f} seconds")
    if pid:
        with suppress(ChildProcessError):  # it may be a child of this process, and now a zombie
            os.waitpid(pid, os.WNOHANG)


def _log_failure(home: Home, reason: str) -> ChatdbError:
    """Return the error of a server that failed, with the last lines of its log."""
    log = home.base() / "log"
    output = log.read_bytes()[-8192:].decode(errors="replace") if log.exists() else ""
    return program_failure(f'the embedded server {reason}; its log is "{log}"', output)
