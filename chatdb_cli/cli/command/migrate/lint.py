"""`chatdb migrate lint`: find dangerous SQL before it runs."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import CONNECTED
from chatdb_cli.cli.render.lint import render_lint, render_rule
from chatdb_cli.cli.reports import GITHUB, parse_reports, write_report
from chatdb_cli.errors import ChatdbError, Code, Exit
from chatdb_cli.plural import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatdb_cli.lint.model import LintResult, LiveDatabase
    from chatdb_cli.postgres.model import Target


@command(CONNECTED)
def lint(
    context: Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", show_default=False,
                       help="Check only these, as one batch of pending files."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="GITREF", help="Check only files that are newer than it."),
    ] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="Ask the database which tables exist, and how large they are."),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 on warnings, too.")
    ] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Print the corrections as a diff, then write them.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --fix: print the diff, and write nothing.")
    ] = False,
    report: Annotated[
        list[str] | None,
        typer.Option("--report", metavar="KIND", show_default=False,
                     help="Also sarif=FILE, or github for annotations; can be repeated."),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="RULE", help="Print the page of a rule, and check nothing."),
    ] = None,
) -> None:  # fmt: skip
    """Find dangerous or sloppy SQL, and show the safe way.

    No connection is needed. A table that an earlier migration makes counts as in use; one that the
    same batch makes does not.
    """
    from chatdb_cli.lint.linter import lint_files
    from chatdb_cli.lint.options import lint_options

    if explain is not None:
        _explain(context, explain)
        return
    if dry_run and not fix:
        raise ChatdbError(Code.USAGE, "--dry-run needs --fix", hint="add --fix to see the diff")
    reports = parse_reports(report, ("sarif",))
    target, database = _ask(context) if live else (None, None)
    options = lint_options(context.settings, database)

    def check() -> LintResult:
        return lint_files(context.settings.directory, files or (), since=since, options=options)

    result = check()
    if fix:
        result = _fix(context, result, check, write=not dry_run)
    strict = strict or context.settings.lint.strict
    context.out.result(render_lint(result, target, strict=strict))
    for wanted in reports:
        write_report(context, wanted, partial(_make_report, result))
    if result.failed(strict=strict):
        raise typer.Exit(Exit.FOUND)


def _explain(context: Context, name: str) -> None:
    from chatdb_cli.lint.page import rule_page
    from chatdb_cli.lint.rule import find_rule

    rule = find_rule(name)
    context.out.result(render_rule(rule, rule_page(rule)))


def _ask(context: Context) -> tuple[Target, LiveDatabase]:
    from chatdb_cli.migrate.live import read_live_database

    target = context.target()
    return target, read_live_database(target)


def _make_report(result: LintResult, kind: str) -> str:
    from chatdb_cli.cli.render import report
    from chatdb_cli.lint.rule import load_rules

    if kind == GITHUB:
        return report.github(result.findings)
    titles = {name: f"{loaded.rule.title}." for name, loaded in load_rules().items()}
    return report.sarif(result.findings, titles, Path.cwd())


def _fix(
    context: Context, result: LintResult, check: Callable[[], LintResult], *, write: bool
) -> LintResult:
    """Show the corrections, write them, and return what is left."""
    from chatdb_cli.lint.fix import diff, write_fixes

    changes = result.changes
    if not changes:
        context.out.say("there is nothing that can be corrected without a person")
        return result
    context.out.write(context.out.recorded(diff(changes)))
    if not write or not _agreed(context, len(changes)):
        return result
    write_fixes(changes)
    context.out.say(f"corrected: {_files(changes)}")
    return check()


def _files(changes: Sequence[object]) -> str:
    return plural(len(changes), "file")


def _agreed(context: Context, files: int) -> bool:
    """Ask a person; without one, --fix alone is the answer."""
    if not context.interactive:
        return True
    context.out.ask(f"write {plural(files, 'file')}? [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
