"""Update the file that documents a schema, or compare it with the schema.

What does not belong here: the Markdown in it (`markdown.py`), reading the catalog (`catalog/`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.docs.markdown import MARK, MARK_LINE, schema_markdown
from chatdb_cli.errors import ChatdbError, Code, errno_name
from chatdb_cli.files.replace import replace_text

if TYPE_CHECKING:
    from typing import Literal

    from chatdb_cli.docs.model import SchemaDocs


@dataclass(frozen=True, slots=True)
class FileState:
    """The state of a file that documents a schema.

    Attributes:
        path: the file.
        state: written, unchanged (it was up to date), or stale (it was only checked).
        reason: why it is stale, or None.
    """

    path: Path
    state: Literal["written", "unchanged", "stale"]
    reason: str | None = None


def write_schema_docs(path: str | Path, docs: SchemaDocs, *, check: bool = False) -> FileState:
    """Update a file; its text above chatdb's mark stays as it is.

    Args:
        path: the file; it may be missing.
        docs: the schema.
        check: only compare, and write nothing.

    Raises:
        ChatdbError: `REFUSED` for a file without the mark, `USAGE` if it can't be read or written.
    """
    path = Path(path)
    try:
        # A device or a pipe holds nothing to keep, and may never end.
        old = path.read_text(encoding="utf-8") if path.is_file() else None
        if old is not None and MARK not in old:
            raise ChatdbError(
                Code.REFUSED,
                f"{path} was not written by chatdb; it was not changed",
                hint=f"name another file, or add this line below the text to keep: {MARK_LINE}",
            )
        new = schema_markdown(docs, old)
        if old == new:
            return FileState(path, "unchanged")
        if check:
            return FileState(path, "stale", _difference(old, new))
        replace_text(path, new)
    except (OSError, UnicodeDecodeError) as error:
        raise ChatdbError(
            Code.USAGE,
            f"{path}: {(getattr(error, 'strerror', None) or 'it is not UTF-8').lower()}",
            hint="name a file that can be read and written",
            errno=errno_name(error) if isinstance(error, OSError) else None,
        ) from None
    return FileState(path, "written")


def _difference(old: str | None, new: str) -> str:
    """Return the first difference, in words."""
    if old is None:
        return "the file does not exist"
    texts = old.splitlines(), new.splitlines()
    pairs = enumerate(zip(*texts, strict=False))
    line = next((number for number, (a, b) in pairs if a != b), min(map(len, texts)))
    actual, expected = (repr(t[line]) if line < len(t) else "the end of the file" for t in texts)
    return f"line {line + 1} is {actual} and should be {expected}"
