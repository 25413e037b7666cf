"""Quoting of identifiers, for every package that writes SQL.

What does not belong here: quoting of values, and names that a server has quoted (`postgres/quoting.py`).
"""


def quote_identifier(*parts: str) -> str:
    """Return a name as SQL: each part in double quotes, joined by dots; an empty part is left out."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts if part)
