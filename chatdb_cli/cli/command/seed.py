"""`chatdb seed`: parse, call, hand to render."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.commands import Commands
from chatdb_cli.cli.options import SEEDING
from chatdb_cli.cli.session import Context
from chatdb_cli.errors import ChatdbError, Code

commands = Commands()


@commands.add("seed", SEEDING)
def seed(
    session: Context,
    scale: Annotated[
        int | None,
        typer.Option(
            "--scale", metavar="N", min=1, max=100_000_000, help="Invent N messages, for benchmarks."
        ),
    ] = None,
    random_seed: Annotated[
        int | None,
        typer.Option(
            "--random-seed", metavar="N", min=0, max=999_999_999,
            help="Another number, other rows; the same, the same (default 1).",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; needed in production.")] = False,
) -> None:  # fmt: skip
    """Fill the schema with data for development.

    Without --scale it runs the files of seed/ beside up/ and down/, which change nothing that is
    there. With it, other sessions wait until the rows are loaded.
    """
    from chatdb_cli.seed.files import seed_files
    from chatdb_cli.seed.scale import seed_at_scale

    if random_seed is not None and scale is None:
        raise ChatdbError(Code.USAGE, "--random-seed is for --scale", hint="give both, or neither")
    target = session.target()
    session.out.target(target)
    session.confirm_in_production("write invented rows", target.database, yes=yes)
    if scale is None:
        seeded = seed_files(target)
    else:
        seeded = seed_at_scale(
            target,
            scale,
            random_seed=1 if random_seed is None else random_seed,
            progress=session.out.seeding,
        )
    session.out.seed(seeded)
