"""`chatdb verify`: every check that CI needs, in one verdict."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chatdb_cli.cli.commands import command
from chatdb_cli.cli.context import Context
from chatdb_cli.cli.options import VERIFYING
from chatdb_cli.cli.render.verify import render_verdict
from chatdb_cli.cli.reports import GITHUB, parse_reports, write_report

if TYPE_CHECKING:
    from chatdb_cli.verify.model import Verdict

_FILES = ("junit", "sarif", "markdown")


@command(VERIFYING)
def verify(
    context: Context,
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="NAMES",
                     help="Only these checks: files,history,schema,rollback,invariants,counts."),
    ] = None,
    skip: Annotated[
        str | None, typer.Option("--skip", metavar="NAMES", help="All checks but these.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="GITREF",
                     help="Lint and rehearse only files that differ from this commit or branch."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Only the checks that need no database.")
    ] = False,
    allow_pending: Annotated[
        bool, typer.Option("--allow-pending", help="A migration that is not applied is no finding.")
    ] = False,
    counts: Annotated[
        Path | None,
        typer.Option("--counts", metavar="FILE",
                     help="Compare the rows with the counts in this file (chatdb counts --save)."),
    ] = None,
    report: Annotated[
        list[str] | None,
        typer.Option("--report", metavar="KIND", show_default=False,
                     help="Also junit=FILE, sarif=FILE, markdown=FILE, or github; can be repeated."),
    ] = None,
) -> None:  # fmt: skip
    """Make every check that CI needs: one verdict, with reasons.

    The checks: files, history, schema, rollback, invariants, counts.

    A check that could not be made has failed. It exits with 1 if any has failed, with 6 if only because
    files and history disagree. Nothing is written to the database.
    """
    from chatdb_cli.verify.verify import verify_project

    reports = parse_reports(report, _FILES)
    verdict = verify_project(
        context.settings,
        only=_names(only),
        skip=_names(skip),
        since=since,
        offline=offline,
        allow_pending=allow_pending,
        counts=counts,
        locks=any(wanted.kind == "markdown" for wanted in reports),
        report=context.out.say,
        ask=context.ask,
    )
    context.out.result(render_verdict(verdict))
    for wanted in reports:
        write_report(context, wanted, partial(_make_report, verdict))
    if not verdict.ok:
        raise typer.Exit(verdict.exit)


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _make_report(verdict: Verdict, kind: str) -> str:
    from chatdb_cli.cli.render import junit, report, summary
    from chatdb_cli.lint.rule import load_rules
    from chatdb_cli.verify.codes import CODES

    if kind == GITHUB:
        return report.github(verdict.findings)
    if kind == "junit":
        return junit.junit(verdict)
    if kind == "markdown":
        return summary.summary(verdict)
    titles = {name: f"{loaded.rule.title}." for name, loaded in load_rules().items()}
    titles |= {name: code.cause for name, code in CODES.items() if name not in titles}
    return report.sarif(verdict.findings, titles, Path.cwd(), verdict.newest)
