"""The file descriptor of stderr: what C libraries print to it becomes lines for a callback.

libpq, for example, prints a warning about the permissions of ~/.pgpass there, past Python.

    capture    give the descriptor to a pipe that is read here; `sys.stderr` still writes to the real one
    release    the reverse, after the last line was read

What does not belong here: what becomes of a line (`logs.py`).
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

_STDERR = 2
_LAST_LINES_S = 1.0  # a child process may keep the pipe open


class _Capture(NamedTuple):
    before: TextIO
    real: TextIO
    reader: threading.Thread


_captured: list[_Capture] = []


def capture(on_line: Callable[[str], None]) -> None:
    """Call a function with each line that is written to the descriptor from now on.

    Nothing is done if `sys.stderr` does not write to that descriptor, as in a test.

    Args:
        on_line: called in a thread of its own.
    """
    if _captured or sys.stderr is not sys.__stderr__ or sys.stderr is None:
        return
    with suppress(OSError, ValueError):
        if sys.stderr.fileno() != _STDERR:
            return
        sys.stderr.flush()
        before = sys.stderr
        read, write = os.pipe()
        real = os.fdopen(
            os.dup(_STDERR), "w", encoding=before.encoding, errors=before.errors or "strict"
        )
        os.dup2(write, _STDERR)
        os.close(write)
        sys.stderr = real
        reader = threading.Thread(target=_read, args=(read, on_line), name="stderr", daemon=True)
        _captured.append(_Capture(before, real, reader))
        reader.start()


def release() -> None:
    """Give the descriptor back to stderr, after the lines that were written to it were read."""
    while _captured:
        before, real, reader = _captured.pop()
        with suppress(OSError):
            os.dup2(real.fileno(), _STDERR)
        reader.join(_LAST_LINES_S)
        sys.stderr = before


def _read(descriptor: int, on_line: Callable[[str], None]) -> None:
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as lines, suppress(OSError):
        for line in lines:
            if text := line.strip():
                on_line(text)
