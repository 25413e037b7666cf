"""chatdb: PostgreSQL migrations in hand-written SQL.

    import chatdb_cli

    settings = chatdb_cli.load_settings()
    with chatdb_cli.setup(settings) as pool, pool.connection() as conn:
        conn.execute("SELECT 1")

Everything that the command line does is here as a library: it takes values, returns values, raises
`ChatdbError`, and never prints, exits or reads the environment behind your back.  Names are imported
when they are first used, so that the command line starts quickly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatdb_cli._version import __version__ as __version__

if TYPE_CHECKING:  # for type checkers: the same names as in _EXPORTS
    from chatdb_cli.embedded.server import EmbeddedServer as EmbeddedServer
    from chatdb_cli.errors import ChatdbError as ChatdbError
    from chatdb_cli.errors import Code as Code
    from chatdb_cli.errors import Exit as Exit
    from chatdb_cli.events.listener import Listener as Listener
    from chatdb_cli.events.listener import listen as listen
    from chatdb_cli.events.model import Change as Change
    from chatdb_cli.migrate.migrator import Migrator as Migrator
    from chatdb_cli.migrate.model import MigrationError as MigrationError
    from chatdb_cli.migrate.model import Progress as Progress
    from chatdb_cli.migrate.model import Run as Run
    from chatdb_cli.migrate.model import Status as Status
    from chatdb_cli.migrate.model import StepResult as StepResult
    from chatdb_cli.postgres.connect import connect as connect
    from chatdb_cli.postgres.model import Target as Target
    from chatdb_cli.postgres.pool import open_pool as open_pool
    from chatdb_cli.postgres.target import open_target as open_target
    from chatdb_cli.postgres.target import open_tunnel as open_tunnel
    from chatdb_cli.provision.database import setup as setup
    from chatdb_cli.seed.files import seed_files as seed_files
    from chatdb_cli.seed.model import Seeded as Seeded
    from chatdb_cli.seed.scale import seed_at_scale as seed_at_scale
    from chatdb_cli.settings.load import load_settings as load_settings
    from chatdb_cli.settings.model import Settings as Settings

# Each public name and the module that defines it: the one list of the public API.
_EXPORTS = {
    "Change": "events.model",
    "ChatdbError": "errors",
    "Code": "errors",
    "EmbeddedServer": "embedded.server",
    "Exit": "errors",
    "Listener": "events.listener",
    "MigrationError": "migrate.model",
    "Migrator": "migrate.migrator",
    "Progress": "migrate.model",
    "Run": "migrate.model",
    "Seeded": "seed.model",
    "Settings": "settings.model",
    "Status": "migrate.model",
    "StepResult": "migrate.model",
    "Target": "postgres.model",
    "connect": "postgres.connect",
    "listen": "events.listener",
    "load_settings": "settings.load",
    "open_pool": "postgres.pool",
    "open_target": "postgres.target",
    "open_tunnel": "postgres.target",
    "seed_at_scale": "seed.scale",
    "seed_files": "seed.files",
    "setup": "provision.database",
}
__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)
    globals()[name] = value
    return value
