"""The columns that statements add, and what is known about types and defaults.

What does not belong here: rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.tree.model import AlterTable, Column, CreateTable, Name, Type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.syntax.tree.model import Statement

# Functions of PostgreSQL that give another value in each row, so that a default needs a rewrite.
VOLATILE = frozenset(
    [
        "random",
        "random_normal",
        "gen_random_uuid",
        "uuidv4",
        "uuidv7",
        "clock_timestamp",
        "timeofday",
        "nextval",
        "gen_random_bytes",
        "uuid_generate_v1",
        "uuid_generate_v1mc",
        "uuid_generate_v4",
        "setval",
        "gen_salt",
    ]
)
# Functions that give one value for the whole statement.
STABLE = frozenset(
    [
        "now",
        "txid_current",
        "pg_current_xact_id",
        "transaction_timestamp",
        "statement_timestamp",
        "current_setting",
        "current_database",
        "current_schema",
        "to_timestamp",
        "to_date",
        "to_char",
        "make_interval",
        "make_date",
        "timezone",
        "date_trunc",
        "date_part",
        "extract",
        "lower",
        "upper",
        "md5",
        "concat",
        "jsonb_build_object",
        "json_build_object",
        "jsonb_build_array",
        "array_fill",
        "encode",
        "decode",
        "to_jsonb",
        "to_json",
        "length",
        "round",
        "abs",
        "floor",
        "ceil",
        "left",
        "right",
        "repeat",
        "replace",
        "format",
        "int4range",
        "int8range",
        "tstzrange",
        "daterange",
        "tsrange",
        "numrange",
        "to_tsvector",
        "point",
        "interval",
        "string_to_array",
        "date",
        "trim",
        "btrim",
        "coalesce",
        "nullif",
        "greatest",
        "least",
        "session_user",
        "user",
        "inet_client_addr",
    ]
)
_WORDS = {
    "int4": "integer",
    "int8": "bigint",
    "int2": "smallint",
    "bpchar": "char",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
}


class ColumnAt(NamedTuple):
    """A column that a statement adds.

    Attributes:
        table: its table.
        column: its definition.
        added: by ALTER TABLE, so that the table was there before.
    """

    table: Name
    column: Column
    added: bool


def new_columns(statement: Statement[CreateTable | AlterTable]) -> Iterator[ColumnAt]:
    """Yield the columns that a statement adds, or gives another type."""
    body = statement.body
    if isinstance(body, CreateTable):
        yield from (ColumnAt(body.table, column, False) for column in body.columns)
    elif body.kind == "table":
        for action in body.actions:
            if action.column is not None and action.kind in ("AddColumn", "AlterColumnType"):
                column = action.column
                named = column._replace(name=column.name or action.name)
                yield ColumnAt(body.table, named, action.kind == "AddColumn")


def type_text(kind: Type) -> str:
    """Return a type as SQL."""
    name = _WORDS.get(kind.name, kind.name)
    numbers = f"({', '.join(map(str, kind.arguments))})" if kind.arguments else ""
    return name + numbers + ("[]" if kind.array else "")


def keeps_rows(old: Type, new: Type) -> bool:
    """Return whether a column can get another type without a rewrite and without a check of its rows.

    From the notes of ALTER TABLE in PostgreSQL's manual, and the transform functions of the casts.
    """
    if (old.name, old.arguments, old.array) == (new.name, new.arguments, new.array):
        return True
    if old.array or new.array:
        return False
    pair = (old.name, new.name)
    if pair in (("varchar", "text"), ("text", "varchar")) and not new.arguments:
        return True
    if pair in (("varchar", "varchar"), ("varbit", "varbit")):
        return not new.arguments or bool(old.arguments and old.arguments[0] <= new.arguments[0])
    if pair == ("numeric", "numeric"):
        return not new.arguments or _wider_numeric(old, new)
    return pair == ("cidr", "inet")


def _wider_numeric(old: Type, new: Type) -> bool:
    if not old.arguments:
        return False
    scales = [kind.arguments[1] if len(kind.arguments) > 1 else 0 for kind in (old, new)]
    return scales[0] == scales[1] and old.arguments[0] <= new.arguments[0]


def narrows(old: Type, new: Type) -> bool:
    """Return whether values of a text column can be too long for its other type."""
    if old.name not in ("varchar", "text", "bpchar") or new.name not in ("varchar", "bpchar"):
        return False
    if not new.arguments or old.array or new.array:
        return False
    return not old.arguments or old.arguments[0] > new.arguments[0]
