"""What a rehearsal and a check of drift return: values.

    Rehearsal              every version, and whether all is well
      VersionRehearsal     one version: what its down and its second up left, its locks
        RehearsalFailure   what differs after a step, or the error that ended it
        LockReport         what its up locked
          StatementLock    a lock that a statement took on a relation that existed before its file
    Drift                  the live schema against what its files build, or against a file

What does not belong here: computing them (`rehearsal.py`, `lock_trace.py`, `drift.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from chatdb_cli.syntax.lock_modes import LOCK_MODES

if TYPE_CHECKING:
    from chatdb_cli.catalog.model import Comparison, Difference
    from chatdb_cli.errors import ChatdbError
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.syntax.lock_modes import LockMode

_BLOCKS_WRITES = LOCK_MODES.index("SHARE")
_BLOCKS_READS = LOCK_MODES.index("ACCESS EXCLUSIVE")


class StatementLock(NamedTuple):
    """A lock that a statement took on a relation that had existed before its file.

    Attributes:
        line: the line of the statement in its file.
        relation: the relation, with its schema if that is not the target's.
        mode: the strongest mode that the statement took; if it took none, the strongest that the
            transaction already held, while the statement read or rewrote the relation.
        rewrites: the relation, a table or an index, was rewritten.
        reads: the relation was read whole.
        held_ms: how long the statements took from this one to the end of the transaction, in
            milliseconds, in the scratch database.
        accepted: why a directive of the file accepts it, or None.
    """

    line: int
    relation: str
    mode: LockMode
    rewrites: bool
    reads: bool
    held_ms: int
    accepted: str | None

    @property
    def strength(self) -> int:
        """The position of its mode, from the weakest."""
        return LOCK_MODES.index(self.mode)

    @property
    def blocks(self) -> Literal["reads and writes", "writes"] | None:
        """What other sessions can't do meanwhile."""
        if self.strength >= _BLOCKS_READS:
            return "reads and writes"
        return "writes" if self.strength >= _BLOCKS_WRITES else None

    @property
    def ok(self) -> bool:
        """It is accepted, or it does not block others for as long as the relation is large."""
        return self.accepted is not None or not (self.blocks and (self.rewrites or self.reads))


class LockReport(NamedTuple):
    """The locks of a version's up.

    Attributes:
        locks: what its statements locked, the worst first.
        unused: the lines of the directives that accept a lock which no statement took.
    """

    locks: tuple[StatementLock, ...]
    unused: tuple[int, ...] = ()


class RehearsalFailure(NamedTuple):
    """What is wrong after a step of a rehearsal.

    Attributes:
        step: the step.
        differences: what differs from the schema as it must be after it.
        error: the error that ended the step, or None.
    """

    step: Literal["up", "down", "second up", "down with rows", "up after rows", "seed"]
    differences: tuple[Difference, ...] = ()
    error: ChatdbError | None = None


@dataclass(frozen=True, slots=True)
class VersionRehearsal:
    """The rehearsal of one version.

    Attributes:
        version: as in the file name.
        name: the id without its version.
        skipped: why it was not rehearsed, or None.
        failures: what was wrong; nothing for a version whose down is the inverse of its up.
        locks: what its up locked; None if that was not asked for, or if the file runs outside a
            transaction, where locks can't be seen.
        notes: the tables whose columns have another order after it.
    """

    version: str
    name: str
    skipped: str | None = None
    failures: tuple[RehearsalFailure, ...] = ()
    locks: LockReport | None = None
    notes: tuple[Difference, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing was wrong, or it was not rehearsed because it can't be."""
        return not self.failures and all(
            lock.ok for lock in (self.locks.locks if self.locks else ())
        )


class RehearsalProgress(NamedTuple):
    """How far a rehearsal is.

    Attributes:
        total: how many versions it has.
        version: the version that is done; None when it begins.
    """

    total: int
    version: VersionRehearsal | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A rehearsal.

    Attributes:
        target: the database and schema that it was made for.
        versions: each version that was asked for, in order.
        place: the server of the scratch database.
        with_rows: the downs ran on the rows of the seed, too.
        traced: the locks were asked for.
    """

    target: Target
    versions: tuple[VersionRehearsal, ...]
    place: str
    with_rows: bool = False
    traced: bool = False

    @property
    def ok(self) -> bool:
        """Every version is."""
        return all(version.ok for version in self.versions)


@dataclass(frozen=True, slots=True)
class Drift:
    """The live schema against what it should be.

    Attributes:
        target: the database and schema.
        current: the highest applied version; None if there is none, or if the role may not read it.
        expected: what it was compared with, for people: the files, or a file.
        comparison: what differs; `before` is what is expected, `after` what the live schema has.
        server_versions: the major versions of the servers that printed the expected and the live schema.
    """

    target: Target
    current: str | None
    expected: str
    comparison: Comparison
    server_versions: tuple[int, int]

    @property
    def ok(self) -> bool:
        """Nothing differs."""
        return not self.comparison.differences
