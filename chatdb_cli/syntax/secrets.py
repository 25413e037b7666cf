"""Secrets in SQL text: every string literal of a statement that has to do with a secret is hidden.

    mask            SQL, with the line and the column of everything else unchanged
    mask_message    a message of the server, which may quote SQL
    hide            the literals of a statement, in a message about that statement
    is_secret       whether a file says that all of it is

Which literal of a statement is the password can't be told: it may be an argument of format(), a part of
a longer text, or split in two.  So all of them are hidden, whole.  What does not belong here: the words
that tell (`secret_words.py`), where the literals are (`secret_spans.py`), URLs and keyword strings in
messages of chatdb's own (`redaction.py`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from chatdb_cli.syntax.scan import leading_comments
from chatdb_cli.syntax.secret_spans import ESCAPE, QUOTED, secret_spans, unescape
from chatdb_cli.syntax.secret_words import Kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SECRET = re.compile(r"--\s*chatdb\s*:\s*secret\s*", re.IGNORECASE)
_VISIBLE = re.compile(r"[^\r\n]")
# The server's detail about a key: (columns)=(values).
_KEY = re.compile(r"\((?P<columns>[^()]*)\)=\((?P<values>[^\n]*)\)")
# What a message quotes, in the quotation marks of any language.
_CITED = re.compile('["\u00ab\u201e\u201c\u300c](.+?)["\u00bb\u201c\u201d\u300d]', re.DOTALL)
# A literal that is code, or a message with literals: what is no literal in it is not secret.
_CODE = re.compile(
    r"^\s*(?:alter|call|comment|create|delete|do|drop|execute|grant|insert|lock|revoke|select|set"
    r"|truncate|update|with)\s|'[^']+'",
    re.IGNORECASE,
)
_MARKS = "'\\ ;)"  # what is cited after a literal
# A part of a secret that is this long is hidden in a message; what is shorter may be a common word.
_PART = 12


def is_secret(text: str) -> bool:
    """Return whether the leading comment of a file says `-- chatdb: secret`: it is never shown."""
    return "secret" in text.lower() and any(
        _SECRET.fullmatch(comment) for _, comment in leading_comments(text)
    )


def mask(text: str, *, everything: bool = False) -> str:
    """Replace each character of what may be a password in SQL by a dot; line ends stay.

    Args:
        text: SQL, also the beginning of a statement.
        everything: hide all string literals.
    """
    return _mask(text, everything)


@lru_cache(maxsize=2)  # an error, and each finding of the linter, shows a line of the same file
def _mask(text: str, everything: bool) -> str:
    return _without(text, secret_spans(text, everything=everything))


def _without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    parts: list[str] = []
    end = 0
    for start, stop in sorted({*spans}):
        if stop <= end:
            continue
        start = max(start, end)
        parts += text[end:start], _VISIBLE.sub("•", text[start:stop])
        end = stop
    return "".join((*parts, text[end:])) if parts else text


def mask_message(text: str) -> str:
    """Replace what may be a password in a message, which can quote SQL in any language."""
    kinds = Kinds.of(text)
    if not any(kinds):
        return text
    text = _without(text, kinds.unquoted(text))
    text = _KEY.sub(lambda m: _masked(m) if _says(kinds, m["columns"]) else m[0], text)
    return QUOTED.sub(_masked, text) if kinds.comment_says(text) else text


def _says(kinds: Kinds, columns: str) -> bool:
    return kinds.code_says(columns, 0, len(columns))


def hide(message: str, statement: str, *, everything: bool = False) -> str:
    """Replace the literals of a statement that has to do with a password, in a message about it.

    Args:
        message: what the server says.
        statement: the statement that it says it of.
        everything: hide all literals, and all words of the statement that the message quotes.
    """
    found = set(_secrets(statement, everything=everything))
    if not found and not everything:
        return mask_message(message)
    is_ambiguous = "\\'" in statement  # where the literal ends depends on a setting
    if not is_ambiguous:
        message = mask_message(message)
    hidden = statement if everything else "\0".join(found)
    shown = "\0".join(
        mask(code, everything=everything or code is not statement)
        for code in (statement, *filter(_CODE.search, found))
    )
    cited = [match.span(1) for match in _CITED.finditer(message)]
    for text in (message[start:end] for start, end in cited):
        found.update(
            part
            for part in (text, text.strip(_MARKS))
            if part in hidden and (everything or part not in shown)
        )
    spans = [
        match.span()
        for secret in found
        if len(secret) > (0 if everything else 2)
        for match in re.finditer(re.escape(secret), message)
    ]
    # The server cuts long values, such as those of a row.
    parts = ((i, i + _PART) for i in range(len(message) - _PART + 1))
    spans += ((i, j) for i, j in parts if message[i:j] in hidden and message[i:j] not in shown)
    # A literal that does not end is cited to the end of the text, beyond its end in another reading.
    masked = mask(statement, everything=everything)
    for start, end in cited if is_ambiguous else ():
        if (at := statement.find(message[start:end])) >= 0:
            spans += ((i, i + 1) for i in range(start, end) if masked[i - start + at] == "•")
    return mask_message(_without(message, spans))


def _secrets(statement: str, *, everything: bool) -> Iterator[str]:
    """Yield the literals of a statement as it spells them and as the server does, and those in them."""
    for start, end in secret_spans(statement, everything=everything):
        secret = statement[start:end]
        for spelled in {secret, secret.replace("''", "'"), unescape(secret, ESCAPE)}:
            yield spelled
            if len(spelled) < len(statement) and "'" in spelled:
                yield from _secrets(spelled, everything=True)


def _masked(match: re.Match[str]) -> str:
    start, end = match.span(match.lastgroup or 0)
    start, end = start - match.start(), end - match.start()
    return match[0][:start] + _VISIBLE.sub("•", match[0][start:end]) + match[0][end:]
