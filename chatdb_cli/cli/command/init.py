"""`chatdb init`: make the files of a new project."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import FILES
from chatdb_cli.cli.render.init import render_init


@command(FILES)
def init(
    context: Context,
    chat: Annotated[
        bool,
        typer.Option("--chat", help="Copy the chat schema that chatdb ships into the project."),
    ] = False,
) -> None:
    """Make sql/up, sql/down, a .env and the lines for .gitignore.

    Changes no file that exists, but for lines that .gitignore lacks.
    """
    from chatdb_cli.files.init import init_project

    context.out.result(render_init(init_project(context.settings.directory, chat=chat)))
