"""The application: its groups, and what `chatdb` says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from chatdb_cli.cli import docs, listen, migrate, seed, server, setup, tunnel
from chatdb_cli.cli.options import print_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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


def _with(groups: Mapping[str, typer.Typer]) -> typer.Typer:
    app = typer.Typer(
        name="chatdb",
        no_args_is_help=True,
        add_completion=False,
        context_settings={"help_option_names": ["--help", "-h"]},
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(chatdb)
    for name, group in groups.items():
        app.add_typer(group, name=name)
    return app


_GROUPS = {"migrate": migrate.group, "server": server.group}
app = _with(_GROUPS)
setup.register(app)
seed.register(app)
docs.register(app)
listen.register(app)
tunnel.register(app)


def needed(arguments: Sequence[str]) -> typer.Typer:
    """Return the application, with a single command in it where the first two words name one.

    Building a command takes typer a millisecond, and only one will run.
    """
    group, name = [*arguments[:2], "", ""][:2]
    for command in _GROUPS[group].registered_commands if group in _GROUPS else ():
        if command.name == name:
            alone = typer.Typer()
            alone.registered_commands = [command]
            return _with({group: alone})
    return app
