"""Where the literals of statements are that have to do with a secret.

    secret_spans    the start and the end of each text that is to be hidden

Literals, comments and names are told apart as PostgreSQL's scanner does, also in a text that ends early,
such as the query of another session.  Where `standard_conforming_strings` is off, a backslash in '...'
escapes the next character.  Which setting a text was or will be read with is not known: the server, the
role, the database, the session or the text itself may set it.  So a text is read in both ways where they
differ, and what either way says is hidden.  What does not belong here: the words that tell
(`secret_words.py`), replacing (`secrets.py`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.scan import skip_blanks
from chatdb_cli.syntax.secret_words import CLOSE, OPEN, Kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LONGEST_SIGN = 24  # how much of a literal is seen together with the next: 'PASS' || 'WORD'
_LONGEST_NAME = 80  # a literal up to this length may be the name of a setting
_MOST_SWITCHES = 8

_TOKEN = re.compile(
    r"""
    (?= [-/'"$;()eubc] ) (?:  # no other begins one of these
      (?P<line> --[^\r\n]* )
    | (?P<block> /\* )
    | (?<=\w) (?P<other> \$ [\w$]* )  # a dollar sign in a name begins no literal
    | (?<!\w) (?P<escape> e ) '
    | (?<!\w) (?P<unicode> u& ) (?P<quote> ['"] )
    | (?P<plain> ' )
    | (?P<name> " )
    | (?<!\w) (?P<tag> \$ (?: [^\W\d]\w* )? \$ )
    | (?P<mark> [;()] )
    | (?<!\w) (?P<word> begin\s+atomic | case | end ) (?![\w$]) )
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
ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})|(.))", re.DOTALL
)
_UNICODE_ESCAPE = re.compile(r"\\(?:\+([0-9a-f]{6})|([0-9a-f]{4}))", re.IGNORECASE)
_SWITCH = re.compile("standard_conforming_strings", re.IGNORECASE)
_ROUTINE = re.compile(r"create\b.{0,200}?\b(?:function|procedure)\b", re.IGNORECASE | re.DOTALL)
_AS = re.compile(r"\bas\s*$", re.IGNORECASE)
_DO = re.compile(r"do\b", re.IGNORECASE)
_COPY = re.compile(r"copy\b[^;]*\bfrom\s+stdin\b", re.IGNORECASE)
_END_OF_DATA = re.compile(r"^\\\.[ \t]*$", re.MULTILINE)
_LANGUAGE = re.compile(r"\blanguage\s+['\"]?(\w+)", re.IGNORECASE)
# In prose an apostrophe after a letter is none that begins a literal.
QUOTED = re.compile(r"(?<!\w)'(?P<text>(?:[^']|'')*)'?")
_JOINED = re.compile(rf"{CLOSE}\s*\|\|\s*{OPEN}")


class _Literal(NamedTuple):
    """The text between the quotes of a literal."""

    start: int
    end: int
    dollar: bool


def secret_spans(text: str, *, everything: bool = False) -> Iterator[tuple[int, int]]:
    """Yield the start and the end of each text that is to be hidden, in no order.

    Args:
        text: SQL, also the beginning of a statement.
        everything: hide all string literals.
    """
    kinds = Kinds.of(text)
    if not (everything or any(kinds)):
        return
    yield from kinds.unquoted(text)
    yield from _in_both_ways(text, kinds, everything=everything)
    # After a statement that changes the setting the text is read from the next one on.
    switches = [match.end() for match in _SWITCH.finditer(text)] if "\\" in text else []
    for switch in switches[:_MOST_SWITCHES]:
        start = text.find(";", switch) + 1
        if start:
            everything = everything or len(switches) > _MOST_SWITCHES
            for first, last in _in_both_ways(text[start:], kinds, everything=everything):
                yield start + first, start + last


@lru_cache(maxsize=16)  # code in code would be read twice as often with each level
def _spans_inside(text: str, *, everything: bool) -> tuple[tuple[int, int], ...]:
    return tuple(secret_spans(text, everything=everything))


def _in_both_ways(text: str, kinds: Kinds, *, everything: bool) -> Iterator[tuple[int, int]]:
    """Yield what is to be hidden if a backslash in '...' has no meaning, and if it has one."""
    plain = _Scan(text, kinds, everything=everything, escapes=False)
    yield from plain.spans()
    if not plain.has_backslash:
        return
    escaped = _Scan(text, kinds, everything=everything, escapes=True)
    spans = list(escaped.spans())
    # A text that ends inside of a literal is read so by no server; but the end may be a mistake, or cut.
    if everything or escaped.is_complete or not plain.is_complete or _SWITCH.search(text):
        yield from spans


class _Scan:
    """Reads a text token by token.

    Args:
        text: SQL.
        kinds: the kinds of secrets that it may hold.
        everything: hide all string literals.
        escapes: a backslash in '...' escapes the next character.

    Attributes:
        is_complete: whether all literals, names and comments end, and the code has no backslash.
        has_backslash: whether a literal in plain quotes has one, so that the two readings differ.
    """

    def __init__(self, text: str, kinds: Kinds, *, everything: bool, escapes: bool) -> None:
        self._text = text
        self._kinds = kinds
        self._everything = everything
        self._escapes = escapes
        self._comments: list[tuple[int, int]] = []
        self.is_complete = True
        self.has_backslash = False
        self._begin(0)

    def _begin(self, start: int) -> None:
        """Begin a statement."""
        self._start = start
        self._literals: list[_Literal] = []
        self._sign = self._everything
        self._depth = self._block = 0
        self._before = ""  # the end of the text of the last literal
        self._seen = start  # up to here, words were looked at
        self._outline: list[str] = []
        self._doubtful: int | None = None  # where the first literal is that has two possible ends

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yield what is to be hidden of each statement, and of the comments."""
        text, position = self._text, 0
        has_copy = "stdin" in text.lower()
        while match := _TOKEN.search(text, position):
            self._look_at_words(match.start())
            position = self._read(match)
            self._seen = position
            if match["mark"] == ";" and not (self._depth > 0 or self._block > 0):
                yield from self._end(position)
                if has_copy and _COPY.match(text, skip_blanks(text, self._start)):
                    data = _END_OF_DATA.search(text, position)
                    if self._sign:
                        yield position, data.start() if data else len(text)
                    position = data.end() if data else len(text)
                self._begin(position)
        self._look_at_words(len(text))
        yield from self._end(len(text))
        for start, end in self._comments:
            yield from _in_comment(text, self._kinds, start, end)

    def _look_at_words(self, end: int) -> None:
        text, start = self._text, self._seen
        if self.is_complete and text.find("\\", start, end) >= 0:
            self.is_complete = False
        if not self._sign:
            self._outline.append(text[start:end])
            self._sign = self._kinds.code_says(text, start, end)
        self._seen = end

    def _read(self, match: re.Match[str]) -> int:
        """Note a token, and return where it ends."""
        text, start, end = self._text, match.start(), match.end()
        kind = match.lastgroup
        if kind == "line":
            self._comments.append((start, end))
            self._outline.append(" ")
        elif kind == "block":
            end = _block_end(text, start)
            self._comments.append((start, end))
            self._outline.append(" ")
        elif kind == "tag":
            close = text.find(match["tag"], end)
            stop = close if close >= 0 else len(text)
            self._add(_Literal(end, stop, dollar=True), text[end:stop])
            end = stop + len(match["tag"])
        elif kind in ("other", "word", "mark"):
            self._look_at_words(end)
            if kind == "mark":
                self._depth += {"(": 1, ")": -1}.get(match["mark"], 0)
            elif kind == "word":
                self._block = max(0, self._block + self._step(match["word"].lower()))
        elif kind == "name" or match["quote"] == '"':
            end = self._read_name(end, escaped=bool(match["unicode"]))
        else:
            is_escaped = match["escape"] or (self._escapes and not match["unicode"])
            end = self._read_literal(end, "escape" if is_escaped else "plain", match)
        if end > len(text):
            self.is_complete = False
        return min(end, len(text))

    def _step(self, word: str) -> int:
        """Return how a word changes the depth in a body that is no literal (BEGIN ATOMIC)."""
        if word == "end":
            return -1
        return int(word != "case" or self._block > 0)

    def _read_name(self, start: int, *, escaped: bool) -> int:
        end = _end_of(_ENDS["name"], self._text, start)
        name = self._text[start:end].replace('""', '"')
        name = unescape(name, _UNICODE_ESCAPE) if escaped else name
        self._outline.append(re.sub(r"[^\w.$]", "_", name))
        if self._kinds.code_says(f"{name},", 0, len(name) + 1):  # "pass" alone is one, too
            self._sign = True
        return end + 1

    def _read_literal(self, start: int, kind: str, match: re.Match[str]) -> int:
        """Note a literal with all its continuations, which follow the rules of its first part."""
        text, content = self._text, ""
        first = start
        while True:
            end = _end_of(_ENDS[kind], text, start)
            part = text[start:end]
            if "\\" not in part:
                pass
            elif kind == "escape":
                part = unescape(part, ESCAPE)
            elif match["unicode"]:
                part = unescape(part, _UNICODE_ESCAPE)
            else:
                self.has_backslash = True
                if self._doubtful is None and _end_of(_ENDS["escape"], text, start) != end:
                    self._doubtful = first
            content += part
            self._literals.append(_Literal(start, end, dollar=False))
            continued = _CONTINUED.match(text, end + 1)
            if continued is None:
                break
            start = continued.end()
        self._look_at_content(content.replace("''", "'"))
        return end + 1

    def _add(self, literal: _Literal, content: str) -> None:
        """Note a literal in dollar quotes."""
        self._literals.append(literal)
        if not self._sign:
            self._sign = self._kinds.code_says(content, 0, len(content))
        self._look_at_content(content, is_code=True)

    def _look_at_content(self, content: str, *, is_code: bool = False) -> None:
        if not self._sign:
            name = content if len(content) < _LONGEST_NAME and "'" not in content else "?"
            self._outline.append(f"{OPEN}{name}{CLOSE}")
            self._sign = not is_code and (
                self._kinds.literal_says(content)
                or (self._before != "" and self._kinds.joined_says(self._before + content))
            )
        if not self._sign and (is_code or "'" in content):
            # It may be code, whose own literals may say so only together.
            self._sign = bool(_spans_inside(content, everything=False))
        self._before = (self._before + content)[-_LONGEST_SIGN:]

    def _end(self, end: int) -> Iterable[tuple[int, int]]:
        """Return what is to be hidden of the statement that ends here."""
        if not self._literals:
            return ()
        if not self._sign and not self._kinds.outline_says(_JOINED.sub("", "".join(self._outline))):
            return ()
        spans: list[tuple[int, int]] = []
        for literal in self._literals:
            if literal.dollar and self._is_body(literal, end):
                body = self._text[literal.start : literal.end]
                spans += (
                    (literal.start + start, literal.start + stop)
                    for start, stop in _spans_inside(body, everything=True)
                )
            else:
                spans.append((literal.start, literal.end))
        if self._doubtful is not None:
            spans.append((self._doubtful, end))
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


def _in_comment(text: str, kinds: Kinds, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield what is to be hidden in a comment: it may hold a statement that is not executed any more."""
    comment = text[start:end]
    if kinds.comment_says(comment):
        for match in QUOTED.finditer(comment):
            first, last = match.span("text")
            yield start + first, start + last


def _block_end(text: str, position: int) -> int:
    """Return the end of the block comment that starts at `position`; block comments nest."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, position):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text) + 1


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start


def unescape(text: str, pattern: re.Pattern[str]) -> str:
    """Return a text with its escapes replaced by what they mean."""
    if "\\" not in text:
        return text

    def character(match: re.Match[str]) -> str:
        groups = match.groups()
        code = next((g for g in groups if g is not None), "")
        if pattern is ESCAPE and groups[4] is not None:
            return code
        number = int(code, 8 if pattern is ESCAPE and groups[3] is not None else 16)
        return chr(number) if number < 0x110000 else "?"

    return pattern.sub(character, text)
