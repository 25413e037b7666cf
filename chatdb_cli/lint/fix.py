"""Corrections that a program can make: the new texts of files, and their diff.

    plan_fixes   every change that makes the edits of a lint
    write_fixes  write them

What does not belong here: which finding can be corrected (`rules/`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.errors import Code
from chatdb_cli.files.entries import list_entries
from chatdb_cli.files.names import file_error, parse_file_name
from chatdb_cli.lint.model import Edit, FileChange, SqlFile
from chatdb_cli.syntax.secrets import is_secret, mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_DIRECTIVE = "-- chatdb: transactional: false"


def plan_fixes(edits: Iterable[tuple[SqlFile, Sequence[Edit]]]) -> tuple[FileChange, ...]:
    """Return the changes that make all edits; writes nothing.

    Args:
        edits: the files with their edits, in order.

    Raises:
        ChatdbError: `BAD_FILE`, the folder of the next migration can't be read.
    """
    changes: list[FileChange] = []
    for file, of_file in edits:
        changes += _changes(file, of_file, changes)
    return tuple(changes)


def write_fixes(changes: Iterable[FileChange]) -> None:
    """Write the corrections of a lint; a byte order mark stays.

    The change of an applied file changes its checksum, and is a problem for `status`: lint pending files
    only, or restore the others.

    Args:
        changes: `LintResult.changes`.

    Raises:
        ChatdbError: `USAGE`, a file can't be written, or a new one exists already.
    """
    for change in changes:
        path = Path(change.path)
        try:
            bom = b"\xef\xbb\xbf"
            mark = bom if change.before is not None and path.read_bytes().startswith(bom) else b""
            path.parent.mkdir(exist_ok=True)
            with path.open("xb" if change.before is None else "wb") as file:
                file.write(mark + change.after.encode())
        except OSError as error:
            raise file_error(path, error, "written", Code.USAGE) from None


def diff(changes: Iterable[FileChange]) -> str:
    """Return changes as a unified diff, as git and patch read it."""
    from difflib import unified_diff

    lines: list[str] = []
    for change in changes:
        # Masked before they are compared: a diff shows only a part of a statement.
        before = mask(change.before or "").splitlines(keepends=True)
        source = f"a/{change.path}" if change.before is not None else "/dev/null"
        if is_secret(change.after):
            lines += (f"--- {source}", f"+++ b/{change.path}", "(secret)")
            continue
        lines += unified_diff(
            before, mask(change.after).splitlines(keepends=True), source, f"b/{change.path}"
        )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def edit_diff(file: SqlFile, edit: Edit) -> str:
    """Return the diff of one correction alone."""
    return diff(_changes(file, (edit,), ()))


def _changes(
    file: SqlFile, edits: Sequence[Edit], earlier: Sequence[FileChange]
) -> list[FileChange]:
    """Return the changes of a file, and the files of the next migration.

    Args:
        file: the file.
        edits: its corrections.
        earlier: changes of other files; their new files take versions, too.
    """
    if not edits:
        return []
    text = file.text
    replacements = sorted({r for edit in edits for r in edit.replacements}, reverse=True)
    for span, replacement in replacements:
        text = text[: span.start] + replacement + text[span.end :]
    if any(edit.nontransactional for edit in edits) and file.directives.transactional:
        text = _DIRECTIVE + ("\r\n" if "\r\n" in text else "\n") + text
    changes = [FileChange(file.path, file.text, text)] if text != file.text else []
    after = [edit for edit in edits if edit.next_up]
    if after and file.version:
        ups = "".join(f"{edit.next_up}\n" for edit in after)
        downs = "".join(f"{edit.next_down}\n" for edit in reversed(after))
        up, down = _next_files(file, earlier)
        changes += [FileChange(up, None, ups), FileChange(down, None, downs)]
    return changes


def _next_files(file: SqlFile, earlier: Sequence[FileChange]) -> tuple[str, str]:
    """Return the names of the two files of a migration that comes after all others."""
    path = Path(file.path)
    home = path.parent.parent
    names = [entry.name for entry in list_entries(home / "up").files]
    names += [Path(change.path).name for change in earlier if change.before is None]
    newest = max(_versions(names), key=int)
    version = str(int(newest) + 1).zfill(len(newest))
    name = f"{version}_validate_{parse_file_name(path.name, file.path)[2] or 'constraints'}.sql"
    return str(home / "up" / name), str(home / "down" / name)


def _versions(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        digits = name[: len(name) - len(name.lstrip("0123456789"))]
        if digits:
            yield digits
