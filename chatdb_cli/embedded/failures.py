"""What a failure of the embedded server says, and what to do next.

What does not belong here: what failed (the other modules of this package).
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

USE_ANOTHER_SERVER = "set DATABASE_URL to use another PostgreSQL"
FULL_DISK_HINT = 'free some space on that disk, then run "chatdb server start" again'
_PLACE = (
    f"make it writable for you, choose another folder with CHATDB_HOME, or {USE_ANOTHER_SERVER}"
)
_HINTS = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), FULL_DISK_HINT)
_HINTS |= dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR), _PLACE)


def server_failure(message: str, hint: str, **more: Any) -> ChatdbError:
    """Return the error of an embedded server that can not do its work."""
    return ChatdbError(Code.SERVER, message, hint=hint, **more)


def program_failure(message: str, said: str) -> ChatdbError:
    """Describe the failure of a program, with the last lines of what it said."""
    retry = f'correct what it says and run "chatdb server start" again, or {USE_ANOTHER_SERVER}'
    hint = FULL_DISK_HINT if "No space left on device" in said else retry
    return server_failure(message, hint, notes=tuple(said.strip().splitlines()[-8:]))


@contextmanager
def system_failures(work: str) -> Iterator[None]:
    """Turn an error of the operating system into one that says what was being done."""
    try:
        yield
    except OSError as error:
        where = f': "{os.fsdecode(error.filename)}"' if error.filename else ""
        number = error.errno or 0
        raise server_failure(
            f"can't {work}: {error.strerror or error}{where}",
            _HINTS.get(number, f"correct that and try again, or {USE_ANOTHER_SERVER}"),
            errno=errno.errorcode.get(number),
        ) from error
