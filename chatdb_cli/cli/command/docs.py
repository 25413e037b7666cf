"""`chatdb docs`: parse, call, hand to render."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chatdb_cli.cli.commands import Commands
from chatdb_cli.cli.options import NO_FILES
from chatdb_cli.cli.session import Context
from chatdb_cli.errors import ChatdbError, Code, Exit

commands = Commands()


@commands.add("docs", NO_FILES)
def docs(
    session: Context,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", help="Write this file; your own head in it stays."
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; exit 1 when --output is not up to date."),
    ] = False,
) -> None:
    """Print the schema's documentation as Markdown, with diagrams."""
    from chatdb_cli.catalog.read import read_schema
    from chatdb_cli.docs.update import write_schema_docs

    if check and output is None:
        raise ChatdbError(
            Code.USAGE, "--check needs a file to look at", hint="add --output docs/schema.md"
        )
    target = session.target()
    found = read_schema(target, session.out.say)
    file = write_schema_docs(output, found, check=check) if output else None
    session.out.docs(target, found, file)
    if file and file.state == "stale":
        raise typer.Exit(Exit.FOUND)
