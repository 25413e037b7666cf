"""Create a file, or replace its text, as a whole.

What does not belong here: what is in the file, and the error of its user (`names.file_error`, or one of
its own).
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

# No file can be created in the folder; the file is a mount point, as a container's volume can be.
_NOT_REPLACEABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY)


def is_special(path: Path) -> bool:
    """Return whether a path leads to a pipe, a device or an open file, which no file ever replaces."""
    return path.exists() and (
        not (path.is_file() or path.is_dir())
        or path.absolute().parent in (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))
    )


def replace_text(path: Path, text: str) -> None:
    """Write a file; after a crash, or on a full disk, it is the old one or the new one.

    The target of a symbolic link is replaced, not the link, and the mode of the file stays.  Into a pipe
    or a device the text is written; also into a file that may be written where no other can be put in
    its place, in a folder that may not be written or as a mount of its own.

    Args:
        path: the file; it may be missing.
        text: the text, written as UTF-8 with its line ends as they are.

    Raises:
        OSError: it can't be written.
    """
    if is_special(path):
        path.write_text(text, encoding="utf-8", newline="")
        return
    real = path.resolve()
    new = real.with_name(f"{real.name}.new")
    try:
        with new.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            shutil.copymode(real, new)
        new.replace(real)
    except (OSError, ValueError) as exc:
        with suppress(OSError):
            new.unlink()
        if not (isinstance(exc, OSError) and exc.errno in _NOT_REPLACEABLE and real.is_file()):
            raise
        real.write_text(text, encoding="utf-8", newline="")


def create_file(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Create a file; if it can't be written whole, none is left.

    Args:
        path: the file.
        data: its bytes.
        mode: its mode, before the umask.

    Raises:
        FileExistsError: there is one already; it was not changed.
        OSError: it can't be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
