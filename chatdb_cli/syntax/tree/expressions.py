"""What an expression calls, reads and contains.

What does not belong here: the statements around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatdb_cli.syntax.tree.model import Expression

if TYPE_CHECKING:
    from collections.abc import Iterator


def read_expression(message: Any) -> Expression:
    """Return what any part of a parse tree calls, reads and contains.

    Args:
        message: a message of the parse tree.
    """
    calls: list[str] = []
    columns: list[str] = []
    literals: list[str] = []
    casts: list[str] = []
    has_query = False
    for name, part in _walk(message):
        if name == "func_call":
            calls.append(part.funcname[-1].string.sval)
        elif name == "column_ref":
            field = part.fields[-1] if part.fields else None
            if field is not None and field.WhichOneof("node") == "string":
                columns.append(field.string.sval)
        elif name == "a_const":
            if part.WhichOneof("val") == "sval":
                literals.append(part.sval.sval)
        elif name == "type_cast":
            casts.extend(n.string.sval for n in part.type_name.names[-1:])
        elif name in ("sub_link", "select_stmt"):
            has_query = True
    return Expression(
        tuple(calls), tuple(columns), tuple(literals), tuple(casts), has_query, _not_null(message)
    )


def _not_null(message: Any) -> str:
    """Return the column of `column IS NOT NULL`, if the expression is nothing else."""
    if message.DESCRIPTOR.name != "Node" or message.WhichOneof("node") != "null_test":
        return ""
    test = message.null_test
    if test.nulltesttype != 2 or test.arg.WhichOneof("node") != "column_ref":  # IS_NOT_NULL
        return ""
    fields = test.arg.column_ref.fields
    return str(fields[-1].string.sval) if fields else ""


def _walk(message: Any) -> Iterator[tuple[str, Any]]:
    """Yield (name of the node, node) for each node under a message."""
    stack = [message]
    while stack:
        current = stack.pop()
        for field, value in current.ListFields():
            if field.message_type is None:
                continue
            parts = [value] if hasattr(value, "ListFields") else list(value)
            stack.extend(reversed(parts))
            if current.DESCRIPTOR.name == "Node" or field.name == "select_stmt":
                yield from ((field.name, part) for part in parts)
