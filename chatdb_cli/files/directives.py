"""Directives: instructions for chatdb in the leading comment of a file.

A new directive is one row in _PARSERS and a field of `model.Directives`.  `allow` and `allow-lock` are
only checked here: they may be before any statement, and the check that they silence reads them.  What
does not belong here: following them (`migrate/`), finding comments (`syntax/scan.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.model import NO_DIRECTIVES, Directives
from chatdb_cli.settings.parse import did_you_mean, duration_ms
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.lock_modes import parse_lock
from chatdb_cli.syntax.scan import comments, leading_comments

if TYPE_CHECKING:
    from pathlib import Path

    from chatdb_cli.files.model import Direction

_CHATDB = re.compile(r"--\s*chatdb\s*:", re.IGNORECASE)
_CANDIDATE = re.compile(r"--\s*(?:chatdb|depends|transactional)\s*:", re.IGNORECASE)
_DIRECTIVE = re.compile(r"\s*([\w-]+)\s*:\s*(.*)", re.DOTALL)
# These have no value.
_FLAGS = ("secret",)
_ISOLATION = ("read committed", "repeatable read", "serializable")
# yoyo writes these two without `chatdb:` before them.
_YOYO_NAMES = ("depends", "transactional")
_ONE_DIRECTION: dict[str, Direction] = {
    "depends": "up",
    "irreversible": "up",
    "nothing-to-undo": "down",
}
_ARTICLES = {"up": "an up", "down": "a down"}
# Also directly before a statement.
_ANYWHERE = re.compile(r"--\s*chatdb\s*:\s*allow(?:-lock)?\s*:", re.IGNORECASE)


def parse_directives(path: Path | str, text: str, direction: Direction) -> Directives:
    """Read the directives in the leading comment of a file.

    Args:
        path: the file, for errors.
        text: its text.
        direction: a down file allows fewer directives.

    Raises:
        ChatdbError: `BAD_FILE`, a directive is unknown, has a wrong value, or is in the wrong place.
    """
    if not _CANDIDATE.search(text):  # most files have no directive
        return NO_DIRECTIVES
    fields: dict[str, object] = {}
    end = offset = 0
    try:
        for offset, comment in leading_comments(text):
            end = offset + len(comment)
            _read_directive(comment, direction, fields)
        # Scanning for tokens takes time, and is rarely needed.
        for offset, comment in comments(text) if _CHATDB.search(text, end) else ():
            if offset >= end and _ANYWHERE.match(comment):
                _read_directive(comment, direction, {})
            elif offset >= end and _CHATDB.match(comment):
                raise ValueError("a directive must be in the leading comment, before any statement")
    except ValueError as error:
        raise ChatdbError(
            Code.BAD_FILE,
            str(error),
            place=locate(text, offset, path),
            hint=f"the directives are: {', '.join(_NAMES)}",
        ) from None
    return Directives(**fields)  # type: ignore[arg-type]


def _read_directive(comment: str, direction: Direction, fields: dict[str, object]) -> None:
    """Add the directive in a comment, if it holds one, to the fields of `Directives`.

    Raises:
        ValueError: the directive is wrong.
    """
    prefix = _CHATDB.match(comment)
    match = _DIRECTIVE.match(comment, prefix.end() if prefix else len("--"))
    if not prefix and (match is None or match[1] not in _YOYO_NAMES):
        return
    if prefix and (flag := _parse_flag(comment[prefix.end() :])):
        fields[flag] = True
        return
    if match is None:
        raise ValueError(
            "a directive has the form '-- chatdb: name: value', or '-- chatdb: secret'"
        )
    key, value = match[1].lower(), match[2].strip()
    if key not in _NAMES:
        raise ValueError(f"there is no directive '{key}'{did_you_mean(key, _NAMES)}")
    if direction != _ONE_DIRECTION.get(key, direction):
        raise ValueError(f"'{key}' is allowed in {_ARTICLES[_ONE_DIRECTION[key]]} file only")
    if key == "depends":
        fields[key] = (*fields.get(key, ()), *value.split())  # type: ignore[misc]
        return
    if key in _ALLOWANCES:
        # They may be there several times; the check that they are for finds them in the text.
        _parse_allowance(key, value)
        return
    name, parse = _PARSERS[key]
    if name in fields:
        raise ValueError(f"'{key}' is given twice")
    try:
        fields[name] = parse(value)
    except ValueError as error:
        raise ValueError(f"'{key}: {value}': {error}") from None


def _parse_flag(text: str) -> str | None:
    """Return the name of a directive without a value, or None for another one."""
    name, colon, _ = text.partition(":")
    key = name.strip().lower()
    if key not in _FLAGS:
        return None
    if colon:
        raise ValueError(f"'{key}' has no value: write '-- chatdb: {key}'")
    return key


def _parse_bool(value: str) -> bool:
    try:
        return {"true": True, "false": False}[value.lower()]
    except KeyError:
        raise ValueError("must be true or false") from None


def _parse_isolation(value: str) -> str:
    if " ".join(value.lower().split()) not in _ISOLATION:
        raise ValueError(f"must be one of {', '.join(_ISOLATION)}")
    return " ".join(value.upper().split())


def _parse_reason(value: str) -> str:
    if not value:
        raise ValueError("must give the reason")
    return value


def _parse_allowance(key: str, value: str) -> None:
    what, comma, why = value.partition(",")
    if not (what.strip() and comma and why.strip()):
        raise ValueError(f"'{key}: {value}' needs a comma and the reason after what it allows")
    if key == "allow-lock" and parse_lock(what) is None:
        raise ValueError(
            f"'{key}: {value}' needs the mode of a lock, such as ACCESS EXCLUSIVE, and a table"
        )


_ALLOWANCES = ("allow", "allow-lock")
_PARSERS = {
    "transactional": ("transactional", _parse_bool),
    "isolation": ("isolation", _parse_isolation),
    "lock-timeout": ("lock_timeout_ms", duration_ms),
    "statement-timeout": ("statement_timeout_ms", duration_ms),
    "irreversible": ("irreversible", _parse_reason),
    "nothing-to-undo": ("nothing_to_undo", _parse_reason),
}
_NAMES = sorted((*_PARSERS, *_ALLOWANCES, *_FLAGS, "depends"))
