"""A file that keeps a cursor, so that a listener continues where it stopped.

What does not belong here: what a cursor means (`events_since()` in the schema).
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def read_cursor(path: Path) -> str:
    """Return the cursor that a file keeps; empty where there is no file yet.

    Raises:
        ChatdbError: `USAGE` for a file that can't be read, or holds nothing.
    """
    with _of_file(path):
        if not path.exists():
            return ""
        cursor = path.read_text(encoding="ascii").strip() if path.is_file() else ""
    if not cursor:  # it would begin from now, and nobody would know that something is missing
        raise ChatdbError(
            Code.USAGE,
            f"{path} holds no cursor",
            hint="name another file, or remove it to begin from now",
        )
    return cursor


def write_cursor(path: Path, cursor: str) -> None:
    """Keep a cursor in a file, which holds the old one or the new one whatever happens.

    Raises:
        ChatdbError: `USAGE` for a file that can't be written.
    """
    with _of_file(path):
        path = path.resolve()  # a link stays one
        new = path.with_name(f"{path.name}.new")
        with new.open("w", encoding="ascii") as file:
            file.write(f"{cursor}\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)


@contextmanager
def _of_file(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        number = getattr(error, "errno", None)
        raise ChatdbError(
            Code.USAGE,
            f"{path}: {(getattr(error, 'strerror', None) or 'it holds no cursor').lower()}",
            hint="name a file that can be read and written",
            errno=errno.errorcode.get(number or 0),
        ) from None
