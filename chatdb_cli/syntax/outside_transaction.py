"""Statements that PostgreSQL refuses inside a transaction, as far as the text shows it.

What does not belong here: a procedure that commits, which only the server can know; statements that are
refused in every file (`refusal.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from chatdb_cli.syntax.statements import Statement

_CANDIDATE = re.compile(
    r"\s*(?:VACUUM|CLUSTER|REINDEX|DISCARD|(?:COMMIT|ROLLBACK)\s+PREPARED"
    r"|(?:CREATE|DROP|ALTER)\s.{0,1000}?\b(?:CONCURRENTLY|DATABASE|TABLESPACE|SYSTEM|SUBSCRIPTION))\b",
    re.IGNORECASE | re.DOTALL,
)
# REINDEX of all that a schema, a database or the catalogs hold, as the parser numbers its kinds.
_REINDEX_MANY = ("REINDEX_OBJECT_SCHEMA", "REINDEX_OBJECT_DATABASE", "REINDEX_OBJECT_SYSTEM")
_OFF = ("false", "off", "0")
_SIMPLE = {
    "createdb_stmt": "CREATE DATABASE",
    "dropdb_stmt": "DROP DATABASE",
    "create_table_space_stmt": "CREATE TABLESPACE",
    "drop_table_space_stmt": "DROP TABLESPACE",
    "alter_system_stmt": "ALTER SYSTEM",
}


class OutsideTransaction(NamedTuple):
    """A statement that can't run inside a transaction.

    Attributes:
        offset: its place in the text of the file, in characters.
        what: its command, such as `CREATE INDEX CONCURRENTLY`.
    """

    offset: int
    what: str


def find_outside_transaction(
    statements: Sequence[Statement] | None,
) -> OutsideTransaction | None:
    """Return the first statement of a file that can't run inside a transaction, or None.

    Args:
        statements: the result of `split_statements` for the file.
    """
    for statement in statements or ():
        if _CANDIDATE.match(statement.text) and (what := _command(statement.text)):
            return OutsideTransaction(statement.offset, what)
    return None


def _command(text: str) -> str | None:
    import postgast

    try:
        node = postgast.parse(text).stmts[0].stmt
    except (postgast.PgQueryError, IndexError):
        return None
    kind = node.WhichOneof("node")
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    describe = _KINDS.get(kind)
    return describe(getattr(node, kind)) if describe else None


def _create_index(statement: Any) -> str | None:
    return "CREATE INDEX CONCURRENTLY" if statement.concurrent else None


def _drop(statement: Any) -> str | None:
    return "DROP INDEX CONCURRENTLY" if statement.concurrent else None


def _vacuum(statement: Any) -> str | None:
    return "VACUUM" if statement.is_vacuumcmd else None


def _cluster(statement: Any) -> str | None:
    return None if statement.HasField("relation") else "CLUSTER of all tables"


def _reindex(statement: Any) -> str | None:
    if _option(statement.params, "concurrently") == "true":
        return "REINDEX CONCURRENTLY"
    kinds = statement.DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_number
    kind = kinds[statement.kind].name
    return f"REINDEX {kind.rpartition('_')[2]}" if kind in _REINDEX_MANY else None


def _alter_table(statement: Any) -> str | None:
    for command in statement.cmds:
        definition = getattr(command.alter_table_cmd, "def")
        if definition.WhichOneof("node") == "partition_cmd" and definition.partition_cmd.concurrent:
            return "DETACH PARTITION CONCURRENTLY"
    return None


def _discard(statement: Any) -> str | None:
    modes = statement.DESCRIPTOR.fields_by_name["target"].enum_type.values_by_number
    return "DISCARD ALL" if modes[statement.target].name == "DISCARD_ALL" else None


def _transaction(statement: Any) -> str | None:
    kinds = statement.DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_number
    name = kinds[statement.kind].name.removeprefix("TRANS_STMT_").replace("_", " ")
    return name if name.endswith("PREPARED") else None


def _alter_database(statement: Any) -> str | None:
    return "ALTER DATABASE SET TABLESPACE" if _option(statement.options, "tablespace") else None


def _create_subscription(statement: Any) -> str | None:
    """A subscription that makes a slot on the publisher."""
    options = [_option(statement.options, name) for name in ("connect", "create_slot")]
    return None if any(value in _OFF for value in options) else "CREATE SUBSCRIPTION with a slot"


def _alter_subscription(statement: Any) -> str | None:
    """One that copies the list of tables from the publisher, as it does unless it says otherwise."""
    kinds = statement.DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_number
    name = kinds[statement.kind].name
    refreshes = name.endswith("_REFRESH") or (
        name.endswith("_PUBLICATION") and _option(statement.options, "refresh") not in _OFF
    )
    return "ALTER SUBSCRIPTION with refresh" if refreshes else None


def _option(options: Any, name: str) -> str | None:
    """Return the value of an option, in lower case; `true` for one without a value, None for none."""
    for option in options:
        definition = option.def_elem
        if definition.defname == name:
            value = definition.arg
            kind = value.WhichOneof("node")
            if kind is None:
                return "true"
            if kind == "boolean":
                return "true" if value.boolean.boolval else "false"
            if kind == "integer":
                return str(value.integer.ival)
            if kind == "type_name":  # a bare word, such as off
                return str(value.type_name.names[-1].string.sval).lower()
            return str(value.string.sval).lower()
    return None


_KINDS = {
    "index_stmt": _create_index,
    "drop_stmt": _drop,
    "vacuum_stmt": _vacuum,
    "cluster_stmt": _cluster,
    "reindex_stmt": _reindex,
    "alter_table_stmt": _alter_table,
    "discard_stmt": _discard,
    "transaction_stmt": _transaction,
    "alter_database_stmt": _alter_database,
    "create_subscription_stmt": _create_subscription,
    "alter_subscription_stmt": _alter_subscription,
}
