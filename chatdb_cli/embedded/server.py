"""The embedded PostgreSQL of a project: start, stop, status, destroy; the public face of this package.

The server listens on a Unix socket only, and only the owner of its home and root may log in.  It runs
as the owner of the home; if that is root, as `postgres` or `nobody`, because PostgreSQL refuses root.
What does not belong here: how each step is done (`home.py`, `cluster.py`, `postmaster.py`).
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from chatdb_cli.embedded.cluster import create_data_directory, create_database, require_role
from chatdb_cli.embedded.failures import USE_ANOTHER_SERVER, server_failure, system_failures
from chatdb_cli.embedded.home import Home
from chatdb_cli.embedded.model import ServerStatus
from chatdb_cli.embedded.postmaster import launch, ping_server, stop, wait_for_previous
from chatdb_cli.embedded.programs import (
    PROGRAMS,
    candidate_folders,
    find_programs,
    major_version,
    matching_folders,
    usable_programs,
)
from chatdb_cli.embedded.unix_socket import PORT, SUPERUSER, connection_keywords
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from pathlib import Path


class EmbeddedServer:
    """The embedded server of one project.

    Each method raises ChatdbError with Code.SERVER, and nothing else, when it fails.

    Args:
        home: the project's `.chatdb` folder; it need not exist.
        programs: a directory with PostgreSQL's programs; by default one is searched for.
    """

    def __init__(self, home: Path, *, programs: Path | None = None) -> None:
        self._home = Home(home)
        self.home = self._home.path
        self._programs = programs and programs.absolute()

    @property
    def exists(self) -> bool:
        """Whether a data directory has been created."""
        return self._home.has_data()

    @property
    def programs(self) -> Path:
        """The directory of the programs to use: of the data's version, if data exists."""
        with system_failures("find the programs of PostgreSQL"):
            major = self._home.major_version()
            folders = [self._programs] if self._programs else candidate_folders()
            for folder in matching_folders(folders, major):
                return folder
        where = f'in "{self._programs}"' if self._programs else "on this machine"
        if major is None:
            raise server_failure(
                f"there are no PostgreSQL programs ({', '.join(PROGRAMS)}) that run {where}",
                f"install PostgreSQL (for example: apt install postgresql), or {USE_ANOTHER_SERVER}",
            )
        raise server_failure(
            f'the data in "{self._home.data()}" was created by PostgreSQL {major}, and there are '
            f"no programs of that version {where}",
            Advice(
                "install PostgreSQL {major}, or remove the data with {server_destroy}", major=major
            ),
            notes=tuple(
                f"PostgreSQL {major_version(path)} is in {path}" for path in find_programs()
            ),
        )

    def start(self) -> bool:
        """Start the server and wait until it answers; create it first, if it does not exist.

        Returns:
            True when it was not running before.
        """
        if sys.platform == "win32":
            raise server_failure("there is no embedded server on Windows", USE_ANOTHER_SERVER)
        home = self._home
        with system_failures(f'start the embedded server in "{self.home}"'):
            if ping_server(home) == "OK":
                return False
            programs = self.programs  # before anything is written
            with home.locked(create=True):
                user = home.server_user()
                home.prepare(user)
                alive = home.open_file(home.base() / "alive", os.O_RDWR)
                try:
                    if not wait_for_previous(home, alive):
                        return False
                    programs = usable_programs(programs, user, home.base())
                    is_new = not home.data().is_dir()
                    if is_new:
                        create_data_directory(home, user, programs, alive)
                    launch(home, user, programs, alive)
                    if is_new:
                        create_database(home.database(), self.params(SUPERUSER))
                finally:
                    os.close(alive)  # the server's processes keep it open, and with it the lock
        return True

    def stop(self) -> bool:
        """Shut the server down and keep its data; open sessions end.

        Returns:
            False when it was not running.
        """
        action = f'stop the embedded server in "{self.home}"'
        with system_failures(action), suppress(FileNotFoundError):  # a concurrent "destroy"
            if self.exists:
                with self._home.locked():
                    return stop(self._home)
        return False

    def status(self) -> ServerStatus:
        """Return the state of the server; writes nothing."""
        home = self._home
        with system_failures(f'read the state of the embedded server in "{self.home}"'):
            if not self.exists:
                return ServerStatus(self.home, False, False, None, None, None, None, None)
            running = ping_server(home) == "OK"
            return ServerStatus(
                home=self.home,
                exists=True,
                running=running,
                pid=home.postmaster_pid() if running else None,
                version=home.major_version(),
                data=home.data(),
                socket_dir=home.socket_folder(),
                log=home.base() / "log",
            )

    @property
    def database(self) -> str:
        """The name of its database: that of the project's folder when the server was created."""
        with system_failures(f'read the state of the embedded server in "{self.home}"'):
            return self._home.database()

    def params(self, database: str | None = None) -> dict[str, str]:
        """Return libpq's keywords for a connection, including some that override PG* variables.

        No keyword overrides PGSERVICE: this removes it from the environment of the process.
        """
        return connection_keywords(self._socket_folder(), database or self.database)

    def url(self, database: str | None = None, *, role: str | None = None) -> str:
        """Return a URL for psql and other programs; it holds no password, because none is needed.

        Args:
            database: the name of the database; by default that of the project.
            role: a role that sessions act as from their start, as after SET ROLE: with its rights alone
                and under its row-level security.  It needs no right to log in.

        Raises:
            ChatdbError: SERVER, there is no server; or it is not running, or has no such role.
        """
        from urllib.parse import quote

        name = quote(database or self.database, safe="")
        host = quote(os.fsencode(self._socket_folder()))
        url = f"postgresql://{SUPERUSER}@/{name}?host={host}&port={PORT}"
        return url if role is None else f"{url}&options={quote(self.options(role), safe='')}"

    def options(self, role: str) -> str:
        """Return libpq's `options`, with which sessions act as a role from their start.

        Args:
            role: as for `url`.

        Raises:
            ChatdbError: SERVER, the server is not running, or has no such role.
        """
        require_role(self.params(SUPERUSER), role)
        escaped = re.sub(r"([\\\s])", r"\\\1", role)
        return f"-c role={escaped}"

    def destroy(self) -> None:
        """Stop the server and remove its data, with every row in it, and chatdb's other files.

        A file in home that chatdb did not create stays, and home with it.
        """
        home = self._home
        with system_failures(f'remove the embedded server in "{self.home}"'):
            if not self.home.exists():
                return
            home.check_created_by_chatdb()
            with suppress(FileNotFoundError), home.locked():  # a concurrent "destroy" may be first
                stop(home)
                home.remove_files()
            with suppress(OSError):  # it is not empty, or may not be removed
                self.home.rmdir()

    def _socket_folder(self) -> Path:
        """Return the directory of the socket, or raise if no server exists."""
        with system_failures(f'read the state of the embedded server in "{self.home}"'):
            if self.exists:
                self._home.check_owner()
                return self._home.socket_folder()
        hint = Advice("run {server_start} to create one")
        raise server_failure(f'there is no embedded server in "{self.home}"', hint)
