"""The files of other migration tools: known by their markers and by the ends of their names.

Such a file often holds both directions, and chatdb would run the second after the first.  So it is
refused.  What does not belong here: converting it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError, Code, Location
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.scan import comments

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Marker(NamedTuple):
    """A comment by which a tool knows its own files.

    Attributes:
        tool: the name of the tool.
        comment: matches the whole comment.
    """

    tool: str
    comment: re.Pattern[str]


def _marker(tool: str, pattern: str) -> _Marker:
    return _Marker(tool, re.compile(rf"--+\s*(?:{pattern})\s*", re.IGNORECASE | re.DOTALL))


# One of these comments is enough.  Their forms are those that each tool's own parser reads.
_MARKERS = (
    _marker("goose", r"\+goose\b.*"),
    _marker("sql-migrate", r"\+migrate\b.*"),
    _marker("dbmate", r"migrate:(?:up|down)\b.*"),
    _marker("micrate", r"\+micrate\b.*"),
    _marker("rambler", r"rambler\s+(?:up|down)\b.*"),
    _marker("MyBatis Migrations", r"//\s*@undo\b.*"),
    _marker("Play evolutions", r"!(?:ups|downs)"),
    _marker("tern", r"create above / drop below\s*-*"),
    _marker("Liquibase", r"liquibase formatted sql.*"),
)
# Such comments are also written by people; only both of them divide a file.
_HALVES = tuple(
    re.compile(rf"--+[ \t=@!+#]*{word}(?:\s+migration)?[\s=:#-]*", re.IGNORECASE)
    for word in ("up", "down")
)
_CANDIDATE = re.compile(
    r"--+[ \t=@!+#]*(?:goose|migrate|micrate|rambler|//\s*@undo|ups|down|create above|liquibase)",
    re.IGNORECASE,
)


def find_marker(path: Path | str, text: str) -> ChatdbError | None:
    """Return the error of a file with the markers of another tool, or None.

    A marker is a comment; the same words in a literal or in the body of a function are none.

    Args:
        path: the file, for the error.
        text: its text.
    """
    if not _CANDIDATE.search(text):  # nearly every file
        return None
    found: list[tuple[int, str]] = []
    for offset, comment in comments(text):
        for tool, pattern in _MARKERS:
            if pattern.fullmatch(comment):
                return _error(path, text, offset, comment, f"a marker of {tool}")
        if any(half.fullmatch(comment) for half in _HALVES):
            found.append((offset, comment))
    halves = {n for n, half in enumerate(_HALVES) for _, c in found if half.fullmatch(c)}
    if len(halves) == len(_HALVES):
        return _error(path, text, *found[0], "a marker of another tool")
    return None


def _error(path: Path | str, text: str, offset: int, comment: str, what: str) -> ChatdbError:
    return ChatdbError(
        Code.BAD_FILE,
        f"{comment.strip()!r} is {what}; chatdb does not follow it, and would run the whole file",
        place=locate(text, offset, path),
        hint="put what applies the migration into up/ and what rolls it back into down/, as two "
        "files of the same name, and remove the markers",
    )


_SUFFIX = re.compile(r"\.(up|down)\.sql", re.IGNORECASE)


def find_suffixes(ups: Iterable[str], downs: Iterable[str]) -> dict[str, list[str]]:
    """Return the names that end in `.up.sql` and `.down.sql`, by that word, if there is a down.

    Where no name ends in `.down.sql`, `.up` is a part of a name like any other.

    Args:
        ups: the names of the files in `up/`.
        downs: those in `down/`.
    """
    names: dict[str, list[str]] = defaultdict(list)
    for name in (*ups, *downs):
        if match := _SUFFIX.search(name[-9:]):
            names[match[1].lower()].append(name)
    return names if "down" in names else {}


def suffix_error(directory: Path, names: dict[str, list[str]]) -> ChatdbError:
    """Return the one error of all files whose direction is in their names.

    Args:
        directory: the folder that holds `up/` and `down/`.
        names: the result of `find_suffixes`.
    """
    examples = [names[end][0] for end in ("up", "down") if names[end]]
    count = sum(map(len, names.values()))
    example = _SUFFIX.sub(".sql", examples[-1])
    return ChatdbError(
        Code.BAD_FILE,
        f"{count} file{'' if count == 1 else 's'} of {directory} name"
        f"{'s' if count == 1 else ''} the direction ({' and '.join(examples)}), as for another tool",
        place=Location(directory),
        hint=f"in chatdb the folder is the direction: name both files of a pair {example}, one in up/ "
        "and one in down/",
    )
