"""New migrations: writing their pair of files.

What does not belong here: choosing the folder (`folder.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.entries import list_entries
from chatdb_cli.files.folder import writable_folder
from chatdb_cli.files.names import file_error, parse_file_name

if TYPE_CHECKING:
    from pathlib import Path


def new_migration(name: str, directory: str | Path | None = None) -> tuple[Path, Path]:
    """Write the next version's pair of files, and return the up and the down.

    The version is the newest one plus one, as wide as that one; in a folder of timestamps it is the
    present second, in UTC.

    Args:
        name: what the migration does; blanks and dashes become underscores.
        directory: the folder of `up/` and `down/`, created if missing; `./sql` by default.

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
    stem = f"{_next_version(max(versions, key=int, default='0000'))}_{words}"
    up, down = (directory / f"{stem}.sql" for directory in folders)
    title = " ".join(name.split())
    for file_path, text in ((down, f"-- rolls back: {title}\n"), (up, f"-- {title}\n")):
        try:
            file_path.parent.mkdir(exist_ok=True)
            with file_path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise file_error(file_path, error, "written", Code.USAGE) from None
    return up, down


def _next_version(newest: str) -> str:
    if len(newest) == 14 and newest.startswith(("19", "20")):
        from datetime import UTC, datetime

        now = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
        if int(now) > int(newest):
            return now
    return str(int(newest) + 1).zfill(len(newest))
