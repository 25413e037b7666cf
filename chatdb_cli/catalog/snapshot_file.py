"""The file of a snapshot on disk.

What does not belong here: its text (`snapshot_text.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.catalog.snapshot_text import format_snapshot, parse_snapshot
from chatdb_cli.errors import ChatdbError, Code, errno_name
from chatdb_cli.files.replace import replace_text

if TYPE_CHECKING:
    from chatdb_cli.catalog.model import Snapshot


def save_snapshot(path: str | Path, snapshot: Snapshot) -> bool:
    """Write the file of a snapshot, unless it has this text already; return whether it was written.

    Args:
        path: the file; it may be missing.
        snapshot: the snapshot.

    Raises:
        ChatdbError: `USAGE`, the file can't be written.
    """
    path, text = Path(path), format_snapshot(snapshot)
    try:
        if path.is_file() and path.read_bytes() == text.encode():
            return False
        replace_text(path, text)
    except OSError as error:
        raise _failure(path, error, "written") from None
    return True


def load_snapshot(path: str | Path) -> Snapshot:
    """Return the snapshot that a file holds.

    Args:
        path: the file.

    Raises:
        ChatdbError: `USAGE`, the file can't be read; `BAD_SNAPSHOT`, it is not the file of a snapshot.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise _failure(path, error, "read") from None
    except UnicodeDecodeError:
        text = ""  # no snapshot either
    return parse_snapshot(text, path)


def _failure(path: Path, error: OSError, what: str) -> ChatdbError:
    return ChatdbError(
        Code.USAGE,
        f"{path} can't be {what}: {(error.strerror or str(error)).lower()}",
        hint=f"name a file that can be {what}",
        errno=errno_name(error),
    )
