"""Statements that create what belongs to the whole database or server: extensions and roles.

    find_privileged    what such a statement makes, and which roles it names
    with_maker         a DO block whose statements of this kind call a function instead
    is_savepoint       whether a statement sets, releases or rolls back to a savepoint

A file of a test schema runs as a role that may not create them, so they are told apart by the grammar.
What does not belong here: who runs them (`migrate/confine/`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.scan import scan_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any, Literal

_CANDIDATE = re.compile(r"\b(?:role|user|group|extension|grant|revoke)\b", re.IGNORECASE)
_SAVEPOINT = re.compile(r"\s*(?:savepoint|release|rollback|abort)\b", re.IGNORECASE)
_ROLE_LISTS = ("addroleto", "rolemembers", "adminmembers")
_MAKES = re.compile(r"\s*CREATE\s+(?:ROLE|USER|GROUP|EXTENSION)\b(?!\s+MAPPING)", re.IGNORECASE)
_LITERAL = re.compile(r"[Ee]?'|\$\w*\$")
_BODY = re.compile(r"\$\w*\$")
# What comes before a statement of PL/pgSQL.
_BEFORE = (";", "BEGIN", "THEN", "ELSE", "LOOP")


class Privileged(NamedTuple):
    """A statement about an extension or about roles.

    Attributes:
        kind: it makes an extension, makes a role, grants membership, or changes a role.
        makes: the roles that it creates.
        names: the other roles that it names; empty for a role that it names without its name.
        grants: the pairs of a role and its new member.
    """

    kind: Literal["extension", "role", "grant", "change"]
    makes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    grants: tuple[tuple[str, str], ...] = ()


def find_privileged(statement: str) -> Privileged | None:
    """Return what a statement says about extensions or roles; None for any other statement."""
    if not _CANDIDATE.search(statement):
        return None
    import postgast

    try:
        node = postgast.parse(statement).stmts[0].stmt
    except (postgast.PgQueryError, IndexError):
        return None
    kind = node.WhichOneof("node")
    read = _READERS.get(kind or "")
    return read(getattr(node, kind)) if read else None


def is_savepoint(statement: str) -> bool:
    """Return whether a statement sets, releases or rolls back to a savepoint."""
    return bool(_SAVEPOINT.match(statement))


def with_maker(statement: str, maker: str) -> str | None:
    """Return a DO block in which each CREATE ROLE and CREATE EXTENSION calls a function instead.

    Also `EXECUTE` of a text that begins so.  The lines stay what they are.

    Args:
        statement: the statement.
        maker: the function, as SQL; it gets the text of the statement.

    Returns:
        The block, or None if nothing in it is to be replaced.
    """
    if not re.match(r"\s*DO\b", statement, re.IGNORECASE) or not re.search(
        r"\b(?:role|user|group|extension)\b", statement, re.IGNORECASE
    ):
        return None
    for offset, token in scan_tokens(statement):
        quote = _BODY.match(token)
        if quote is None or quote[0] == "$chatdb$":
            continue
        start, body = offset + len(quote[0]), token[len(quote[0]) : -len(quote[0])]
        edits = list(_edits(body, maker))
        for first, last, text in reversed(edits):
            body = body[:first] + text + body[last:]
        end = offset + len(token) - len(quote[0])
        return statement[:start] + body + statement[end:] if edits else None
    return None


def _edits(body: str, maker: str) -> Iterator[tuple[int, int, str]]:
    """Yield the start and the end of each statement to replace, and the text in its place."""
    tokens = [(o, t) for o, t in scan_tokens(body) if not t.startswith(("--", "/*"))]
    before = ";"
    for n, (offset, token) in enumerate(tokens):
        if before in _BEFORE and token.upper() in ("CREATE", "EXECUTE"):
            end = next((m for m in range(n, len(tokens)) if tokens[m][1] == ";"), None)
            if end is not None:
                text = body[offset : tokens[end][0]]
                rest = tokens[n + 1 : end]
                if token.upper() == "CREATE" and _MAKES.match(text):
                    yield offset, tokens[end][0], f"PERFORM {maker}($chatdb${text}$chatdb$)"
                elif token.upper() == "EXECUTE" and _executes_making(rest):
                    expression = text[len(token) :]
                    yield offset, tokens[end][0], f"PERFORM {maker}({expression})"
        before = token.upper()


def _executes_making(tokens: Sequence[tuple[int, str]]) -> bool:
    """Return whether the text that EXECUTE gets begins as one that makes a role or an extension."""
    if any(t.upper() in ("USING", "INTO") for _, t in tokens):
        return False
    literals = (t for _, t in tokens if _LITERAL.match(t))
    return bool(_MAKES.match(_LITERAL.sub("", next(literals, ""), count=1)))


def _create_role(node: Any) -> Privileged:
    lists = (o.def_elem for o in node.options if o.def_elem.defname in _ROLE_LISTS)
    names = (_role(item.role_spec) for e in lists for item in e.arg.list.items)
    return Privileged("role", (node.role,), tuple(names))


def _alter_role(node: Any) -> Privileged:
    lists = (o.def_elem for o in node.options if o.def_elem.defname in _ROLE_LISTS)
    names = (_role(item.role_spec) for e in lists for item in e.arg.list.items)
    return Privileged("change", (), (_role(node.role), *names))


def _alter_role_set(node: Any) -> Privileged:
    return Privileged("change", (), (_role(node.role),))


def _grant(node: Any) -> Privileged:
    members = [_role(item.role_spec) for item in node.grantee_roles]
    roles = [item.access_priv.priv_name for item in node.granted_roles]
    plain = node.is_grant and not node.opt
    return Privileged(
        "grant",
        (),
        (*members, *(role for role in roles if not role.startswith("pg_"))),
        tuple((role, member) for role in roles for member in members) if plain else (),
    )


def _drop_role(node: Any) -> Privileged:
    return Privileged("change", (), _roles(node.roles))


def _comment(node: Any) -> Privileged | None:
    from chatdb_cli.syntax.tree.tables import enum_name

    if enum_name(node, "objtype") != "OBJECT_ROLE":
        return None
    return Privileged("change", (), (node.object.string.sval,))


def _extension(node: Any) -> Privileged:  # noqa: ARG001
    return Privileged("extension")


def _role(spec: Any) -> str:
    """Return the name of a role, or nothing for CURRENT_USER and the like."""
    name: str = spec.rolename
    return name


def _roles(specs: Iterable[Any]) -> tuple[str, ...]:
    return tuple(_role(item.role_spec) for item in specs)


_READERS = {
    "create_role_stmt": _create_role,
    "alter_role_stmt": _alter_role,
    "alter_role_set_stmt": _alter_role_set,
    "grant_role_stmt": _grant,
    "drop_role_stmt": _drop_role,
    "comment_stmt": _comment,
    "create_extension_stmt": _extension,
}
