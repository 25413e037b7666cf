"""A status: files against history.

What does not belong here: comparing them (`migrate/compare.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Document, Rendered, target_document, timestamp
from chatdb_cli.cli.render.table import Table
from chatdb_cli.cli.render.text import one_line, printable
from chatdb_cli.cli.words import in_words

if TYPE_CHECKING:
    from chatdb_cli.migrate.model import Status


def render_status(status: Status, *, only_findings: bool = False) -> Rendered:
    """Render a status.

    Args:
        status: the status.
        only_findings: the text has no more than what is pending and the problems.
    """
    if only_findings:
        text = (_table(replace(status, applied=())), _problems(status))
        return Rendered(_document(status), tuple(part for part in text if part))
    return Rendered(_document(status), (_table(status), _summary(status)))


def _document(status: Status) -> Document:
    return target_document(status.target) | {
        "current": status.current,
        "applied": [
            {
                "version": row.version,
                "name": row.name,
                "applied_at": timestamp(row.applied_at),
                "duration_ms": row.duration_ms,
                "state": state,
            }
            for row, state in status.applied
        ],
        "pending": [{"version": m.version, "name": m.name} for m in status.pending],
        "problems": [
            {"code": p.code, "version": p.version, "message": p.message, "hint": in_words(p.hint)}
            for p in status.problems
        ],
        "warnings": list(map(in_words, status.warnings)),
    }


def _table(status: Status) -> Table:
    rows: list[tuple[str, ...]] = [
        (
            row.version,
            row.name,
            state,
            timestamp(row.applied_at) or "",
            "" if row.duration_ms is None else str(row.duration_ms),
        )
        for row, state in status.applied
    ]
    rows += [(m.version, m.name, "pending", "", "") for m in status.pending]
    return Table(("version", "name", "state", "applied at", "ms"), rows)


def _summary(status: Status) -> str:
    unfinished = sum(state == "unfinished" for _, state in status.applied)
    counts = f"{len(status.applied) - unfinished} applied, {len(status.pending)} pending"
    if unfinished:
        counts += f", {unfinished} unfinished"
    where = f"{status.target.where}, schema {status.target.schema}"
    lines = [f"current {status.current or 'none'}; {counts}", one_line(where)]
    problems = _problems(status)
    return printable("\n".join(lines)) + (f"\n{problems}" if problems else "")


def _problems(status: Status) -> str:
    lines: list[str] = []
    for problem in status.problems:
        lines += ["", f"problem: {problem.message}", f"hint: {in_words(problem.hint)}"]
    return printable("\n".join(lines))
