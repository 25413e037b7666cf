"""`chatdb setup`: create a database and apply all migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import MIGRATING, AllowNonEmpty
from chatdb_cli.cli.render.setup import render_setup
from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from chatdb_cli.migrate.model import Run
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.seed.model import Seeded


@command(MIGRATING)
def setup(
    context: Context,
    seed: Annotated[
        bool, typer.Option("--seed", help="Add data for development; not in production.")
    ] = False,
    test: Annotated[
        bool,
        typer.Option(
            "--test",
            help="Create a schema for tests at the newest version, without rows, or reset it.",
        ),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="With --test: the schema's name (default test)."
        ),
    ] = None,
    allow_non_empty: AllowNonEmpty = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --test: do not ask for confirmation in production.")
    ] = False,
) -> None:
    """Create the database and its schema, and apply all migrations.

    It can be run again at any time. If no database is configured, it creates the project's own
    PostgreSQL in ./.chatdb.
    """
    if test and seed:
        raise ChatdbError(
            Code.USAGE, "--test creates a schema without rows", hint="omit --seed or --test"
        )
    _require_files(context)
    if test:
        run = _set_up_tests(context, name or "test", yes=yes)
        context.out.warn(*run.warnings)
        context.out.result(render_setup(run, None))
    elif name is not None:
        raise ChatdbError(Code.USAGE, "--name is for --test", hint="add --test")
    else:
        _set_up(context, seed=seed, allow_non_empty=allow_non_empty)


def _require_files(context: Context) -> None:
    """Refuse to continue without migrations, and say what `setup` would do with them.

    Raises:
        ChatdbError: `USAGE`, there is no folder of migrations.
    """
    try:
        context.require_files()
    except ChatdbError as error:
        settings = context.settings
        where = "in the configured database"
        if settings.database is None and settings.embeddable:
            where = f"in a PostgreSQL of this project, in {settings.home}"
        note = f"setup would apply its migrations {where}; nothing was created"
        raise error.with_(notes=(*error.notes, note)) from None


def _set_up(context: Context, *, seed: bool, allow_non_empty: bool) -> None:
    from chatdb_cli.provision.database import create_database, with_embedded_default

    target = context.target(with_embedded_default(context.settings))
    context.out.target(target)
    migrator = context.migrator(target)
    if seed:
        from chatdb_cli.seed.files import require_seedable

        require_seedable(target)
    create_database(target, context.out.say)
    run = migrator.up(allow_non_empty=allow_non_empty)
    context.out.close()
    context.out.warn(*run.warnings)
    context.out.result(render_setup(run, _seed(target) if seed else None))
    if context.out.form == "text":
        database = target.settings.database
        own = database is not None and database.embedded
        look = ("chatdb server psql", "opens psql on it")
        first, what = look if own else ("chatdb migrate status", "shows what is applied")
        context.out.say(f"next: {first:<24} {what}")
        context.out.say("      chatdb migrate new NAME  writes the files of the next migration")
        context.out.say("      chatdb setup --test      makes a copy of the schema for tests")


def _seed(target: Target) -> Seeded:
    from chatdb_cli.seed.files import seed_files

    return seed_files(target)


def _set_up_tests(context: Context, name: str, *, yes: bool) -> Run:
    from chatdb_cli.cli.progress import migration_progress
    from chatdb_cli.provision.test_schema import settings_for_tests, setup_test_schema
    from chatdb_cli.settings import parse

    try:
        parse.schema(name)
    except ValueError as error:
        raise ChatdbError(Code.USAGE, f"--name {name!r} {error}") from None
    target = context.target(settings_for_tests(context.settings, name))
    context.out.target(target)
    context.confirm_in_production(f"reset schema {name!r}", target.database, yes=yes)
    return setup_test_schema(
        target, report=context.out.say, progress=migration_progress(context.out)
    )
