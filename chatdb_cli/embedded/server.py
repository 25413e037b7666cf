"""The embedded PostgreSQL of a project: made, started, stopped and removed in its `.chatdb` folder.

    home                the project's `.chatdb`
    ├── server.json     says that chatdb made this folder, and what of it had to go elsewhere
    ├── lock            held by the one chatdb that starts, stops or removes the server
    ├── .gitignore      nothing in here belongs in a repository
    └── (base)          home itself, or a directory elsewhere if the server's user can't enter home
        ├── data        made whole: initdb fills `data.new`, which is then renamed
        ├── run         the socket; in a directory elsewhere if its path would be too long
        ├── alive       locked by the server's processes: free means that the last one has ended
        └── log, hba.conf, ident.conf

The server listens on a Unix socket alone, and only the owner of home and root may log in.  It runs
as the owner of home; where that is root, which PostgreSQL refuses, as `postgres` or `nobody`.  The
data holds no path, so a project may be moved; a copy of a project never uses the original's server.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.embedded.failures import (
    USE_ANOTHER_SERVER,
    program_failure,
    server_failure,
    system_failures,
)
from chatdb_cli.embedded.process import (
    can_enter,
    lock_within,
    processes_with_file_open,
    start_process,
    try_lock,
    user_name,
)
from chatdb_cli.embedded.programs import (
    PROGRAMS,
    SHARED_FOLDER,
    can_run,
    candidate_folders,
    copy_programs,
    find_programs,
    major_version,
    make_shared_folder,
    matching_folders,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pwd import struct_passwd

    from chatdb_cli.errors import ChatdbError

_PORT = "5432"
_SOCKET = f".s.PGSQL.{_PORT}"
_SOCKET_BYTES = 103  # the longest path of a socket on the system with the least room (macOS)
_MARKER = "server.json"
_LOCK_SECONDS = 120.0
_START_SECONDS = 60.0  # a recovery after a crash takes its time
_LINGER_SECONDS = 5.0  # the children of a killed server end in well under a second
_STOP_SECONDS = 60.0
# What PG* variables would put into a connection otherwise.  The last ones came with libpq 16 to 18.
_PLAIN = {
    "hostaddr": "",
    "options": "",
    "sslmode": "disable",
    "sslrootcert": "",  # "system" forbids sslmode=disable
    "gssencmode": "disable",
    "channel_binding": "prefer",
    "requirepeer": "",
    "target_session_attrs": "any",
    "client_encoding": "UTF8",
    "require_auth": "",
    "load_balance_hosts": "disable",
    "sslcertmode": "disable",
    "sslnegotiation": "postgres",
    "min_protocol_version": "3.0",
    "max_protocol_version": "3.0",
}


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What there is of an embedded server.

    Attributes:
        home: the project's `.chatdb` folder.
        exists: a data directory has been made.
        running: it accepts connections.
        pid: of its first process, while it is running.
        version: PostgreSQL's major version that the data belongs to.
        data: the data directory; like the following, None where none has been made.
        socket_dir: where its socket is while it is running.
        log: what the server wrote; `log.old` beside it is that of the start before.
    """

    home: Path
    exists: bool
    running: bool
    pid: int | None
    version: str | None
    data: Path | None
    socket_dir: Path | None
    log: Path | None


