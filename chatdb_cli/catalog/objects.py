"""From the rows of a snapshot's statements to its objects.

What does not belong here: sending the statements (`snapshot.py`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from chatdb_cli.catalog.grants import grants_in_words, role_name
from chatdb_cli.catalog.kinds import RANK
from chatdb_cli.catalog.model import SchemaObject, Unread
from chatdb_cli.catalog.options import masked_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chatdb_cli.catalog.model import Value
    from chatdb_cli.catalog.questions import Question


class Answer(NamedTuple):
    """The rows that a question returned, and the names of their columns."""

    question: Question
    columns: list[str]
    rows: list[tuple[Any, ...]]


# An object in the catalog: the name of the catalog, the oid, the number of a column or 0.
_Key = tuple[str, int, int]
_Row = dict[str, Any]


def snapshot_objects(
    answers: Iterable[Answer], server_version: int
) -> tuple[tuple[SchemaObject, ...], list[Unread]]:
    """Return the objects in the order of a snapshot, and the attributes that could not be read.

    Args:
        answers: the rows of all statements.
        server_version: the major version of the server.
    """
    found: list[tuple[_Key, _Row]] = []
    more: dict[_Key, _Row] = defaultdict(dict)
    for question, columns, rows in answers:
        for row in (dict(zip(columns, values, strict=True)) for values in rows):
            key = (row.pop("catalog", question.catalog), row.pop("oid"), row.pop("subid", 0))
            if question.catalog:
                found.append((key, row))
            else:
                more[key][question.attribute] = row["value"]
    objects, unread = [], []
    for key, row in found:
        hidden = row.pop("hidden", None)
        item = _object(row | more[key] if key in more else row, server_version)
        objects.append(item)
        if hidden:
            unread.append(Unread(item.kind, item.identity, hidden, "permission denied"))
    return tuple(_ordered(objects)), unread


# Kinds that have a definition, unless the object was dropped while it was read.
_DEFINED = {
    "constraint", "index", "trigger", "rule", "view", "materialized view", "function", "procedure",
    "window function", "statistics object",
}  # fmt: skip


def has_no_definition(item: SchemaObject) -> bool:
    """Tell whether an object was dropped while its definition was read."""
    return item.kind in _DEFINED and all(name != "definition" for name, _ in item.attributes)


def _object(row: _Row, server_version: int) -> SchemaObject:
    kind, name, parent = row.pop("kind"), row.pop("name"), row.pop("parent", "")
    owner = row.get("owner")
    grants_on = row.pop("grants on", kind)
    if row.get("grants"):
        row["grants"] = grants_in_words(row["grants"], grants_on, owner, server_version)
    if owner is not None:
        row["owner"] = role_name(owner)
    if options := row.get("options"):
        row["options"] = masked_options(options)
    if options := row.pop("user mapping options", None):
        row["options"] = masked_options(options, of_user=True)
    attributes = sorted((n, _value(n, v)) for n, v in row.items() if v not in _DEFAULTS)
    return SchemaObject(kind, name, parent, tuple(attributes))


_DEFAULTS: tuple[Any, ...] = (None, False, [], ())
# Lists whose order matters; all others are sorted, because no collation is the same everywhere.
_IN_ORDER = {"labels", "inherits", "columns"}


def _value(name: str, value: str | bool | Sequence[str]) -> Value:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes"
    return tuple(value if name in _IN_ORDER else sorted(value))


def _ordered(objects: Iterable[SchemaObject]) -> Iterator[SchemaObject]:
    """Yield objects by kind and name, each followed by its parts, columns in their order."""
    parts: dict[str, list[SchemaObject]] = defaultdict(list)
    whole = []
    for item in objects:
        if item.parent:
            parts[item.parent].append(item)
        else:
            whole.append(item)
    for item in sorted(whole, key=lambda o: (RANK[o.kind], o.name)):
        yield item
        yield from sorted(
            parts[item.name], key=lambda o: (RANK[o.kind], "" if o.kind == "column" else o.name)
        )
