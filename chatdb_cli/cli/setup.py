"""`chatdb setup`: parse, call, hand to render."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.options import MIGRATING, Session, command

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command(app, "setup", MIGRATING)(setup)


def setup(session: Session) -> None:
    """Make the database, its schema and every migration.

    Run it as often as you like. Without any database configured it makes the project's own
    PostgreSQL, in ./.chatdb.
    """
    from chatdb_cli.provision import make_database, settled

    target = session.target(settled(session.settings))
    session.out.target(target)
    migrator = session.migrator(target)
    make_database(target, session.out.say)
    session.out.run(migrator.up())
