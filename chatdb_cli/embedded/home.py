"""The home of an embedded server: the files of `.chatdb`, who owns them, and the lock on them.

    home                the project's `.chatdb`
    ├── server.json     the marker: chatdb created this folder; it names directories outside of home,
    │                   and the database
    ├── lock            locked by the one chatdb that starts, stops or removes the server
    ├── .gitignore      keeps all of this out of a repository
    └── (base)          home itself, or a directory outside if the server's user can't enter home
        ├── data        complete: initdb fills `data.new`, which is then renamed
        ├── run         the socket; in a directory outside if its path would be too long
        ├── alive       locked by the server's processes until the last one has ended
        └── log, hba.conf, ident.conf

The data directory holds no path, so a project may be moved.  A copy of a project never uses the server
of the original.  What does not belong here: what the files hold (`cluster.py`, `postmaster.py`).
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.embedded.failures import USE_ANOTHER_SERVER, server_failure
from chatdb_cli.embedded.process import can_enter, lock_within, user_name
from chatdb_cli.embedded.programs import SHARED_FOLDER, create_shared_folder
from chatdb_cli.embedded.unix_socket import fits_socket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pwd import struct_passwd

_MARKER = "server.json"
_LOCK_SECONDS = 120.0
# PostgreSQL cuts longer names.
_LONGEST_NAME = 63
_FILES = ("log", "log.old", "hba.conf", "ident.conf", "alive", ".gitignore")


class Home:
    """The home of one embedded server.

    Methods raise ChatdbError with Code.SERVER where a rule of this module is broken, and OSError where
    the operating system refuses.

    Args:
        path: the project's `.chatdb` folder; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.realpath(path))

    # ---- the layout

    def has_data(self) -> bool:
        """Return whether a data directory has been created."""
        try:
            return (self.path / _MARKER).exists() and self.data().is_dir()
        except OSError:
            return False

    def base(self) -> Path:
        """Return the directory that holds data, log and `alive`."""
        return self._outside_folders().get("base", self.path)

    def data(self) -> Path:
        """Return the data directory."""
        return self.base() / "data"

    def socket_folder(self) -> Path:
        """Return the directory of the socket."""
        outside = self._outside_folders()
        return outside.get("sockets", outside.get("base", self.path)) / "run"

    def database(self) -> str:
        """Return the name of the database: that of the project's folder when it was created."""
        return _read_marker(self.path).get("database") or database_name(self.path.parent.name)

    def major_version(self) -> str | None:
        """Return the major version of PostgreSQL that the data belongs to, or None without data."""
        if not self.has_data():
            return None
        self.check_owner()
        return (self.data() / "PG_VERSION").read_text().strip()

    def postmaster_pid(self) -> int | None:
        """Return the process id in `postmaster.pid`, or None where that file names none."""
        try:
            return int((self.data() / "postmaster.pid").read_text().split("\n")[0])
        except (FileNotFoundError, ValueError):
            return None

    def _outside_folders(self) -> dict[str, Path]:
        """Read from the marker which directories outside (`base`, `sockets`) belong to this home."""
        marker = _read_marker(self.path)
        folders = {kind: Path(marker[kind]) for kind in ("base", "sockets") if kind in marker}
        return {kind: path for kind, path in folders.items() if self._owns(kind, path)}

    def _owns(self, kind: str, outside: Path) -> bool:
        """Return whether a directory outside exists and belongs to this home."""
        try:
            status = outside.lstat()
            last_home = Path(os.fsdecode((outside / "home").read_bytes()))
        except OSError:
            return False  # it has vanished: a cleaned /tmp, a new container
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != self.path.stat().st_uid:
            return False  # it has vanished, and another user has created one of the same name
        try:
            # `last_home` last used it: this home, or the one that this was moved or copied from.
            # After a move nothing is left at that path; after a copy the original is still there.
            return last_home.samefile(self.path) or _read_marker(last_home).get(kind) != str(
                outside
            )
        except OSError:
            return True

    # ---- ownership

    def check_owner(self) -> None:
        """Refuse a home of another user; root may use every home."""
        owner = self.path.stat().st_uid
        if os.geteuid() not in (0, owner):
            name = user_name(owner) or owner
            raise server_failure(
                f'the embedded server in "{self.path}" belongs to the user {name}',
                f"run chatdb as that user, or {USE_ANOTHER_SERVER}",
            )

    def check_created_by_chatdb(self) -> None:
        """Refuse a folder that chatdb did not create; one half created may hold a lock alone."""
        self.check_owner()
        if not self.path.is_dir():
            raise server_failure(
                f'"{self.path}" is not a directory', f"remove it, or {USE_ANOTHER_SERVER}"
            )
        names = {path.name for path in self.path.iterdir()}
        if _MARKER not in names and names - {"lock", f"{_MARKER}.new"}:
            raise server_failure(
                f'the folder "{self.path}" holds files and was not created by chatdb',
                "remove it yourself, or choose another folder with CHATDB_HOME",
            )

    def server_user(self) -> struct_passwd:
        """Return the user that the server runs as: the owner of data or home, never root."""
        import pwd

        owner = (self.data() if self.has_data() else self.path).stat().st_uid
        names = [user_name(owner)] if owner else ["postgres", "nobody"]
        for name in names:
            with suppress(KeyError):
                return pwd.getpwnam(name or "")
        if owner:
            reason = f"the user id {owner} has no name on this machine, and PostgreSQL needs one"
        else:
            reason = (
                'PostgreSQL refuses to run as root, and there is no user "postgres" or "nobody"'
            )
        raise server_failure(
            reason, f"run chatdb as a user that /etc/passwd lists, or {USE_ANOTHER_SERVER}"
        )

    # ---- the lock

    @contextmanager
    def locked(self, *, create: bool = False) -> Iterator[None]:
        """Hold the lock of home, so that no other chatdb starts, stops or removes the server.

        Args:
            create: create home first, if it is missing.
        """
        path, same = self.path / "lock", False
        while not same:  # else "destroy" has removed the file during the wait
            if create:
                self._create()
            self.check_owner()
            descriptor = self.open_file(path, os.O_RDWR)
            try:
                if not lock_within(_LOCK_SECONDS, descriptor):
                    raise server_failure(
                        f'another chatdb has held "{path}" for {_LOCK_SECONDS:.0f} seconds',
                        "wait for it, or end it, and try again",
                    )
                with suppress(FileNotFoundError):
                    same = os.path.samestat(os.fstat(descriptor), path.stat())
                if same:
                    yield
            finally:
                os.close(descriptor)

    # ---- creating and removing

    def _create(self) -> None:
        """Create the folder, if it is missing, and refuse one that chatdb did not create."""
        is_root = os.geteuid() == 0
        if not self.path.exists():
            with suppress(FileExistsError):
                self.path.mkdir(parents=True)
                self.path.chmod(0o711 if is_root else 0o700)  # root's server runs as another user
                project = self.path.parent.stat()
                if is_root and user_name(project.st_uid):
                    # The owner of the project owns its server, even if `sudo chatdb` ran first.
                    os.chown(self.path, project.st_uid, project.st_gid)
        self.check_created_by_chatdb()

    def prepare(self, user: struct_passwd) -> None:
        """Choose the directories for data and socket, create them and write the marker.

        Args:
            user: the user that the server runs as.
        """
        import json

        outside = self._outside_folders()
        base = outside.get("base", self.path)
        if base == self.path and not can_enter(user, base):
            if self.has_data():
                raise server_failure(
                    f'the user "{user.pw_name}", who owns the data, can\'t enter "{self.path}"',
                    "move the project back, or give that user the permission to enter the "
                    "folders above it",
                )
            base = outside["base"] = self._create_outside_folder(
                user, [SHARED_FOLDER, *_temporary_folders()]
            )
        if fits_socket(base / "run"):
            outside.pop("sockets", None)
        elif "sockets" not in outside:
            outside["sockets"] = self._create_outside_folder(user, _temporary_folders())
        marker = {kind: str(path) for kind, path in outside.items()} | {"database": self.database()}
        self.write_file(self.path / _MARKER, json.dumps(marker))
        self.write_file(self.path / ".gitignore", "*\n")
        for folder in outside.values():
            self.write_file(folder / "home", os.fsdecode(self.path))
        self.create_private_folder(outside.get("sockets", base) / "run", user)

    def _create_outside_folder(self, user: struct_passwd, parents: list[Path]) -> Path:
        """Create a directory outside of home, with a random name that no other clone uses."""
        from tempfile import mkdtemp

        for parent in parents:
            with suppress(OSError):
                folder = Path(mkdtemp(prefix="chatdb-", dir=create_shared_folder(parent)))
                folder.chmod(0o711)
                if fits_socket(folder / "run") and can_enter(user, folder):
                    self._set_owner(folder)
                    return folder
                folder.rmdir()
        raise server_failure(
            f'files of the server can\'t be in "{self.path}", and there is no other directory that the '
            f'user "{user.pw_name}" can use',
            f"make one of these usable for that user: {', '.join(map(str, parents))}",
        )

    def create_private_folder(self, path: Path, user: struct_passwd) -> None:
        """Create a directory that only the server's user may enter."""
        with suppress(FileExistsError):
            path.mkdir()
        descriptor = os.open(path, os.O_DIRECTORY | os.O_NOFOLLOW)  # never through a planted link
        os.fchmod(descriptor, 0o700)
        if os.geteuid() == 0:
            os.fchown(descriptor, user.pw_uid, user.pw_gid)
        os.close(descriptor)

    def remove_files(self) -> None:
        """Remove every file that chatdb created here; the caller holds the lock.

        The data is renamed first: half removed, it must not count as data.  The marker goes late: until
        then the removal can be repeated.
        """
        from shutil import rmtree

        for data in {self.data(), self.path / "data"}:
            if data.exists():
                rmtree(data.with_name("data.new"), ignore_errors=True)
                data.rename(data.with_name("data.new"))
        folders = [self.path / name for name in ("data.new", "run", "programs")]
        for path in (*self._outside_folders().values(), *folders):
            if path.exists():
                rmtree(path)
        for name in (*_FILES, _MARKER):
            (self.path / f"{name}.new").unlink(missing_ok=True)
            (self.path / name).unlink(missing_ok=True)
        (self.path / "lock").unlink()

    # ---- files; those that root creates in the home of another user belong to that user

    def open_file(self, path: Path, flags: int) -> int:
        """Open a file of home, created if it is missing; return its descriptor."""
        descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        self._set_owner(descriptor)
        return descriptor

    def write_file(self, path: Path, content: str) -> None:
        """Write a file that every user may read; a reader sees all of it or nothing."""
        new = path.with_name(f"{path.name}.new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            os.fchmod(file.fileno(), 0o644)
            self._set_owner(file.fileno())
            file.write(os.fsencode(content))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)

    def _set_owner(self, path: Path | int) -> None:
        """Give a file that root created to the owner of home."""
        if os.geteuid() == 0:
            owner = self.path.stat()
            os.chown(path, owner.st_uid, owner.st_gid)


def database_name(folder: str) -> str:
    """Return the name of the database for a folder: lower case, digits and underscores."""
    name = re.sub(r"[^a-z0-9_]+", "_", folder.lower()).strip("_")[:_LONGEST_NAME] or "project"
    return f"{name}_db" if name in ("postgres", "template0", "template1") else name


def _read_marker(home: Path) -> dict[str, str]:
    """Return what the marker of a home names: directories outside, by their kind, and the database."""
    import json

    marker = home / _MARKER
    try:
        content: dict[str, str] = json.loads(marker.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        hint = f'remove "{home}" with the data in it, or restore that file'
        raise server_failure(f'"{marker}" is damaged: {error}', hint) from error
    return content


def _temporary_folders() -> list[Path]:
    from tempfile import gettempdir

    return [Path(gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108
