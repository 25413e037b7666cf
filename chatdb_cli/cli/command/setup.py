"""`chatdb setup`: parse, call, hand to render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from chatdb_cli.cli.commands import Commands
from chatdb_cli.cli.options import MIGRATING
from chatdb_cli.cli.session import Context
from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from chatdb_cli.files.model import Folder
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.seed.model import Seeded

commands = Commands()


@commands.add("setup", MIGRATING)
def setup(
    session: Context,
    seed: Annotated[
        bool, typer.Option("--seed", help="Add data for development; not in production.")
    ] = False,
    test: Annotated[
        bool,
        typer.Option(
            "--test",
            help="Make a schema for tests at the newest version, without rows, or reset it.",
        ),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="With --test: the schema's name (default test)."
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --test: do not ask; needed in production.")
    ] = False,
) -> None:
    """Make the database, its schema and every migration.

    Run it as often as you like. Without any database configured it makes the project's own
    PostgreSQL, in ./.chatdb.
    """
    from chatdb_cli.provision.database import create_database, with_embedded_default

    if test and seed:
        raise ChatdbError(
            Code.USAGE, "--test makes a schema without rows", hint="leave out --seed or --test"
        )
    if test:
        _test(session, name or "test", yes=yes)
        return
    if name is not None:
        raise ChatdbError(Code.USAGE, "--name is of use with --test alone", hint="add --test")
    target = session.target(with_embedded_default(session.settings))
    session.out.target(target)
    migrator = session.migrator(target)
    if seed:
        _refuse_unseedable(session, migrator.folder)
    create_database(target, session.out.say)
    run = migrator.up()
    session.out.run(run, seeded=_seed(target) if seed else None)


def _refuse_unseedable(session: Context, folder: Folder) -> None:
    """Say what is in the way of a seed before anything is made."""
    from chatdb_cli.files.read import read_seed_files

    if session.settings.environment == "production":
        raise ChatdbError(
            Code.REFUSED,
            "--seed would write invented rows into production",
            hint='leave it out; if you mean it, run "chatdb seed --yes" afterwards',
        )
    read_seed_files(folder)


def _seed(target: Target) -> Seeded:
    from chatdb_cli.seed.files import seed_files

    return seed_files(target)


def _test(session: Context, name: str, *, yes: bool) -> None:
    from chatdb_cli.provision.test_schema import settings_for_tests, setup_test_schema
    from chatdb_cli.settings import parse

    try:
        parse.schema(name)
    except ValueError as error:
        raise ChatdbError(Code.USAGE, f"--name {name!r} {error}") from None
    target = session.target(settings_for_tests(session.settings, name))
    session.out.target(target)
    session.confirm_in_production(f"reset schema {name!r}", target.database, yes=yes)
    session.out.run(setup_test_schema(target, tell=session.out.say, progress=session.out.progress))
