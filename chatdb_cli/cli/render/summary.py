"""A verdict as Markdown: the summary of a pull request.

Its checks, its migrations with their locks and their rehearsal, and what was found.  What does not
belong here: other reports (`report.py`, `junit.py`), the documentation of a schema (`docs/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.render.verify import count, detail, state
from chatdb_cli.cli.words import in_words
from chatdb_cli.docs.escape import cell_code, code_fence, escape_cell, escape_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chatdb_cli.findings import Finding
    from chatdb_cli.rehearse.model import StatementLock, VersionRehearsal
    from chatdb_cli.verify.model import CheckResult, Verdict

_ICONS = {"ok": "✅", "failed": "❌", "skipped": "⏭️"}
# GitHub refuses a summary of more than a megabyte.
_MOST_FINDINGS = 200


def summary(verdict: Verdict) -> str:
    """Return a verdict as Markdown."""
    parts = [
        f"## chatdb verify: {'ok' if verdict.ok else 'failed'}\n",
        _table(("", "check", "result"), map(_check_row, verdict.checks)),
        *_migrations(verdict),
        *_findings(verdict),
    ]
    return "\n".join(parts)


def _check_row(check: CheckResult) -> tuple[str, ...]:
    return _ICONS[state(check)], check.name, escape_cell(in_words(detail(check)))


def _migrations(verdict: Verdict) -> Iterator[str]:
    """Yield the migrations of the pull request, or those that were rehearsed."""
    rehearsed = {v.version: v for v in (verdict.rehearsal.versions if verdict.rehearsal else ())}
    names = {m.version: m.name for m in verdict.migrations}
    if verdict.since is None:
        names = {version: rehearsal.name for version, rehearsal in rehearsed.items()}
    head = "### Migrations\n"
    if verdict.since is not None:
        newer = f"newer than {cell_code(verdict.since)}"
        head = f"### Migrations {newer}\n"
        if not names:
            yield f"{head}\nNone.\n"
    if not names:
        return
    rows = (
        (
            cell_code(version),
            escape_cell(name),
            _rehearsed(rehearsed.get(version)),
            _locks(rehearsed.get(version)),
        )
        for version, name in names.items()
    )
    table = _table(("version", "name", "rehearsal", "locks that block others"), rows)
    if verdict.since is None:  # all that there are
        many = count(len(names), "migration")
        table = f"<details><summary>{many}</summary>\n\n{table}\n</details>\n"
    yield f"{head}\n{table}"


def _rehearsed(version: VersionRehearsal | None) -> str:
    if version is None:
        return "not rehearsed"
    if version.failures:
        return "❌ see below"
    return escape_cell(version.skipped) if version.skipped else "✅ the down undoes the up"


def _locks(version: VersionRehearsal | None) -> str:
    """Return the locks on tables that existed before, one a line."""
    if version is None or version.locks is None:
        return "not known"
    blocking = [lock for lock in version.locks.locks if lock.blocks]
    return "<br>".join(map(_lock, blocking)) or "none"


def _lock(lock: StatementLock) -> str:
    work = [word for word, done in (("rewritten", lock.rewrites), ("read", lock.reads)) if done]
    whole = f", {' and '.join(work)} as a whole" if work else ""
    accepted = ", accepted" if lock.accepted else "" if lock.ok else " ⚠️"
    return (
        f"{cell_code(lock.mode)} on {cell_code(lock.relation)} (line {lock.line}): blocks "
        f"{lock.blocks}{whole}{accepted}"
    )


def _findings(verdict: Verdict) -> Iterator[str]:
    findings = [(check, finding) for check in verdict.checks for finding in check.findings]
    if not findings:
        return
    yield "### Findings\n"
    for check, finding in findings[:_MOST_FINDINGS]:
        yield "\n".join(_finding(check, finding))
    if len(findings) > _MOST_FINDINGS:
        yield f"... and {len(findings) - _MOST_FINDINGS} more.\n"


def _finding(check: CheckResult, finding: Finding) -> Iterator[str]:
    place, hint = finding.location, in_words(finding.hint)
    where = ""
    if place is not None:
        line = f":{place.line}" if place.line is not None else ""
        where = f" {cell_code(f'{place.file}{line}')}"
    message = escape_text(in_words(finding.message))
    yield f"- **{check.name}**{where}: {message} ({cell_code(finding.code)})"
    if "\n" in hint:
        yield ""
        yield from (f"  {line}" for line in code_fence("sql", hint.rstrip("\n")).splitlines())
    elif hint:
        yield f"  <br>hint: {escape_text(hint)}"
    yield ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
