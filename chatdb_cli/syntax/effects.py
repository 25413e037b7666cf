"""What a statement would do, as far as its text shows: beyond a rollback, to the session, to an index.

What does not belong here: which statements are refused in every file (`refusal.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.scan import scan_tokens
from chatdb_cli.syntax.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Literal

_SETTING = re.compile(r"(?:SET|RESET)\b(?!\s+(?:LOCAL|CONSTRAINTS|TRANSACTION)\b)", re.IGNORECASE)
# What no rollback undoes.
_LASTING = re.compile(
    r"\b(?:setval|nextval|dblink\w*|lo_export|pg_(?:terminate|cancel)_backend|copy)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ConcurrentIndexStatement:
    """A statement that builds or drops an index in the course of several transactions.

    Attributes:
        kind: what it does.
        names: the table of an index to create; the indexes to drop; as SQL, quoted.
        index: the name of the index to create, quoted, or None where PostgreSQL chooses it.
    """

    kind: Literal["create", "drop", "reindex"]
    names: tuple[str, ...] = ()
    index: str | None = None


class LastingEffect(NamedTuple):
    """Something in a file that no rollback undoes.

    Attributes:
        offset: where in the text, in characters.
        what: such as `setval` or `COPY`.
        argument: its first argument, where that is a literal.
    """

    offset: int
    what: str
    argument: str | None = None


def find_lasting_effects(
    text: str, statements: tuple[Statement, ...] | None
) -> Iterator[LastingEffect]:
    """Yield what no rollback undoes, as far as the text shows it: what a function does it does not.

    Args:
        text: the file.
        statements: what `split` returned for it.
    """
    for statement in (Statement(text, 0),) if statements is None else statements:
        if not _LASTING.search(statement.text):
            continue
        tokens = [(o, t) for o, t in scan_tokens(statement.text) if not t.startswith(("--", "/*"))]
        if tokens and tokens[0][1].upper() == "DO":
            for offset, body in tokens:
                if quote := re.match(r"\$\w*\$", body):
                    inner = body.removeprefix(quote[0]).removesuffix(quote[0])
                    for found in find_lasting_effects(inner, None):
                        start = statement.offset + offset + len(quote[0])
                        yield found._replace(offset=start + found.offset)
        for n, (offset, word) in enumerate(tokens):
            following = [t for _, t in tokens[n + 1 : n + 3]]
            if _LASTING.fullmatch(word) and (following[:1] == ["("] or word.upper() == "COPY"):
                said = following[1][1:-1] if following[1:] and following[1][0] == "'" else None
                if word.upper() != "COPY" or _to_outside([t.upper() for _, t in tokens[n:]]):
                    yield LastingEffect(statement.offset + offset, word, said)


def _to_outside(words: list[str]) -> bool:
    """Return whether a COPY, given as words, writes a file or runs a program."""
    return "PROGRAM" in words or any(a == "TO" and b[0] == "'" for a, b in pairwise(words))


def is_setting(statement: str) -> bool:
    """Return whether a statement sets something that the session's next statements go by."""
    return bool(_SETTING.match(statement))


def parse_concurrent_index_statement(statement: str) -> ConcurrentIndexStatement | None:
    """Return what a statement does to indexes CONCURRENTLY, or None where it does no such thing."""
    if "concurrently" not in statement.lower():
        return None
    import postgast

    try:
        node = postgast.parse(statement).stmts[0].stmt
    except (postgast.PgQueryError, IndexError):
        return None
    kind = node.WhichOneof("node")
    if kind == "index_stmt" and node.index_stmt.concurrent:
        index, table = node.index_stmt, node.index_stmt.relation
        return ConcurrentIndexStatement(
            "create",
            (_quoted(table.catalogname, table.schemaname, table.relname),),
            _quoted(index.idxname) or None,
        )
    if kind == "drop_stmt" and node.drop_stmt.concurrent:
        names = (
            _quoted(*(item.string.sval for item in one.list.items))
            for one in node.drop_stmt.objects
        )
        return ConcurrentIndexStatement("drop", tuple(names))
    if kind == "reindex_stmt" and _asks_for(node.reindex_stmt.params, "concurrently"):
        return ConcurrentIndexStatement("reindex")
    return None


def without_concurrently(statement: str) -> str:
    """Return a statement on an index as it runs at once; every offset stays what it is."""
    if parse_concurrent_index_statement(statement) is None:
        return statement
    for offset, token in scan_tokens(statement):
        if token.upper() == "CONCURRENTLY":
            end = offset + len(token)
            return statement[:offset] + " " * len(token) + statement[end:]
    return statement


def _quoted(*parts: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts if part)


def _asks_for(params: Any, option: str) -> bool:
    return any(param.def_elem.defname == option for param in params)
