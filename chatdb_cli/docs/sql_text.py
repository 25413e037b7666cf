"""Shorten the SQL that PostgreSQL prints, for people, and split it into its parts.

What does not belong here: Markdown (`markdown.py`), what the parts mean (`describe.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_LITERAL = r"'(?:[^']|'')*'"
_IDENTIFIER = r'"(?:[^"]|"")*"'
_QUOTED = f"{_LITERAL}|{_IDENTIFIER}"
NAME = rf'(?:{_IDENTIFIER}|[^\s",.()]+)'
PLACE = rf"(?:{NAME}\.)?{NAME}"
_INDEX = re.compile(rf"CREATE (?:UNIQUE )?INDEX {NAME} ON (?:ONLY )?{PLACE} USING (?:btree )?")
_TRIGGER = re.compile(rf"CREATE (?:CONSTRAINT )?TRIGGER {NAME} ")
_PIECE = re.compile(rf"{_QUOTED}|, |.", re.DOTALL)
_QUALIFIED = re.compile(rf"(?:({NAME})\.)?({NAME})")
# A word that may be the name of a column: nothing that is qualified, a type of a cast, or a function.
_WORD = re.compile(rf"{_LITERAL}|(?<![\w$.:])({_IDENTIFIER}|[a-z_][\w$]*)(?![\w$.(])")
_WORDS = re.compile(
    rf"(?P<literal>{_LITERAL}|\bNULL)::text\b(?!\[)|(?P<quoted>{_QUOTED})|(?P<space>\s+)"
    r"|\b(?P<varchar>character varying)\b|\b(?P<stamp>time(?:stamp)?)(?P<digits>\(\d\))?"
    r" (?P<zone>with|without) time zone\b|(?P<like>!?~~)(?P<any_case>\*?)(?=\s)"
)
_ONE_OF = re.compile(r"(= ANY|<> ALL) \(ARRAY\[((?:'(?:[^']|'')*'(?:, )?)+)\]\)")


class Shortener:
    """Shortens SQL in which every name has its schema.

    Args:
        schemas: the schemas whose names are left out.
    """

    def __init__(self, schemas: Iterable[str]) -> None:
        names = {form for schema in schemas for form in _forms(schema)}
        prefix = rf"(?:{'|'.join(map(re.escape, sorted(names)))})\."
        in_literal = prefix.replace("'", "''")
        self._names = re.compile(
            rf"(?<![\w$.]){prefix}(?=[\w\"])|OPERATOR\({prefix}(?P<operator>[^\s\w()]+)\)"
            rf"|'(?:{in_literal})?(?P<constant>(?:[^']|'')*'::reg[a-z]+)\b"
            rf"|(?P<quoted>{_QUOTED})"
        )

    def __call__(self, sql: str) -> str:
        """Return SQL in one line, with short names in place of PostgreSQL's long ones."""
        return tidy_sql(self.unqualify(sql))

    def unqualify(self, sql: str) -> str:
        """Return SQL without the names of the schemas."""

        def short(match: re.Match[str]) -> str:
            if match["constant"]:
                return "'" + match["constant"]
            return match["quoted"] or match["operator"] or ""

        return self._names.sub(short, sql)


def _forms(name: str) -> list[str]:
    """Return a name as PostgreSQL prints it: whether it needs quotes depends on its keywords."""
    quoted = '"' + name.replace('"', '""') + '"'
    return [quoted, name] if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else [quoted]


def tidy_sql(sql: str) -> str:
    """Return SQL in one line, with short words in place of PostgreSQL's long ones."""

    def shorten(match: re.Match[str]) -> str:
        if match["literal"] or match["quoted"]:
            return match["literal"] or match["quoted"]
        if match["space"]:
            return " "
        if match["stamp"]:
            return (
                match["stamp"] + ("tz" if match["zone"] == "with" else "") + (match["digits"] or "")
            )
        if match["like"]:
            negated = "NOT " if match["like"][0] == "!" else ""
            return negated + ("ILIKE" if match["any_case"] else "LIKE")
        return "varchar"

    def one_of(match: re.Match[str]) -> str:
        return f"{'IN' if match[1] == '= ANY' else 'NOT IN'} ({match[2]})"

    return _ONE_OF.sub(one_of, _WORDS.sub(shorten, sql)).strip()


def index_definition(definition: str) -> str:
    """Return the definition of an index without its name and its table."""
    return _INDEX.sub("", definition, count=1)


def is_unique_index(definition: str) -> bool:
    """Tell whether an index is unique, by its definition."""
    return definition.startswith("CREATE UNIQUE ")


def trigger_definition(definition: str) -> str:
    """Return the definition of a trigger without its name."""
    return _TRIGGER.sub("", definition, count=1)


def split_name(qualified: str) -> tuple[str, str]:
    """Return the schema, or an empty text, and the name at the start of a text, without quotes."""
    match = _QUALIFIED.match(qualified)
    return (unquote(match[1] or ""), unquote(match[2])) if match else ("", qualified)


def unquote(name: str) -> str:
    """Return a name without its quotes."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def split_parentheses(sql: str) -> tuple[str, str]:
    """Return what is in the first parentheses of a text, and what follows them."""
    depth = start = 0
    for match in _PIECE.finditer(sql):
        if match[0] == "(":
            depth += 1
            start = start or match.end()
        elif match[0] == ")" and (depth := depth - 1) == 0:
            return sql[start : match.start()], sql[match.end() :]
    return "", sql


def split_list(sql: str) -> list[str]:
    """Split a list at its commas."""
    parts, depth = [""], 0
    for piece in _PIECE.findall(sql):
        depth += (piece in "([") - (piece in ")]")
        if piece == ", " and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def first_names(sql: str) -> tuple[str, ...] | None:
    """Return the name with which each element of a list starts; None if one is an expression."""
    names = []
    for element in split_list(sql):
        match = re.match(rf"(?:PERIOD )?({NAME})(?= |$)", element)
        if not match:
            return None
        names.append(unquote(match[1]))
    return tuple(names)


def columns_in(sql: str, columns: Collection[str]) -> tuple[str, ...]:
    """Return the columns that an expression names, in the order of their first places."""
    words = (unquote(match[1]) for match in _WORD.finditer(sql) if match[1])
    return tuple(dict.fromkeys(word for word in words if word in columns))


def without_quoted(sql: str) -> str:
    """Return SQL without its literals and its quoted names, to look for a keyword."""
    return re.sub(_QUOTED, "", sql)
