"""`chatdb migrate new`: write the files of a new migration."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import FILES
from chatdb_cli.cli.render.migrate import render_new


@command(FILES)
def new(
    context: Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What the migration does, such as add_users.")
    ],
) -> None:
    """Write the pair of files of the next version."""
    from chatdb_cli.files.new import new_migration

    up, down = new_migration(name, context.settings.directory)
    context.out.result(render_new(up, down))
