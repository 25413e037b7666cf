"""`chatdb completion`: print the script with which a shell completes commands and options."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.commands import PlainCommand

_SHELLS = ("bash", "zsh", "fish")


def _known(shell: str) -> str:
    if shell not in _SHELLS:
        raise typer.BadParameter(f"{shell!r} is not one of {', '.join(_SHELLS)}")
    return shell


def _completion(
    context: typer.Context,
    shell: Annotated[
        str,
        typer.Argument(
            metavar="SHELL", help="bash, zsh or fish.", callback=_known,
            autocompletion=lambda: list(_SHELLS),
        ),
    ],
) -> None:  # fmt: skip
    """Print the script that makes a shell complete commands.

    For bash, add this line to ~/.bashrc, for zsh the same with zsh to ~/.zshrc:

        eval "$(chatdb completion bash)"

    For fish, write the script to ~/.config/fish/completions/chatdb.fish
    """
    from chatdb_cli.cli.complete import completion_script

    context.obj.text(completion_script(shell))


completion = PlainCommand(_completion)