class EmbeddedServer:
    """The embedded server of one project.

    Each method raises ChatdbError with Code.SERVER, and nothing else, when it can't do its work.

    Args:
        home: the project's `.chatdb` folder; it need not be there.
        programs: a directory with PostgreSQL's programs; by default one is found.
    """

    def __init__(self, home: Path, *, programs: Path | None = None) -> None:
        self.home = Path(os.path.realpath(home))
        self._given = programs and programs.absolute()

    @property
    def exists(self) -> bool:
        """Whether a data directory has been made."""
        try:
            return (self.home / _MARKER).exists() and (self._base() / "data").is_dir()
        except OSError:
            return False

    @property
    def programs(self) -> Path:
        """The directory of the programs to use: of the data's version, where there is data."""
        with system_failures("find the programs of PostgreSQL"):
            major = self._major()
            places = [self._given] if self._given else candidate_folders()
            for found in matching_folders(places, major):
                return found
        where = f'in "{self._given}"' if self._given else "on this machine"
        if major is None:
            raise server_failure(
                f"there are no PostgreSQL programs ({', '.join(PROGRAMS)}) that run {where}",
                f"install PostgreSQL (for example: apt install postgresql), or {USE_ANOTHER_SERVER}",
            )
        raise server_failure(
            f'the data in "{self._base() / "data"}" was made by PostgreSQL {major}, and there are '
            f"no programs of that version {where}",
            f'install PostgreSQL {major}, or lose the data with "chatdb server destroy"',
            notes=tuple(
                f"PostgreSQL {major_version(path)} is in {path}" for path in find_programs()
            ),
        )

    def start(self) -> bool:
        """Make the server if there is none, start it if it is stopped, and wait until it answers.

        Returns:
            True when it was not running before.
        """
        if sys.platform == "win32":
            raise server_failure("there is no embedded server on Windows", USE_ANOTHER_SERVER)
        with system_failures(f'start the embedded server in "{self.home}"'):
            if self._ping() == "OK":
                return False
            programs = self.programs  # before anything is written
            with self._locked(make=True):
                user = self._user()
                base = self._settle(user)
                alive = self._open(base / "alive", os.O_RDWR)
                try:
                    if not self._wait_for_the_last(alive):
                        return False
                    programs = self._usable(programs, user, base)
                    fresh = not (base / "data").is_dir()
                    if fresh:
                        self._make_data(user, programs, base, alive)
                    self._launch(user, programs, base, alive)
                    if fresh:
                        self._make_database()
                finally:
                    os.close(alive)  # the server's processes have it too, and with it the lock
        return True

    def stop(self) -> bool:
        """Shut the server down and keep its data; open sessions are ended.

        Returns:
            False when it was not running.
        """
        work = f'stop the embedded server in "{self.home}"'
        with system_failures(work), suppress(FileNotFoundError):  # "destroy" may come first
            if self.exists:
                with self._locked():
                    return self._stop()
        return False

    def status(self) -> ServerStatus:
        """Tell what there is; writes nothing."""
        with system_failures(f'look at the embedded server in "{self.home}"'):
            if not self.exists:
                return ServerStatus(self.home, False, False, None, None, None, None, None)
            running, base = self._ping() == "OK", self._base()
            return ServerStatus(
                home=self.home,
                exists=True,
                running=running,
                pid=self._pid() if running else None,
                version=self._major(),
                data=base / "data",
                socket_dir=self._run(),
                log=base / "log",
            )

    def params(self, database: str = "chat") -> dict[str, str]:
        """Give libpq's keywords for a connection, with those that disarm PG* variables.

        PGSERVICE alone has no keyword that turns it off: it has to leave the environment.
        """
        return _keywords(self._socket(), database)

    def url(self, database: str = "chat") -> str:
        """Give a URL for psql and other programs; it holds no password, because none is needed."""
        from urllib.parse import quote

        name, host = quote(database, safe=""), quote(os.fsencode(self._socket()))
        return f"postgresql://postgres@/{name}?host={host}&port={_PORT}"

    def destroy(self) -> None:
        """Stop the server and remove its data, with every row in it, and all else that is chatdb's.

        Files of others in home stay, and then home does too.
        """
        from shutil import rmtree

        with system_failures(f'remove the embedded server in "{self.home}"'):
            if not self.home.exists():
                return
            self._check_ours()
            with suppress(FileNotFoundError), self._locked():  # another "destroy" may come first
                self._stop()
                for data in {self._base() / "data", self.home / "data"}:
                    if data.exists():  # half removed, it must not count as data
                        rmtree(data.with_name("data.new"), ignore_errors=True)
                        data.rename(data.with_name("data.new"))
                ours = [self.home / name for name in ("data.new", "run", "programs")]
                for path in (*self._outsides().values(), *ours):
                    if path.exists():
                        rmtree(path)
                # The marker goes late: until then destroy can be called again.
                files = ("log", "log.old", "hba.conf", "ident.conf", "alive", ".gitignore", _MARKER)
                for name in files:
                    (self.home / f"{name}.new").unlink(missing_ok=True)
                    (self.home / name).unlink(missing_ok=True)
                (self.home / "lock").unlink()
            with suppress(OSError):  # it is not empty, or not in a place where we may remove
                self.home.rmdir()

    # ---- what there is

    def _outsides(self) -> dict[str, Path]:
        """Read from the marker which directories elsewhere (`base`, `sockets`) are this home's."""
        found = {kind: Path(path) for kind, path in _read_marker(self.home).items()}
        return {kind: path for kind, path in found.items() if self._owns(kind, path)}

    def _owns(self, kind: str, outside: Path) -> bool:
        try:
            made = outside.lstat()
            last = Path(os.fsdecode((outside / "home").read_bytes()))
        except OSError:
            return False  # it has vanished: a cleaned /tmp, a new container
        if not stat.S_ISDIR(made.st_mode) or made.st_uid != self.home.stat().st_uid:
            return False  # it has vanished, and somebody else took the name
        try:
            # The home that last used it: this one, or the one that this was moved or copied from.
            # After a move there is nothing where that one was; after a copy it is still there.
            return last.samefile(self.home) or _read_marker(last).get(kind) != str(outside)
        except OSError:
            return True

    def _base(self) -> Path:
        return self._outsides().get("base", self.home)

    def _run(self) -> Path:
        outsides = self._outsides()
        return outsides.get("sockets", outsides.get("base", self.home)) / "run"

    def _socket(self) -> Path:
        """Give the socket's directory of a server that has been made."""
        with system_failures(f'look at the embedded server in "{self.home}"'):
            if self.exists:
                self._check_owner()
                return self._run()
        hint = 'run "chatdb server start" to make one'
        raise server_failure(f'there is no embedded server in "{self.home}"', hint)

    def _major(self) -> str | None:
        if not self.exists:
            return None
        self._check_owner()
        return (self._base() / "data" / "PG_VERSION").read_text().strip()

    def _pid(self) -> int | None:
        try:
            return int((self._base() / "data" / "postmaster.pid").read_text().split("\n")[0])
        except (FileNotFoundError, ValueError):
            return None

    def _ping(self) -> str:
        """Ask the server: OK, REJECT (it is starting or stopping), or NO_RESPONSE."""
        try:
            self._check_owner()
            run = self._run()
        except FileNotFoundError:
            return "NO_RESPONSE"
        if not self.exists or not (run / _SOCKET).exists():
            return "NO_RESPONSE"  # and psycopg, which is slow to import, need not come
        from psycopg import pq
        from psycopg.conninfo import make_conninfo

        where = make_conninfo("", **_keywords(run, "postgres"), connect_timeout="5")
        answer = pq.Ping(pq.PGconn.ping(where.encode())).name
        if answer == "NO_ATTEMPT":
            raise server_failure(
                "libpq refuses to connect because of an environment variable",
                "unset PGSERVICE and the other PG* variables",
            )
        return answer

    # ---- what must be so

    def _check_owner(self) -> None:
        owner = self.home.stat().st_uid
        if os.geteuid() not in (0, owner):
            raise server_failure(
                f'the embedded server in "{self.home}" belongs to the user {user_name(owner) or owner}',
                f"run chatdb as that user, or {USE_ANOTHER_SERVER}",
            )

    def _check_ours(self) -> None:
        """Refuse a home that chatdb did not make; one that it began to make holds just its lock."""
        self._check_owner()
        if not self.home.is_dir():
            raise server_failure(
                f'"{self.home}" is not a directory', f"remove it, or {USE_ANOTHER_SERVER}"
            )
        names = {path.name for path in self.home.iterdir()}
        if _MARKER not in names and names - {"lock", f"{_MARKER}.new"}:
            raise server_failure(
                f'the folder "{self.home}" holds files and was not made by chatdb',
                "remove it yourself, or choose another folder with CHATDB_HOME",
            )

    # ---- making

    @contextmanager
    def _locked(self, *, make: bool = False) -> Iterator[None]:
        """Keep every other chatdb away from this server."""
        path, same = self.home / "lock", False
        while not same:  # else "destroy" removed the file while we waited
            if make:
                self._make_home()
            self._check_owner()
            held = self._open(path, os.O_RDWR)
            try:
                if not lock_within(_LOCK_SECONDS, held):
                    raise server_failure(
                        f'another chatdb has held "{path}" for {_LOCK_SECONDS:.0f} seconds',
                        "wait for it, or end it, and try again",
                    )
                with suppress(FileNotFoundError):
                    same = os.path.samestat(os.fstat(held), path.stat())
                if same:
                    yield
            finally:
                os.close(held)

    def _make_home(self) -> None:
        root = os.geteuid() == 0
        if not self.home.exists():
            with suppress(FileExistsError):
                self.home.mkdir(parents=True)
                self.home.chmod(0o711 if root else 0o700)  # root's server runs as another user
                project = self.home.parent.stat()
                if root and user_name(project.st_uid):
                    # Who owns the project owns its server, even if `sudo chatdb` came first.
                    os.chown(self.home, project.st_uid, project.st_gid)
        self._check_ours()

    def _user(self) -> struct_passwd:
        """Choose the user to run as: the owner of the data, else of home, else a powerless one."""
        import pwd

        owner = (self._base() / "data" if self.exists else self.home).stat().st_uid
        names = [user_name(owner)] if owner else ["postgres", "nobody"]
        for name in names:
            with suppress(KeyError):
                return pwd.getpwnam(name or "")
        if owner:
            what = f"the user id {owner} has no name on this machine, and PostgreSQL needs one"
        else:
            what = 'PostgreSQL refuses to run as root, and there is no user "postgres" or "nobody"'
        raise server_failure(
            what, f"run chatdb as a user that /etc/passwd knows, or {USE_ANOTHER_SERVER}"
        )

    def _settle(self, user: struct_passwd) -> Path:
        """Decide where everything is, write it down, and make the directories; return base."""
        import json

        kept = self._outsides()
        base = kept.get("base", self.home)
        if base == self.home and not can_enter(user, base):
            if self.exists:
                raise server_failure(
                    f'the user "{user.pw_name}", who owns the data, can\'t enter "{self.home}"',
                    "move the project back to where it was, or let that user pass through the "
                    "folders above it",
                )
            base = kept["base"] = self._make_outside(user, [SHARED_FOLDER, *_temporary()])
        if _fits(base / "run"):
            kept.pop("sockets", None)
        elif "sockets" not in kept:
            kept["sockets"] = self._make_outside(user, _temporary())
        self._write(self.home / _MARKER, json.dumps({k: str(v) for k, v in kept.items()}))
        self._write(self.home / ".gitignore", "*\n")
        for outside in kept.values():
            self._write(outside / "home", os.fsdecode(self.home))
        self._make_private(kept.get("sockets", base) / "run", user)
        return base

    def _make_outside(self, user: struct_passwd, parents: list[Path]) -> Path:
        """Make a directory elsewhere; no other clone ever has the same random name."""
        from tempfile import mkdtemp

        for parent in parents:
            with suppress(OSError):
                made = Path(mkdtemp(prefix="chatdb-", dir=make_shared_folder(parent)))
                made.chmod(0o711)
                if _fits(made / "run") and can_enter(user, made):
                    self._give(made)
                    return made
                made.rmdir()
        raise server_failure(
            f'there is no place for what the user "{user.pw_name}" can\'t have in "{self.home}"',
            f"make one of these usable for that user: {', '.join(map(str, parents))}",
        )

    def _make_private(self, path: Path, user: struct_passwd) -> None:
        with suppress(FileExistsError):
            path.mkdir()
        opened = os.open(path, os.O_DIRECTORY | os.O_NOFOLLOW)  # never through a planted link
        os.fchmod(opened, 0o700)
        if os.geteuid() == 0:
            os.fchown(opened, user.pw_uid, user.pw_gid)
        os.close(opened)

    def _make_data(self, user: struct_passwd, programs: Path, base: Path, alive: int) -> None:
        """Run initdb; if it is killed, or the machine is, nothing is left that counts as data."""
        from shutil import rmtree

        new = base / "data.new"
        if new.exists():
            rmtree(new)
        self._make_private(new, user)
        command = [str(programs / "initdb"), "-D", new.name, "-U", "postgres", "-E", "UTF8"]
        command += ["--auth-local=peer", "--auth-host=reject", "--no-instructions"]
        if int(major_version(programs) or 0) >= 17:
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        for locale in ("C.UTF-8", "C"):  # not every system has the first
            # Should we be killed, the next chatdb waits for initdb's end: it has `alive`.
            child = start_process(
                user, [*command, f"--locale={locale}"], cwd=base, pass_fds=[alive]
            )
            said = child.communicate()[0].decode(errors="replace")
            if child.returncode == 0:
                new.rename(base / "data")
                return
            if "invalid locale" not in said:
                break
        rmtree(new, ignore_errors=True)
        raise program_failure(f'initdb could not make the data directory "{base / "data"}"', said)

    # ---- starting and stopping

    def _make_database(self) -> None:
        """Make the database that `url` and `params` name."""
        import psycopg

        try:
            with psycopg.connect(**self.params("postgres"), autocommit=True) as conn:  # type: ignore[arg-type]
                conn.execute("CREATE DATABASE chat")
        except psycopg.Error as error:
            raise server_failure(
                f"the database of the embedded server can't be made: {error}",
                'look at the log, then run "chatdb setup"',
            ) from None

    def _wait_for_the_last(self, alive: int) -> bool:
        """Wait for the end of an earlier server's processes; False when it answers after all."""
        began = time.monotonic()
        while not try_lock(alive):
            answer, passed = self._ping(), time.monotonic() - began
            if answer == "OK":
                return False
            if answer == "REJECT" and passed > _START_SECONDS:
                raise self._log_says(f"is still not ready after {_START_SECONDS:.0f} seconds")
            if answer != "REJECT" and passed > _LINGER_SECONDS:  # its socket was removed, say
                self._shut_down(alive)
                return True
            time.sleep(0.05)
        return True

    def _launch(self, user: struct_passwd, programs: Path, base: Path, alive: int) -> None:
        """Start `postgres` itself: pg_ctl would send paths with a `$` or `"` through a shell."""
        run = self._run()
        # Nobody who wrote these is alive.  PostgreSQL would believe a process that got the pid.
        (base / "data" / "postmaster.pid").unlink(missing_ok=True)
        (run / f"{_SOCKET}.lock").unlink(missing_ok=True)
        users = {user_name(0), user_name(self.home.stat().st_uid)} - {None}
        self._write(base / "hba.conf", "local all all peer map=chatdb\n")
        self._write(base / "ident.conf", "".join(f'chatdb "{u}" postgres\n' for u in users))
        settings = {
            "listen_addresses": "",
            "port": _PORT,
            "unix_socket_directories": '"' + str(run).replace('"', '""') + '"',
            "unix_socket_permissions": "0700",
            "hba_file": "hba.conf",
            "ident_file": "ident.conf",
        }
        command = [str(programs / "postgres"), "-D", "data"]
        command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with suppress(FileNotFoundError):
            (base / "log").replace(base / "log.old")
        log = self._open(base / "log", os.O_WRONLY | os.O_APPEND)
        try:
            # A session of its own: Ctrl-C on our terminal is not meant for the server.
            child = start_process(
                user, command, cwd=base, stdout=log, pass_fds=[alive], start_new_session=True
            )
        finally:
            os.close(log)
        deadline = time.monotonic() + _START_SECONDS
        try:
            while self._ping() != "OK":
                if child.poll() is not None:
                    raise self._log_says("did not start")
                if time.monotonic() > deadline:
                    raise self._log_says(f"is not ready after {_START_SECONDS:.0f} seconds")
                time.sleep(0.02)
        finally:
            child.returncode = child.returncode or 0  # it outlives us: that is no ResourceWarning

    def _log_says(self, what: str) -> ChatdbError:
        log = self._base() / "log"
        said = log.read_bytes()[-8192:].decode(errors="replace") if log.exists() else ""
        return program_failure(f'the embedded server {what}; its log is "{log}"', said)

    def _stop(self) -> bool:
        path = self._base() / "alive"
        if not path.exists():
            return False
        alive = self._open(path, os.O_RDWR)
        try:
            return not try_lock(alive) and self._shut_down(alive)
        finally:
            os.close(alive)

    def _shut_down(self, alive: int) -> bool:
        """Ask for a fast shutdown and wait for the end of the last process."""
        import signal

        pid = self._pid()
        left = processes_with_file_open(self._base() / "alive")
        if pid and (left is None or pid in left):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
        else:
            # Children of a killed server can wait for ever for a lock that died with one of them.
            for orphan in left or ():
                with suppress(ProcessLookupError):
                    os.kill(orphan, signal.SIGKILL)
        if not lock_within(_STOP_SECONDS, alive):
            raise self._log_says(f"is not down after {_STOP_SECONDS:.0f} seconds")
        if pid:
            with suppress(ChildProcessError):  # it may be our own child, and now a zombie
                os.waitpid(pid, os.WNOHANG)
        return True

    def _usable(self, programs: Path, user: struct_passwd, base: Path) -> Path:
        """Give programs that the user can run: a copy, if they are where only root can go."""
        if can_run(user, programs):
            return programs
        for store in (SHARED_FOLDER, base):
            with suppress(OSError):
                copy = copy_programs(programs, make_shared_folder(store) / "programs")
                if can_run(user, copy):
                    return copy
        raise server_failure(
            f'the user "{user.pw_name}" can\'t run the PostgreSQL programs in "{programs}"',
            f"install PostgreSQL where every user can run it, or {USE_ANOTHER_SERVER}",
        )

    # ---- files; root gives those that it makes in another's home to him

    def _give(self, path: Path | int) -> None:
        if os.geteuid() == 0:
            owner = self.home.stat()
            os.chown(path, owner.st_uid, owner.st_gid)

    def _open(self, path: Path, flags: int) -> int:
        opened = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        self._give(opened)
        return opened

    def _write(self, path: Path, content: str) -> None:
        """Write a file that everyone may read, so that it is there whole or not at all."""
        new = path.with_name(f"{path.name}.new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            os.fchmod(file.fileno(), 0o644)
            self._give(file.fileno())
            file.write(os.fsencode(content))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)


def _read_marker(home: Path) -> dict[str, str]:
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


def _temporary() -> list[Path]:
    from tempfile import gettempdir

    return [Path(gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108


def _fits(run: Path) -> bool:
    """Tell whether libpq can be given a socket in this directory."""
    try:
        path = str(run / _SOCKET).encode()
    except UnicodeEncodeError:  # not UTF-8, and psycopg takes nothing else
        return False
    return len(path) <= _SOCKET_BYTES and b"," not in path  # a comma separates hosts


def _keywords(run: Path, database: str) -> dict[str, str]:
    from psycopg import pq

    from chatdb_cli.settings.libpq import forget_service

    forget_service()
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    place = {"host": str(run), "port": _PORT, "user": "postgres", "dbname": database}
    return place | {word: value for word, value in _PLAIN.items() if word in known}
