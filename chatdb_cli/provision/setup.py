"""Set up a target in one call, for applications: what `chatdb setup` does.

    setup    create what is missing, apply every migration, and return a pool of connections

What does not belong here: the parts (`database.py`, `test_schema.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.files.folder import choose_folder
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.postgres.pool import open_pool
from chatdb_cli.postgres.target import open_target
from chatdb_cli.provision.database import create_database, with_embedded_default
from chatdb_cli.settings.model import require_settings

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import psycopg
    from psycopg_pool import ConnectionPool

    from chatdb_cli.settings.model import Settings


def setup(
    settings: Settings,
    directory: str | Path | None = None,
    *,
    allow_non_empty: bool = False,
    test: bool = False,
) -> ConnectionPool[psycopg.Connection[Any]]:
    """Create database and schema if missing, apply every migration, and return an open pool.

    Idempotent.

    Args:
        settings: from `load_settings`; if they name no database, the project's embedded server is used,
            and created if missing.
        directory: the folder with `up/` and `down/`, as for `Migrator`.
        allow_non_empty: as for `Migrator.up`.
        test: set up the test schema in its place, as `setup_test_schema` does.

    Raises:
        ChatdbError: no connection, a missing privilege, or a migration that failed.
    """
    require_settings(settings)
    if test:
        from chatdb_cli.provision.test_schema import setup_test_schema

        return setup_test_schema(settings, directory)
    # A wrong folder is reported before anything is created.
    choose_folder(str(directory) if directory is not None else settings.directory)
    target = open_target(with_embedded_default(settings))
    try:
        create_database(target)
        Migrator(target, directory).up(allow_non_empty=allow_non_empty)
        return open_pool(target, owned=True)
    except BaseException:
        target.close()
        raise
