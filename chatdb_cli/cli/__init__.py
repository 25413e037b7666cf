"""The command `chatdb`: parse, call, hand to render.

`main` is the one boundary from an exception to an exit code.  What does not belong here: SQL,
decisions, drawing.  Nothing heavy is imported before it is known what is asked for.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType


def main() -> None:
    """Run the command line, and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code.

    Args:
        arguments: without the program's name.
    """
    if list(arguments) in (["--version"], ["-V"]):
        from chatdb_cli import __version__

        print(f"chatdb {__version__}")  # noqa: T201
        return 0
    import signal

    from chatdb_cli.cli.boundary import guard

    signal.signal(signal.SIGTERM, _terminate)
    return guard(list(arguments))


def _terminate(number: int, frame: FrameType | None) -> None:
    from chatdb_cli.errors import Terminated

    del number, frame
    raise Terminated
