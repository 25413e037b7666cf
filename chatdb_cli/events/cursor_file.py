"""A file with a cursor, so that a listener continues where it stopped.

What does not belong here: what a cursor means (`events_since()` in the schema).
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code, errno_name
from chatdb_cli.files.replace import replace_text

if TYPE_CHECKING:
    from collections.abc import Iterator


def read_cursor(path: str | Path) -> str:
    """Return the cursor in a file, or an empty one if the file does not exist.

    Raises:
        ChatdbError: `USAGE` for a file that can't be read, or is empty.
    """
    path = Path(path)
    with _file_errors(path):
        if not path.exists():
            return ""
        cursor = path.read_text(encoding="ascii").strip() if path.is_file() else ""
    if not cursor:  # listening would begin from now, and events would be missed without a message
        raise ChatdbError(
            Code.USAGE,
            f"{path} holds no cursor",
            hint="name another file, or remove it to begin from now",
        )
    return cursor


def write_cursor(path: str | Path, cursor: str) -> None:
    """Write a cursor to a file; after a crash the file has the old cursor or the new one.

    Raises:
        ChatdbError: `USAGE` for a file that can't be written.
    """
    path = Path(path)
    with _file_errors(path):
        replace_text(path, f"{cursor}\n")


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    """Turn errors of reading and writing a file into a `ChatdbError`."""
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        raise ChatdbError(
            Code.USAGE,
            f"{path}: {(getattr(error, 'strerror', None) or 'it holds no cursor').lower()}",
            hint="name a file that can be read and written",
            errno=errno_name(error) if isinstance(error, OSError) else None,
        ) from None
