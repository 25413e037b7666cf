"""Secrets in SQL text: every string literal of a statement that has to do with a password is hidden.

    mask            SQL, with the line and the column of everything else unchanged
    mask_message    a message of the server, which may quote SQL
    hide            the literals of a statement, in a message about that statement

Which literal of a statement is the password can't be told: it may be an argument of format(), a part of
a longer text, or split in two.  So all of them are hidden, whole.  A statement has to do with a password
if a word of it, or the text of its literals, says so: `password` and the like, a function that encrypts,
or a URL with a password.  Literals, comments and names are told apart as PostgreSQL's scanner does, also
in a text that ends early, such as the query of another session.

What does not belong here: URLs and keyword strings in messages of chatdb's own (`redaction.py`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.scan import leading_comments, skip_blanks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# `pass` alone is also a word of prose.
_WORD = r"pass_?w|pass_?phrase|pass_?code|(?<![a-z])(?:pwd?(?![a-z])|pass(?=['\"]?\s*[=:,)]))"
# crypt() and pgcrypto's functions take a password or a key as a literal.
_FUNCTION = r"(?<![a-z])crypt(?![a-z])|pgp_sym_|hmac"
_URL = r"://[^\s/?#]*:[^@]*@|(?<![\w./@])(?!mailto:)[\w.%+-]+:[^\s:@,]+@[\w.\[-]"
_SIGN = re.compile(f"{_WORD}|{_FUNCTION}|{_URL}", re.IGNORECASE)
_WORDS = re.compile(_WORD, re.IGNORECASE)
# Without any of this no text has to do with a password, however it is spelled.
_PERHAPS = re.compile(r"pass|word|phrase|pwd|pw|crypt|pgp_sym|hmac|@|\\", re.IGNORECASE)
_LONGEST_SIGN = 24  # how much of a literal is seen together with the next: 'PASS' || 'WORD'

_TOKEN = re.compile(
    r"""
      (?P<line> --[^\r\n]* )
    | (?P<block> /\* )
    | (?<!\w) (?P<other> [^\W\d]\w* \$ [\w$]* )  # a dollar sign in a name begins no literal
    | (?<!\w) (?P<escape> e ) '
    | (?<!\w) (?P<unicode> u& ) (?P<quote> ['"] )
    | (?P<plain> ' )
    | (?P<name> " )
    | (?<!\w) (?P<tag> \$ (?: [^\W\d]\w* )? \$ )
    | (?P<mark> [;()] )
    | (?<!\w) (?P<word> begin\s+atomic | case | end ) (?![\w$])
    """,
    re.IGNORECASE | re.VERBOSE,
)
_ENDS = {
    "escape": re.compile(r"[^'\\]*(?:(?:\\.|'')[^'\\]*)*", re.DOTALL),
    "plain": re.compile(r"[^']*(?:''[^']*)*"),
    "name": re.compile(r'[^"]*(?:""[^"]*)*'),
}
# A literal continues after a line end, and comments do not end it.
_CONTINUED = re.compile(r"[ \t\f\v]*(?:--[^\r\n]*)?[\r\n](?:\s|--[^\r\n]*[\r\n])*'")
_COMMENT_MARK = re.compile(r"/\*|\*/")
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})|(.))", re.DOTALL
)
_UNICODE_ESCAPE = re.compile(r"\\(?:\+([0-9a-f]{6})|([0-9a-f]{4}))", re.IGNORECASE)
_SECRET = re.compile(r"--\s*chatdb\s*:\s*secret\s*", re.IGNORECASE)
_VISIBLE = re.compile(r"[^\r\n]")
_ROUTINE = re.compile(r"create\b.{0,200}?\b(?:function|procedure)\b", re.IGNORECASE | re.DOTALL)
_AS = re.compile(r"\bas\s*$", re.IGNORECASE)
_DO = re.compile(r"do\b", re.IGNORECASE)
_LANGUAGE = re.compile(r"\blanguage\s+['\"]?(\w+)", re.IGNORECASE)
# What may be a password outside of a literal: quoted by mistake like a name, a number, in a comment.
_UNQUOTED = re.compile(
    r"""\b (?:ssl)? password
    (?: (?: "\s*:\s* | \s+ | \s*(?: := | => | = )\s* ) "(?P<name>(?:[^"]|"")*)
      | \s+ (?P<number>\d[^\s;]*)
      | = (?P<bare>[^\s'",;&()$][^\s'",;&)]*) )
    | ://[^\s:/@'"]*:(?P<url>[^\s'"]+)@""",
    re.IGNORECASE | re.VERBOSE,
)
# The server's detail about a key: (columns)=(values).
_KEY = re.compile(r"\((?P<columns>[^()]*)\)=\((?P<values>[^\n]*)\)")
# What a message quotes, in the quotation marks of any language.
_CITED = re.compile('["\u00ab\u201e\u201c\u300c](.+?)["\u00bb\u201c\u201d\u300d]', re.DOTALL)
# In prose an apostrophe after a letter is none that begins a literal.
_QUOTED = re.compile(r"(?<!\w)'(?P<text>(?:[^']|'')*)'?")


class _Literal(NamedTuple):
    """The text between the quotes of a literal."""

    start: int
    end: int
    dollar: bool


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
    if not everything and not _PERHAPS.search(text):
        return text
    return _mask(text, everything)


@lru_cache(maxsize=2)  # an error, and each finding of the linter, shows a line of the same file
def _mask(text: str, everything: bool) -> str:
    parts: list[str] = []
    end = 0
    for start, stop in sorted({*_secret_spans(text, everything=everything)}):
        if stop <= end:
            continue
        start = max(start, end)
        parts += text[end:start], _VISIBLE.sub("•", text[start:stop])
        end = stop
    return "".join((*parts, text[end:]))


def mask_message(text: str) -> str:
    """Replace what may be a password in a message, which can quote SQL in any language."""
    if not _PERHAPS.search(text):
        return text
    text = _UNQUOTED.sub(_masked, text)
    text = _KEY.sub(lambda m: _masked(m) if _SIGN.search(m["columns"]) else m[0], text)
    return _QUOTED.sub(_masked, text) if _SIGN.search(text) else text


def hide(message: str, statement: str, *, everything: bool = False) -> str:
    """Replace the literals of a statement that has to do with a password, in a message about it.

    Args:
        message: what the server says.
        statement: the statement that it says it of.
        everything: hide all literals, and all words of the statement that the message quotes.
    """
    message = mask_message(message)
    if not everything and not _PERHAPS.search(statement):
        return message
    found = {quoted for quoted in _CITED.findall(message) if everything and quoted in statement}
    found.update(_secrets(statement, everything=everything))
    for secret in sorted(found, key=len, reverse=True):
        if len(secret) > (0 if everything else 2):
            message = message.replace(secret, "•" * len(secret))
    return message


def _secrets(statement: str, *, everything: bool) -> Iterator[str]:
    """Yield the literals of a statement as it spells them and as the server does, and those in them."""
    for start, end in _secret_spans(statement, everything=everything):
        secret = statement[start:end]
        for spelled in {secret, secret.replace("''", "'"), _unescape(secret, _ESCAPE)}:
            yield spelled
            if len(spelled) < len(statement) and "'" in spelled:
                yield from _secrets(spelled, everything=True)


def _masked(match: re.Match[str]) -> str:
    start, end = match.span(match.lastgroup or 0)
    start, end = start - match.start(), end - match.start()
    return match[0][:start] + _VISIBLE.sub("•", match[0][start:end]) + match[0][end:]


def _secret_spans(text: str, *, everything: bool = False) -> Iterator[tuple[int, int]]:
    """Yield the start and the end of each text that is to be hidden."""
    for match in _UNQUOTED.finditer(text):
        yield match.span(match.lastgroup or 0)
    for statement in _Scan(text, everything=everything).statements():
        yield from statement


class _Scan:
    """Reads a text token by token.

    Args:
        text: SQL.
        everything: hide all string literals.
    """

    def __init__(self, text: str, *, everything: bool) -> None:
        self._text = text
        self._everything = everything
        self._comments: list[tuple[int, int]] = []
        self._begin(0)

    def _begin(self, start: int) -> None:
        """Begin a statement."""
        self._start = start
        self._literals: list[_Literal] = []
        self._sign = self._everything
        self._depth = self._block = 0
        self._before = ""  # the end of the text of the last literal
        self._seen = start  # up to here, words were looked at

    def statements(self) -> Iterator[Iterable[tuple[int, int]]]:
        """Yield what is to be hidden of each statement, and of the comments."""
        text, position = self._text, 0
        while match := _TOKEN.search(text, position):
            self._look_at_words(match.start())
            position = self._read(match)
            self._seen = position
            if match["mark"] == ";" and not (self._depth > 0 or self._block > 0):
                yield self._end(position)
                self._begin(position)
        self._look_at_words(len(text))
        yield self._end(len(text))
        for start, end in self._comments:
            yield _in_comment(text, start, end)

    def _look_at_words(self, end: int) -> None:
        if not self._sign and _SIGN.search(self._text, self._seen, end):
            self._sign = True

    def _read(self, match: re.Match[str]) -> int:
        """Note a token, and return where it ends."""
        text, start, end = self._text, match.start(), match.end()
        kind = match.lastgroup
        if kind == "line":
            self._comments.append((start, end))
        elif kind == "block":
            end = _block_end(text, start)
            self._comments.append((start, end))
        elif kind == "tag":
            close = text.find(match["tag"], end)
            stop = close if close >= 0 else len(text)
            self._add(_Literal(end, stop, dollar=True), text[end:stop])
            end = stop + len(match["tag"]) if close >= 0 else stop
        elif kind == "other":
            self._look_at_words(end)
        elif kind == "mark":
            self._depth += {"(": 1, ")": -1}.get(match["mark"], 0)
        elif kind == "word":
            self._block = max(0, self._block + self._step(match["word"].lower()))
        elif kind == "name" or match["quote"] == '"':
            end = self._read_name(end, escaped=bool(match["unicode"]))
        else:
            end = self._read_literal(end, "escape" if match["escape"] else "plain", match)
        return min(end, len(text))

    def _step(self, word: str) -> int:
        """Return how a word changes the depth in a body that is no literal (BEGIN ATOMIC)."""
        if word == "end":
            return -1
        return int(word != "case" or self._block > 0)

    def _read_name(self, start: int, *, escaped: bool) -> int:
        end = _end_of(_ENDS["name"], self._text, start)
        name = self._text[start:end].replace('""', '"')
        if _SIGN.search(_unescape(name, _UNICODE_ESCAPE) if escaped else name):
            self._sign = True
        return end + 1

    def _read_literal(self, start: int, kind: str, match: re.Match[str]) -> int:
        """Note a literal with all its continuations, which follow the rules of its first part."""
        text = self._text
        while True:
            end = _end_of(_ENDS[kind], text, start)
            content = text[start:end]
            if kind == "escape":
                content = _unescape(content, _ESCAPE)
            elif match["unicode"]:
                content = _unescape(content, _UNICODE_ESCAPE)
            self._add(_Literal(start, end, dollar=False), content)
            continued = _CONTINUED.match(text, end + 1)
            if continued is None:
                return end + 1
            start = continued.end()

    def _add(self, literal: _Literal, content: str) -> None:
        self._literals.append(literal)
        if not self._sign and (_SIGN.search(content) or _WORDS.search(self._before + content)):
            self._sign = True
        if not self._sign and literal.dollar and _PERHAPS.search(content):
            # Code, whose own literals may say so only together.
            self._sign = any(map(tuple, _Scan(content, everything=False).statements()))
        self._before = (self._before + content)[-_LONGEST_SIGN:]

    def _end(self, end: int) -> Iterable[tuple[int, int]]:
        """Return what is to be hidden of the statement that ends here."""
        if not self._sign:
            return ()
        spans: list[tuple[int, int]] = []
        for literal in self._literals:
            if literal.dollar and self._is_body(literal, end):
                body = self._text[literal.start : literal.end]
                spans += (
                    (literal.start + start, literal.start + stop)
                    for start, stop in _secret_spans(body, everything=True)
                )
            else:
                spans.append((literal.start, literal.end))
        return spans

    def _is_body(self, literal: _Literal, end: int) -> bool:
        """Return whether a literal is code in SQL or PL/pgSQL, whose own literals are hidden."""
        text, start = self._text, skip_blanks(self._text, self._start)
        before = text[start : literal.start].rpartition("$")[0].rpartition("$")[0]
        language = _LANGUAGE.search(before) or _LANGUAGE.search(text, literal.end, end)
        if _DO.match(before):
            return language is None or language[1].lower() == "plpgsql"
        is_routine = _ROUTINE.match(before) and _AS.search(before)
        return bool(is_routine and language and language[1].lower() in ("sql", "plpgsql"))


def _in_comment(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield what is to be hidden in a comment: it may hold a statement that is not executed any more."""
    comment = text[start:end]
    if _SIGN.search(comment):
        for match in _QUOTED.finditer(comment):
            first, last = match.span("text")
            yield start + first, start + last


def _block_end(text: str, position: int) -> int:
    """Return the end of the block comment that starts at `position`; block comments nest."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, position):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start


def _unescape(text: str, pattern: re.Pattern[str]) -> str:
    """Return a text with its escapes replaced by what they mean."""
    if "\\" not in text:
        return text

    def character(match: re.Match[str]) -> str:
        groups = match.groups()
        code = next((g for g in groups if g is not None), "")
        if pattern is _ESCAPE and groups[4] is not None:
            return code
        number = int(code, 8 if pattern is _ESCAPE and groups[3] is not None else 16)
        return chr(number) if number < 0x110000 else "?"

    return pattern.sub(character, text)
