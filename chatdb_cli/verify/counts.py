"""The check of counts: the rows are those of another database, or those of a saved count.

What does not belong here: counting and comparing (`counts/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.counts.at_once import of_other_side
from chatdb_cli.counts.compare import compare_counts, compare_with_saved
from chatdb_cli.counts.saved import read_counts
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.plural import plural
from chatdb_cli.settings.against import settings_against
from chatdb_cli.verify.codes import found
from chatdb_cli.verify.model import Outcome

if TYPE_CHECKING:
    from chatdb_cli.counts.differences import ComparedSequence, ComparedTable, CountsComparison
    from chatdb_cli.findings import Finding
    from chatdb_cli.verify.database import SharedDatabase
    from chatdb_cli.verify.model import Request


def check_counts(request: Request, database: SharedDatabase) -> Outcome:
    """Compare the rows, in a snapshot of each side; nothing is changed.

    Raises:
        ChatdbError: as `read_counts`, `compare_counts` and `compare_with_saved` do.
    """
    comparison = _compare(request, database)
    findings = (
        *(_table(table, comparison) for table in comparison.tables if not table.match),
        *(_sequence(one, comparison) for one in comparison.sequences if not one.match),
    )
    return Outcome(f"{plural(len(comparison.tables), 'table')}, {comparison.other}", findings)


def _compare(request: Request, database: SharedDatabase) -> CountsComparison:
    if request.counts is not None:
        saved = read_counts(request.counts)
        return compare_with_saved(database.target(), saved, report=request.report)
    other = settings_against(request.settings)
    if other is None:
        raise ChatdbError(Code.USAGE, "there is nothing to compare the rows with")
    target = database.target()
    with of_other_side():
        counterpart = database.other(other)
    return compare_counts(target, counterpart, report=request.report)


def _table(table: ComparedTable, comparison: CountsComparison) -> Finding:
    sides = f"{_rows(table.rows)}, and {_rows(table.other_rows)} in {comparison.other}"
    reasons = f": {'; '.join(table.reasons)}" if table.reasons else ""
    if table.rows == table.other_rows and not reasons:
        reasons = ": the checksums differ"
    return found("rows-differ", f"table {table.table} {sides}{reasons}")


def _rows(rows: int | None) -> str:
    return "is missing" if rows is None else f"has {plural(rows, 'row')}"


def _sequence(one: ComparedSequence, comparison: CountsComparison) -> Finding:
    values = [side.value if side else None for side in (one.this, one.other)]
    here, there = ("unknown" if value is None else str(value) for value in values)
    return found(
        "sequence-differs",
        f"sequence {one.sequence} is {one.state}: the next value is {here}, and {there} in "
        f"{comparison.other}",
    )
