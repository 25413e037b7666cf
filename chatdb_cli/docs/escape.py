"""Any name and any comment as plain text: whatever Markdown, HTML or Mermaid would read is escaped.

What does not belong here: the document (`markdown.py`).
"""

from __future__ import annotations

import re

_NOT_PLAIN = re.compile(r"[^\w .,-]|_")
_NOT_QUOTABLE = re.compile(r"[^\w .,-]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SPECIAL = re.compile(r"[\\`*\[\]<&|~$#]|(?<![^\W_])_|_(?![^\W_])")
_LINES = re.compile(r"\r\n?|\n")
# What would begin a list, a heading, a rule or a quotation, if it stood at the start of a line.
_START = re.compile(r"^(?:(?=[-+=:>])|(\d+)(?=[.)]))")


def escape_text(text: str) -> str:
    """Return text that stands for itself, in one line."""
    text = _SPECIAL.sub(
        lambda m: {"<": "&lt;", "&": "&amp;"}.get(m[0], "\\" + m[0]),
        _CONTROL.sub(" ", text).strip(),
    )
    return _START.sub(lambda m: f"{m[1] or ''}\\", text)


def escape_prose(comment: str) -> str:
    """Return a comment with its lines."""
    return "<br>".join(map(escape_text, _LINES.split(comment.strip())))


def escape_cell(comment: str | None) -> str:
    """Return a text as a cell of a table."""
    return escape_prose(comment) if comment else ""


def code_span(sql: str) -> str:
    """Return SQL as code; in a fence that is longer than any in it."""
    sql = _CONTROL.sub(" ", sql)
    ticks = "`" * (1 + max(map(len, re.findall("`+", sql)), default=0))
    pad = " " if sql[:1] in ("`", " ") or sql[-1:] in ("`", " ") else ""
    return f"{ticks}{pad}{sql}{pad}{ticks}"


def cell_code(sql: str) -> str:
    """Return SQL as code in a table, where a bar ends the cell, also within code."""
    if "\\|" not in sql:
        return code_span(sql).replace("|", "\\|")
    numbers = _NOT_PLAIN.sub(lambda m: f"&#{ord(m[0])};", _CONTROL.sub(" ", sql))
    return f"<code>{numbers}</code>"


def code_fence(language: str, text: str) -> str:
    """Return SQL as a fenced block."""
    ticks = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{ticks}{language}\n{text}\n{ticks}"


def split_cell(arguments: str) -> list[str]:
    """Split the arguments of a function at their commas."""
    parts, depth = [""], 0
    for piece in re.findall(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|, |.""", arguments, re.DOTALL):
        depth += (piece in "([") - (piece in ")]")
        if piece == ", " and depth == 0:
            parts[-1] += ","
            parts.append("")
        else:
            parts[-1] += piece
    return parts
