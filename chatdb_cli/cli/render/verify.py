"""A verdict: the result of each check, and what is wrong.

What does not belong here: reports for other programs (`report.py`, `junit.py`, `summary.py`).
"""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Document, Rendered, target_document
from chatdb_cli.cli.render.error import error_document, excerpt_lines
from chatdb_cli.cli.render.table import Table
from chatdb_cli.cli.render.text import one_line, printable
from chatdb_cli.cli.words import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.findings import Finding
    from chatdb_cli.verify.model import CheckResult, Verdict

_WIDTH = 80


def render_verdict(verdict: Verdict) -> Rendered:
    """Render a verdict."""
    document = target_document(verdict.target) | {
        "ok": verdict.ok,
        "since": verdict.since,
        "checks": [_check_document(check) for check in verdict.checks],
    }
    rows = [
        (check.name, state(check), _milliseconds(check), one_line(in_words(detail(check))))
        for check in verdict.checks
    ]
    table = Table(("check", "state", "ms", "what"), rows)
    findings = [line for check in verdict.checks for line in _findings(check)]
    lines = ["", *findings, _summary(verdict)] if findings else [_summary(verdict)]
    return Rendered(document, (table, "\n".join(lines)))


def _check_document(check: CheckResult) -> Document:
    return {
        "name": check.name,
        "ok": check.ok,
        "skipped": check.skipped is not None,
        "reason": check.skipped,
        "summary": check.summary,
        "duration_ms": check.duration_ms,
        "findings": [_finding_document(finding) for finding in check.findings],
        "error": error_document(check.error) if check.error else None,
    }


def _finding_document(finding: Finding) -> Document:
    place = finding.location
    return {
        "code": finding.code,
        "message": in_words(finding.message),
        "hint": in_words(finding.hint) or None,
        "file": str(place.file) if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "version": finding.version,
        "why": finding.why or None,
    }


def state(check: CheckResult) -> str:
    """Return the state of a check in a word."""
    if check.skipped is not None:
        return "skipped"
    return "ok" if check.ok else "failed"


def detail(check: CheckResult) -> str:
    """Return what was checked, and how much is wrong."""
    if check.skipped is not None:
        return check.skipped
    if check.ok or check.error is not None:
        return check.summary
    return f"{check.summary}: {count(len(check.findings), 'finding')}"


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _milliseconds(check: CheckResult) -> str:
    return "" if check.skipped is not None else str(check.duration_ms)


def _findings(check: CheckResult) -> Iterator[str]:
    for finding in check.findings:
        yield from map(printable, _finding_lines(check, finding))
        yield ""


def _finding_lines(check: CheckResult, finding: Finding) -> Iterator[str]:
    yield f"{check.name}: {in_words(finding.message)} [{finding.code}]"
    place = finding.location
    gutter = " " * len(str(place.line if place and place.line else 1))
    if place is not None:
        yield from (text for text, _ in excerpt_lines(place, gutter))
    if check.error is not None:
        yield from (f"{gutter} = {in_words(note)}" for note in check.error.notes)
    if finding.hint:
        first, *more = in_words(finding.hint).splitlines()
        wrapped = wrap(first, _WIDTH - 6, break_on_hyphens=False, break_long_words=False)
        yield f"hint: {wrapped[0] if wrapped else ''}"
        yield from (f"      {line}" for line in (*wrapped[1:], *more))


def _summary(verdict: Verdict) -> str:
    made = [check for check in verdict.checks if check.skipped is None]
    skipped = len(verdict.checks) - len(made)
    tail = f", {skipped} skipped" if skipped else ""
    if verdict.ok:
        return f"verified: {count(len(made), 'check')} ok{tail}"
    failed = ", ".join(check.name for check in verdict.failed)
    return f"not verified: {failed} failed, {len(made) - len(verdict.failed)} ok{tail}"
