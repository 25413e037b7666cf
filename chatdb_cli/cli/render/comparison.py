"""A comparison of counts: both sides of each table and sequence, and the rows that differ.

What does not belong here: comparing (`counts/compare.py`), the counts of one database (`counts.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Document, Rendered, target_document, timestamp
from chatdb_cli.cli.render.table import Table
from chatdb_cli.cli.render.text import one_line
from chatdb_cli.plural import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatdb_cli.counts.differences import (
        ComparedSequence,
        ComparedTable,
        CountsComparison,
        RowDifference,
    )
    from chatdb_cli.counts.model import SequenceValue, Source
    from chatdb_cli.postgres.model import Target

_MARKS = {True: "✓", False: "✗"}
_SEQUENCE_STATES = {
    "same": "same",
    "ahead": "after the highest value on both sides",
    "differs": "no column says which is right",
    "missing": "not on {side} side",
    "unknown": "the role may not read it",
}


def render_comparison(target: Target, comparison: CountsComparison) -> Rendered:
    """Render a comparison of two sides.

    Args:
        target: this side.
        comparison: what was found.
    """
    parts: list[str | Table] = [_table(comparison)]
    if sequences := [s for s in comparison.sequences if s.state != "same"]:
        parts += ["\n", _sequence_table(sequences)]
    details = [line for table in comparison.tables for line in _details(table)]
    parts += ["\n".join(["", *details])] if details else []
    parts.append("\n".join(["", *_summary(comparison)]))
    return Rendered(_document(target, comparison), tuple(parts))


# --- the document -------------------------------------------------------------------------------------


def _document(target: Target, comparison: CountsComparison) -> Document:
    this, other = map(_snapshot_document, comparison.sources)
    return target_document(target) | {
        "ok": comparison.ok,
        "against": comparison.other._asdict(),
        "tables": [_table_document(table) for table in comparison.tables],
        "sequences": [_sequence_document(one) for one in comparison.sequences],
        "snapshot": this,
        "other_snapshot": other,
        "left_out": [item._asdict() for item in comparison.left_out],
        "notes": list(comparison.notes),
        "duration_ms": comparison.duration_ms,
    }


def _snapshot_document(source: Source) -> Document:
    return {
        "at": timestamp(source.at),
        "server_version": source.server_version,
        "standby": source.standby,
    }


def _table_document(table: ComparedTable) -> Document:
    checksums = table.checksum, table.other_checksum
    return {
        "table": table.table,
        "rows": table.rows,
        "other_rows": table.other_rows,
        "checksum": checksums[0].value if checksums[0] else None,
        "other_checksum": checksums[1].value if checksums[1] else None,
        "match": table.match,
        "differences": [_difference_document(one) for one in table.differences],
        "other_table": table.other_table,
        "checksum_form": checksums[0].form if checksums[0] else None,
        "parent": table.root if table.root != table.table else None,
        "reasons": list(table.reasons),
        "complete": table.complete,
    }


def _difference_document(difference: RowDifference) -> Document:
    values = {name: [this, other] for name, this, other in difference.values}
    return {
        "key": None if difference.key is None else dict(difference.key),
        "kind": difference.kind,
        "columns": list(difference.columns),
        "values": values or None,
        "rows": difference.rows,
        "other_rows": difference.other_rows,
    }


def _sequence_document(one: ComparedSequence) -> Document:
    this, other = one.this, one.other
    either = this or other
    return {
        "sequence": one.sequence,
        "value": this.value if this else None,
        "other_value": other.value if other else None,
        "match": one.match,
        "state": one.state,
        "other_sequence": other.sequence if other else None,
        "highest": this.highest if this else None,
        "other_highest": other.highest if other else None,
        "columns": [".".join(column) for column in (either.columns if either else ())],
    }


# --- the text -----------------------------------------------------------------------------------------


def _table(comparison: CountsComparison) -> Table:
    tables = comparison.tables
    columns = (
        ["", *(_MARKS[table.match] for table in tables)],
        ["table", *map(_name, tables)],
        _right("this side", [_number(table.rows) for table in tables]),
        _right("other side", [_number(table.other_rows) for table in tables]),
        ["state", *map(_state, tables)],
    )
    head, *rows = zip(*columns, strict=True)
    return Table(head, rows)


def _sequence_table(sequences: Sequence[ComparedSequence]) -> Table:
    columns = (
        ["", *(_MARKS[one.match] for one in sequences)],
        ["sequence", *(one.sequence for one in sequences)],
        _right("next here", [_next(one.this) for one in sequences]),
        _right("next there", [_next(one.other) for one in sequences]),
        ["state", *map(_sequence_state, sequences)],
    )
    head, *rows = zip(*columns, strict=True)
    return Table(head, rows)


def _right(head: str, cells: list[str]) -> list[str]:
    """Return the cells of a column, aligned on the right."""
    width = max(map(len, (head, *cells)))
    return [cell.rjust(width) for cell in (head, *cells)]


def _number(rows: int | None) -> str:
    return "-" if rows is None else f"{rows:,}"


def _next(sequence: SequenceValue | None) -> str:
    return _number(sequence.value if sequence else None)


def _name(table: ComparedTable) -> str:
    renamed = table.other_table not in (None, table.table)
    name = f"{table.table} = {table.other_table}" if renamed else table.table
    return name if table.root == table.table else f"  {name}"


def _state(table: ComparedTable) -> str:
    """Return the state of a table in words."""
    if table.rows is None or table.other_rows is None:
        return f"not on {'this' if table.rows is None else 'the other'} side"
    checksums = table.checksum, table.other_checksum
    if table.match:
        return "same content" if all(checksums) else "same count"
    if difference := table.other_rows - table.rows:
        amount = f"{abs(difference):,} {'more' if difference > 0 else 'fewer'}"
        return f"{amount} on the other side"
    if checksums[0] and checksums[1] and checksums[0].value != checksums[1].value:
        return "other content"
    return "other columns"


def _sequence_state(one: ComparedSequence) -> str:
    """Return the state of a sequence in words."""
    if one.state != "behind":
        return _SEQUENCE_STATES[one.state].format(side="this" if one.this is None else "the other")
    sides = {"here": one.this, "there": one.other}
    behind = [
        f"{where} behind {'.'.join(side.columns[0])}, which has {_number(side.highest)}"
        for where, side in sides.items()
        if side and side.is_behind
    ]
    return "; ".join(behind)


def _details(table: ComparedTable) -> Iterator[str]:
    """Yield the lines about a table that has a difference besides its number of rows."""
    for reason in table.reasons:
        if table.rows is not None and table.other_rows is not None:
            yield one_line(f"{table.table}: {reason}")
    if not table.differences:
        return
    count = len(table.differences)
    rows = plural(count, "row differs", "rows differ")
    more = "" if table.complete else f"; the first {count}, there are more"
    yield one_line(f"{table.table}: {rows if table.complete else 'rows differ'}{more}")
    for difference in table.differences:
        yield one_line(f"  {_row(difference)}  {_what(difference)}")


def _row(difference: RowDifference) -> str:
    if difference.key is not None:
        return ", ".join(f"{name}={value}" for name, value in difference.key)
    this, other = (place and place.partition(" ")[2] for place in difference.places)
    return f"the row at ctid {this or other}"


def _what(difference: RowDifference) -> str:
    values = ""
    if difference.kind == "differs":
        values = "; ".join(
            f"{name}: {_value(this)} here, {_value(other)} there"
            for name, this, other in difference.values
        )
        return f"differs: {values or ', '.join(difference.columns)}"
    on_this = difference.kind == "missing"
    pairs = [
        f"{name}={_value(this if on_this else other)}" for name, this, other in difference.values
    ]
    values = f": {', '.join(pairs)}" if pairs else ""
    if difference.rows and difference.other_rows:
        return f"{difference.rows} times here, {difference.other_rows} times there{values}"
    return f"only on {'this' if on_this else 'the other'} side{values}"


def _value(text: str | None) -> str:
    return "NULL" if text is None else text


def _summary(comparison: CountsComparison) -> list[str]:
    tables = [table.match for table in comparison.tables if table.root == table.table]
    sequences = [one.match for one in comparison.sequences]
    counts = [
        f"{sum(matches)} of {len(matches)} {what}"
        for what, matches in (("tables", tables), ("sequences", sequences))
        if matches
    ]
    lines = [
        f"{_MARKS[comparison.ok]} {' and '.join(counts) or 'no tables'} match"
        f" ({comparison.duration_ms} ms)",
        f"this side: {comparison.this}",
        f"other side: {comparison.other}",
    ]
    lines += [f"note: {note}" for note in comparison.notes]
    lines += [f"not compared: {item.table} ({item.reason})" for item in comparison.left_out]
    return list(map(one_line, lines))
