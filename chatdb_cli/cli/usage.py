"""What to do about a command line that can't be understood.

What does not belong here: the errors of a command that was understood (`boundary.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.app import command_paths

if TYPE_CHECKING:
    from collections.abc import Sequence


def usage_hint(arguments: Sequence[str], command: str) -> str:
    """Return the hint for a usage error.

    Args:
        arguments: of the command line; none of their values is repeated, for one may be a secret.
        command: the words that were understood: `chatdb`, `chatdb migrate`, `chatdb migrate up`.
    """
    if command == "chatdb" and arguments:
        option, *others = arguments
        if not option.startswith("-"):
            others = [option]
        if found := [f"chatdb {path}" for path in _meant(others)]:
            if option.startswith("-"):
                name = option.partition("=")[0]
                return f'options follow the command: "{found[0]} {name} ..."'
            return "the command is " + " or ".join(f'"{path}"' for path in found)
    what = "commands" if command in _groups() else "options and arguments"
    return f'"{command} --help" lists its {what}'


def _meant(words: Sequence[str]) -> list[str]:
    """Return the commands that words can mean: those that are among them, or that end with one."""
    paths = command_paths()
    whole = [path for path in paths if _is_among(path, words)]
    return [" ".join(path) for path in whole or [path for path in paths if path[-1] in words]]


def _is_among(path: tuple[str, ...], words: Sequence[str]) -> bool:
    return any(tuple(words[at : at + len(path)]) == path for at in range(len(words)))


def _groups() -> set[str]:
    return {"chatdb", *(f"chatdb {path[0]}" for path in command_paths() if len(path) > 1)}
