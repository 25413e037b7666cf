"""The differences of two snapshots, for people and as JSON.

    table public.users
      column email
    -   type: text
    +   type: character varying

`-` is what the first snapshot has, `+` what the second has.  What does not belong here: finding the
differences (`catalog/diff.py`), what a command says around them.
"""

from __future__ import annotations

from collections import Counter
from difflib import unified_diff
from itertools import groupby
from typing import TYPE_CHECKING

from chatdb_cli.catalog.kinds import PARTS
from chatdb_cli.cli.render.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chatdb_cli.catalog.model import Comparison, Difference, Value
    from chatdb_cli.cli.render.document import Document

# A longer value is shown as a unified diff: its changed lines, and a few around them.
_WHOLE_LINES = 5


def difference_documents(differences: Iterable[Difference]) -> list[Document]:
    """Return the JSON of differences: the key `differences` of a document."""
    return [
        {
            "kind": d.kind,
            "object": d.object,
            "attribute": d.attribute,
            "before": d.before,
            "after": d.after,
        }
        for d in differences
    ]


def difference_text(differences: Sequence[Difference]) -> str:
    """Return differences as text, grouped by object; empty if there is none."""
    lines: list[str] = []
    for head, group in groupby(differences, key=_head):
        members = list(group)
        if members[0].attribute is None and not members[0].parent:
            lines += _whole(members[0])
            continue
        lines.append(f"  {head}")
        for kind, changes in groupby(members, key=lambda d: (d.parent and d.kind, d.object)):
            lines += _part(kind[0], list(changes))
    return printable("\n".join(lines))


def comparison_notes(comparison: Comparison) -> list[str]:
    """Return what is worth knowing of a comparison apart from its differences, a line each."""
    notes = [
        f"{d.kind} {d.object} has its columns in another order: {_names(d.before)}"
        f" before, {_names(d.after)} after"
        for d in comparison.column_order
    ]
    notes += (f"not compared: {unread}" for unread in comparison.unread)
    return [printable(note) for note in notes]


def _names(value: Value | None) -> str:
    return ", ".join(value) if isinstance(value, tuple) else value or ""


def _head(difference: Difference) -> str:
    return difference.parent or f"{difference.kind} {difference.object}"


def _whole(difference: Difference) -> Iterator[str]:
    """Yield an object that only one snapshot has: its name, and what belongs to it."""
    sign, value = ("-", difference.before) if difference.after is None else ("+", difference.after)
    inner = str(value).split("\n")[1:]
    parts = Counter(word for line in inner if (word := line[2:].partition(" ")[0]) in PARTS)
    counts = ", ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in parts.items())
    yield f"{sign} {difference.kind} {difference.object}" + (f" ({counts})" if counts else "")


def _part(kind: str, changes: list[Difference]) -> Iterator[str]:
    first = changes[0]
    indent = ""
    if kind:
        if first.attribute is None:
            sign, value = ("-", first.before) if first.after is None else ("+", first.after)
            yield from (f"{sign} {line}" for line in str(value).split("\n"))
            return
        yield f"    {kind} {first.name}"
        indent = "  "
    for change in changes:
        yield from _attribute(change, indent)


def _attribute(change: Difference, indent: str) -> Iterator[str]:
    """Yield an attribute before and after; of a long text, what differs."""
    old, new = (_lines(v) for v in (change.before, change.after))
    name = change.attribute
    if max(len(old), len(new)) == 1:
        for sign, lines in (("-", old), ("+", new)):
            yield from (f"{sign} {indent}  {name}: {line}" for line in lines)
        return
    yield f"  {indent}  {name}:"
    if max(len(old), len(new)) <= _WHOLE_LINES or isinstance(change.before or change.after, tuple):
        diff: Iterable[str] = unified_diff(old, new, n=1000, lineterm="")
        hunks = list(diff)[3:]
    else:
        hunks = list(unified_diff(old, new, lineterm=""))[2:]
    for line in hunks:
        sign, text = (line[:1], line[1:]) if line[:1] in "+- " else (" ", line)
        yield f"{sign} {indent}    {text}".rstrip()


def _lines(value: Value | None) -> Sequence[str]:
    if value is None:
        return ()
    return value if isinstance(value, tuple) else value.split("\n")
