"""Tables and views of a snapshot, as a documentation shows them.

What does not belong here: the other objects (`describe.py`, `functions.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from chatdb_cli.docs.model import (
    Column,
    Constraint,
    ForeignKey,
    Index,
    Policy,
    Relation,
    Trigger,
)
from chatdb_cli.docs.sql_text import (
    PLACE,
    columns_in,
    first_names,
    index_definition,
    is_unique_index,
    split_name,
    split_parentheses,
    trigger_definition,
    unquote,
    without_quoted,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Literal

    from chatdb_cli.docs.described import Described

    _Kind = Literal["table", "partitioned table", "foreign table", "view", "materialized view"]

_KEYWORDS: dict[Literal["primary key", "unique", "check", "exclusion"], str] = {
    "primary key": "PRIMARY KEY ", "unique": "UNIQUE ", "check": "CHECK ",
    "exclusion": "EXCLUDE USING ",
}  # fmt: skip


def describe_relation(
    item: Described, parts: Sequence[Described], partitions: Sequence[Described]
) -> Relation:
    """Return a table or a view as a documentation shows it.

    Args:
        item: the table or view.
        parts: its columns in their order, its constraints and so on in any order.
        partitions: its partitions.
    """
    by_name = sorted(parts, key=lambda part: part.name)
    columns = tuple(_column(part) for part in parts if part.kind == "column")
    names = {column.name for column in columns}
    constraints = [part for part in by_name if part.kind == "constraint"]
    indexes = [part for part in by_name if part.kind == "index"]
    rules = [_constraint(part, names) for part in constraints if not _is_foreign_key(part)]
    rules += [_unique_index(part) for part in indexes if _is_unique(part)]
    not_null = {column.name for column in columns if not column.nullable}
    unique = [set(r.columns) for r in rules if r.kind in ("primary key", "unique") and r.columns]
    row_security = item.text("row-level security") or ""
    return Relation(
        name=item.name,
        kind=cast("_Kind", item.kind),
        comment=item.comment,
        unlogged=item.text("persistence") == "unlogged",
        row_security="enabled" in row_security,
        row_security_forced="forced" in row_security,
        partition_key=item.sql("partition key"),
        partitions=tuple(sorted(f"{p.name} {p.text('partition bound')}" for p in partitions)),
        inherits=tuple(_parent(name, item.schema) for name in item.texts("inherits")),
        options=item.texts("parameters") if item.kind == "view" else (),
        columns=columns,
        rules=tuple(rules),
        foreign_keys=tuple(
            _foreign_key(part, item.schema, not_null, unique)
            for part in constraints
            if _is_foreign_key(part)
        ),
        indexes=tuple(
            Index(part.name, _index_definition(part), part.comment)
            for part in indexes
            if not _is_unique(part)
        ),
        triggers=tuple(_trigger(part) for part in by_name if part.kind == "trigger"),
        policies=tuple(_policy(part) for part in by_name if part.kind == "policy"),
    )


def _parent(qualified: str, schema: str) -> str:
    parent_schema, name = split_name(qualified)
    return name if parent_schema == schema else f"{parent_schema}.{name}"


def _column(part: Described) -> Column:
    type_, collation, default = part.sql("type") or "", part.sql("collation"), part.sql("default")
    if identity := part.text("identity"):
        default = f"GENERATED {identity.upper()} AS IDENTITY"
    elif generated := part.sql("generated"):
        default = f"GENERATED ALWAYS AS {generated}"
    return Column(
        name=part.name,
        type=f"{type_} COLLATE {collation}" if collation else type_,
        nullable="not null" not in part,
        default=default,
        comment=part.comment,
    )


def _constraint(part: Described, columns: Collection[str]) -> Constraint:
    definition = part.sql("definition") or ""
    kind = next(kind for kind, keyword in _KEYWORDS.items() if definition.startswith(keyword))
    definition = definition.removeprefix(_KEYWORDS[kind])
    if kind in ("primary key", "unique"):
        names = first_names(split_parentheses(definition)[0]) or ()
    else:
        names = columns_in(definition, columns)
    if kind == "check" and definition[-1] == ")":  # nothing such as NOT VALID follows
        definition = definition[1:-1].strip()
    return Constraint(part.name, kind, definition, names, part.comment)


def _is_unique(part: Described) -> bool:
    return is_unique_index(part.text("definition") or "")


def _index_definition(part: Described) -> str:
    return part.shorten(index_definition(part.text("definition") or ""))


def _unique_index(part: Described) -> Constraint:
    definition = _index_definition(part)
    keys, rest = split_parentheses(definition)
    partial = re.search(r"\bWHERE\b", without_quoted(rest))
    columns = () if partial else first_names(keys) or ()
    return Constraint(part.name, "unique", definition, columns, part.comment)


def _is_foreign_key(part: Described) -> bool:
    return (part.text("definition") or "").startswith("FOREIGN KEY ")


_REFERENCES = re.compile(rf" REFERENCES ({PLACE})")


def _foreign_key(
    part: Described, schema: str, not_null: Collection[str], unique: Sequence[set[str]]
) -> ForeignKey:
    keys, rest = split_parentheses(part.text("definition") or "")
    columns = first_names(keys) or ()
    match = _REFERENCES.match(rest)
    to_schema, to_table = split_name(match[1]) if match else ("", "")
    to_keys, actions = split_parentheses(rest[match.end() if match else 0 :])
    if "ON DELETE" not in actions:
        actions = f"ON DELETE NO ACTION {actions.strip()}"
    return ForeignKey(
        name=part.name,
        columns=columns,
        schema=None if to_schema == schema else to_schema,
        table=to_table,
        to_columns=first_names(to_keys) or (),
        actions=actions.strip(),
        required=set(columns) <= set(not_null),
        unique=any(key.issubset(columns) for key in unique),
        comment=part.comment,
    )


def _trigger(part: Described) -> Trigger:
    definition = part.shorten(trigger_definition(part.text("definition") or ""))
    return Trigger(part.name, definition, part.text("enabled") != "no", part.comment)


def _policy(part: Described) -> Policy:
    return Policy(
        name=part.name,
        command=(part.text("command") or "").upper(),
        permissive="restrictive" not in part,
        roles=tuple(sorted(map(unquote, part.texts("roles")))),
        reads=part.sql("using"),
        writes=part.sql("with check"),
        comment=part.comment,
    )
