"""What a shell asks for when the Tab key is pressed, and the script that makes it ask.

Typer knows the protocol of each shell.  What does not belong here: which commands there are (`app.py`).
"""

from __future__ import annotations

import os

import typer
from typer import completion

from chatdb_cli.cli.app import application

# The shell sets it when it asks for completions, to the name of the protocol.
VARIABLE = "_CHATDB_COMPLETE"


def completion_script(shell: str) -> str:
    """Return the script for a shell.

    Args:
        shell: bash, zsh or fish.
    """
    # Typer does not list these two among what it exports; they are what its own options call.
    script = completion.get_completion_script(  # type: ignore[attr-defined]
        prog_name="chatdb", complete_var=VARIABLE, shell=shell
    )
    return str(script)


def complete() -> None:
    """Print what can follow the words that the shell has set, and end the process."""
    completion.completion_init()  # type: ignore[attr-defined]
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    typer.main.get_command(application(line.split()[1:])).main(
        [], prog_name="chatdb", complete_var=VARIABLE
    )
