"""Shorten the SQL that PostgreSQL prints, for people.

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
    rf"(?P<literal>'(?:[^']|'')*'|\bNULL)::text\b(?!\[)|(?P<quoted>{_QUOTED})|(?P<space>\s+)"
    r"|\b(?P<varchar>character varying)\b|\b(?P<stamp>time(?:stamp)?)(?P<digits>\(\d\))?"
    r" (?P<zone>with|without) time zone\b|(?P<like>!?~~)(?P<any_case>\*?)(?=\s)"
)
_ONE_OF = re.compile(r"(= ANY|<> ALL) \(ARRAY\[((?:'(?:[^']|'')*'(?:, )?)+)\]\)")


def tidy_sql(sql: str) -> str:
    """Return SQL in one line, with short names in place of PostgreSQL's long ones."""

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
    return tidy_sql(_INDEX.sub("", definition, count=1))


def trigger_definition(definition: str) -> str:
    """Return the definition of a trigger without its name."""
    return tidy_sql(_TRIGGER.sub("", definition, count=1))
