"""What differs between two snapshots.

What does not belong here: reading a snapshot (`snapshot.py`), drawing a difference (`cli/render/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.catalog.kinds import RANK
from chatdb_cli.catalog.model import Comparison, Difference
from chatdb_cli.catalog.snapshot_text import object_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.catalog.model import SchemaObject, Snapshot


class _Tree(NamedTuple):
    """An object that is part of no other, and its parts."""

    whole: SchemaObject
    parts: list[SchemaObject]


_Trees = dict[tuple[str, str], _Tree]


def compare_snapshots(
    before: Snapshot, after: Snapshot, *, column_order: bool = False
) -> Comparison:
    """Return what differs between two snapshots.

    An object that only one of them has is one difference, together with its parts.

    Args:
        before: the one snapshot: what is expected, or what was there first.
        after: the other.
        column_order: another order of a table's columns is a difference, too.
    """
    unread = tuple(sorted({*before.unread, *after.unread}))
    hidden = {(u.kind, u.object, u.attribute) for u in unread}
    old, new = _trees(before), _trees(after)
    differences: list[Difference] = []
    orders: list[Difference] = []
    for key in sorted({*old, *new}, key=lambda k: (RANK[k[0]], k[1])):
        one, other = old.get(key), new.get(key)
        if one is None or other is None:
            differences += _only(one, other)
            continue
        order = _column_order(one, other)
        orders += order
        differences += _changed(one.whole, other.whole, "")
        differences += order if column_order else ()
        differences += _parts(one, other)
    return Comparison(
        tuple(d for d in differences if not _is_hidden(d, hidden)),
        () if column_order else tuple(orders),
        unread,
    )


def _trees(snapshot: Snapshot) -> _Trees:
    trees: _Trees = {}
    parts: list[SchemaObject] = []
    for item in snapshot.objects:
        if item.parent:
            parts.append(item)
        else:
            parts = []
            trees[item.kind, item.name] = _Tree(item, parts)
    return trees


def _only(one: _Tree | None, other: _Tree | None) -> Iterator[Difference]:
    """Yield the difference of an object that only one snapshot has."""
    tree = one or other
    if tree is not None:
        text = object_text((tree.whole, *tree.parts))
        whole = tree.whole
        yield Difference(
            whole.kind,
            whole.identity,
            None,
            text if one else None,
            text if other else None,
            name=whole.name,
        )


def _changed(one: SchemaObject, other: SchemaObject, parent: str) -> Iterator[Difference]:
    if one.attributes == other.attributes:
        return
    old, new = dict(one.attributes), dict(other.attributes)
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield Difference(
                one.kind, one.identity, name, old.get(name), new.get(name), parent, one.name
            )


def _parts(one: _Tree, other: _Tree) -> Iterator[Difference]:
    if one.parts == other.parts:
        return
    parent = f"{one.whole.kind} {one.whole.name}"
    old, new = ({(p.kind, p.name): p for p in tree.parts} for tree in (one, other))
    order = {key: place for place, key in enumerate({**old, **new})}
    for key in sorted(order, key=lambda k: (RANK[k[0]], order[k])):
        before, after = old.get(key), new.get(key)
        if before is not None and after is not None:
            yield from _changed(before, after, parent)
            continue
        for difference in _only(before and _Tree(before, []), after and _Tree(after, [])):
            yield difference._replace(parent=parent)


def _column_order(one: _Tree, other: _Tree) -> list[Difference]:
    """Return the order of the columns that both have, if it differs."""
    old, new = ([p.name for p in tree.parts if p.kind == "column"] for tree in (one, other))
    both = set(old) & set(new)
    before, after = (tuple(n for n in names if n in both) for names in (old, new))
    if before == after:
        return []
    whole = one.whole
    return [Difference(whole.kind, whole.name, "column order", before, after, "", whole.name)]


def _is_hidden(difference: Difference, hidden: set[tuple[str, str, str]]) -> bool:
    """Tell whether one of the snapshots could not read what differs."""
    kind, name, attribute = difference.kind, difference.object, difference.attribute or ""
    return not hidden.isdisjoint(
        {(kind, "", ""), ("", "", attribute), (kind, name, ""), (kind, name, attribute)}
    )
