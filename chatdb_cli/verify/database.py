"""The database that the checks share: opened once, by the first check that needs it.

What does not belong here: what a check asks.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from chatdb_cli.closing import Closing
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.connect import blame_tunnel, connect
from chatdb_cli.postgres.target import open_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    import psycopg

    from chatdb_cli.postgres.model import Target
    from chatdb_cli.settings.model import Settings


class SharedDatabase(Closing):
    """The target and one connection to it; an error of opening them is the same for every check.

    Args:
        settings: they name the target.
        report: called with a line for what takes time.
        ask: asks a person for a passphrase, as for `open_target`.

    Attributes:
        opened: the target, as soon as a check has needed it.
    """

    def __init__(
        self,
        settings: Settings,
        report: Callable[[str], None],
        ask: Callable[[str], str | None],
    ) -> None:
        self._settings = settings
        self._report = report
        self._ask = ask
        self._stack = ExitStack()
        self._error: ChatdbError | None = None
        self._conn: psycopg.Connection[Any] | None = None
        self.opened: Target | None = None

    def close(self) -> None:
        """Close the connection and the target."""
        self._stack.close()

    def target(self) -> Target:
        """Return the target, to which there is a connection.

        Raises:
            ChatdbError: it can't be opened, or there is no connection; the second call does not wait.
        """
        self.connection()
        assert self.opened is not None  # noqa: S101  (`connection` has opened it)
        return self.opened

    def connection(self) -> psycopg.Connection[Any]:
        """Return the connection, in autocommit mode.

        Raises:
            ChatdbError: as `target` does.
        """
        if self._error is not None:
            raise self._error
        if self._conn is None or self._conn.closed:
            target = self._open()
            with self._remembered(), blame_tunnel(target):
                self._conn = self._stack.enter_context(connect(target, self._report))
        return self._conn

    def rehearsal_target(self) -> Target:
        """Return the target that a rehearsal is for: it need not exist, if a server is named for that.

        Raises:
            ChatdbError: it can't be opened.
        """
        scratch = self._settings.scratch_database
        if self._settings.database is None and scratch is not None:
            return self.other(replace(self._settings, database=scratch))
        error = self._error
        if error is not None and not (error.code is Code.MISSING_DATABASE and self.opened):
            raise error
        return self._open()

    def other(self, settings: Settings) -> Target:
        """Return another target, which is closed with this one."""
        return self._stack.enter_context(open_target(settings, self._report, ask=self._ask))

    def _open(self) -> Target:
        if self.opened is None:
            with self._remembered():
                self.opened = self.other(self._settings)
        return self.opened

    @contextmanager
    def _remembered(self) -> Iterator[None]:
        """Raise the error of the block again at once, when the next check needs the same."""
        try:
            yield
        except ChatdbError as error:
            self._error = error
            raise
