"""The check of the schema: it is what its applied files build, in a scratch database.

What does not belong here: building and comparing (`rehearse/drift.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.rehearse.drift import check_drift
from chatdb_cli.remedy import Advice
from chatdb_cli.verify.codes import found
from chatdb_cli.verify.model import Outcome

if TYPE_CHECKING:
    from chatdb_cli.catalog.model import Difference, Value
    from chatdb_cli.findings import Finding
    from chatdb_cli.verify.database import SharedDatabase
    from chatdb_cli.verify.model import Request

# A longer value is not part of a message.
_LONGEST = 80


def check_schema(request: Request, database: SharedDatabase) -> Outcome:
    """Compare the live schema with what its applied files build; writes nothing to the target.

    Raises:
        ChatdbError: as `check_drift` does.
    """
    drift = check_drift(database.target(), request.directory, report=request.report)
    comparison = drift.comparison
    unread = (
        found("schema-unreadable", f"not compared: {one}", "grant the role what it lacks")
        for one in comparison.unread
    )
    findings = (*map(_drift, comparison.differences), *unread)
    return Outcome(f"at version {drift.current or 'none'}", findings)


def describe(difference: Difference, before: str, after: str) -> str:
    """Return a difference in one line.

    Args:
        difference: the difference.
        before: the first side, as the subject of a sentence: `its files`.
        after: the second side: `the database`.
    """
    what = f"{difference.kind} {difference.object}"
    if difference.attribute is None:
        has, lacks = (before, after) if difference.after is None else (after, before)
        return f"{what}: only {has} has it, {lacks} does not"
    values = [_short(difference.before), _short(difference.after)]
    if None in values:
        return f"{what}: another {difference.attribute}"
    return f"{what}: {difference.attribute}: {values[0]} in {before}, {values[1]} in {after}"


def _short(value: Value | None) -> str | None:
    """Return a value if it fits into a message, or None."""
    text = ", ".join(value) if isinstance(value, tuple) else value
    if text is None:
        return "the default"
    return repr(text) if len(text) <= _LONGEST and "\n" not in text else None


def _drift(difference: Difference) -> Finding:
    return found(
        "drift",
        describe(difference, "the schema of the files", "the live schema"),
        Advice("{drift} shows all of it; put the change into a migration, or undo it"),
    )
