"""Directives: what the leading comment of a file asks chatdb to do.

What does not belong here: obeying them (`migrate/`), finding comments (`syntax/scan.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.model import NO_DIRECTIVES, Directives
from chatdb_cli.settings.parse import duration_ms
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.scan import comments, leading_comments

if TYPE_CHECKING:
    from pathlib import Path

    from chatdb_cli.files.model import Direction

_OURS = re.compile(r"--\s*chatdb\s*:", re.IGNORECASE)
_PERHAPS = re.compile(r"--\s*(?:chatdb|depends|transactional)\s*:", re.IGNORECASE)
_DIRECTIVE = re.compile(r"\s*([\w-]+)\s*:\s*(.*)", re.DOTALL)
_ISOLATION = ("read committed", "repeatable read", "serializable")
# yoyo writes these two without the `chatdb:` in front.
_OF_YOYO = ("depends", "transactional")
_OF_UP = ("depends", "irreversible")


def parse_directives(path: Path | str, text: str, direction: Direction) -> Directives:
    """Return what the leading comment of a file asks for.

    Raises:
        ChatdbError: `BAD_FILE` for an unknown directive, a wrong value, or a wrong place.
    """
    if not _PERHAPS.search(text):  # hardly a file asks for anything
        return NO_DIRECTIVES
    fields: dict[str, object] = {}
    end = offset = 0
    try:
        for offset, comment in leading_comments(text):
            end = offset + len(comment)
            _obey(comment, direction, fields)
        # Cutting the text into tokens costs something, and hardly ever has to be done.
        for offset, comment in comments(text) if _OURS.search(text, end) else ():
            if offset >= end and _OURS.match(comment):
                raise ValueError("a directive stands in the leading comment, before any statement")
    except ValueError as error:
        raise ChatdbError(
            Code.BAD_FILE,
            str(error),
            place=locate(text, offset, path),
            hint=f"the directives are: {', '.join(_NAMES)}",
        ) from None
    return Directives(**fields)  # type: ignore[arg-type]


def _obey(comment: str, direction: Direction, fields: dict[str, object]) -> None:
    """Add what a comment of the head asks for, if it is a directive, to the fields of Directives.

    Raises:
        ValueError: it is a wrong one.
    """
    ours = _OURS.match(comment)
    found = _DIRECTIVE.match(comment, ours.end() if ours else len("--"))
    if not ours and (found is None or found[1] not in _OF_YOYO):
        return
    if found is None:
        raise ValueError("a directive has the form '-- chatdb: name: value'")
    key, value = found[1].lower(), found[2].strip()
    if key not in _NAMES:
        raise ValueError(f"there is no directive '{key}'{_nearest(key)}")
    if direction == "down" and key in _OF_UP:
        raise ValueError(f"'{key}' belongs into the up file")
    if key == "depends":
        fields[key] = (*fields.get(key, ()), *value.split())  # type: ignore[misc]
        return
    name, parse = _PARSERS[key]
    if name in fields:
        raise ValueError(f"'{key}' stands there twice")
    try:
        fields[name] = parse(value)
    except ValueError as error:
        raise ValueError(f"'{key}: {value}': {error}") from None


def _nearest(key: str) -> str:
    import difflib

    near = difflib.get_close_matches(key, _NAMES, 1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _parse_bool(value: str) -> bool:
    try:
        return {"true": True, "false": False}[value.lower()]
    except KeyError:
        raise ValueError("true or false is expected") from None


def _parse_isolation(value: str) -> str:
    if " ".join(value.lower().split()) not in _ISOLATION:
        raise ValueError(f"one of {', '.join(_ISOLATION)} is expected")
    return " ".join(value.upper().split())


def _parse_reason(value: str) -> str:
    if not value:
        raise ValueError("say why")
    return value


_PARSERS = {
    "transactional": ("transactional", _parse_bool),
    "isolation": ("isolation", _parse_isolation),
    "lock-timeout": ("lock_timeout_ms", duration_ms),
    "statement-timeout": ("statement_timeout_ms", duration_ms),
    "irreversible": ("irreversible", _parse_reason),
}
_NAMES = sorted((*_PARSERS, "depends"))
