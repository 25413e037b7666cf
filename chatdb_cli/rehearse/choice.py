"""Which versions are rehearsed, and which of them can't be.

What does not belong here: rehearsing them (`rehearsal.py`), git (`files/since.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.read import find_refused_statement
from chatdb_cli.migrate.versions import known_migration
from chatdb_cli.syntax.statements import split_statements

if TYPE_CHECKING:
    from chatdb_cli.files.model import Files, Migration


def choose_versions(
    files: Files, *, first: str | None, last: str | None, since: str | None
) -> tuple[int, ...]:
    """Return the positions of the versions to rehearse, in the order in which they are applied.

    Args:
        files: the migrations.
        first: the first version, or None for the first that there is.
        last: the last version, or None for the last that there is.
        since: a commit; versions whose files are the same there are left out.

    Raises:
        ChatdbError: `USAGE`, a version or the commit is unknown, or the first comes after the last.
    """
    start = 0 if first is None else _position(files, first)
    end = len(files.migrations) - 1 if last is None else _position(files, last)
    if first is not None and last is not None and start > end:
        raise ChatdbError(
            Code.USAGE,
            f"version {first} comes after version {last}",
            hint="exchange them",
        )
    positions = range(start, end + 1)
    if since is None:
        return tuple(positions)
    from chatdb_cli.files.since import files_since

    changed = files_since(since, files.folder.path)
    return tuple(
        n
        for n in positions
        for m in (files.migrations[n],)
        if any(script.path.resolve() in changed for script in (m.up, m.down) if script)
    )


def refuse_unfit_files(files: Files) -> None:
    """Refuse files that can't be migrations, before anything is created.

    Raises:
        ChatdbError: `BAD_FILE`, the first of them; the notes tell the others.
    """
    scripts = (script for m in files.migrations for script in (m.up, m.down) if script)
    found = (find_refused_statement(s, split_statements(s.text)) for s in scripts)
    errors = [*files.refused, *(error for error in found if error)]
    if errors:
        raise errors[0].with_(notes=errors[0].notes + tuple(e.message for e in errors[1:]))


def reason_to_skip(migration: Migration) -> str | None:
    """Return why a version can't be rehearsed, or None."""
    if migration.up.directives.irreversible is not None:
        return f"irreversible: {migration.up.directives.irreversible}"
    return None if migration.down else "irreversible: it has no down file"


def _position(files: Files, version: str) -> int:
    return files.migrations.index(known_migration(version, files))
