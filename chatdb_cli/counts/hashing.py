"""The hash of a row as SQL: an expression for each column, combined and mixed.

Native form.  Each column is hashed to 64 bits with a seed that is made from its name, NULL to a number
that is made from it, too; the row is the XOR of them, mixed by one more hash.  So the order of the
columns does not matter, values swapped between columns or between rows don't cancel out, and a row of
NULLs counts.  The sum of the rows is that of the table: the order of rows does not matter, and
duplicates don't cancel out.

The same hash must mean the same text.  Where the hash of a type is coarser than its text (numeric,
arrays, jsonb, interval, citext, char(n), nondeterministic collations), or depends on the database
(enums, regclass), or does not exist (json, xml), its text is hashed, under `queries.SETTINGS`.  `int8`
folds its halves in PostgreSQL's hash, so it is the seed here, which is mixed whole; timestamps fold in
the same way, and their binary form is hashed.  PostgreSQL's hash of a float returns the seed for 0 and
-0, so their text is hashed.

Text form.  SHA-256 over the texts of the columns, sorted by name, in UTF-8: slower, but the same on any
server and for any types with the same text.

What does not belong here: which columns are covered (`tables.py`), running it (`snapshot.py`).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from chatdb_cli.counts import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from chatdb_cli.counts.model import Form, HashedColumn

Quote = "Callable[[str], str]"


def row_hash(columns: Iterable[HashedColumn], form: Form, quote: Callable[[str], str]) -> str:
    """Return the hash of a row of a table as an SQL expression of type int8.

    Args:
        columns: the columns that it covers, in any order.
        form: native or text.
        quote: makes SQL of a name, such as `Quoting.identifier`.
    """
    ordered = sorted(columns, key=lambda column: column.alias)
    if form == "text":
        return _text_hash(ordered, quote)
    terms: list[str] = []
    packed: list[str] = []
    for column in ordered:
        name = quote(column.column.name)
        seeds = {"seed": _number("seed", column.alias), "null": _number("null", column.alias)}
        method = hash_method(column)
        if template := queries.BINARY.get(method):
            packed.append(template.format(value=name))
        elif template := queries.NATIVE.get(method):
            terms.append(queries.OR_NULL.format(hash=template.format(value=name, **seeds), **seeds))
        else:
            text = queries.TEXT_HASH.format(value=column_text(column, quote), **seeds)
            terms.append(queries.OR_NULL.format(hash=text, **seeds))
    if packed:
        terms.append(queries.PACKED.format(values=", ".join(packed)))
    return queries.MIXED.format(terms=_balanced(terms) if terms else "0")


def hash_method(column: HashedColumn) -> str:
    """Return how a column is hashed in the native form: `text`, or the type whose values are hashed."""
    base = column.column.base
    return (
        base
        if not column.as_text and (base in queries.NATIVE or base in queries.BINARY)
        else "text"
    )


def column_text(column: HashedColumn, quote: Callable[[str], str]) -> str:
    """Return the text of a column as an SQL expression: what the type's output function writes."""
    template = queries.CAST if column.column.cast else queries.OUTPUT
    return template.format(value=quote(column.column.name), output=column.column.output)


def _text_hash(columns: Sequence[HashedColumn], quote: Callable[[str], str]) -> str:
    texts = ", ".join(column_text(column, quote) for column in columns)
    return queries.PORTABLE.format(texts=texts)


def _balanced(terms: Sequence[str]) -> str:
    """Return the XOR of some terms, as a tree that is not deep: a table has up to 1,600 columns."""
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    return f"({_balanced(terms[:half])} # {_balanced(terms[half:])})"


def _number(purpose: str, alias: str) -> int:
    """Return a number of 63 bits that is made from the name of a column, never 0."""
    digest = hashlib.sha256(f"{purpose}:{alias}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1 or 1
