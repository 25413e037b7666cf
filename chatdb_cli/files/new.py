"""New migrations: writing their pair of files.

What does not belong here: choosing the folder (`folder.py`).
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.entries import list_entries
from chatdb_cli.files.folder import writable_folder
from chatdb_cli.files.names import file_error, parse_file_name
from chatdb_cli.files.replace import create_file
from chatdb_cli.files.timestamps import (
    future_warning,
    is_future,
    next_timestamp,
    read_timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

# The digits of a timestamp of seconds.
_SECONDS = 14


def new_migration(
    name: str,
    directory: str | Path | None = None,
    *,
    timestamp: bool = False,
    after: str | None = None,
) -> tuple[Path, Path]:
    """Write the next version's pair of files, and return the up and the down.

    The version is the newest one plus one, as wide as that one; in a folder of timestamps it is the
    present second, in UTC.  A timestamp that is in the future does not count.

    Args:
        name: what the migration does; blanks and dashes become underscores.
        directory: the folder of `up/` and `down/`, created if missing; `./sql` by default.
        timestamp: use the present second, whatever the others have.
        after: a version that counts as used, although no file has it.

    Raises:
        ChatdbError: `USAGE` when the name can't be part of a file name, or the files can't be
            written; `BAD_FILE` when a file there has a name without a version.
    """
    words = re.sub(r"[\s\-_]+", "_", name).strip("_")
    if not re.fullmatch(r"\w[\w.]*", words) or len(words.encode()) > 200:
        raise ChatdbError(
            Code.USAGE,
            f"{name!r} can't be the name of a migration",
            hint="use letters, digits and underscores, such as add_users",
        )
    path = writable_folder(None if directory is None else str(directory)).path
    folders = (path / "up", path / "down")
    versions = [
        parse_file_name(entry.name, entry.path)[1]
        for directory in folders
        for entry in list_entries(directory).files
    ]
    versions += [after] if after is not None else []
    stem = f"{_next_version(versions, timestamp=timestamp)}_{words}"
    up, down = (directory / f"{stem}.sql" for directory in folders)
    title = " ".join(name.split())
    for file_path, text in ((down, f"-- rolls back: {title}\n"), (up, f"-- {title}\n")):
        try:
            file_path.parent.mkdir(exist_ok=True)
            create_file(file_path, text.encode())
        except OSError as error:
            if file_path is up:  # no half of a migration
                with suppress(OSError):
                    down.unlink()
            raise file_error(file_path, error, "written", Code.USAGE) from None
    return up, down


def _next_version(versions: Sequence[str], *, timestamp: bool) -> str:
    newest = max((v for v in versions if not is_future(v)), key=int, default=None)
    # A folder in which all are in the future is one of timestamps all the same.
    example = newest or max(versions, key=int, default="")
    is_second = len(example) == _SECONDS and read_timestamp(example) is not None
    if timestamp or is_second or (newest is None and versions):
        return next_timestamp(newest)
    newest = newest or "0000"
    return str(int(newest) + 1).zfill(len(newest))


def folder_warnings(directory: str | Path | None = None) -> tuple[str, ...]:
    """Return what is unusual about the versions in a folder, for the author of the next one.

    Args:
        directory: the folder of `up/` and `down/`; `./sql` by default.

    Raises:
        ChatdbError: `BAD_FILE` when a file there has a name without a version.
    """
    entries = list_entries(Path(directory or "sql") / "up").files
    names = (parse_file_name(entry.name, entry.path) for entry in entries)
    warning = future_warning((version, stem) for stem, version, _ in names)
    return (warning,) if warning else ()
