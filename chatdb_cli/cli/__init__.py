"""The command `chatdb`: parse, call, hand to render.

    app, commands     find the module of a command, and build the command for typer
    command/          one module per command: its options, the call
    options           the options that several commands share; a flag of a setting is a row here
    context           what a command works with: settings, target, output, questions
    reports           the option `--report`: a result also in other formats
    render/           one module per result: its JSON document and its text
    output            the streams; the only user of rich, with bar, screen and progress
    logs, stderr      JSON lines on stderr, and the log file; what C libraries print
    words             the words of the command line for each remedy: flags and commands
    usage             what to do about a command line that can't be understood
    complete          what a shell asks for when the Tab key is pressed
    boundary          from an exception to a message and an exit code

The only package that prints, exits, and uses typer and rich.  What does not belong here: SQL, decisions,
all that a program could want to do without a terminal.  No slow library is imported before it is needed.

A new command is a module in `command/`, found by its path; nothing is registered.
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
    # Collecting garbage during the imports, whose objects all stay, takes a tenth of a short command.
    gc.set_threshold(100_000)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the shell closed it; a socket must not get its number
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Scripts and JSON are UTF-8 in every locale; the name of a file can be undecodable.
        encoding = sys.stdout.encoding if sys.stdout.isatty() else "utf-8"
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")
    code = run(sys.argv[1:])
    if "chatdb_cli.cli.stderr" in sys.modules:
        from chatdb_cli.cli.stderr import release

        release()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a failed write was reported already
            stream.flush()
    # Everything is closed by now.  Finalizing the interpreter would take a sixth of a short command.
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code.

    Args:
        arguments: without the program's name.
    """
    if list(arguments) in (["--version"], ["-V"]):
        from chatdb_cli._version import __version__

        with suppress(OSError):  # stdout can't be written: the regular path reports it
            print(f"chatdb {__version__}", flush=True)  # noqa: T201
            return 0
    if "_CHATDB_COMPLETE" in os.environ:
        from chatdb_cli.cli.complete import complete

        complete()
    import signal

    from chatdb_cli.errors import Exit, Terminated

    def terminate(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        from chatdb_cli.cli.boundary import guard

        return guard(list(arguments))
    except KeyboardInterrupt as early:  # before `guard` began, or while it ended
        return Exit.TERMINATED if isinstance(early, Terminated) else Exit.INTERRUPTED
