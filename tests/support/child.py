"""What a child process of a test does; it imports no more than it needs, for there are many."""

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
    """Stands for the run of an error that has none."""

    current = UNKNOWN


def migrate(url: str, folder: str, what: str, schema: str, result: Any = None) -> None:
    """What a child does: one run, as the command line does it; with a `!` it does not mind rows.

    It puts its exit code, the states or the message, and the version that it ended at.
    """
    signal.signal(signal.SIGTERM, _terminate)
    flags = {"database_url": url, "schema": schema, "connect_retry_delay": "20ms"}
    answer: tuple[int, Any, str | None]
    try:
        settings = load_settings(flags, environ={}, cwd=Path("/"))
        migrator = Migrator(open_target(settings), folder)
        lossy = what.endswith("!")
        if what == "up":
            run = migrator.up()
        elif what.startswith("redo"):
            run = migrator.redo(allow_data_loss=lossy)
        else:
            run = migrator.down(everything=True, allow_data_loss=lossy)
        answer = (0, [s.state for s in run.steps], run.current)
    except ChatdbError as error:
        answer = (int(error.exit), error.message, getattr(error, "run", _NotRun).current)
    except KeyboardInterrupt as early:  # it had not begun
        answer = (143 if isinstance(early, Terminated) else 130, "", UNKNOWN)
    if result is not None:
        result.put(answer)


def _terminate(number: int, frame: Any) -> None:
    raise Terminated
