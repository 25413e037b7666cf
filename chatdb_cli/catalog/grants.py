"""Privileges in words: `app: SELECT, INSERT`, in place of `app=ar/owner`.

What does not belong here: reading them from the catalog (`snapshot.py`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Each letter of an access control list, from the table in PostgreSQL's manual, chapter "Privileges".
_WORDS = {
    "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE", "D": "TRUNCATE",
    "x": "REFERENCES", "t": "TRIGGER", "C": "CREATE", "c": "CONNECT", "T": "TEMPORARY",
    "X": "EXECUTE", "U": "USAGE", "s": "SET", "A": "ALTER SYSTEM", "m": "MAINTAIN",
}  # fmt: skip
_RELATION = "rawdDxt"
_MAINTAIN_SINCE = 17
# All privileges that a kind of object has, but for MAINTAIN.
_ALL = {
    "schema": "CU", "sequence": "rwU", "language": "U", "foreign-data wrapper": "U", "server": "U",
    "function": "X", "procedure": "X", "aggregate": "X", "window function": "X", "column": "rawx",
    "enum": "U", "domain": "U", "composite type": "U", "range type": "U", "base type": "U",
    "tables": _RELATION, "sequences": "rwU", "functions": "X", "types": "U", "schemas": "CU",
    "large objects": "rw",
}  # fmt: skip
_ITEM = re.compile(r'("(?:[^"]|"")*"|[^"=]*)=([A-Za-z*]*)/(.*)', re.DOTALL)
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def role_name(name: str) -> str:
    """Return the name of a role as SQL."""
    if _PLAIN.fullmatch(name):
        return name
    return '"' + name.replace('"', '""') + '"'


def grants_in_words(
    items: Sequence[str], kind: str, owner: str | None, server_version: int
) -> tuple[str, ...]:
    """Return an access control list in words, sorted.

    All privileges that this kind of object has are `ALL`, so that a list is the same before and after
    PostgreSQL 17, which added MAINTAIN.

    Args:
        items: the items of the list as PostgreSQL prints them.
        kind: the kind of object.
        owner: its owner; a grantor is named if it is another role.
        server_version: the major version of the server.
    """
    letters = _ALL.get(kind, _RELATION)
    if letters == _RELATION and server_version >= _MAINTAIN_SINCE:
        letters += "m"
    return tuple(sorted(_in_words(item, letters, owner) for item in items))


@lru_cache(maxsize=1000)  # most objects of a database have one of a few lists
def _in_words(item: str, letters: str, owner: str | None) -> str:
    match = _ITEM.fullmatch(item)
    if match is None:
        return item
    grantee, privileges, grantor = (_unquoted(match[1]), match[2], _unquoted(match[3]))
    plain = privileges.replace("*", "")
    if set(plain) >= set(letters) and privileges.count("*") in (0, len(plain)):
        words = "ALL" + (" WITH GRANT OPTION" if "*" in privileges else "")
    else:
        words = ", ".join(
            _WORDS.get(letter, letter) + (" WITH GRANT OPTION" if option else "")
            for letter, option in sorted(
                re.findall(r"(\w)(\*?)", privileges), key=lambda p: [*_WORDS, p[0]].index(p[0])
            )
        )
    by = f" (granted by {role_name(grantor)})" if grantor != owner else ""
    return f"{role_name(grantee) if grantee else 'PUBLIC'}: {words}{by}"


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
