"""Make the documentation of a schema from a snapshot.

What does not belong here: tables and views (`relations.py`), functions (`functions.py`), the document
(`markdown.py`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from chatdb_cli.docs.described import Described
from chatdb_cli.docs.functions import describe_function
from chatdb_cli.docs.model import SchemaDocs, Type
from chatdb_cli.docs.relations import describe_relation
from chatdb_cli.docs.sql_text import Shortener
from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from chatdb_cli.catalog.model import Snapshot

_RELATIONS = {"table", "partitioned table", "foreign table", "view", "materialized view"}
_FUNCTIONS = {"function", "procedure", "window function", "aggregate"}
_TYPES = {
    "enum": "enum", "domain": "domain", "composite type": "composite", "range type": "range",
}  # fmt: skip
_PARTS = {"column", "constraint", "index", "trigger", "policy"}
_Parts = dict[str, list[Described]]


def describe_schema(snapshot: Snapshot, schema: str) -> SchemaDocs:
    """Return the documentation of a schema, without reading the catalog.

    Args:
        snapshot: what `read_snapshot` or `load_snapshot` returned.
        schema: the name of one of its schemas.

    Raises:
        ChatdbError: `MISSING_SCHEMA` if the snapshot does not have the schema, `LOGIN` if the role that
            it was read by could not read what a documentation shows.
    """
    _require_all(snapshot, schema)
    whole, parts = _objects(snapshot, schema)
    partitions = _partitions(whole)
    listed = {bound.identity for bounds in partitions.values() for bound in bounds}
    relations = [
        describe_relation(item, parts[item.identity], partitions[item.identity])
        for item in whole
        if item.kind in _RELATIONS and item.identity not in listed
    ]
    functions = map(describe_function, (i for i in whole if i.kind in _FUNCTIONS))
    return SchemaDocs(
        comment=next((i.comment for i in whole if i.kind == "schema"), None),
        tables=tuple(r for r in relations if "view" not in r.kind),
        views=tuple(r for r in relations if "view" in r.kind),
        functions=tuple(sorted(functions, key=lambda f: (f.name, f.arguments))),
        types=tuple(_type(i, parts[i.identity]) for i in whole if i.kind in _TYPES),
    )


def _require_all(snapshot: Snapshot, schema: str) -> None:
    if schema not in snapshot.schemas:
        raise ChatdbError(
            Code.MISSING_SCHEMA,
            f"schema {schema!r} is not in the snapshot, which has {', '.join(snapshot.schemas)}",
            hint="name one of these schemas, or read a snapshot of that one",
        )
    shown = {"schema", *_RELATIONS, *_FUNCTIONS, *_TYPES, *_PARTS}
    for unread in snapshot.unread:
        if unread.kind in shown or (not unread.kind and unread.attribute == "comment"):
            raise ChatdbError(
                Code.LOGIN,
                f"the catalog can't be read: {unread}",
                hint="use a role that may read the catalog",
            )


def _objects(snapshot: Snapshot, schema: str) -> tuple[list[Described], _Parts]:
    """Return the objects of a schema by name, and their parts by the identity of the whole."""
    extensions = (
        value
        for item in snapshot.objects
        if item.kind == "extension"
        for name, value in item.attributes
        if name == "schema" and isinstance(value, str)
    )
    shorten = Shortener({schema, *extensions} - {"pg_catalog"})
    whole: list[Described] = []
    parts: _Parts = defaultdict(list)
    for item in snapshot.objects:
        described = Described(item, shorten)
        if item.parent:
            parts[item.parent].append(described)
        elif (described.schema or described.name) == schema:
            whole.append(described)
    return sorted(whole, key=lambda item: item.name), parts


def _partitions(whole: Sequence[Described]) -> Mapping[str, list[Described]]:
    """Return the partitions of each table, by its identity."""
    names = {item.identity for item in whole}
    partitions: dict[str, list[Described]] = defaultdict(list)
    for item in whole:
        for parent in item.texts("inherits"):
            if "partition bound" in item and parent in names:
                partitions[parent].append(item)
    return partitions


def _type(item: Described, parts: Sequence[Described]) -> Type:
    definition = {
        "enum": _labels, "domain": _domain, "composite type": _columns, "range type": _subtype,
    }[item.kind](item, parts)  # fmt: skip
    return Type(item.name, _TYPES[item.kind], " ".join(definition), item.comment)


def _labels(item: Described, _: Sequence[Described]) -> Iterator[str]:
    yield ", ".join("'" + label.replace("'", "''") + "'" for label in item.texts("labels"))


def _domain(item: Described, parts: Sequence[Described]) -> Iterator[str]:
    yield item.sql("type") or ""
    if collation := item.sql("collation"):
        yield f"COLLATE {collation}"
    if default := item.sql("default"):
        yield f"DEFAULT {default}"
    if "not null" in item:
        yield "NOT NULL"
    yield from (part.sql("definition") or "" for part in sorted(parts, key=lambda p: p.name))


def _columns(_: Described, parts: Sequence[Described]) -> Iterator[str]:
    columns = (part for part in parts if part.kind == "column")
    yield ", ".join(f"{column.identity} {column.sql('type')}" for column in columns)


def _subtype(item: Described, _: Sequence[Described]) -> Iterator[str]:
    yield item.sql("subtype") or ""
