"""A SQL file as text: its statements, its leading comment, and where an offset stands in it.

The only user of the parser (libpg_query, PostgreSQL's own grammar, through `postgast`).  Pure: text
goes in, values come out.  What does not belong here: reading files or what their names mean
(`migrations.py`), sending statements (`pipeline.py`), drawing an excerpt (`render.py`).

Every offset counts characters, because PostgreSQL's error positions do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code, Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LINE_END = re.compile(r"\r\n|\r|\n")
_BLANK = re.compile(r"[ \t\r\n\f\v;]+")
_LINE_COMMENT = re.compile(r"--[^\r\n]*")
_COMMENT_MARK = re.compile(r"/\*|\*/")
_WORD = re.compile(r"[A-Za-z]+")
_PASSWORD = re.compile(r"(\bpassword\s+(?:e|u&)?')((?:[^']|'')*)", re.IGNORECASE)

# The words that a statement of a refused kind can begin with; the parser then tells for sure.
_SUSPECT = frozenset(("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE", "COPY"))
_MASK_FROM, _BYTE_ORDER_MARK = "•", "\ufeff"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a file.

    Attributes:
        text: the statement as it stands in the file, without its semicolon.
        offset: where it begins in the file's text, in characters.
    """

    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a statement can't be part of a migration.

    Attributes:
        offset: where in the text, in characters.
        message: what is wrong.
        hint: the way out.
    """

    offset: int
    message: str
    hint: str


def decode(data: bytes, path: Path) -> str:
    """Return the text of a SQL file, without a byte order mark and with its line ends as they are.

    Raises:
        ChatdbError: `BAD_FILE` when the bytes are no UTF-8 or hold a NUL, with the place.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ChatdbError(
            Code.BAD_FILE,
            "the file is UTF-16, not UTF-8",
            place=Place(path, 1, 1),
            hint="save it as UTF-8",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        place = locate(before, len(before), path)
        raise ChatdbError(
            Code.BAD_FILE,
            f"byte 0x{data[error.start]:02x} is not UTF-8",
            place=place,
            hint="save the file as UTF-8",
        ) from None
    if "\0" in text:
        raise ChatdbError(
            Code.BAD_FILE,
            "the file holds a NUL character, where PostgreSQL would stop reading",
            place=locate(text, text.index("\0"), path),
            hint="remove it",
        )
    return text


def canonical(text: str) -> str:
    """Return the text with every line end as a single newline: what a checksum is made of."""
    return _LINE_END.sub("\n", text) if "\r" in text else text


def locate(text: str, offset: int, path: Path, *, context: int = 1) -> Place:
    """Return the line and column of an offset, with the lines to show.

    Args:
        text: the whole text of the file.
        offset: in characters, from 0; one behind the end is the end.
        path: the file, as it will be named.
        context: how many lines before the one in question are shown.
    """
    offset = min(offset, len(text))
    starts = [0, *(m.end() for m in _LINE_END.finditer(text))]
    line = next(n for n in range(len(starts), 0, -1) if starts[n - 1] <= offset)
    shown = tuple(
        (n, mask(_line_at(text, starts[n - 1]))) for n in range(max(1, line - context), line + 1)
    )
    return Place(path, line, offset - starts[line - 1] + 1, shown)


def mask(line: str) -> str:
    """Return the line with every password literal replaced, at the same length, by dots."""
    return _PASSWORD.sub(lambda m: m[1] + _MASK_FROM * len(m[2]), line)


def leading_comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield (offset, comment) for each `--` comment that stands before the first statement."""
    position = 0
    while position < len(text):
        if blank := _BLANK.match(text, position):
            position = blank.end()
        elif comment := _LINE_COMMENT.match(text, position):
            yield position, comment[0]
            position = comment.end()
        elif text.startswith("/*", position):
            position = _block_comment_end(text, position)
        else:
            return


def split(text: str) -> tuple[Statement, ...] | None:
    """Cut a file into its statements where PostgreSQL's own grammar does.

    Returns:
        The statements, none for a file of comments alone, or None when the grammar can't read the
        file: a mistake in it, or the syntax of a server that is newer than the parser.
    """
    import postgast

    try:
        pieces = postgast.split(text)
    except postgast.PgQueryError:
        return None
    return tuple(_locate_pieces(text, pieces))


def refusal(text: str, statements: tuple[Statement, ...] | None) -> Refusal | None:
    """Return the first thing in the file that no migration may hold, or None.

    Transaction control would end the transaction that makes a migration whole; COPY from or to the
    client has no client; a psql command is no SQL.

    Args:
        text: the file.
        statements: what `split` returned for it.
    """
    if statements is None:
        return _refusal_unread(text)
    for statement in statements:
        word = _WORD.match(statement.text)
        if word and word[0].upper() in _SUSPECT and (found := _refused_kind(statement.text)):
            return Refusal(statement.offset, *found)
    return None


def _line_at(text: str, start: int) -> str:
    end = _LINE_END.search(text, start)
    return text[start : end.start()] if end else text[start:]


def _block_comment_end(text: str, position: int) -> int:
    """Return where the block comment that begins at `position` ends; they nest."""
    depth = 0
    for found in _COMMENT_MARK.finditer(text, position):
        depth += 1 if found[0] == "/*" else -1
        if depth == 0:
            return found.end()
    return len(text)


def _skip(text: str, position: int) -> int:
    """Return the first offset from `position` on that is neither blank, semicolon nor comment."""
    while True:
        if found := _BLANK.match(text, position) or _LINE_COMMENT.match(text, position):
            position = found.end()
        elif text.startswith("/*", position):
            position = _block_comment_end(text, position)
        else:
            return position


def _locate_pieces(text: str, pieces: list[str]) -> Iterator[Statement]:
    # The splitter gives texts without offsets, but in order, and nothing but blanks, comments and
    # semicolons stands between two of them.
    position = 0
    for piece in pieces:
        stripped = piece[_skip(piece, 0) :]
        position = _skip(text, position)
        yield Statement(stripped, position)
        position += len(stripped)


_IN_TRANSACTION = (
    "{} would end the transaction that makes a migration whole",
    "remove it: chatdb runs each file in one transaction; a SAVEPOINT is fine",
)
_COPY_CLIENT = (
    "COPY {} needs a client that sends or takes the rows",
    "write the rows as INSERT ... VALUES, or COPY from a file of the server",
)


def _refused_kind(statement: str) -> tuple[str, str] | None:
    import postgast
    from google.protobuf.message import DecodeError

    try:
        node = postgast.parse(statement).stmts[0].stmt
    except DecodeError:
        # Nested deeper than protobuf reads: of the suspects only COPY (query) TO can be so.
        target = re.search(r"\bto\s+stdout\b", statement, re.IGNORECASE)
        return (_COPY_CLIENT[0].format("TO STDOUT"), _COPY_CLIENT[1]) if target else None
    if node.HasField("copy_stmt"):
        copy = node.copy_stmt
        if copy.filename or copy.is_program:
            return None
        what = "FROM STDIN" if copy.is_from else "TO STDOUT"
        return _COPY_CLIENT[0].format(what), _COPY_CLIENT[1]
    if node.HasField("transaction_stmt"):
        kind = type(node.transaction_stmt).DESCRIPTOR.fields_by_name["kind"].enum_type
        name = kind.values_by_number[node.transaction_stmt.kind].name
        if not name.endswith(("SAVEPOINT", "RELEASE", "ROLLBACK_TO")):
            words = name.removeprefix("TRANS_STMT_").replace("_", " ")
            return _IN_TRANSACTION[0].format(words), _IN_TRANSACTION[1]
    return None


def _refusal_unread(text: str) -> Refusal | None:
    """Look for the same in a file that the grammar can't read, by its words alone."""
    import postgast

    try:
        postgast.parse(text)
    except postgast.PgQueryError as error:
        # The parser counts bytes, from 1.
        before = text.encode()[: max(error.cursorpos - 1, 0)].decode(errors="ignore")
        if text.startswith("\\", len(before)):
            command = re.match(r"\\\S*", text[len(before) :])
            return Refusal(
                len(before),
                f"{command[0] if command else 'a backslash'} is a command of psql, not SQL",
                "write what it does as SQL, or leave it out",
            )
    try:
        pieces = postgast.split(text, method="scanner")
    except postgast.PgQueryError:
        return None
    atomic = re.search(r"\bbegin\s+atomic\b", text, re.IGNORECASE)
    position = 0
    for piece in pieces:
        start = text.index(piece, position)
        position = start + len(piece)
        start += _skip(piece, 0)
        words = " ".join(text[start:position].upper().split())
        if re.match(r"COPY .*\b(FROM STDIN|TO STDOUT)\b", words):
            return Refusal(start, _COPY_CLIENT[0].format("of the client"), _COPY_CLIENT[1])
        control = re.match(
            r"(BEGIN|START TRANSACTION|COMMIT|END|ABORT|ROLLBACK|PREPARE TRANSACTION)\b"
            r"(?! (WORK |TRANSACTION )?TO\b)",
            words,
        )
        if control and not (atomic and control[1] == "END"):
            return Refusal(start, _IN_TRANSACTION[0].format(control[1]), _IN_TRANSACTION[1])
    return None
