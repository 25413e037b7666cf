"""Identifiers: quoting them, for every package that writes SQL.

What does not belong here: quoting by libpq, of names and values, for a connection
(`postgres/quoting.py`).
"""

import re

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def quote_identifier(*parts: str) -> str:
    """Return a name as SQL: each part in double quotes, joined by dots; an empty part is left out."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts if part)


def display_name(*parts: str) -> str:
    """Return a name for people: a part is quoted only if it is not plain."""
    shown = (part if _PLAIN.fullmatch(part) else quote_identifier(part) for part in parts if part)
    return ".".join(shown)
