"""The application: its groups, and what `chatdb` says of itself."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from chatdb_cli.cli.options import print_version

if TYPE_CHECKING:
    from collections.abc import Sequence

# The modules that hold the commands, by the first word that a user types.
_MODULES = ("migrate", "server", "setup", "seed", "docs", "listen", "tunnel")


def chatdb(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """PostgreSQL migrations in hand-written SQL, and the schema of a real-time chat back end.

    Where: DATABASE_URL, or POSTGRES_HOST and its family, in the environment or in ./.env; with none
    of them, "chatdb setup" makes a PostgreSQL of this project's own.
    """


def application(arguments: Sequence[str] = ()) -> typer.Typer:
    """Return the application, with what the first two words can mean in it.

    Args:
        arguments: of the command line; without any, the whole application is built.
    """
    app = typer.Typer(
        name="chatdb",
        no_args_is_help=True,
        add_completion=False,
        context_settings={"help_option_names": ["--help", "-h"]},
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(chatdb)
    first, second = [*arguments[:2], "", ""][:2]
    for name in [first] if first in _MODULES else _MODULES:
        module = import_module(f"chatdb_cli.cli.command.{name}")
        module.commands.build(app, name, second)
    return app
