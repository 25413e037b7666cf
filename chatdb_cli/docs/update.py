"""Bring the file that documents a schema up to date, or compare it.

What does not belong here: the Markdown in it (`markdown.py`), reading the catalog (`catalog/`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chatdb_cli.docs.markdown import MARK, MARK_LINE, write_document
from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from chatdb_cli.catalog.model import SchemaDocs


@dataclass(frozen=True, slots=True)
class FileState:
    """How a file stands to the schema.

    Attributes:
        path: the file.
        state: written, unchanged (it was right already), or stale (it was only checked).
        reason: why it is stale.
    """

    path: Path
    state: Literal["written", "unchanged", "stale"]
    reason: str | None = None


def write_schema_docs(path: Path, docs: SchemaDocs, *, check: bool = False) -> FileState:
    """Bring a file up to date; what stands above chatdb's mark in it stays as it is.

    Args:
        path: the file; it may be missing.
        docs: what it has to tell.
        check: only compare, and write nothing.

    Raises:
        ChatdbError: `REFUSED` for a file without the mark, `USAGE` when it can't be read or written.
    """
    try:
        was = path.read_text(encoding="utf-8") if path.exists() else None
        if was is not None and MARK not in was:
            raise ChatdbError(
                Code.REFUSED,
                f"{path} was not made by chatdb docs; nothing was written",
                hint="name another file, or put this line below what is to stay in it: "
                + MARK_LINE,
            )
        now = write_document(docs, was)
        if was == now:
            return FileState(path, "unchanged")
        if check:
            return FileState(path, "stale", _difference(was, now))
        path.write_text(now, encoding="utf-8", newline="\n")
    except (OSError, UnicodeDecodeError) as error:
        import errno

        number = getattr(error, "errno", None)
        raise ChatdbError(
            Code.USAGE,
            f"{path}: {(getattr(error, 'strerror', None) or 'it is not UTF-8').lower()}",
            hint="name a file that can be read and written",
            errno=errno.errorcode.get(number or 0),
        ) from None
    return FileState(path, "written")


def _difference(was: str | None, now: str) -> str:
    if was is None:
        return "there is no such file"
    old, new = was.splitlines(), now.splitlines()
    line = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), None)
    if line is None:
        line = min(len(old), len(new))
    says, should = (repr(t[line]) if line < len(t) else "the end of the file" for t in (old, new))
    return f"line {line + 1} is {says} and should be {should}"
