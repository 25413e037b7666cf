"""Entity-relationship diagrams of a schema, in Mermaid.

What does not belong here: the document around them (`markdown.py`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from chatdb_cli.docs.escape import _NOT_QUOTABLE, code_fence, escape_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from chatdb_cli.catalog.model import Relation

# More tables than this in one diagram, and nobody finds anything.
_LARGEST_DIAGRAM = 10


def write_diagrams(tables: Sequence[Relation]) -> Iterator[str]:
    """Return a diagram for each group of tables; each relation is in that of the table that has it."""
    edges: dict[str, set[str]] = {t.name: set() for t in tables}
    for table in tables:
        for key in table.foreign_keys:
            if key.schema is None and key.table in edges and key.table != table.name:
                edges[table.name].add(key.table)
    groups = sorted(_groups(set(edges), edges), key=lambda g: (-len(g), min(g)))
    shown = {f"Around {escape_text(_hub(g, edges))}": g for g in groups if len(g) > 1}
    # Who is alone may still point to itself, or to another schema.
    alone = {t.name for t in tables if t.foreign_keys} - set().union(*shown.values())
    shown |= {"On their own": alone} if alone else {}
    for title, group in shown.items():
        if len(shown) > 1:
            yield f"### {title}"
        yield code_fence("mermaid", "\n".join(_diagram([t for t in tables if t.name in group])))


def _hub(names: Collection[str], edges: dict[str, set[str]]) -> str:
    """Return the table to which most of the others point."""
    return min(names, key=lambda n: (-sum(n in edges[other] for other in names), n))


def _groups(names: set[str], edges: dict[str, set[str]]) -> list[set[str]]:
    """Divide tables into groups of what belongs together, each small enough to be drawn.

    What hangs together is a group.  Where that is too large, the table to which most point is taken
    out: what still hangs together then is a group of its own, and who stands alone goes with it.
    """
    found = []
    for group in _connected(names, edges):
        if len(group) <= _LARGEST_DIAGRAM:
            found.append(group)
            continue
        hub = _hub(group, edges)
        around = {hub}
        for part in _groups(group - {hub}, edges):
            if len(part) == 1:
                around |= part
            else:
                found.append(part)
        found.append(around)
    return found


def _connected(names: set[str], edges: dict[str, set[str]]) -> Iterator[set[str]]:
    near: dict[str, set[str]] = {name: edges[name] & names for name in names}
    for name in names:
        for other in edges[name] & names:
            near[other] = near[other] | {name}
    left = set(names)
    while left:
        group: set[str] = set()
        reached = {min(left)}
        while reached:
            group |= reached
            reached = set().union(*(near[name] for name in reached)) - group
        left -= group
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
            there = f"{key.schema}.{key.table}" if key.schema else key.table
            line = ("||" if key.required else "|o") + "--" + ("o|" if key.unique else "o{")
            label = _entity(", ".join(key.columns))
            yield f"  {_entity(there)} {line} {_entity(table.name)} : {label}"


def _key_columns(table: Relation) -> Iterator[str]:
    """Return the columns that a key is made of, as attributes of an entity."""
    marks: dict[str, list[str]] = defaultdict(list)
    for rule in table.rules:
        if rule.kind == "primary key":
            for name in rule.columns:
                marks[name].append("PK")
        elif (
            rule.kind == "unique" and len(rule.columns) == 1 and "UK" not in marks[rule.columns[0]]
        ):
            marks[rule.columns[0]].append("UK")
    for name in {c for k in table.foreign_keys for c in k.columns}:
        marks[name].append("FK")
    for column in table.columns:
        if column.name in marks:
            word = _word(column.name)
            real = "" if word == column.name else f" {_entity(column.name)}"
            kind = _word(column.type.partition(" COLLATE ")[0].partition("(")[0])
            yield f"{kind} {word} {', '.join(marks[column.name])}{real}"


def _entity(name: str) -> str:
    """Return a name in quotes; a character that Mermaid could take for its own stands as its number."""
    return '"' + _NOT_QUOTABLE.sub(lambda m: f"#{ord(m[0])};", name) + '"'


def _word(name: str) -> str:
    """Return a name as Mermaid takes it for an attribute: a plain word that is none of its own."""
    word = re.sub(r"[^A-Za-z0-9_\[\]]", "_", name)
    return word if re.match(r"(?!(?:[pfu]k)\b)[A-Za-z_]", word, re.IGNORECASE) else f"_{word}"
