"""The text of a SQL file: decoded from bytes, and in the canonical form for a checksum.

What does not belong here: reading the disk (`files/`), splitting the text into statements
(`statements.py`).
"""

from __future__ import annotations

from codecs import BOM_UTF8
from pathlib import Path

from chatdb_cli.errors import ChatdbError, Code, Location
from chatdb_cli.syntax.location import LINE_END, locate


def decode(data: bytes, path: Path | str) -> str:
    """Return the text of a SQL file, without a byte order mark and with line ends unchanged.

    Args:
        data: the bytes of the file.
        path: the file, for errors.

    Raises:
        ChatdbError: `BAD_FILE`, with the place: the bytes are not UTF-8, or one is NUL.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ChatdbError(
            Code.BAD_FILE,
            "the file is UTF-16, not UTF-8",
            place=Location(Path(path), 1, 1),
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
            "the file contains a NUL character, where PostgreSQL would stop reading",
            place=locate(text, text.index("\0"), path),
            hint="remove it",
        )
    return text


def canonical(text: str) -> str:
    """Return the text with every line end as a single newline, for a checksum."""
    return LINE_END.sub("\n", text) if "\r" in text else text
