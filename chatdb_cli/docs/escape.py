"""Escape any name and any comment, so that Markdown, HTML and Mermaid show it unchanged.

What does not belong here: the document (`markdown.py`).
"""

from __future__ import annotations

import re

_NOT_PLAIN = re.compile(r"[^\w .,-]|_")
NOT_QUOTABLE = re.compile(r"[^\w .,-]")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SPECIAL = re.compile(r"[\\`*\[\]<&|~$#]|(?<![^\W_])_|_(?![^\W_])")
_LINES = re.compile(r"\r\n?|\n")
# What starts a list, a heading, a rule or a quotation at the beginning of a line.
_START = re.compile(r"^(?:(?=[-+=:>])|(\d+)(?=[.)]))")


def escape_text(text: str) -> str:
    """Return text escaped for Markdown, in one line."""
    text = _SPECIAL.sub(
        lambda m: {"<": "&lt;", "&": "&amp;"}.get(m[0], "\\" + m[0]),
        CONTROL.sub(" ", text).strip(),
    )
    return _START.sub(lambda m: f"{m[1] or ''}\\", text)


def escape_prose(comment: str) -> str:
    """Return a comment escaped for Markdown; its line breaks are kept."""
    return "<br>".join(map(escape_text, _LINES.split(comment.strip())))


def escape_cell(comment: str | None) -> str:
    """Return a comment as a cell of a table, empty for None."""
    return escape_prose(comment) if comment else ""


def code_span(sql: str) -> str:
    """Return SQL as a code span, with more backticks than it contains in a row."""
    sql = CONTROL.sub(" ", sql)
    ticks = "`" * (1 + max(map(len, re.findall("`+", sql)), default=0))
    pad = " " if sql[:1] in ("`", " ") or sql[-1:] in ("`", " ") else ""
    return f"{ticks}{pad}{sql}{pad}{ticks}"


def cell_code(sql: str) -> str:
    """Return SQL as code in a cell of a table, where a bar ends the cell even within code."""
    if "\\|" not in sql:
        return code_span(sql).replace("|", "\\|")
    numbers = _NOT_PLAIN.sub(lambda m: f"&#{ord(m[0])};", CONTROL.sub(" ", sql))
    return f"<code>{numbers}</code>"


def code_fence(language: str, text: str) -> str:
    """Return a text as a fenced code block of a language."""
    ticks = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{ticks}{language}\n{text}\n{ticks}"
