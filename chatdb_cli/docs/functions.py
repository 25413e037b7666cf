"""Functions, procedures and aggregates of a snapshot, as a documentation shows them.

What does not belong here: the other objects (`describe.py`, `relations.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from chatdb_cli.docs.model import Function
from chatdb_cli.docs.sql_text import NAME, split_parentheses, unquote

if TYPE_CHECKING:
    from typing import Literal

    from chatdb_cli.docs.described import Described

    _Kind = Literal["function", "trigger function", "procedure", "window function"]

# What pg_get_functiondef() prints after the arguments, up to the line of the attributes, which has no
# text if all of them have their defaults.
_REST = re.compile(
    rf"\n(?: RETURNS (?P<result>.*?)\n)?(?: TRANSFORM [^\n]*\n)? LANGUAGE (?P<language>{NAME})\n"
    r"(?: (?!SET )(?P<attributes>[A-Z][^\n]*)\n)?",
    re.DOTALL,
)
_TRIGGERS = ("trigger", "event_trigger")


def describe_function(item: Described) -> Function:
    """Return a function, procedure or aggregate as a documentation shows it."""
    if item.kind == "aggregate":
        # CREATE AGGREGATE gives the same attributes to each of them.
        arguments, result = item.sql("arguments") or "", item.sql("result")
        return Function(
            item.name, "aggregate", arguments, result, "immutable", False, False, "internal",
            item.comment,
        )  # fmt: skip
    arguments, rest = split_parentheses(item.text("definition") or "")
    match = _REST.match(rest)
    found = (
        match.groupdict("") if match else dict.fromkeys(("result", "language", "attributes"), "")
    )
    words = found["attributes"].split()
    volatility = {"IMMUTABLE": "immutable", "STABLE": "stable"}
    kind = "trigger function" if found["result"] in _TRIGGERS else item.kind
    return Function(
        name=item.name,
        kind=cast("_Kind", kind),
        arguments=item.shorten(arguments),
        result=item.shorten(found["result"]) or None,
        volatility=next((volatility[word] for word in words if word in volatility), "volatile"),
        strict="STRICT" in words,
        security_definer="SECURITY" in words,
        language=unquote(found["language"]),
        comment=item.comment,
    )
