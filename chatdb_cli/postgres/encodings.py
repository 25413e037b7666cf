"""Which characters a database can store, by the name of its encoding.

    unstorable         the characters of a text that the encoding does not have
    fit_comments       a text in which such characters are replaced where they are in comments
    character_position the position of an error in characters, where the server counts bytes

What does not belong here: what an error says (`diagnosis.py`), files (`files/`).
"""

from __future__ import annotations

from functools import cache

from chatdb_cli.syntax.scan import scan_tokens

# PostgreSQL's name of each encoding with a codec of Python; those of 8 bits have the same characters.
_CODECS = {
    **{f"LATIN{n}": f"iso8859-{part}" for n, part in enumerate((1, 2, 3, 4, 9, 10, 13, 14, 15, 16), 1)},
    **{f"ISO_8859_{n}": f"iso8859-{n}" for n in (5, 6, 7, 8)},
    **{f"WIN{n}": f"cp{n}" for n in (866, 874, *range(1250, 1259))},
    "KOI8R": "koi8_r",
    "KOI8U": "koi8_u",
    "EUC_JP": "euc_jp",
    "EUC_JIS_2004": "euc_jis_2004",
    "EUC_CN": "gb2312",
    "EUC_KR": "euc_kr",
}  # fmt: skip
# In this encoding the server converts nothing, and counts bytes.
_BYTES_ALONE = "SQL_ASCII"


def unstorable(text: str, encoding: str) -> set[str]:
    """Return the characters of a text that an encoding does not have; none if that is not known.

    Args:
        text: any text.
        encoding: PostgreSQL's name of it.
    """
    if text.isascii() or encoding not in _CODECS:
        return set()
    return {char for char in set(text) if not char.isascii() and not _has(encoding, char)}


@cache
def _has(encoding: str, char: str) -> bool:
    try:
        char.encode(_CODECS[encoding])
    except UnicodeEncodeError:
        return False
    return True


def fit_comments(text: str, encoding: str) -> tuple[str, int | None]:
    """Return a text as it can be sent, and the offset of the first character that can't be stored.

    In comments such characters are replaced by question marks, so every position stays the same.

    Args:
        text: SQL.
        encoding: of the database.
    """
    missing = unstorable(text, encoding)
    if not missing:
        return text, None
    characters = list(text)
    for offset, token in scan_tokens(text):
        if token.startswith(("--", "/*")):
            for at, char in enumerate(token, offset):
                if char in missing:
                    characters[at] = "?"
    fitted = "".join(characters)
    return fitted, next((n for n, char in enumerate(fitted) if char in missing), None)


def storable(text: str, encoding: str) -> str:
    """Return a text that is only shown to people as the database can store it."""
    missing = unstorable(text, encoding)
    return "".join("?" if char in missing else char for char in text) if missing else text


def character_position(position: int, text: str, encoding: str) -> int:
    """Return the position of an error in characters, from 1.

    Args:
        position: as the server reports it: in bytes, where the encoding is SQL_ASCII.
        text: what was sent.
        encoding: of the database.
    """
    if encoding != _BYTES_ALONE or text.isascii():
        return position
    return len(text.encode()[: position - 1].decode(errors="ignore")) + 1
