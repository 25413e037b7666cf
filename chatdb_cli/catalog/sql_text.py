"""SQL as PostgreSQL prints it, made shorter for people.

What does not belong here: Markdown (`docs/`).
"""

from __future__ import annotations

import re

_QUOTED = r"""'(?:[^']|'')*'|"(?:[^"]|"")*\""""
_NAME = r'(?:"(?:[^"]|"")*"|[^\s".(]+)'
_PLACE = rf"(?:{_NAME}\.)?{_NAME}"
_COLUMNS = r'\((?:"(?:[^"]|"")*"|[^")])*\)'
_INDEX = re.compile(rf"CREATE (?:UNIQUE )?INDEX {_NAME} ON (?:ONLY )?{_PLACE} USING (?:btree )?")
_TRIGGER = re.compile(rf"CREATE (?:CONSTRAINT )?TRIGGER {_NAME} ")
FOREIGN_KEY = re.compile(rf"FOREIGN KEY {_COLUMNS} REFERENCES {_PLACE}{_COLUMNS} ?")
_WORDS = re.compile(
    rf"(?P<literal>'(?:[^']|'')*'|\bNULL)::text\b(?!\[)|(?P<kept>{_QUOTED})|(?P<space>\s+)"
    r"|\b(?P<varchar>character varying)\b|\b(?P<stamp>time(?:stamp)?)(?P<digits>\(\d\))?"
    r" (?P<zone>with|without) time zone\b|(?P<like>!?~~)(?P<any_case>\*?)(?=\s)"
)
_ONE_OF = re.compile(r"(= ANY|<> ALL) \(ARRAY\[((?:'(?:[^']|'')*'(?:, )?)+)\]\)")


def tidy_sql(sql: str) -> str:
    """Return SQL in one line, with the short words for what PostgreSQL has long ones for."""

    def word(found: re.Match[str]) -> str:
        if found["literal"] or found["kept"]:
            return found["literal"] or found["kept"]
        if found["space"]:
            return " "
        if found["stamp"]:
            return (
                found["stamp"] + ("tz" if found["zone"] == "with" else "") + (found["digits"] or "")
            )
        if found["like"]:
            negated = "NOT " if found["like"][0] == "!" else ""
            return negated + ("ILIKE" if found["any_case"] else "LIKE")
        return "varchar"

    def one_of(found: re.Match[str]) -> str:
        return f"{'IN' if found[1] == '= ANY' else 'NOT IN'} ({found[2]})"

    return _ONE_OF.sub(one_of, _WORDS.sub(word, sql)).strip()


def index_definition(definition: str) -> str:
    """Return the definition of an index without its name and its table."""
    return tidy_sql(_INDEX.sub("", definition, count=1))


def trigger_definition(definition: str) -> str:
    """Return the definition of a trigger without its name."""
    return tidy_sql(_TRIGGER.sub("", definition, count=1))
