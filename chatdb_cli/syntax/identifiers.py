"""Identifiers: quoting them, for every package that writes SQL.

What does not belong here: quoting by libpq, of names and values, for a connection
(`postgres/quoting.py`).
"""


def quote_identifier(*parts: str) -> str:
    """Return a name as SQL: each part in double quotes, joined by dots; an empty part is left out."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts if part)
