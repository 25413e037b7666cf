"""What a rule may ask: which tables exist, how large they are, which server it is.

What does not belong here: what the files build (`schema.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.tree.model import CreateTable

if TYPE_CHECKING:
    from chatdb_cli.lint.model import LintOptions, Pair, SqlFile
    from chatdb_cli.lint.schema import Schema, Table
    from chatdb_cli.syntax.tree.model import Name

# With at most so many rows, a table is read or rewritten in milliseconds.
FEW_ROWS = 1000


class Context(NamedTuple):
    """What a rule may ask.

    Attributes:
        file: the file that is checked.
        pair: the migration that it belongs to.
        schema: what the files have built before the statement.
        options: how to lint.
    """

    file: SqlFile
    pair: Pair
    schema: Schema
    options: LintOptions

    @property
    def transactional(self) -> bool:
        """The file runs in one transaction."""
        return self.file.directives.transactional

    def version_before(self, major: int) -> bool:
        """Return whether the server is known to be older than a major version."""
        version = self.options.server_version
        return version is not None and version < major

    def table(self, name: Name) -> Table | None:
        """Return a table as the files have built it so far, or None."""
        return self.schema.tables.get(self.schema.key(name))

    def exists(self, name: Name) -> bool:
        """Return whether a table may hold rows and be in use when the file runs.

        A table that the same batch makes does not; nor does one that is temporary.
        """
        table = self.table(name)
        if name.schema == "pg_temp" or (table is not None and table.temporary):
            return False
        made = table.made if table is not None else None
        if made is not None and made.file.batch == self.file.batch:
            return False
        live = self.options.live
        return live is None or self.schema.key(name) in live.rows

    def exists_before(self, name: Name) -> bool:
        """Return the same as `exists`, for a rule that looks at a whole file before its statements."""
        made_here = any(
            isinstance(statement.body, CreateTable)
            and self.schema.key(statement.body.table) == self.schema.key(name)
            for statement in self.file.statements
        )
        return not made_here and self.exists(name)

    def rows(self, name: Name) -> int | None:
        """Return the number of rows that the database estimates for a table, or None."""
        live = self.options.live
        return live.rows.get(self.schema.key(name)) if live else None
