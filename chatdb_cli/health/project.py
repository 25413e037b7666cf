"""Read the files of the migrations, to compare them with the history.

What does not belong here: comparing (`checks/migrations.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError
from chatdb_cli.health.definition import Project

if TYPE_CHECKING:
    from chatdb_cli.settings.model import Settings


def read_project(settings: Settings) -> Project:
    """Return the files of the migrations, without the contents of down files.

    Files that can't be read are no error of the database: the reason is in the result.

    Args:
        settings: name the folder; by default it is ./sql, or the chat schema that chatdb ships.
    """
    from chatdb_cli.files.folder import choose_or_assume_folder
    from chatdb_cli.files.read import read_migrations

    try:
        folder, assumed = choose_or_assume_folder(settings.directory)
        files = read_migrations(folder, downs=False)
    except ChatdbError as error:
        return Project(problem=error.message)
    return Project(files, assumed=assumed)
