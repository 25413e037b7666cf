"""File names: the version and the name of a migration.

What does not belong here: the content of a file (`read.py`).
"""

from __future__ import annotations

import errno
import re
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import normalize

from chatdb_cli.errors import ChatdbError, Code, Location, errno_name

if TYPE_CHECKING:
    from collections.abc import Sequence

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_HINT = "free some space on that disk, and try again"
_STEM = re.compile(r"(?a:(\d+))(?:[_\-. ]+(.*))?", re.DOTALL)


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
        hint=_FULL_HINT if error.errno in _FULL else "check the file and its permissions",
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


def some_of(names: Sequence[str]) -> str:
    """Return names for a sentence: all of a few, else the first ones and the number of the others."""
    if len(names) <= 4:
        return ", ".join(names)
    return f"{', '.join(names[:3])} and {len(names) - 3} more"
