"""`chatdb docs`: document a schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import NO_FILES
from chatdb_cli.cli.render.docs import render_docs
from chatdb_cli.errors import ChatdbError, Code, Exit


@command(NO_FILES)
def docs(
    context: Context,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", help="Write this file; your own text at its head stays."
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; exit 1 if --output is not up to date."),
    ] = False,
) -> None:
    """Print the schema's documentation as Markdown, with diagrams."""
    from chatdb_cli.docs.read import read_schema
    from chatdb_cli.docs.update import write_schema_docs

    if check and output is None:
        raise ChatdbError(
            Code.USAGE, "--check needs a file to compare", hint="add --output docs/schema.md"
        )
    target = context.target()
    schema = read_schema(target, context.out.say)
    file = write_schema_docs(output, schema, check=check) if output else None
    context.out.result(render_docs(target, schema, file))
    if file and file.state == "stale":
        raise typer.Exit(Exit.FOUND)
