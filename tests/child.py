"""What a child process of a test does; it imports no more than it needs, for there are many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chatdb_cli.connection import open_target
from chatdb_cli.errors import ChatdbError
from chatdb_cli.migrator import Migrator
from chatdb_cli.settings import load


def migrate(url: str, folder: str, what: str, schema: str, result: Any = None) -> None:
    """What a child does: one run, as the command line does it; `down!` does not mind rows."""
    flags = {"database_url": url, "schema": schema, "connect_retry_delay": "20ms"}
    settings = load(flags, environ={}, cwd=Path("/"))
    migrator = Migrator(open_target(settings), folder)
    try:
        lossy = what == "down!"
        run = (
            migrator.up() if what == "up" else migrator.down(everything=True, allow_data_loss=lossy)
        )
    except ChatdbError as error:
        if result is not None:
            result.put((int(error.exit), error.message))
        return
    if result is not None:
        result.put((0, [s.state for s in run.steps]))
