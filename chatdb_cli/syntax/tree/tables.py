"""CREATE TABLE and ALTER TABLE, with their columns and constraints.

What does not belong here: every other statement (`statements.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatdb_cli.syntax.tree.expressions import read_expression
from chatdb_cli.syntax.tree.model import (
    Action,
    AlterTable,
    Column,
    Constraint,
    CreateTable,
    Name,
    Type,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chatdb_cli.syntax.tree.model import ConstraintKind

    Offsets = Callable[[int], int]

_CONSTRAINTS: dict[str, ConstraintKind] = {
    "CONSTR_PRIMARY": "primary key",
    "CONSTR_UNIQUE": "unique",
    "CONSTR_FOREIGN": "foreign key",
    "CONSTR_CHECK": "check",
    "CONSTR_NOTNULL": "not null",
    "CONSTR_EXCLUSION": "exclusion",
    "CONSTR_DEFAULT": "default",
    "CONSTR_GENERATED": "generated",
    "CONSTR_IDENTITY": "identity",
}


def enum_name(message: Any, field: str) -> str:
    """Return the name of the value of an enum field."""
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    return str(descriptor.enum_type.values_by_number[getattr(message, field)].name)


def object_kind(message: Any, field: str) -> str:
    """Return a kind of object in lower case, such as `table` for OBJECT_TABLE."""
    return enum_name(message, field).removeprefix("OBJECT_").lower()


def strings(nodes: Iterable[Any]) -> tuple[str, ...]:
    """Return the texts of a list of string nodes."""
    return tuple(node.string.sval for node in nodes)


def relation_name(relation: Any, offsets: Offsets) -> Name:
    """Return the name of a RangeVar."""
    return Name(relation.relname, relation.schemaname, offsets(relation.location))


def name_of(parts: Iterable[str]) -> Name:
    """Return a name from its parts: database, schema, name; the last ones count."""
    *before, name = tuple(parts) or ("",)
    return Name(name, before[-1] if before else "")


def read_type(message: Any, offsets: Offsets) -> Type:
    """Return the type that a TypeName names."""
    name = name_of(strings(message.names))
    numbers = tuple(
        mod.a_const.ival.ival for mod in message.typmods if mod.WhichOneof("node") == "a_const"
    )
    array = bool(message.array_bounds)
    return Type(name.name, name.schema, numbers, array, offsets(message.location))


def read_constraint(message: Any, offsets: Offsets, column: str = "") -> Constraint:
    """Return a constraint.

    Args:
        message: the Constraint.
        offsets: from bytes to characters.
        column: the column that it is written with, or empty.
    """
    kind = _CONSTRAINTS.get(enum_name(message, "contype"), "other")
    references = message.pktable if message.HasField("pktable") else None
    columns = strings(message.fk_attrs if kind == "foreign key" else message.keys)
    return Constraint(
        kind,
        message.conname,
        columns or ((column,) if column else ()),
        read_expression(message.raw_expr) if message.HasField("raw_expr") else None,
        relation_name(references, offsets) if references else None,
        strings(message.pk_attrs),
        not message.skip_validation,
        message.indexname,
        message.generated_kind == "s",
        offsets(message.location),
    )


def read_column(message: Any, offsets: Offsets) -> Column:
    """Return a ColumnDef."""
    return Column(
        message.colname,
        read_type(message.type_name, offsets),
        tuple(
            read_constraint(node.constraint, offsets, message.colname)
            for node in message.constraints
        ),
        offsets(message.location),
    )


def read_create_table(message: Any, offsets: Offsets) -> CreateTable:
    """Return a CREATE TABLE."""
    kinds = [node.WhichOneof("node") for node in message.table_elts]
    parent = message.inh_relations[0].range_var if message.inh_relations else None
    partition = parent if message.HasField("partbound") else None
    return CreateTable(
        relation_name(message.relation, offsets),
        tuple(
            read_column(node.column_def, offsets)
            for node, kind in zip(message.table_elts, kinds, strict=True)
            if kind == "column_def"
        ),
        tuple(
            read_constraint(node.constraint, offsets)
            for node in (*message.table_elts, *message.constraints)
            if node.WhichOneof("node") == "constraint"
        ),
        message.if_not_exists,
        message.relation.relpersistence == "t",
        relation_name(partition, offsets) if partition else None,
        "table_like_clause" in kinds or bool(parent) or message.HasField("of_typename"),
    )


def read_alter_table(message: Any, offsets: Offsets) -> AlterTable:
    """Return an ALTER TABLE, or an ALTER INDEX, VIEW or SEQUENCE with its commands."""
    return AlterTable(
        object_kind(message, "objtype"),
        relation_name(message.relation, offsets),
        tuple(
            _read_action(node.alter_table_cmd, offsets)
            for node in message.cmds
            if node.WhichOneof("node") == "alter_table_cmd"
        ),
        message.missing_ok,
    )


def _read_action(message: Any, offsets: Offsets) -> Action:
    kind = enum_name(message, "subtype").removeprefix("AT_")
    column = constraint = expression = partition = None
    concurrently = False
    node = getattr(message, "def")
    match node.WhichOneof("node"):
        case "column_def":
            column = read_column(node.column_def, offsets)
            if node.column_def.HasField("raw_default"):
                expression = read_expression(node.column_def.raw_default)
        case "constraint":
            constraint = read_constraint(node.constraint, offsets)
        case "partition_cmd":
            partition = relation_name(node.partition_cmd.name, offsets)
            concurrently = node.partition_cmd.concurrent
        case None:
            pass
        case _:
            expression = read_expression(node)
    return Action(
        kind,
        message.name,
        column,
        constraint,
        expression,
        partition,
        concurrently,
        enum_name(message, "behavior") == "DROP_CASCADE",
        message.missing_ok,
    )
