"""Find out whether a database was set up from the chat schema that chatdb ships.

    chat_version       the newest version of it that the database has
    warn_first_file    what the author of a project's first migration should know

What does not belong here: comparing files and history (`compare.py`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError
from chatdb_cli.files.entries import list_entries
from chatdb_cli.files.folder import SHIPPED, shipped_folder
from chatdb_cli.files.model import Folder
from chatdb_cli.files.read import read_migrations
from chatdb_cli.history.read import read_history
from chatdb_cli.migrate import compare
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.target import open_target
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from chatdb_cli.settings.model import Settings


def chat_version(settings: Settings) -> str | None:
    """Return the newest version of the chat schema that the configured database has, or None.

    None also if it has none, has other migrations, or can't be reached: this only helps.

    Args:
        settings: from `load_settings`; a database that they do not name is not looked for.
    """
    if settings.database is None:
        return None
    once = replace(settings, connect_retries=0)
    try:
        with open_target(once) as target, connect(target) as conn:
            applied = read_history(conn, target.schema).applied
    except ChatdbError:
        return None
    files = read_migrations(Folder(shipped_folder(), shipped=True, named=True), downs=False)
    rows = [row for row in applied if row.number >= 0]
    if not rows or compare.is_other_folder(files, rows):
        return None
    return compare.current(rows)


def warn_first_file(settings: Settings) -> tuple[str | None, str | None]:
    """Return a version that the first migration of a project should come after, and a warning.

    A folder with one migration of its own has none of the chat schema's, which the database may have.
    Both are None if the folder has migrations, or the database has none of the chat schema.

    Args:
        settings: from `load_settings`.
    """
    folder = Path(settings.directory or "sql")
    if settings.directory == SHIPPED or any(list_entries(folder / d).files for d in ("up", "down")):
        return None, None
    version = chat_version(settings)
    if version is None:
        return None, None
    return version, Advice(
        "the database was set up from the chat schema that chatdb ships, up to version {version}, and "
        "{folder} has none of its files: {init_chat} copies them, and then both belong together",
        version=version,
        folder=folder,
    )
