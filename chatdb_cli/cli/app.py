"""The application: its groups, and what `chatdb` says of itself."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli import migrate, server, setup
from chatdb_cli.cli.options import print_version

app = typer.Typer(
    name="chatdb",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(migrate.group, name="migrate")
app.add_typer(server.group, name="server")
setup.register(app)


@app.callback()
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
