"""Trace the locks of a migration, statement by statement, while it runs in a scratch database.

    LockTrace    watches a run, and returns what a version locked

After each statement the locks of the transaction are read from pg_locks, where the storage of the locked
relations is (a rewrite gives a relation a new one), and how often each was read from start to end.  A
lock is held until the transaction ends.  The idea is that of the tool eugene ("eugene trace").

Two things follow from the scratch database.  Its tables are empty, so times show proportions only.  And
a query that could use an index of a large table may read an empty one whole.

What does not belong here: sending the queries (`migrate/transaction.py`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.history.model import HISTORY_TABLES
from chatdb_cli.migrate.model import StatementWatch
from chatdb_cli.rehearse import queries
from chatdb_cli.rehearse.allowances import read_allowances
from chatdb_cli.rehearse.model import LockReport, StatementLock
from chatdb_cli.syntax.identifiers import display_name, quote_identifier
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.lock_modes import LOCK_MODES
from chatdb_cli.syntax.statements import split_statements

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from chatdb_cli.files.model import Script
    from chatdb_cli.migrate.model import Step
    from chatdb_cli.rehearse.allowances import Allowance

# The modes as pg_locks spells them.
_STRENGTH = {mode.title().replace(" ", "") + "Lock": n for n, mode in enumerate(LOCK_MODES)}
_INDEX_KINDS = ("i", "I")
_SHOWN_KINDS = ("r", "p", "m", "v", "f", "S", *_INDEX_KINDS)


class _Relation(NamedTuple):
    """A relation before the file, as in `queries.RELATIONS_BEFORE`; `of` is the table of an index."""

    schema: str
    name: str
    kind: str
    of: str
    table: int | None
    storage: int | None
    scans: int


class _Held(NamedTuple):
    """A relation that the transaction holds locks on: the strongest, its storage and its scans."""

    strength: int
    storage: int | None
    scans: int


class _Moment(NamedTuple):
    """What a transaction holds after a statement, which took `elapsed` seconds."""

    held: dict[str, _Held]
    modes: dict[str, frozenset[int]]
    elapsed: float


class LockTrace:
    """Watches a run, and returns what each version locked.

    Args:
        schema: the target's schema, whose relations are named without it.

    Attributes:
        watch: what the run sends and reports.
    """

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._answers: dict[str, list[dict[str, Any]]] = {}
        self.watch = StatementWatch(queries.RELATIONS_BEFORE, queries.LOCKS_NOW, self._note)

    def locks(self, version: str, script: Script) -> LockReport | None:
        """Return what a version locked; None if it was not watched.

        Args:
            version: the version.
            script: the file that ran.
        """
        answers = self._answers.get(version)
        if answers is None:
            return None
        statements = split_statements(script.text)
        offsets = [s.offset for s in statements] if statements is not None else [0]
        lines = [locate(script.text, offset, script.path).line or 1 for offset in offsets]
        allowances = read_allowances(script.text, statements)
        trace = _Trace(answers, self._schema)
        locks = tuple(sorted(trace.locks(lines or [1], allowances), key=_badness))
        unused = (a for a in allowances if a not in trace.used)
        return LockReport(
            locks, tuple(locate(script.text, a.offset, script.path).line or 1 for a in unused)
        )

    def _note(self, step: Step, answer: str) -> None:
        if step.direction == "down":
            return
        facts = json.loads(answer)
        if "relations" in facts:  # the file begins, perhaps once more
            self._answers[step.version] = []
        self._answers[step.version].append(facts)


def _badness(lock: StatementLock) -> tuple[bool, int, int, int, str]:
    """Return what orders locks, the worst first."""
    return lock.ok, -(lock.rewrites + lock.reads), -lock.strength, lock.line, lock.relation


class _Trace:
    """The trace of one file.

    Args:
        answers: of the queries, in order.
        schema: the schema that is not named.

    Attributes:
        used: the allowances that accepted a lock.
    """

    def __init__(self, answers: Sequence[dict[str, Any]], schema: str) -> None:
        first = answers[0]
        self._schema = schema
        self.used: set[Allowance] = set()
        self._before = {
            oid: relation
            for oid, facts in (first["relations"] or {}).items()
            for relation in (_Relation._make(facts),)
            if not (relation.schema == schema and relation.of in HISTORY_TABLES)
        }
        ended = first["ended"]
        self._moments: list[_Moment] = []
        for answer in answers[1:]:
            self._moments.append(self._moment(answer, answer["begun"] - ended))
            ended = answer["ended"]

    def _moment(self, answer: dict[str, Any], elapsed: float) -> _Moment:
        modes: dict[str, set[int]] = defaultdict(set)
        held: dict[str, _Held] = {}
        for oid, mode, storage, scans in answer["locks"] or ():
            relation = self._before.get(oid)
            if relation is not None and relation.kind in _SHOWN_KINDS and mode in _STRENGTH:
                modes[oid].add(_STRENGTH[mode])
                held[oid] = _Held(max(modes[oid]), storage, scans)
        return _Moment(held, {oid: frozenset(m) for oid, m in modes.items()}, max(elapsed, 0.0))

    def locks(
        self, lines: Sequence[int], allowances: Sequence[Allowance]
    ) -> Iterator[StatementLock]:
        """Yield the locks of each statement.

        Args:
            lines: the line of each statement; what comes after the last belongs to it.
            allowances: what the file accepts.
        """
        previous = _Moment({}, {}, 0.0)
        for number, moment in enumerate(self._moments):
            statement = min(number, len(lines) - 1)
            held_ms = round(sum(m.elapsed for m in self._moments[number:]) * 1000)
            for oid, held in moment.held.items():
                new = moment.modes[oid] - previous.modes.get(oid, frozenset())
                rewrites, reads = self._worked(oid, held, previous.held.get(oid))
                if not (new or rewrites or reads) or self._is_detail(oid, rewrites, moment):
                    continue
                strength = max(new) if new and not (rewrites or reads) else held.strength
                yield StatementLock(
                    lines[statement],
                    self._display_name(oid),
                    LOCK_MODES[strength],
                    rewrites,
                    reads,
                    held_ms,
                    self._accepted(oid, strength, statement, allowances),
                )
            previous = moment

    def _worked(self, oid: str, held: _Held, previous: _Held | None) -> tuple[bool, bool]:
        """Return whether a statement rewrote a relation, and whether it read it whole."""
        relation = self._before[oid]
        storage = previous.storage if previous else relation.storage
        scans = previous.scans if previous else relation.scans
        rewrites = None not in (held.storage, storage) and held.storage != storage
        # Of an index, a scan is not a reading of the whole.
        reads = relation.kind in ("r", "p", "m") and held.scans > scans
        return rewrites, reads

    def _is_detail(self, oid: str, rewrites: bool, moment: _Moment) -> bool:
        """Return whether a lock on an index says no more than that on its table."""
        relation = self._before[oid]
        if relation.kind not in _INDEX_KINDS or rewrites:
            return False
        table = moment.held.get(str(relation.table))
        return table is not None and table.strength >= moment.held[oid].strength

    def _display_name(self, oid: str) -> str:
        relation = self._before[oid]
        if relation.schema == self._schema:
            return display_name(relation.name)
        return display_name(relation.schema, relation.name)

    def _accepted(
        self, oid: str, strength: int, statement: int, allowances: Sequence[Allowance]
    ) -> str | None:
        for allowance in allowances:
            if (
                allowance.statement in (None, statement)
                and allowance.strength >= strength
                and allowance.relation in self._names(oid)
            ):
                self.used.add(allowance)
                return allowance.why
        return None

    def _names(self, oid: str) -> set[str]:
        """Return the names by which a directive can mean a relation, or the table of an index."""
        names: set[str] = set()
        for relation in (self._before[oid], self._before.get(str(self._before[oid].table))):
            if relation is not None:
                for parts in ((relation.name,), (relation.schema, relation.name)):
                    names |= {quote_identifier(*parts), display_name(*parts), ".".join(parts)}
        return names
