"""An error: a document, and lines like those of a compiler.

What does not belong here: which error an exception is (`cli/boundary.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli import log
from chatdb_cli.cli.render.document import Document, target_document
from chatdb_cli.cli.render.styles import ERROR, FRAME, HINT
from chatdb_cli.cli.render.text import one_line, pad, printable, shortened
from chatdb_cli.cli.render.text import width as text_width
from chatdb_cli.cli.words import in_words
from chatdb_cli.errors import IN_FUNCTION

if TYPE_CHECKING:
    from chatdb_cli.cli.render.table import Table
    from chatdb_cli.errors import ChatdbError, Location
    from chatdb_cli.migrate.model import Run
    from chatdb_cli.postgres.model import Target

# A line of this many characters is shown whole; of a longer one, so many around the error.
_LONGEST_LINE, _WINDOW = 200, 72
Line = tuple[str, str]  # a text and its style


def error_document(error: ChatdbError) -> Document:
    """Return an error as a document."""
    place = error.place
    return {
        "code": error.code.slug,
        "message": in_words(error.message),
        "hint": in_words(error.hint) if error.hint else None,
        "file": str(place.file) if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "sqlstate": error.sqlstate,
        "errno": error.errno,
        "notes": _notes(error),
        "correlation_id": log.correlation_id,
    }


def failure_document(error: ChatdbError, target: Target | None) -> Document:
    """Return the document of a command that failed: the run so far, if there was one, and the error.

    Args:
        error: what ended the command.
        target: what the command was about, if that was known.
    """
    document = target_document(target)
    if run := _run_of(error):
        from chatdb_cli.cli.render.migrate import run_document

        document = run_document(run)
    return document | {"error": error_document(error)}


def error_lines(error: ChatdbError) -> list[Line]:
    """Return an error as lines with their styles."""
    return [_headline(error), *_details(error)]


def failure_text(error: ChatdbError) -> list[Line | Table]:
    """Return the lines of an error, with a table of the rows that a rejected run would delete."""
    run = _run_of(error)
    if not (run and run.losses):
        return [*error_lines(error)]
    from chatdb_cli.cli.render.migrate import loss_table

    return [_headline(error), loss_table(run.losses), *_details(error)]


def _run_of(error: ChatdbError) -> Run | None:
    return getattr(error, "run", None)  # of a MigrationError


def _headline(error: ChatdbError) -> Line:
    reason = error.errno
    if error.sqlstate:
        from chatdb_cli.postgres.sqlstates import sqlstate_name

        reason = " ".join(filter(None, (error.sqlstate, sqlstate_name(error.sqlstate))))
    message = shortened(in_words(error.message))
    return f"error: {message}" + (f" [{reason}]" if reason else ""), ERROR


def _details(error: ChatdbError) -> list[Line]:
    place = error.place
    gutter = " " * (len(str(place.line)) if place and place.line else 1)
    lines = excerpt_lines(place, gutter) if place else []
    for note in _notes(error):
        first, *more = note.splitlines() or [""]
        lines.append((f"{gutter} = {shortened(first)}", ""))
        lines += [(f"{gutter}   {shortened(line)}", "") for line in more]
    if error.hint:
        lines += [("", ""), (f"hint: {in_words(error.hint)}", HINT)]
    return lines


def excerpt_lines(place: Location, gutter: str, width: int = 1) -> list[Line]:
    """Return the lines around a location, with a caret under it.

    Args:
        place: the location.
        gutter: as many blanks as the line numbers are wide.
        width: how many characters the carets are under; no more than the line has.
    """
    at = "".join(f":{n}" for n in (place.line, place.column) if n is not None)
    lines = [(f"  --> {one_line(str(place.file))}{at}", "")]
    if place.excerpt:
        *others, (_, last) = place.excerpt
        line, column = _window(last.rstrip(), place.column)
        lines.append((f"{gutter} |", FRAME))
        lines += [(f"{n:>{len(gutter)}} | {_window(t)[0]}".rstrip(), "") for n, t in others]
        lines.append((f"{place.excerpt[-1][0]:>{len(gutter)}} | {line}".rstrip(), ""))
        if column is not None:
            before, under = line[: column - 1], line[column - 1 :][:width]
            carets = "^" * max(1, text_width(printable(under)))
            lines.append((f"{gutter} | {pad(printable(before))}{carets}", ERROR))
    return lines


def _window(line: str, column: int | None = None) -> tuple[str, int | None]:
    """Return a line as it is, or the part of a long one around a column, with dots where it was cut.

    Args:
        line: the line.
        column: from 1; None for the start of the line.

    Returns:
        The text, and the column in it.
    """
    if len(line) <= _LONGEST_LINE:
        return line, column
    if column is None:
        return f"{line[:_LONGEST_LINE]}...", None
    start = max(0, min(column - 1, len(line)) - _WINDOW // 2)
    before, after = "..." * (start > 0), "..." * (start + _WINDOW < len(line))
    return f"{before}{line[start : start + _WINDOW]}{after}", column - start + len(before)


def _notes(error: ChatdbError) -> list[str]:
    """Return the notes; the call stack of a function begins with the statement that failed in it."""
    notes = [in_words(note) for note in error.notes]
    if error.inner is None:
        return notes
    statement = _inner(error.inner)
    return [
        note.replace(IN_FUNCTION, f"{IN_FUNCTION}\n{statement}", 1)
        if note.partition("\n")[0] == IN_FUNCTION
        else note
        for note in notes
    ]


def _inner(place: Location) -> str:
    """Return the line of a function's own statement that failed, with a caret under the location."""
    line, column = _window(place.excerpt[-1][1], place.column)
    caret = "" if column is None else f"\n  {pad(line[: column - 1])}^"
    return f"  {line}{caret}"
