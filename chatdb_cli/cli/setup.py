"""`chatdb setup`: parse, call, hand to render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from chatdb_cli.cli.options import MIGRATING, Session, command

if TYPE_CHECKING:
    from chatdb_cli.connection import Target
    from chatdb_cli.migrations import Folder
    from chatdb_cli.seed import Seeded


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command(app, "setup", MIGRATING)(setup)


def setup(
    session: Session,
    seed: Annotated[
        bool, typer.Option("--seed", help="Add data for development; not in production.")
    ] = False,
) -> None:
    """Make the database, its schema and every migration.

    Run it as often as you like. Without any database configured it makes the project's own
    PostgreSQL, in ./.chatdb.
    """
    from chatdb_cli.provision import make_database, settle_target

    target = settle_target(session.settings, session.out.say)
    session.out.target(target)
    migrator = session.migrator(target)
    if seed:
        _refuse_unseedable(session, migrator.folder)
    make_database(target, session.out.say)
    run = migrator.up()
    session.out.run(run, seeded=_seed(target) if seed else None)


def _refuse_unseedable(session: Session, folder: Folder) -> None:
    """Say what is in the way of a seed before anything is made."""
    from chatdb_cli import migrations
    from chatdb_cli.errors import ChatdbError, Code

    if session.settings.environment == "production":
        raise ChatdbError(
            Code.REFUSED,
            "--seed would write invented rows into production",
            hint='leave it out; if you mean it, run "chatdb seed --yes" afterwards',
        )
    migrations.seed(folder)


def _seed(target: Target) -> Seeded:
    from chatdb_cli.seed import seed_small

    return seed_small(target)
