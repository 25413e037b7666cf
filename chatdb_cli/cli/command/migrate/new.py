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
    timestamp: Annotated[
        bool, typer.Option("--timestamp", help="Use the present second, in UTC, as the version.")
    ] = False,
) -> None:
    """Write the pair of files of the next version."""
    from chatdb_cli.files.new import folder_warnings, new_migration
    from chatdb_cli.migrate.origin import warn_first_file

    directory = context.settings.directory
    after, warning = warn_first_file(context.settings)
    up, down = new_migration(name, directory, timestamp=timestamp, after=after)
    warnings = (*((warning,) if warning else ()), *folder_warnings(directory))
    context.out.warn(*warnings)
    context.out.result(render_new(up, down, warnings))
