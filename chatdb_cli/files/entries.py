"""What is in a folder of SQL files: the files to read, and what does not belong there.

    list_entries    divides the entries of a folder
    Entries         the result

Hidden files, README files, and what an editor or a merge leaves are passed over.  What does not belong
here: file names and versions (`names.py`), the content of a file (`read.py`).
"""

from __future__ import annotations

import os
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from chatdb_cli.errors import ChatdbError, Code, Location
from chatdb_cli.files.names import file_error

_LEFT_BY_EDITORS = ("~", ".orig", ".swp")


class Entries(NamedTuple):
    """The entries of a folder.

    Attributes:
        files: the SQL files, sorted by name.
        refused: one error for each folder that holds SQL files, which chatdb would not read, and for
            each pipe or device.
        ignored: the names of all other files and folders, sorted.
    """

    files: tuple[os.DirEntry[str], ...] = ()
    refused: tuple[ChatdbError, ...] = ()
    ignored: tuple[str, ...] = ()


def list_entries(directory: Path) -> Entries:
    """Divide the entries of a folder; a folder that does not exist has none.

    Raises:
        ChatdbError: `BAD_FILE`, the folder can't be read.
    """
    files: list[os.DirEntry[str]] = []
    refused: list[ChatdbError] = []
    ignored: list[str] = []
    try:
        with os.scandir(directory) as entries:
            for entry in sorted(entries, key=attrgetter("name")):
                name = entry.name
                if _is_passed_over(name):
                    continue
                if name[-4:].lower() == ".sql":
                    if _is_special(entry):
                        refused.append(_special_error(entry))
                    else:
                        files.append(entry)
                elif _is_folder(entry):
                    if first := _find_sql(entry.path):
                        refused.append(_folder_error(entry, first))
                    else:
                        ignored.append(name)
                else:
                    ignored.append(name)
    except FileNotFoundError:
        return Entries()
    except OSError as error:
        raise file_error(directory, error, "read") from None
    return Entries(tuple(files), tuple(refused), tuple(ignored))


def _is_passed_over(name: str) -> bool:
    return name[0] == "." or name[:6].upper() == "README" or name.endswith(_LEFT_BY_EDITORS)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_special(entry: os.DirEntry[str]) -> bool:
    """Return whether it is a pipe, a socket or a device: reading it could wait forever."""
    try:
        return not entry.is_file() and not entry.is_dir() and Path(entry.path).exists()
    except OSError:  # reading it reports the error
        return False


def _find_sql(directory: str) -> Path | None:
    """Return the first SQL file in a folder, at any depth, without hidden ones; None if it has none."""
    for path, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for name in sorted(names):
            if name[-4:].lower() == ".sql" and not _is_passed_over(name):
                return Path(path, name)
    return None


def _special_error(entry: os.DirEntry[str]) -> ChatdbError:
    return ChatdbError(
        Code.BAD_FILE,
        f"{entry.path} is not a regular file",
        place=Location(Path(entry.path)),
        hint="put a file with the SQL in its place",
    )


def _folder_error(entry: os.DirEntry[str], first: Path) -> ChatdbError:
    return ChatdbError(
        Code.BAD_FILE,
        f"{entry.path} is a folder, so {first.name!r} in it is no migration",
        place=Location(Path(entry.path)),
        hint="put each migration directly into up/ and down/, as one file such as "
        f"{_suggested_name(entry.name, first)}; put what is no migration elsewhere",
    )


def _suggested_name(folder: str, first: Path) -> str:
    """Return a name for a file: that of its folder, where the file's own has no version."""
    return first.name if first.name[:1].isdecimal() else f"{folder}.sql"
