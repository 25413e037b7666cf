"""What a lint found, as a document and as lines like those of a compiler.

What does not belong here: SARIF and the annotations of GitHub (`report.py`), the rules (`lint/`).
"""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Document, Rendered, target_document
from chatdb_cli.cli.render.error import excerpt_lines
from chatdb_cli.cli.render.text import printable
from chatdb_cli.cli.words import in_words
from chatdb_cli.plural import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.findings import Finding
    from chatdb_cli.lint.model import LintResult
    from chatdb_cli.lint.rule import Rule
    from chatdb_cli.postgres.model import Target

_WIDTH = 80


def render_lint(result: LintResult, target: Target | None, *, strict: bool) -> Rendered:
    """Render the findings of a lint.

    Args:
        result: what was found.
        target: the database that was asked, or None.
        strict: a warning makes it fail.
    """
    document = target_document(target) | {
        "ok": not result.failed(strict=strict),
        "files": len(result.files),
        "findings": [finding_document(finding) for finding in result.findings],
    }
    return Rendered(document, ("\n".join(_text(result)),))


def finding_document(finding: Finding) -> Document:
    """Return a finding as a document."""
    place = finding.location
    end_line, end_column = finding.end or (None, None)
    return {
        "file": str(place.file) if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "end_line": end_line,
        "end_column": end_column,
        "rule": finding.code,
        "severity": finding.severity,
        "message": in_words(finding.message),
        "why": finding.why or None,
        "hint": in_words(finding.hint) or None,
        "fix": finding.fix,
    }


def render_rule(rule: Rule, page: str) -> Rendered:
    """Render the page of a rule."""
    document = target_document(None) | {
        "rule": rule.id,
        "severity": rule.severity,
        "title": rule.title,
        "why": rule.why,
        "bad": rule.bad,
        "safe": rule.safe,
        "since": rule.since or None,
        "default": rule.default,
    }
    return Rendered(document, (page,))


def _text(result: LintResult) -> Iterator[str]:
    explained: set[str] = set()
    for finding in result.findings:
        yield from map(printable, _finding_lines(finding, finding.code in explained))
        yield ""
        explained.add(finding.code)
    yield _summary(result)


def _finding_lines(finding: Finding, explained: bool) -> Iterator[str]:
    """Yield the lines of a finding.

    Args:
        finding: the finding.
        explained: the reason was shown before.
    """
    yield f"{finding.severity}[{finding.code}]: {in_words(finding.message)}"
    place = finding.location
    gutter = " " * len(str(place.line if place and place.line else 1))
    if place is not None:
        width = 1
        if finding.end and place.column and finding.end[0] == place.line:
            width = max(1, finding.end[1] - place.column)
        elif finding.end:
            width = len(place.excerpt[-1][1]) if place.excerpt else 1
        yield from (text for text, _ in excerpt_lines(place, gutter, width))
    if finding.why and not explained:
        first, *more = wrap(finding.why, _WIDTH - len(gutter) - 3)
        yield f"{gutter} = {first}"
        yield from (f"{gutter}   {line}" for line in more)
    if finding.hint:
        yield f"{gutter} = safe:"
        yield from (f"{gutter}     {line}" for line in in_words(finding.hint).splitlines())


def _summary(result: LintResult) -> str:
    severities = [finding.severity for finding in result.findings]
    counts = [
        plural(severities.count(name), name)
        for name in ("error", "warning", "note")
        if name in severities
    ]
    return f"{plural(len(result.files), 'file')}: {', '.join(counts) or 'nothing found'}"
