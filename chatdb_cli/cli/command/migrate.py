"""`chatdb migrate ...`."""

from __future__ import annotations

from typing import Annotated

import typer

from chatdb_cli.cli.commands import Commands
from chatdb_cli.cli.options import CONNECTED, FILES, MIGRATING
from chatdb_cli.cli.output import FORMAT
from chatdb_cli.cli.session import Context
from chatdb_cli.errors import Exit

commands = Commands("Apply migrations, take them back, and see where you are.")
_To = Annotated[str | None, typer.Option("--to", metavar="VERSION", help="The last version.")]


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text[:9]) > 0):
        raise typer.BadParameter(f"{text!r} is not a whole number from 1")
    return int(text[:9])


_Steps = Annotated[
    int | None,
    typer.Option("--steps", metavar="N", parser=_count, help="How many at the most."),
]
_DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Print the script that would be sent; change nothing."),
]
_DryRunRepair = Annotated[bool, typer.Option("--dry-run", help="Only show what would be accepted.")]
_AllowDataLoss = Annotated[
    bool,
    typer.Option(
        "--allow-data-loss", help="Go on where rows are destroyed; without it that is refused."
    ),
]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; needed in production.")]
_SyncEach = Annotated[
    bool, typer.Option("--sync-each", help="Wait for the disk after each migration.")
]


@commands.add("up", MIGRATING)
def up(
    session: Context,
    to: _To = None,
    steps: _Steps = None,
    dry_run: _DryRun = False,
    allow_out_of_order: Annotated[
        bool,
        typer.Option(
            "--allow-out-of-order", help="Also apply a file older than the newest applied one."
        ),
    ] = False,
    sync_each: _SyncEach = False,
) -> None:
    """Apply what is pending."""
    target = session.target()
    if not dry_run:
        session.out.target(target)
    run = session.migrator(target, sync_each=sync_each).up(
        to=to, steps=steps, allow_out_of_order=allow_out_of_order, dry_run=dry_run
    )
    session.out.run(run, dry=dry_run)


@commands.add("down", MIGRATING)
def down(
    session: Context,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="VERSION", help="Take back all that is newer; 0 is all."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", metavar="N", parser=_count, help="How many (default 1)."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Take back everything.")] = False,
    dry_run: _DryRun = False,
    yes: _Yes = False,
    allow_data_loss: _AllowDataLoss = False,
    sync_each: _SyncEach = False,
) -> None:
    """Take back the newest migration, or more."""
    target = session.target()
    if not dry_run:
        session.out.target(target)
        session.confirm_in_production("take migrations back", target.database, yes=yes)
    run = session.migrator(target, sync_each=sync_each).down(
        to=to,
        steps=steps,
        everything=everything,
        allow_data_loss=allow_data_loss,
        dry_run=dry_run,
    )
    session.out.run(run, dry=dry_run)


@commands.add("redo", MIGRATING)
def redo(
    session: Context,
    dry_run: _DryRun = False,
    yes: _Yes = False,
    allow_data_loss: _AllowDataLoss = False,
) -> None:
    """Take the newest migration back, and apply it again."""
    target = session.target()
    if not dry_run:
        session.out.target(target)
        session.confirm_in_production("redo the newest migration", target.database, yes=yes)
    run = session.migrator(target).redo(allow_data_loss=allow_data_loss, dry_run=dry_run)
    session.out.run(run, dry=dry_run)


@commands.add("baseline", MIGRATING)
def baseline(
    session: Context,
    newest: Annotated[
        str, typer.Argument(metavar="VERSION", help="The last one that is there already.")
    ],
) -> None:
    """Take everything up to a version as applied, without running it.

    For a database that has the schema and no history yet.
    """
    target = session.target()
    session.out.target(target)
    session.out.run(session.migrator(target).baseline(newest))


@commands.add("repair", MIGRATING)
def repair(session: Context, dry_run: _DryRunRepair = False, yes: _Yes = False) -> None:
    """Make the history agree with the files; no migration is run.

    Accepts files that were changed after they were applied, forgets those that are gone, removes a
    lock that yoyo left behind. Shows all of it first, and asks.
    """
    target = session.target()
    if not dry_run:
        session.out.target(target)
    migrator = session.migrator(target)
    found = migrator.repairs()
    if found.repairs and not dry_run:
        if not yes:
            session.out.show(found)
            session.confirm(f"change the history of database {target.database!r}", target.database)
        found = migrator.repair(found)
    session.out.repairs(found)


@commands.add("status", CONNECTED)
def status(
    session: Context,
    check: Annotated[
        bool,
        typer.Option("--check", help="Exit 1 when something is pending, 6 on a problem."),
    ] = False,
) -> None:
    """List what is applied, pending, or not as it should be."""
    found = session.migrator(session.target()).status()
    session.out.status(found)
    if check and found.problems:
        raise typer.Exit(Exit.DISAGREE)
    if check and found.pending:
        raise typer.Exit(Exit.FOUND)


@commands.add("history", CONNECTED)
def history(session: Context) -> None:
    """Print the audit log: what was done when, and by whom."""
    target = session.target()
    session.out.history(target, session.migrator(target).history())


@commands.add("new", FILES)
def new(
    session: Context,
    name: Annotated[str, typer.Argument(help="What it does, such as add_users.")],
) -> None:
    """Write the next version's pair of files."""
    from chatdb_cli.files.folder import writable_folder
    from chatdb_cli.files.new import new_migration

    pair = new_migration(writable_folder(session.settings.directory), name)
    document = {"format": FORMAT, "target": None, "up": str(pair[0]), "down": str(pair[1])}
    session.out.result(document, f"{pair[0]}\n{pair[1]}")
