"""A rehearsal: a line for each version, and below it what is wrong; and drift.

What does not belong here: the differences (`drift.py`), the words of an error (`error.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.catalog.model import Comparison
from chatdb_cli.cli.render.document import Document, Rendered, target_document
from chatdb_cli.cli.render.drift import comparison_notes, difference_documents, difference_text
from chatdb_cli.cli.render.error import error_document, error_lines
from chatdb_cli.cli.render.table import Table
from chatdb_cli.cli.render.text import one_line, width
from chatdb_cli.plural import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from chatdb_cli.rehearse.model import (
        Drift,
        Rehearsal,
        RehearsalFailure,
        StatementLock,
        VersionRehearsal,
    )

_FAILED = {
    "up": "the up failed",
    "down": "the down failed",
    "second up": "the up failed after the down",
    "down with rows": "the down failed on tables with rows",
    "up after rows": "the up failed after a down on tables with rows",
    "seed": "the seed failed",
}
_DIFFERS = {
    "down": "the down does not undo the up",
    "second up": "the second up does not build what the first built",
    "down with rows": "the down does not undo the up on tables with rows",
    "up after rows": "the up after a down on tables with rows does not build what the first built",
}
_SIGNS = {
    "down": "- before the up, + after the down",
    "second up": "- after the first up, + after the second",
    "down with rows": "- before the up, + after the down",
    "up after rows": "- after the first up, + after this one",
}


def render_rehearsal(rehearsal: Rehearsal) -> Rendered:
    """Render a rehearsal."""
    document = target_document(rehearsal.target) | {
        "ok": rehearsal.ok,
        "place": rehearsal.place,
        "versions": [_document(version) for version in rehearsal.versions],
    }
    return Rendered(document, (*_versions(rehearsal), _summary(rehearsal)))


def render_drift(drift: Drift, file: Path | None) -> Rendered:
    """Render the drift of a schema.

    Args:
        drift: the drift.
        file: the snapshot that the schema was compared with; None if that was built.
    """
    comparison = drift.comparison
    notes = comparison_notes(comparison)
    expected_version, live_version = drift.server_versions
    if not drift.ok and expected_version != live_version:
        notes.append(
            f"expected is from PostgreSQL {expected_version}, live from {live_version}: each prints"
            " the same view or function in its own way"
        )
    document = target_document(drift.target) | {
        "ok": drift.ok,
        "current": drift.current,
        "against": str(file) if file else None,
        "differences": difference_documents(comparison.differences),
        "notes": notes,
    }
    count = len(comparison.differences)
    expected = f"the snapshot {file}" if file else "its state before the first migration"
    if drift.current and not file:
        expected = f"its files at version {drift.current}"
    what = "no drift: the schema matches" if drift.ok else f"{plural(count, 'difference')} from"
    legend = () if drift.ok else ("- expected, + live", "")
    text = [*legend, difference_text(comparison.differences), *(f"note: {note}" for note in notes)]
    return Rendered(document, (*text, one_line(f"{what} {expected}")))


def version_line(version: VersionRehearsal) -> str:
    """Return the line of a version."""
    return one_line(f"{version.version} {version.name}: {_state(version)}")


def _document(version: VersionRehearsal) -> Document:
    differences = [
        {"step": failure.step, **document}
        for failure in version.failures
        for document in difference_documents(failure.differences)
    ]
    errors = [f.error for f in version.failures if f.error]
    return {
        "version": version.version,
        "name": version.name,
        "ok": version.ok,
        "skipped": version.skipped is not None,
        "reason": version.skipped,
        "failures": [_failure_document(failure) for failure in version.failures],
        "differences": differences,
        "error": error_document(errors[0]) if errors else None,
        "locks": [_lock_document(x) for x in version.locks.locks] if version.locks else None,
        "notes": _notes(version),
    }


def _failure_document(failure: RehearsalFailure) -> Document:
    return {
        "step": failure.step,
        "message": _what(failure),
        "error": error_document(failure.error) if failure.error else None,
    }


def _lock_document(lock: StatementLock) -> Document:
    return {
        "line": lock.line,
        "relation": lock.relation,
        "lock": lock.mode,
        "rewrites": lock.rewrites,
        "reads": lock.reads,
        "held_ms": lock.held_ms,
        "blocks": lock.blocks,
        "ok": lock.ok,
        "accepted": lock.accepted,
    }


def _notes(version: VersionRehearsal) -> list[str]:
    notes = comparison_notes(Comparison((), version.notes))
    lines = version.locks.unused if version.locks else ()
    return notes + [
        f"line {line}: this allow-lock accepts no lock that was found" for line in lines
    ]


def _versions(rehearsal: Rehearsal) -> Iterator[str | Table]:
    versions = rehearsal.versions
    widest = max((width(f"{v.version} {v.name}") for v in versions), default=0)
    for version in versions:
        name = one_line(f"{version.version} {version.name}")
        yield f"{name}{' ' * (widest - width(name))}  {_state(version)}"
        for n, failure in enumerate(version.failures):
            if n:  # the line of the version shows the first
                yield f"  {_what(failure)}"
            yield from _failure(failure)
        if version.locks:
            yield from _locks(version.locks.locks)
        elif rehearsal.traced and not (version.failures or version.skipped):
            yield "  its locks can't be seen: it runs outside a transaction"
        yield from (f"  note: {note}" for note in _notes(version))


def _state(version: VersionRehearsal) -> str:
    if version.failures:
        return f"FAILED: {_what(version.failures[0])}"
    if not version.ok:
        return "FAILED: a lock that no directive accepts"
    return one_line(version.skipped) if version.skipped else "ok"


def _what(failure: RehearsalFailure) -> str:
    return _FAILED[failure.step] if failure.error else _DIFFERS[failure.step]


def _failure(failure: RehearsalFailure) -> Iterator[str]:
    if failure.error:
        yield "\n".join(f"  {line}".rstrip() for line, _ in error_lines(failure.error))
    else:
        yield f"  {_SIGNS[failure.step]}"
        yield "\n".join(f"  {line}" for line in difference_text(failure.differences).splitlines())


def _locks(locks: Sequence[StatementLock]) -> Iterator[str | Table]:
    """Yield a table of the locks that block reads or writes, and how many do not."""
    shown = [lock for lock in locks if lock.blocks or not lock.ok]
    if shown:
        rows = [
            (
                f"  {lock.line}",
                lock.relation,
                lock.mode,
                " and ".join(_work(lock)),
                str(lock.held_ms),
                "accepted" if lock.accepted else "" if lock.ok else "not accepted",
            )
            for lock in shown
        ]
        yield Table(("  line", "relation", "lock", "whole", "ms", ""), rows)
    if rest := len(locks) - len(shown):
        verb = "block" if rest > 1 else "blocks"
        yield f"  {plural(rest, 'lock')} that {verb} neither reads nor writes"


def _work(lock: StatementLock) -> Iterator[str]:
    if lock.rewrites:
        yield "rewritten"
    if lock.reads:
        yield "read"


def _summary(rehearsal: Rehearsal) -> str:
    versions = rehearsal.versions
    if not versions:
        return "nothing to rehearse"
    skipped = sum(v.skipped is not None for v in versions)
    failed = sum(not v.ok for v in versions)
    parts = [f"{len(versions) - skipped} rehearsed"]
    if skipped:
        parts.append(f"{skipped} passed over")
    parts.append(f"{failed} failed" if failed else "all ok")
    rows = ", also with rows" if rehearsal.with_rows else ""
    return f"{', '.join(parts)}{rows}"
