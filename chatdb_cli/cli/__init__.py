"""The command `chatdb`: parse, call, hand to render.

`main` is the one boundary from an exception to an exit code.  What does not belong here: SQL,
decisions, drawing.  Nothing heavy is imported before it is known what is asked for.
"""

from __future__ import annotations

import gc
import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType


def main() -> None:
    """Run the command line, and end the process with its exit code."""
    # Looking for garbage while the imports make objects that stay is a tenth of a short command.
    gc.set_threshold(100_000)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the shell closed it; a socket must not take its number
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Scripts and JSON are UTF-8, whatever the locale says; a file's name may be no text at all.
        encoding = sys.stdout.encoding if sys.stdout.isatty() else "utf-8"
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")
    code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # what could not be written has been said
            stream.flush()
    # All that was opened is closed by now.  To take the interpreter apart as well, module by module, is
    # a sixth of a short command.
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code.

    Args:
        arguments: without the program's name.
    """
    if list(arguments) in (["--version"], ["-V"]):
        from chatdb_cli._version import __version__

        with suppress(OSError):  # nobody takes it: the long way says so
            print(f"chatdb {__version__}", flush=True)  # noqa: T201
            return 0
    import signal

    from chatdb_cli.errors import Exit, Terminated

    def terminate(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        from chatdb_cli.cli.boundary import guard

        return guard(list(arguments))
    except KeyboardInterrupt as early:  # before `guard` has begun, or while it was ending
        return Exit.TERMINATED if isinstance(early, Terminated) else Exit.INTERRUPTED
