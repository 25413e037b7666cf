"""File names: which files are migrations, and the version and name in a file name.

What does not belong here: what a file holds (`read.py`).
"""

from __future__ import annotations

import os
import re
from operator import attrgetter
from pathlib import Path
from unicodedata import normalize

from chatdb_cli.errors import ChatdbError, Code, Location

_STEM = re.compile(r"(?a:(\d+))(?:[_\-. ]+(.*))?", re.DOTALL)


def list_sql_files(directory: Path) -> list[os.DirEntry[str]]:
    """List the files that mean to be migrations; what an editor left behind is none."""
    try:
        with os.scandir(directory) as entries:
            found = [e for e in entries if e.name[-4:].lower() == ".sql" and e.name[0] != "."]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise file_error(directory, error, "read") from None
    return sorted(found, key=attrgetter("name"))


def file_error(path: Path, error: OSError, verb: str, code: Code = Code.BAD_FILE) -> ChatdbError:
    """Return the error of a file or folder that the system refuses."""
    import errno

    reason = (error.strerror or str(error)).lower()
    return ChatdbError(
        code,
        f"{path} can't be {verb}: {reason}",
        place=Location(path),
        errno=errno.errorcode.get(error.errno or 0),
        hint="look at the file and its permissions",
    )


def normalize_name(name: str) -> str:
    """Return a name in the one form of Unicode; file systems differ in the one that they keep."""
    return normalize("NFC", name)


def parse_file_name(file_name: str, path: str) -> tuple[str, str, str]:
    """Return a file's name without its suffix, and version and name in it."""
    stem = file_name[:-4]
    found = _STEM.fullmatch(stem)
    if not found:
        raise ChatdbError(
            Code.BAD_FILE,
            f"the file name {file_name!r} does not begin with a version and an underscore",
            place=Location(Path(path)),
            hint="name it like 0001_add_users.sql",
        )
    try:
        stem.encode()
    except UnicodeEncodeError:
        raise ChatdbError(
            Code.BAD_FILE,
            f"the file name {file_name!r} is not UTF-8",
            place=Location(Path(path).parent),
            hint="rename the file",
        ) from None
    return stem, found[1], found[2] or ""
