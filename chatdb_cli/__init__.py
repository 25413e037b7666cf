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

if TYPE_CHECKING:
    from chatdb_cli.connection import Target, connect, open_pool, open_target, open_tunnel
    from chatdb_cli.errors import ChatdbError, Code, Exit
    from chatdb_cli.events import Change, Listener, listen
    from chatdb_cli.migrator import Migrator, Status
    from chatdb_cli.provision import setup
    from chatdb_cli.run import Event, MigrationError, Run, StepResult
    from chatdb_cli.seed import Seeded, seed_at_scale, seed_small
    from chatdb_cli.server import EmbeddedServer
    from chatdb_cli.settings import Settings
    from chatdb_cli.settings import load as load_settings

__all__ = [
    "Change",
    "ChatdbError",
    "Code",
    "EmbeddedServer",
    "Event",
    "Exit",
    "Listener",
    "MigrationError",
    "Migrator",
    "Run",
    "Seeded",
    "Settings",
    "Status",
    "StepResult",
    "Target",
    "connect",
    "listen",
    "load_settings",
    "open_pool",
    "open_target",
    "open_tunnel",
    "seed_at_scale",
    "seed_small",
    "setup",
]

_HOMES = {
    "connection": ("Target", "connect", "open_pool", "open_target", "open_tunnel"),
    "errors": ("ChatdbError", "Code", "Exit"),
    "events": ("Change", "Listener", "listen"),
    "migrator": ("Migrator", "Status"),
    "provision": ("setup",),
    "run": ("Event", "MigrationError", "Run", "StepResult"),
    "seed": ("Seeded", "seed_at_scale", "seed_small"),
    "server": ("EmbeddedServer",),
    "settings": ("Settings", "load_settings"),
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            found = getattr(import_module(f"{__name__}.{home}"), name.removesuffix("_settings"))
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
