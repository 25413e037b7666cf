"""Where PostgreSQL's grammar stops in a text that it can't read.

What does not belong here: splitting a text that it can read (`statements.py`).
"""

from __future__ import annotations

from chatdb_cli.syntax.secrets import hide, is_secret

# An unterminated literal is quoted up to the end of the file.
_LONGEST = 60


def find_syntax_error(text: str) -> tuple[str, int]:
    """Return the words of the grammar, and the place where it stopped, in characters.

    Args:
        text: a text that the grammar can't read.
    """
    import postgast

    try:
        postgast.parse(text)
    except postgast.PgQueryError as error:
        message, near, quoted = str(error.message).partition(" at or near ")
        if len(quoted) > _LONGEST or "\n" in quoted:
            near = quoted = ""
        message = hide(message + near + quoted, text, everything=is_secret(text))
        return message, min(max(error.cursorpos - 1, 0), len(text))
    return "syntax error", 0
