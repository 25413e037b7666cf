"""`chatdb counts`: count the rows of tables, and compare them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import AGAINST, COUNTING
from chatdb_cli.cli.progress import count_progress
from chatdb_cli.cli.render.comparison import render_comparison
from chatdb_cli.cli.render.counts import render_counts
from chatdb_cli.errors import ChatdbError, Code, Exit

if TYPE_CHECKING:
    from typing import Any

    from chatdb_cli.cli.render.document import Rendered
    from chatdb_cli.settings.model import Settings

_COMPARISON = "Comparison"
# How many rows --find finds in each table.
_FOUND = 10


@command(COUNTING | AGAINST)
def counts(
    context: Context,
    tables: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TABLE]...", help="Only these: TABLE, or SCHEMA.TABLE.",
                       show_default=False),
    ] = None,
    checksum: Annotated[
        bool, typer.Option("--checksum", help="Also compute a checksum of each table's rows.")
    ] = False,
    columns: Annotated[
        str | None,
        typer.Option("--columns", metavar="LIST",
                     help="What the checksum covers: COLUMN or TABLE.COLUMN, separated by commas."),
    ] = None,
    exclude_columns: Annotated[
        str | None,
        typer.Option("--exclude-columns", metavar="LIST", help="What the checksum leaves out."),
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Read the statistics, which takes no time.")
    ] = False,
    jobs: Annotated[
        int,
        typer.Option("--jobs", metavar="N", min=1, max=64, show_default=False,
                     help="How many connections share the work, on each side (default 4)."),
    ] = 4,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", rich_help_panel=_COMPARISON,
                     help="Write the counts to a file, to compare with them later."),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option("--compare", metavar="FILE", rich_help_panel=_COMPARISON,
                     help="Compare with the counts in this file."),
    ] = None,
    renamed: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="OLD=NEW", rich_help_panel=_COMPARISON,
                     help="A table that has another name on the other side; can be repeated."),
    ] = None,
    renamed_columns: Annotated[
        list[str] | None,
        typer.Option("--map-column", metavar="TABLE.OLD=NEW", rich_help_panel=_COMPARISON,
                     help="The same for a column."),
    ] = None,
    find: Annotated[
        bool,
        typer.Option("--find", rich_help_panel=_COMPARISON,
                     help="Compare checksums, and find the rows that differ."),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", min=1, max=10_000, show_default=False,
                     rich_help_panel=_COMPARISON,
                     help="How many rows to find in each table (default 10)."),
    ] = None,
    show_values: Annotated[
        bool,
        typer.Option("--show-values", rich_help_panel=_COMPARISON,
                     help="Also print the values of these rows; they may be secret."),
    ] = False,
) -> None:  # fmt: skip
    """Count rows exactly, and compare them with another database.

    All tables are counted in one consistent snapshot. Nothing is changed. Foreign tables and views
    are counted only if they are named. A comparison ends with exit code 1 if anything differs.
    """
    options = _Options(
        tables=tables or [],
        checksum=checksum,
        columns=_names(columns),
        exclude_columns=_names(exclude_columns) or _left_out(context, compare),
        estimate=estimate,
        jobs=jobs,
        renamed_tables=_renames(renamed, "--map"),
        renamed_columns=_renames(renamed_columns, "--map-column"),
        find=find,
        limit=limit,
        show_values=show_values,
    )
    other = _other_side(context, save, compare)
    _refuse_contradictions(options, save, compare, compared=bool(compare or other))
    if compare:
        rendered, ok = _compare_with_file(context, compare, options)
    elif other:
        rendered, ok = _compare_with_target(context, other, options)
    else:
        rendered, ok = _count(context, save, options), True
    context.out.result(rendered)
    if not ok:
        raise typer.Exit(Exit.FOUND)


class _Options(NamedTuple):
    """The options of the command, but for the files."""

    tables: list[str]
    checksum: bool
    columns: list[str]
    exclude_columns: list[str]
    estimate: bool
    jobs: int
    renamed_tables: dict[str, str]
    renamed_columns: dict[str, str]
    find: bool
    limit: int | None
    show_values: bool

    def shared(self, context: Context) -> dict[str, Any]:
        """Return what every count takes."""
        return {
            "jobs": self.jobs,
            "progress": count_progress(context.out),
            "report": context.out.say,
        }

    @property
    def renames(self) -> dict[str, Any]:
        """What every comparison takes."""
        return {
            "renamed_tables": self.renamed_tables,
            "renamed_columns": self.renamed_columns,
        }


def _count(context: Context, save: Path | None, options: _Options) -> Rendered:
    from chatdb_cli.counts.count import count_rows
    from chatdb_cli.counts.saved import require_writable, save_counts

    if save:
        require_writable(save)  # not after an hour of counting
    counted = count_rows(
        context.target(),
        options.tables,
        checksum=options.checksum,
        as_text=save is not None,  # a migration may change types before the file is compared
        columns=options.columns,
        exclude_columns=options.exclude_columns,
        estimate=options.estimate,
        sequences=save is not None,
        **options.shared(context),
    )
    if save:
        save_counts(save, counted)
        context.out.say(f"saved in {save}")
    return render_counts(counted)


def _compare_with_target(
    context: Context, other: Settings, options: _Options
) -> tuple[Rendered, bool]:
    from chatdb_cli.counts.at_once import of_other_side
    from chatdb_cli.counts.compare import compare_counts

    target = context.target()
    with of_other_side():
        counterpart = context.target(other)
    context.out.about = target
    comparison = compare_counts(
        target,
        counterpart,
        options.tables,
        checksum=options.checksum,
        find=(options.limit or _FOUND) if options.find else 0,
        show_values=options.show_values,
        columns=options.columns,
        exclude_columns=options.exclude_columns,
        **options.renames,
        **options.shared(context),
    )
    return render_comparison(target, comparison), comparison.ok


def _compare_with_file(context: Context, file: Path, options: _Options) -> tuple[Rendered, bool]:
    from chatdb_cli.counts.compare import compare_with_saved
    from chatdb_cli.counts.saved import read_counts

    saved = read_counts(file)
    if options.checksum and not any(table.checksum for table in saved.tables):
        raise ChatdbError(
            Code.USAGE, f"{file} has no checksums", hint="give --checksum when it is saved, too"
        )
    target = context.target()
    comparison = compare_with_saved(
        target, saved, options.tables, **options.renames, **options.shared(context)
    )
    return render_comparison(target, comparison), comparison.ok


def _other_side(context: Context, save: Path | None, compare: Path | None) -> Settings | None:
    """Return the settings of the other side, if that is a database."""
    from chatdb_cli.settings.against import settings_against

    file = "--save" if save else "--compare" if compare else ""
    if not file:
        return settings_against(context.settings)
    against = context.settings.against
    if against and against.source.startswith("--"):
        raise _contradiction(against.source, file)
    return None  # a variable names it, which is for other calls


def _refuse_contradictions(
    options: _Options, save: Path | None, compare: Path | None, *, compared: bool
) -> None:
    """Refuse options that have no meaning together.

    Raises:
        ChatdbError: `USAGE`.
    """
    if save and compare:
        raise _contradiction("--save", "--compare")
    if options.estimate:
        for flag, value in {
            "--save": save, "--compare": compare, "--against": compared, "--find": options.find
        }.items():  # fmt: skip
            if value:
                raise _contradiction("--estimate", flag)
    needs = {
        "--map": (options.renamed_tables, compared, "--against or --compare"),
        "--map-column": (options.renamed_columns, compared, "--against or --compare"),
        "--find": (options.find, compared and not compare, "--against"),
        "--limit": (options.limit, options.find, "--find"),
        "--show-values": (options.show_values, options.find, "--find"),
        "--columns": (options.columns and compare, False, "the count that is saved"),
        "--exclude-columns": (
            options.exclude_columns and compare,
            False,
            "the count that is saved",
        ),
    }
    for flag, (given, met, other) in needs.items():
        if given and not met:
            raise ChatdbError(Code.USAGE, f"{flag} is for {other}")


def _contradiction(one: str, other: str) -> ChatdbError:
    return ChatdbError(
        Code.USAGE, f"{one} and {other} contradict each other", hint="give one of them"
    )


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _left_out(context: Context, compare: Path | None) -> list[str]:
    """Return the columns that the project file leaves out; a saved count has its own."""
    return [] if compare else [*context.settings.counts.exclude_columns]


def _renames(texts: list[str] | None, flag: str) -> dict[str, str]:
    """Return names on one side, and those on the other.

    Raises:
        ChatdbError: `USAGE`, one is not OLD=NEW.
    """
    renames: dict[str, str] = {}
    for text in texts or []:
        old, equals, new = text.partition("=")
        if not (old and equals and new) or old in renames:
            problem = "is given twice for the same name" if old in renames else "is not OLD=NEW"
            raise ChatdbError(Code.USAGE, f"{flag} {text!r} {problem}")
        renames[old] = new
    return renames
