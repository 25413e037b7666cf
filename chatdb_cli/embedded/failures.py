"""The errors of the embedded server, each with what to do next.

What does not belong here: deciding that something failed (the other modules of this package).
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code, errno_name
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

USE_ANOTHER_SERVER = "set DATABASE_URL to use another PostgreSQL"
FULL_DISK_HINT = Advice("free some space on that disk, then run {server_start} again")
_PERMISSION_HINT = (
    "make it writable for the user that runs chatdb, choose another folder with CHATDB_HOME, "
    f"or {USE_ANOTHER_SERVER}"
)
_HINTS: dict[int, str] = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), FULL_DISK_HINT)
_HINTS |= dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR), _PERMISSION_HINT)


def server_failure(message: str, hint: str, **more: Any) -> ChatdbError:
    """Return an error of the embedded server.

    Args:
        message: what failed.
        hint: what to do next.
        more: further arguments of `ChatdbError`.
    """
    return ChatdbError(Code.SERVER, message, hint=hint, **more)


def program_failure(message: str, output: str) -> ChatdbError:
    """Return the error of a program that failed, with the last lines of its output.

    Args:
        message: what failed.
        output: what the program wrote.
    """
    hint = FULL_DISK_HINT
    if "No space left on device" not in output:
        hint = Advice(
            "correct what its output names and run {server_start} again, or {another}",
            another=USE_ANOTHER_SERVER,
        )
    return server_failure(message, hint, notes=tuple(output.strip().splitlines()[-8:]))


@contextmanager
def system_failures(action: str) -> Iterator[None]:
    """Turn an error of the operating system into one that says what chatdb was doing.

    Args:
        action: what chatdb does in the block, such as `start the embedded server`.

    Raises:
        ChatdbError: SERVER, the operating system refused something in the block.
    """
    try:
        yield
    except OSError as error:
        path = f': "{os.fsdecode(error.filename)}"' if error.filename else ""
        raise server_failure(
            f"can't {action}: {error.strerror or error}{path}",
            _HINTS.get(error.errno or 0, f"correct that and try again, or {USE_ANOTHER_SERVER}"),
            errno=errno_name(error),
        ) from error
