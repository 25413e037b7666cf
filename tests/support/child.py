"""A child process that migrates.  It imports only what it needs, because tests start many of them."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from chatdb_cli.errors import ChatdbError, Terminated
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.load import load_settings

UNKNOWN = "?"


class _NotRun:
    """A replacement for the run of an error without one."""

    current = UNKNOWN


def migrate(url: str, folder: str, what: str, schema: str, result: Any = None) -> None:
    """Run one command as the command line does; with a `!`, rows may go and tables exist.

    It puts its exit code, its states or its message, and its last version into the queue `result`.
    """
    signal.signal(signal.SIGTERM, _terminate)
    flags = {"database_url": url, "schema": schema, "connect_retry_delay": "20ms"}
    answer: tuple[int, Any, str | None]
    try:
        settings = load_settings(flags, environ={}, cwd=Path("/"))
        migrator = Migrator(open_target(settings), folder)
        allow_data_loss = what.endswith("!")
        if what.startswith("up"):
            run = migrator.up(allow_non_empty=what.endswith("!"))
        elif what.startswith("redo"):
            run = migrator.redo(allow_data_loss=allow_data_loss)
        else:
            run = migrator.down(everything=True, allow_data_loss=allow_data_loss)
        answer = (0, [s.state for s in run.steps], run.current)
    except ChatdbError as error:
        answer = (int(error.exit), error.message, getattr(error, "run", _NotRun).current)
    except KeyboardInterrupt as error:  # before the run began
        answer = (143 if isinstance(error, Terminated) else 130, "", UNKNOWN)
    if result is not None:
        result.put(answer)


def _terminate(number: int, frame: Any) -> None:
    raise Terminated
