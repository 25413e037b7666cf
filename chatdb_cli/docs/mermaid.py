"""Entity-relationship diagrams of a schema, in Mermaid.

What does not belong here: the document around them (`markdown.py`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from chatdb_cli.docs.escape import NOT_QUOTABLE, code_fence, escape_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from chatdb_cli.docs.model import Relation

# A diagram of more tables can't be read.
_LARGEST_DIAGRAM = 10


def write_diagrams(tables: Sequence[Relation]) -> Iterator[str]:
    """Yield a diagram for each group of tables; a foreign key is in the diagram of its own table."""
    edges: dict[str, set[str]] = {t.name: set() for t in tables}
    for table in tables:
        for key in table.foreign_keys:
            if key.schema is None and key.table in edges and key.table != table.name:
                edges[table.name].add(key.table)
    groups = sorted(_groups(set(edges), edges), key=lambda g: (-len(g), min(g)))
    diagrams = {f"Around {escape_text(_hub(g, edges))}": g for g in groups if len(g) > 1}
    # A table without a group may reference itself, or another schema.
    alone = {t.name for t in tables if t.foreign_keys} - set().union(*diagrams.values())
    diagrams |= {"On their own": alone} if alone else {}
    for title, group in diagrams.items():
        if len(diagrams) > 1:
            yield f"### {title}"
        yield code_fence("mermaid", "\n".join(_diagram([t for t in tables if t.name in group])))


def _hub(names: Collection[str], edges: dict[str, set[str]]) -> str:
    """Return the table that most of the others reference."""
    return min(names, key=lambda n: (-sum(n in edges[other] for other in names), n))


def _groups(names: set[str], edges: dict[str, set[str]]) -> list[set[str]]:
    """Divide tables into groups of related tables, each small enough for one diagram.

    Tables that are connected by foreign keys are a group.  If it is too large, the table that most of
    the others reference is removed: the parts that are still connected are groups of their own, and the
    tables that are left alone form a group with the removed table.
    """
    groups = []
    for group in _connected(names, edges):
        if len(group) <= _LARGEST_DIAGRAM:
            groups.append(group)
            continue
        hub = _hub(group, edges)
        around = {hub}
        for part in _groups(group - {hub}, edges):
            if len(part) == 1:
                around |= part
            else:
                groups.append(part)
        groups.append(around)
    return groups


def _connected(names: set[str], edges: dict[str, set[str]]) -> Iterator[set[str]]:
    neighbors: dict[str, set[str]] = {name: edges[name] & names for name in names}
    for name in names:
        for other in edges[name] & names:
            neighbors[other] = neighbors[other] | {name}
    remaining = set(names)
    while remaining:
        group: set[str] = set()
        reached = {min(remaining)}
        while reached:
            group |= reached
            reached = set().union(*(neighbors[name] for name in reached)) - group
        remaining -= group
        yield group


def _diagram(tables: Sequence[Relation]) -> Iterator[str]:
    yield "erDiagram"
    for table in tables:
        columns = list(_key_columns(table))
        yield f"  {_entity(table.name)}" + (" {" if columns else "")
        yield from (f"    {column}" for column in columns)
        if columns:
            yield "  }"
    for table in tables:
        for key in table.foreign_keys:
            referenced = f"{key.schema}.{key.table}" if key.schema else key.table
            line = ("||" if key.required else "|o") + "--" + ("o|" if key.unique else "o{")
            label = _entity(", ".join(key.columns))
            yield f"  {_entity(referenced)} {line} {_entity(table.name)} : {label}"


def _key_columns(table: Relation) -> Iterator[str]:
    """Yield the columns of keys, as attributes of an entity."""
    marks: dict[str, list[str]] = defaultdict(list)
    for constraint in table.rules:
        columns = constraint.columns
        if constraint.kind == "primary key":
            for name in columns:
                marks[name].append("PK")
        elif constraint.kind == "unique" and len(columns) == 1 and "UK" not in marks[columns[0]]:
            marks[columns[0]].append("UK")
    for name in {c for k in table.foreign_keys for c in k.columns}:
        marks[name].append("FK")
    for column in table.columns:
        if column.name in marks:
            word = _word(column.name)
            real_name = "" if word == column.name else f" {_entity(column.name)}"
            kind = _word(column.type.partition(" COLLATE ")[0].partition("(")[0])
            yield f"{kind} {word} {', '.join(marks[column.name])}{real_name}"


def _entity(name: str) -> str:
    """Return a name in quotes; characters that Mermaid would interpret are replaced by their numbers."""
    return '"' + NOT_QUOTABLE.sub(lambda m: f"#{ord(m[0])};", name) + '"'


def _word(name: str) -> str:
    """Return a name as a valid attribute of Mermaid: a plain word, and not a keyword."""
    word = re.sub(r"[^A-Za-z0-9_\[\]]", "_", name)
    return word if re.match(r"(?!(?:[pfu]k)\b)[A-Za-z_]", word, re.IGNORECASE) else f"_{word}"
