"""The SQL files of a project as values.

    Folder      a directory with `up/` and `down/`, and how it was chosen
    Migration   one version: an up script and, unless it is irreversible, a down script
    Script      one file: its text, its checksum, its directives
    Files       all migrations of a folder, and the problems of its files

What does not belong here: reading them (`read.py`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from chatdb_cli.syntax.scan import skip_blanks
from chatdb_cli.syntax.source import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatdb_cli.errors import ChatdbError

Direction = Literal["up", "down"]


class Directives(NamedTuple):
    """The instructions for chatdb in the leading comment of a file.

    Attributes:
        transactional: False if the file can't run inside a transaction.
        depends: names of the migrations that must be applied before.
        isolation: the transaction's isolation level, in upper case.
        lock_timeout_ms: overrides the run's lock timeout, in milliseconds; None for no override.
        statement_timeout_ms: overrides its statement timeout, in milliseconds; None for no override.
        irreversible: why the migration can't be rolled back, or None.
        nothing_to_undo: why a down file without a statement is right, or None.
        secret: the text of the file is neither kept in the history nor shown.
    """

    transactional: bool = True
    depends: tuple[str, ...] = ()
    isolation: str = "READ COMMITTED"
    lock_timeout_ms: int | None = None
    statement_timeout_ms: int | None = None
    irreversible: str | None = None
    nothing_to_undo: str | None = None
    secret: bool = False


NO_DIRECTIVES = Directives()


@dataclass(frozen=True, slots=True)
class Script:
    """One SQL file.

    Attributes:
        file: its path, as it is shown to the user.
        text: its text without a byte order mark, line ends unchanged.
        checksum: `sha256:` and the digest of the canonical text; empty for a file that was not read.
        directives: those of its leading comment.
    """

    file: str
    text: str = field(repr=False)
    checksum: str
    directives: Directives

    @property
    def path(self) -> Path:
        """Return `file` as a path; made on demand, because thousands of paths take time."""
        return Path(self.file)

    @property
    def is_empty(self) -> bool:
        """The text has no statement: blanks, comments and semicolons alone."""
        return skip_blanks(self.text, 0) == len(self.text)


class Migration(NamedTuple):
    """One version.

    Attributes:
        id: the file name without its suffix, as in yoyo's tables.
        version: the leading digits of the file name, unchanged.
        name: the rest of the file name.
        up: the script that applies it.
        down: the script that rolls it back, or None.
    """

    id: str
    version: str
    name: str
    up: Script
    down: Script | None

    @property
    def number(self) -> int:
        """Return the version as a number, for comparison."""
        return int(self.version)


class Folder(NamedTuple):
    """The directory that holds `up/` and `down/`.

    Attributes:
        path: the directory.
        shipped: it is the chat schema that comes with chatdb.
        named: the user named it; False for a default.
    """

    path: Path
    shipped: bool
    named: bool


class Files(NamedTuple):
    """All migrations of a folder.

    Attributes:
        folder: the folder that was read.
        migrations: in the order in which they are applied.
        duplicates: the file names that share a version, by version.
        refused: one error for each file that can't be a migration.
        warnings: what is unusual but harmless.
    """

    folder: Folder
    migrations: tuple[Migration, ...]
    duplicates: Mapping[str, tuple[str, ...]]
    refused: tuple[ChatdbError, ...]
    warnings: tuple[str, ...]


def checksum(text: str) -> str:
    """Return the checksum of a text without a byte order mark; line ends do not change it."""
    return "sha256:" + hashlib.sha256(canonical(text).encode()).hexdigest()
