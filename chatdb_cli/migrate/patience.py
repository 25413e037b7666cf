"""How long a run waits for another migrator, and how often it tries a file again.

What does not belong here: why a file is tried again (`runner.py`), the migration lock itself
(`postgres/advisory_lock.py`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chatdb_cli.files.model import NO_DIRECTIVES
from chatdb_cli.migrate.parts import Timeouts
from chatdb_cli.postgres.connect import backoff_s

if TYPE_CHECKING:
    from chatdb_cli.files.model import Script
    from chatdb_cli.migrate.model import Options

# The pause between two tries of a file, in seconds: it grows from the first to the longest.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0


class Patience:
    """The limits of waiting and of trying again; both count from the last progress of the run.

    Args:
        options: how the run behaves.

    Attributes:
        options: the same.
        tries: how often the current file has been tried again.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.reset()

    def reset(self) -> None:
        """Count from now."""
        self._deadline = time.monotonic() + self.options.wait_ms / 1000
        self.tries = 0

    @property
    def is_over(self) -> bool:
        """The run has waited for another migrator as long as it may."""
        return time.monotonic() >= self._deadline

    @property
    def may_retry(self) -> bool:
        """The current file may be tried again."""
        return self.tries < self.options.retries

    def count_try(self) -> float:
        """Count another try of the current file, and return how long to pause before it, in seconds."""
        pause = backoff_s(self.tries, _FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        self.tries += 1
        return pause

    def timeouts(self, script: Script | None = None) -> Timeouts:
        """Return the timeouts of a file, or of a statement of chatdb's own."""
        directives = script.directives if script else NO_DIRECTIVES
        options = self.options
        lock_ms, statement_ms = directives.lock_timeout_ms, directives.statement_timeout_ms
        remaining_ms = max(1, round((self._deadline - time.monotonic()) * 1000))
        return Timeouts(
            options.lock_timeout_ms if lock_ms is None else lock_ms,
            options.statement_timeout_ms if statement_ms is None else statement_ms,
            min(options.lock_timeout_ms or remaining_ms, remaining_ms),
        )
