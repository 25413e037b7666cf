"""A SQL file as text: its statements, its leading comment, and where an offset stands in it.

The only user of the parser (libpg_query, PostgreSQL's own grammar, through `postgast`).  Pure: text
goes in, values come out.  What does not belong here: reading files or what their names mean
(`migrations.py`), sending statements (`pipeline.py`), drawing an excerpt (`render.py`).

Every offset counts characters, because PostgreSQL's error positions do.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from chatdb_cli.errors import ChatdbError, Code, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE_END = re.compile(r"\r\n|\r|\n")
_BLANK = re.compile(r"[ \t\r\n\f\v;]+")
_LINE_COMMENT = re.compile(r"--[^\r\n]*")
_COMMENT_MARK = re.compile(r"/\*|\*/")
_WORD = re.compile(r"[A-Za-z]+")
_SECRETS = ("doubled", "escaped", "quoted", "json", "dollar", "bare", "url")
_LONGEST_SECRET = 4096
_VISIBLE = re.compile(r"[^\r\n]")

# A password of a role, of a user mapping, of a connection string, of a URL.  A literal that is not
# closed ends with the text, which may be one line of many.
_PASSWORD = re.compile(
    r"""
    \b (?: ssl )? password
    (?: (?> (?: \s | --[^\r\n]* | /\*.*?\*/ )+ ) (?: (?: => | := | = ) \s* )?
      | " \s* : \s*
      | \s* (?: => | := | = ) \s* )
    (?: '' (?P<doubled> [^']+ ) ''
      | e' (?P<escaped> (?: [^'\\] | \\. | '' )* )
      | (?: u& )? ' (?P<quoted> (?: [^'] | '' )* )
      | " (?P<json> (?: [^"\\] | \\. )* )
      | (?P<tag> \$ \w* \$ ) (?P<dollar> .*? ) (?: (?P=tag) | \Z ) )
    | \b (?: ssl )? password = (?P<bare> [^\s'",;&)]+ )
    | :// [^\s:/@'"]* : (?P<url> [^\s/'"]+ ) @
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)

_SETTING = re.compile(r"(?:SET|RESET)\b(?!\s+(?:LOCAL|CONSTRAINTS|TRANSACTION)\b)", re.IGNORECASE)

# What no rollback undoes.
_LASTING = re.compile(
    r"\b(?:setval|nextval|dblink\w*|lo_export|pg_(?:terminate|cancel)_backend|copy)\b",
    re.IGNORECASE,
)

# The words that a statement of a refused kind can begin with.
_SUSPECT = frozenset(("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE", "COPY"))
# What a refused statement looks like as words, without comments and what stands in parentheses.
_COPY_CLIENT = re.compile(r"COPY .*\b(FROM|TO) (?:STDIN|STDOUT)\b")
_CONTROL = re.compile(
    r"(BEGIN|START TRANSACTION|COMMIT|END|ABORT|ROLLBACK|PREPARE TRANSACTION)\b"
    r"(?! PREPARED\b| (?:WORK |TRANSACTION )?TO\b)"
)


class Statement(NamedTuple):
    """One statement of a file.

    Attributes:
        text: the statement as it stands in the file, without its semicolon.
        offset: where it begins in the file's text, in characters.
    """

    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class Concurrent:
    """A statement that builds or drops an index in the course of several transactions.

    Attributes:
        kind: what it does.
        names: the table of an index to create; the indexes to drop; as SQL, quoted.
        index: the name of the index to create, quoted, or None where PostgreSQL chooses it.
    """

    kind: Literal["create", "drop", "reindex"]
    names: tuple[str, ...] = ()
    index: str | None = None


class Lasting(NamedTuple):
    """Something in a file that no rollback undoes.

    Attributes:
        offset: where in the text, in characters.
        what: such as `setval` or `COPY`.
        argument: its first argument, where that is a literal.
    """

    offset: int
    what: str
    argument: str | None = None


class Refusal(NamedTuple):
    """Why a statement can't be part of a migration.

    Attributes:
        offset: where in the text, in characters.
        message: what is wrong.
        hint: the way out.
    """

    offset: int
    message: str
    hint: str


def decode(data: bytes, path: Path | str) -> str:
    """Return the text of a SQL file, without a byte order mark and with its line ends as they are.

    Args:
        data: the bytes of the file.
        path: the file, as it will be named in an error.

    Raises:
        ChatdbError: `BAD_FILE` when the bytes are no UTF-8 or hold a NUL, with the place.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ChatdbError(
            Code.BAD_FILE,
            "the file is UTF-16, not UTF-8",
            place=Place(Path(path), 1, 1),
            hint="save it as UTF-8",
        )
    data = data.removeprefix(BOM_UTF8)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        place = locate(data.decode(errors="replace"), len(data[: error.start].decode()), path)
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


def locate(text: str, offset: int, path: Path | str, *, context: int = 1) -> Place:
    """Return the line and column of an offset, with the lines to show.

    Args:
        text: the whole text of the file.
        offset: in characters, from 0; one behind the end is the end.
        path: the file, as it will be named.
        context: how many lines before the one in question are shown.
    """
    offset = min(offset, len(text))
    if text[offset - 1 : offset + 1] == "\r\n":  # one line end, and no column
        offset -= 1
    start = _line_start(text, offset)
    line = 1 + sum(text.count(end, 0, start) for end in "\r\n") - text.count("\r\n", 0, start)
    # Masked with what stands before: the word may be on another line than the password.
    before = max(0, start - _LONGEST_SECRET)
    lines = _LINE_END.split(mask(text[before : _line_end(text, start)]))[-1 - context :]
    return Place(
        Path(path), line, offset - start + 1, tuple(enumerate(lines, line - len(lines) + 1))
    )


def mask(text: str) -> str:
    """Return the text with every character of a password replaced by a dot; line ends stay."""
    return _PASSWORD.sub(_masked, text)


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


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield (offset, comment) for each `--` comment, up to where the scanner can't read on.

    What looks like one inside a literal, a function body in dollar quotes or a block comment is
    none.
    """
    return ((offset, token) for offset, token in _tokens(text) if token.startswith("--"))


def refusal(text: str, statements: tuple[Statement, ...] | None) -> Refusal | None:
    """Return the first thing in the file that no migration may hold, or None.

    Transaction control would end the transaction that makes a migration whole; COPY from or to the
    client has no client; a psql command is no SQL.

    Args:
        text: the file.
        statements: what `split` returned for it.
    """
    if statements is None:
        return _refusal_by_words(text, 0)
    for statement in statements:
        word = _WORD.match(statement.text)
        if (
            word
            and word[0].upper() in _SUSPECT
            and (found := _refusal_by_words(statement.text, statement.offset))
        ):
            return found
    return None


def lasting(text: str, statements: tuple[Statement, ...] | None) -> Iterator[Lasting]:
    """Yield what no rollback undoes, as far as the text shows it: what a function does it does not.

    Args:
        text: the file.
        statements: what `split` returned for it.
    """
    for statement in (Statement(text, 0),) if statements is None else statements:
        if not _LASTING.search(statement.text):
            continue
        tokens = [(o, t) for o, t in _tokens(statement.text) if not t.startswith(("--", "/*"))]
        if tokens and tokens[0][1].upper() == "DO":
            for offset, body in tokens:
                if quote := re.match(r"\$\w*\$", body):
                    inner = body.removeprefix(quote[0]).removesuffix(quote[0])
                    for found in lasting(inner, None):
                        start = statement.offset + offset + len(quote[0])
                        yield found._replace(offset=start + found.offset)
        for n, (offset, word) in enumerate(tokens):
            following = [t for _, t in tokens[n + 1 : n + 3]]
            if _LASTING.fullmatch(word) and (following[:1] == ["("] or word.upper() == "COPY"):
                said = following[1][1:-1] if following[1:] and following[1][0] == "'" else None
                if word.upper() != "COPY" or _to_outside([t.upper() for _, t in tokens[n:]]):
                    yield Lasting(statement.offset + offset, word, said)


def _to_outside(words: list[str]) -> bool:
    """Return whether a COPY, given as words, writes a file or runs a program."""
    return "PROGRAM" in words or any(a == "TO" and b[0] == "'" for a, b in pairwise(words))


def is_setting(statement: str) -> bool:
    """Return whether a statement sets something that the session's next statements go by."""
    return bool(_SETTING.match(statement))


def concurrent(statement: str) -> Concurrent | None:
    """Return what a statement does to indexes CONCURRENTLY, or None where it does no such thing."""
    if "concurrently" not in statement.lower():
        return None
    import postgast

    try:
        node = postgast.parse(statement).stmts[0].stmt
    except (postgast.PgQueryError, IndexError):
        return None
    kind = node.WhichOneof("node")
    if kind == "index_stmt" and node.index_stmt.concurrent:
        index, table = node.index_stmt, node.index_stmt.relation
        return Concurrent(
            "create",
            (_quoted(table.catalogname, table.schemaname, table.relname),),
            _quoted(index.idxname) or None,
        )
    if kind == "drop_stmt" and node.drop_stmt.concurrent:
        names = (
            _quoted(*(item.string.sval for item in one.list.items))
            for one in node.drop_stmt.objects
        )
        return Concurrent("drop", tuple(names))
    if kind == "reindex_stmt" and _asks_for(node.reindex_stmt.params, "concurrently"):
        return Concurrent("reindex")
    return None


def not_concurrently(statement: str) -> str:
    """Return a statement on an index as it runs at once; every offset stays what it is."""
    if concurrent(statement) is None:
        return statement
    for offset, token in _tokens(statement):
        if token.upper() == "CONCURRENTLY":
            end = offset + len(token)
            return statement[:offset] + " " * len(token) + statement[end:]
    return statement


def _quoted(*parts: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts if part)


def _asks_for(params: Any, option: str) -> bool:
    return any(param.def_elem.defname == option for param in params)


def _line_start(text: str, offset: int) -> int:
    return max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1


def _line_end(text: str, offset: int) -> int:
    found = _LINE_END.search(text, offset)
    return found.start() if found else len(text)


def _masked(found: re.Match[str]) -> str:
    secret = next(name for name in _SECRETS if found[name] is not None)
    start, end = (at - found.start() for at in found.span(secret))
    return found[0][:start] + _VISIBLE.sub("•", found[0][start:end]) + found[0][end:]


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


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    """Yield (offset, token), comments too, up to where the scanner can't read on."""
    import postgast

    scanned = None
    while scanned is None:
        try:
            scanned = postgast.scan(text)
        except postgast.PgQueryError as error:
            # All or nothing: what stands before the place that it names, in characters from 1, is
            # tried again.  A literal without an end begins there, or an escape inside one is wrong.
            text = text[: min(max(error.cursorpos - 1, 0), len(text) - 1)]
    data = text.encode()
    byte = offset = 0
    for token in scanned.tokens:
        offset += len(data[byte : token.start].decode())
        byte = token.start
        yield offset, data[token.start : token.end].decode()


def _refusal_by_words(text: str, base: int) -> Refusal | None:
    """Return the first refused thing of a text that stands at offset `base` of its file.

    The scanner's words tell it without the parser, which may not know a newer server's syntax.
    """
    words: list[str] = []
    start = depth = 0
    for offset, piece in chain(_tokens(text), [(len(text), ";")]):
        if piece.startswith(("--", "/*")):
            continue
        if piece == "\\":
            return Refusal(base + offset, *_psql_command(text, offset))
        if piece == ";" and (depth == 0 or offset == len(text)):
            if found := _refused_statement(" ".join(words)):
                return Refusal(base + start, *found)
            words = []
            continue
        if not words:
            start = offset
        depth += _nesting(piece.upper(), words, depth)
        if depth == 0 or not words:
            # A literal or a quoted name is no word, whatever it holds.
            words.append(piece.upper() if len(piece) == 1 or piece.isidentifier() else "?")
    return None


def _nesting(word: str, before: list[str], depth: int) -> int:
    """Return by how much a word opens or closes parentheses or the body of BEGIN ATOMIC."""
    if word == "(" or (word == "ATOMIC" and before[-1:] == ["BEGIN"]) or (word == "CASE" and depth):
        return 1
    return -1 if depth and word in (")", "END") else 0


def _refused_statement(words: str) -> tuple[str, str] | None:
    """Return message and hint for a statement, given as words, that no migration may hold."""
    if found := _COPY_CLIENT.match(words):
        what = "FROM STDIN" if found[1] == "FROM" else "TO STDOUT"
        return (
            f"COPY {what} needs a client that sends or takes the rows",
            "write the rows as INSERT ... VALUES, or COPY from a file of the server",
        )
    if found := _CONTROL.match(words):
        return (
            f"{found[1]} would interfere with the transaction that makes a migration whole",
            "remove it: chatdb runs each file in one transaction; a SAVEPOINT is fine",
        )
    return None


def _psql_command(text: str, offset: int) -> tuple[str, str]:
    command = text[offset:].split(maxsplit=1)[0]
    return f"{command} is a command of psql, not SQL", "write what it does as SQL, or leave it out"
