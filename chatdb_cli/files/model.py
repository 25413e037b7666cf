"""The files of a schema as values.

    Folder      a directory with `up/` and `down/`, and how it was chosen
    Migration   one version: an up script and, unless it is irreversible, a down script
    Script      one file: its text, its checksum, its directives
    Files       all migrations of a folder, and what is wrong with its files

What does not belong here: reading them (`read.py`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from chatdb_cli.syntax.source import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatdb_cli.errors import ChatdbError

Direction = Literal["up", "down"]


class Directives(NamedTuple):
    """What the leading comment of a file asks for.

    Attributes:
        transactional: False when the file can't run inside a transaction.
        depends: names of the migrations that have to come before.
        isolation: the transaction's isolation level, in upper case.
        lock_timeout_ms: in place of the run's own; None for that.
        statement_timeout_ms: likewise.
        irreversible: why there is no way back, or None.
    """

    transactional: bool = True
    depends: tuple[str, ...] = ()
    isolation: str = "READ COMMITTED"
    lock_timeout_ms: int | None = None
    statement_timeout_ms: int | None = None
    irreversible: str | None = None


NO_DIRECTIVES = Directives()


@dataclass(frozen=True, slots=True)
class Script:
    """One SQL file.

    Attributes:
        file: where it was read, as it is shown to the user.
        text: without a byte order mark, line ends as they are.
        checksum: `sha256:` and the digest of the canonical text; empty for a file that was not read.
        directives: what its leading comment asks for.
    """

    file: str
    text: str = field(repr=False)
    checksum: str
    directives: Directives

    @property
    def path(self) -> Path:
        """The same as a path; to make one of each of thousands of files takes its time."""
        return Path(self.file)


class Migration(NamedTuple):
    """One version.

    Attributes:
        id: the file name without its suffix, which is how yoyo knows it.
        version: the leading digits, as they stand in the file name.
        name: what comes behind them.
        up: the script that applies it.
        down: the script that takes it back, or None.
    """

    id: str
    version: str
    name: str
    up: Script
    down: Script | None

    @property
    def number(self) -> int:
        """The version as the number that it is compared by."""
        return int(self.version)


class Folder(NamedTuple):
    """The directory that holds `up/` and `down/`.

    Attributes:
        path: the directory.
        shipped: it is the chat schema that comes with chatdb.
        named: the user named it, so that nobody is surprised.
    """

    path: Path
    shipped: bool
    named: bool


class Files(NamedTuple):
    """All migrations of a folder.

    Attributes:
        folder: where they come from.
        migrations: in the order in which they are applied.
        duplicates: the file names that use one version twice, by version.
        refused: why a file can't be a migration.
        warnings: what is odd and does no harm.
    """

    folder: Folder
    migrations: tuple[Migration, ...]
    duplicates: Mapping[str, tuple[str, ...]]
    refused: tuple[ChatdbError, ...]
    warnings: tuple[str, ...]


def checksum(text: str) -> str:
    """Return the checksum of a text without a byte order mark, the same whatever its line ends."""
    return "sha256:" + hashlib.sha256(canonical(text).encode()).hexdigest()
