"""`chatdb seed`: fill a schema with data."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import SEEDING, Yes
from chatdb_cli.cli.progress import seed_progress
from chatdb_cli.cli.render.seed import render_seed
from chatdb_cli.errors import ChatdbError, Code


@command(SEEDING)
def seed(
    context: Context,
    scale: Annotated[
        int | None,
        typer.Option("--scale", metavar="N", min=1, max=100_000_000,
                     help="Generate N messages, for benchmarks."),
    ] = None,
    random_seed: Annotated[
        int | None,
        typer.Option("--random-seed", metavar="N", min=0, max=999_999_999,
                     help="The same number generates the same rows (default 1)."),
    ] = None,
    yes: Yes = False,
) -> None:  # fmt: skip
    """Fill the schema with data for development.

    Without --scale it runs the files of seed/ beside up/ and down/, which leave existing rows as they
    are. With it, other sessions wait until the rows are loaded.
    """
    from chatdb_cli.seed.files import seed_files
    from chatdb_cli.seed.scale import seed_at_scale

    if random_seed is not None and scale is None:
        raise ChatdbError(Code.USAGE, "--random-seed is for --scale", hint="give both, or neither")
    if scale is None:
        context.require_files()
    target = context.target()
    context.out.target(target)
    context.confirm_in_production("write invented rows", target.database, yes=yes)
    if scale is None:
        seeded = seed_files(target)
    else:
        seeded = seed_at_scale(
            target,
            scale,
            random_seed=1 if random_seed is None else random_seed,
            progress=seed_progress(context.out),
        )
    context.out.result(render_seed(seeded))
