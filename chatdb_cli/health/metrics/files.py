"""The files of the migrations, read again only when their folder has changed.

What does not belong here: reading them (`health/project.py`), what is pending (`migrations.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError
from chatdb_cli.files.entries import list_entries
from chatdb_cli.files.folder import choose_or_assume_folder
from chatdb_cli.health.project import read_project

if TYPE_CHECKING:
    from chatdb_cli.health.definition import Project
    from chatdb_cli.settings.model import Settings


class MigrationFiles:
    """The files of a folder; between two scrapes only their names, sizes and times are compared.

    Args:
        settings: name the folder.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: object = None
        self._project: Project | None = None

    def read(self) -> Project:
        """Return the files as they are now, or why they can't be read."""
        seen = self._look()
        if self._project is None or seen is None or seen != self._seen:
            self._project = read_project(self._settings)
            self._seen = seen
        return self._project

    def _look(self) -> object:
        """Return what changes when a file does; None if the folder can't be read."""
        try:
            folder, _ = choose_or_assume_folder(self._settings.directory)
            entries = list_entries(folder.path / "up").files
            stats = [(entry.name, entry.stat()) for entry in entries]
        except (ChatdbError, OSError):
            return None
        return folder, [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
