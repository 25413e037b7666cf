"""`chatdb setup`: create a database and apply all migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import MIGRATING, AllowNonEmpty
from chatdb_cli.cli.render.setup import render_dropped, render_setup, render_test_setup
from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.provision.model import SetupForTests
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
    database: Annotated[
        bool,
        typer.Option(
            "--database",
            help="With --test: a database of its own, TEST_DATABASE_URL or <database>_test.",
        ),
    ] = False,
    drop: Annotated[
        bool, typer.Option("--drop", help="With --test: drop what --test has made.")
    ] = False,
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
    _refuse_without_test(test=test, name=name, database=database, drop=drop)
    if not drop:
        _require_files(context)
    if not test:
        _set_up(context, seed=seed, allow_non_empty=allow_non_empty)
    elif drop:
        _drop(context, name or "test", database=database, yes=yes)
    else:
        made = (
            _set_up_test_database(context, yes=yes)
            if database
            else _set_up_tests(context, name or "test", yes=yes)
        )
        context.out.close()
        context.out.warn(*made.run.warnings, *made.warnings)
        context.out.result(render_test_setup(made))


def _refuse_without_test(*, test: bool, name: str | None, database: bool, drop: bool) -> None:
    """Refuse the options of --test without it, and a name for a database."""
    for given, flag in ((name is not None, "--name"), (database, "--database"), (drop, "--drop")):
        if given and not test:
            raise ChatdbError(Code.USAGE, f"{flag} is for --test", hint="add --test")
    if name is not None and database:
        raise ChatdbError(
            Code.USAGE,
            "--name is the name of a test schema, not of a test database",
            hint="omit --name, and set TEST_DATABASE_URL",
        )


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


def _set_up_tests(context: Context, name: str, *, yes: bool) -> SetupForTests:
    from chatdb_cli.cli.progress import migration_progress
    from chatdb_cli.provision.test_schema import make_test_schema

    target = _test_schema(context, name)
    context.confirm_in_production(f"reset schema {name!r}", target.database, yes=yes)
    return make_test_schema(
        target,
        home=context.settings.schema,
        report=context.out.say,
        progress=migration_progress(context.out),
    )


def _test_schema(context: Context, name: str) -> Target:
    from chatdb_cli.provision.test_schema import settings_for_tests
    from chatdb_cli.settings import parse

    try:
        parse.schema(name)
    except ValueError as error:
        raise ChatdbError(Code.USAGE, f"--name {name!r} {error}") from None
    target = context.target(settings_for_tests(context.settings, name))
    context.out.target(target)
    return target


def _set_up_test_database(context: Context, *, yes: bool) -> SetupForTests:
    from chatdb_cli.cli.progress import migration_progress
    from chatdb_cli.provision.test_database import make_test_database

    target = _test_database(context)
    context.confirm_in_production(f"reset database {target.database!r}", target.database, yes=yes)
    return make_test_database(
        target,
        None,
        context.settings,
        report=context.out.say,
        progress=migration_progress(context.out),
    )


def _test_database(context: Context) -> Target:
    from chatdb_cli.provision.test_database import in_test_database, settings_for_test_database

    target = in_test_database(context.target(settings_for_test_database(context.settings)))
    context.out.target(target)
    return target


def _drop(context: Context, name: str, *, database: bool, yes: bool) -> None:
    if database:
        from chatdb_cli.provision.test_database import remove_test_database

        target = _test_database(context)
        context.confirm_in_production(
            f"drop database {target.database!r}", target.database, yes=yes
        )
        dropped = remove_test_database(target, context.out.say)
    else:
        from chatdb_cli.provision.test_schema import remove_test_schema

        target = _test_schema(context, name)
        context.confirm_in_production(f"drop schema {name!r}", target.database, yes=yes)
        dropped = remove_test_schema(target, context.out.say)
    context.out.result(render_dropped(target, dropped))
