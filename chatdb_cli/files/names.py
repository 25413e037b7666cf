"""File names: which files are migrations, and their versions and names.

What does not belong here: the content of a file (`read.py`).
"""

from __future__ import annotations

import os
import re
from operator import attrgetter
from pathlib import Path
from unicodedata import normalize

from chatdb_cli.errors import ChatdbError, Code, Location, errno_name

_STEM = re.compile(r"(?a:(\d+))(?:[_\-. ]+(.*))?", re.DOTALL)


def list_sql_files(directory: Path) -> list[os.DirEntry[str]]:
    """List the SQL files of a directory, sorted by name; hidden and backup files of editors are skipped.

    Raises:
        ChatdbError: `BAD_FILE`, the directory can't be read; a missing one is empty.
    """
    try:
        with os.scandir(directory) as entries:
            files = [e for e in entries if e.name[-4:].lower() == ".sql" and e.name[0] != "."]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise file_error(directory, error, "read") from None
    return sorted(files, key=attrgetter("name"))


def file_error(path: Path, error: OSError, verb: str, code: Code = Code.BAD_FILE) -> ChatdbError:
    """Return the error of a file or folder that the operating system refuses.

    Args:
        path: the file or folder.
        error: the error of the operating system.
        verb: what can't be done to it: `read`, `written`, `created`.
        code: the code of the error.
    """
    reason = (error.strerror or str(error)).lower()
    return ChatdbError(
        code,
        f"{path} can't be {verb}: {reason}",
        place=Location(path),
        errno=errno_name(error),
        hint="check the file and its permissions",
    )


def normalize_name(name: str) -> str:
    """Return a name in Unicode form NFC, for comparison; file systems store different forms."""
    return normalize("NFC", name)


def parse_file_name(file_name: str, path: str) -> tuple[str, str, str]:
    """Split a file name into (name without suffix, version, name of the migration).

    Args:
        file_name: the name of the file, with suffix.
        path: its path, for errors.

    Raises:
        ChatdbError: `BAD_FILE`, the name has no version, or is not UTF-8.
    """
    stem = file_name[:-4]
    match = _STEM.fullmatch(stem)
    if not match:
        raise ChatdbError(
            Code.BAD_FILE,
            f"the file name {file_name!r} does not start with a version and an underscore",
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
    return stem, match[1], match[2] or ""
