"""A run: up, down, redo or baseline; the script of a dry run; the line of a finished step.

What does not belong here: status, repair and the audit log (modules of their own).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Document, Rendered, target_document
from chatdb_cli.cli.render.table import Table
from chatdb_cli.cli.render.text import one_line
from chatdb_cli.cli.words import in_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from chatdb_cli.migrate.model import Loss, Progress, Run, StepResult


def render_run(run: Run) -> Rendered:
    """Render a run: what became of each step."""
    return Rendered(run_document(run), (run_summary(run),))


def render_dry_run(run: Run, *, folded: bool) -> Rendered:
    """Render a dry run, the text as a script that psql runs.

    Args:
        run: what would be sent.
        folded: show only the statements of the files, for a person to read.
    """
    return Rendered(run_document(run), (_outline(run) if folded else _script(run),))


def run_document(run: Run) -> Document:
    """Return a run as a document."""
    document = target_document(run.target) | {
        "direction": run.direction,
        "steps": [_step_document(step, run) for step in run.steps],
        "current": run.current,
        "warnings": list(map(in_words, run.warnings)),
    }
    if run.direction in ("down", "redo"):
        losses = run.losses
        document["losses"] = None if losses is None else [_loss_document(loss) for loss in losses]
    if run.prepare_sql is not None:
        document["prepare_sql"] = run.prepare_sql
    return document


def _step_document(step: StepResult, run: Run) -> Document:
    document: Document = {
        "version": step.version,
        "name": step.name,
        "state": step.state,
        "duration_ms": step.duration_ms,
    }
    if run.direction == "redo":
        document["direction"] = step.direction
    if step.sql is not None:
        document["sql"] = step.sql
    return document


def _loss_document(loss: Loss) -> Document:
    return {"table": loss.table, "column": loss.column, "rows": loss.rows, "how": loss.how}


def loss_table(losses: Sequence[Loss]) -> Table:
    """Return the rows that a run would delete, as a table."""
    rows = [(x.table, x.column or "", str(x.rows), x.how) for x in losses]
    return Table(("table", "column", "rows", "how"), rows)


def run_summary(run: Run) -> str:
    """Return a run in one line."""
    if not run.steps:
        what = "to roll back" if run.direction == "down" else "to do"
        return f"nothing {what}; current {run.current or 'none'}"
    states = [(step.direction, step.state) for step in run.steps]
    counts = [
        (sum(states.count(("down", s)) for s in ("reverted", "resumed")), "rolled back"),
        (sum(states.count(("up", s)) for s in ("applied", "resumed")), "applied"),
        (sum(state == "by-another" for _, state in states), "by another migrator"),
        (states.count(("up", "marked")), "marked as applied"),
        (states.count(("down", "unmarked")), "removed from the history"),
        (sum(state == "planned" for _, state in states), "to change"),
    ]
    summary = ", ".join(f"{count} {what}" for count, what in counts if count)
    return f"{summary}; current {run.current or 'none'}"


def _script(run: Run) -> str:
    """Return a dry run as a script for psql."""
    parts = [f"-- {one_line(str(run.target))}\n"]
    if not run.steps:
        return f"{parts[0]}-- {run_summary(run)}\n"
    parts.append("\\set ON_ERROR_STOP on\n\\encoding UTF8\n")
    if run.prepare_sql:
        parts.append(f"\n-- the tables of the history\n{run.prepare_sql}")
    parts += [f"\n{_heading(step)}{step.sql}" for step in run.steps]
    return "".join(parts) + _about_rows(run)


def _outline(run: Run) -> str:
    """Return the statements of the files of a dry run; psql would not record them."""
    head = f"-- {one_line(str(run.target))}\n"
    if not run.steps:
        return f"{head}-- {run_summary(run)}\n"
    note = "-- -v also shows what is sent around each file: it locks, records and commits.\n"
    parts = [
        f"\n{_heading(step)}{step.sql if step.file_sql is None else step.file_sql}"
        for step in run.steps
    ]
    return "".join((head, note, *parts)) + _about_rows(run)


def _heading(step: StepResult) -> str:
    file = f": {one_line(str(step.path))}" if step.path else ""
    return f"-- {step.direction} {one_line(f'{step.version} {step.name}')}{file}\n"


def _about_rows(run: Run) -> str:
    """Return a note that no rows were looked at, for a run that could lose some."""
    if run.direction == "up":
        return ""
    return (
        "\n-- No rows were looked at: that takes locks.  Without --dry-run this is first run in a\n"
        "-- transaction that is rolled back, and refused if rows or values would be lost.\n"
    )


def step_line(event: Progress) -> str:
    """Return the line that reports a finished step."""
    name = one_line(f"{event.step.version} {event.step.name}") if event.step else ""
    duration = "" if event.duration_ms is None else f" ({event.duration_ms} ms)"
    return f"{event.state or '':<9} {name}".rstrip() + duration


def render_new(up: Path, down: Path, warnings: Sequence[str] = ()) -> Rendered:
    """Render the paths of a new pair of files."""
    document = target_document(None) | {
        "up": str(up),
        "down": str(down),
        "warnings": list(map(in_words, warnings)),
    }
    return Rendered(document, (f"{up}\n{down}",))
