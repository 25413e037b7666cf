"""Find the rows that a down migration would delete, by running it in a transaction that is rolled back.

    DataLossTrial    runs some downs, and returns what they delete and how to guard each in the real run

Nothing is inferred from the SQL of the files, so the effects of CASCADE, a DO block, EXECUTE or a
function are found too.  The locks that the transaction holds show which relations it touched, so the
cost does not depend on the number of tables.  A row is lost if its table is dropped, if its column is
dropped (and it is not null), if it is truncated or deleted.  Data computed from other rows, in a
materialized view or a generated column, is not a loss.

Where that is not exact, a second trial is: of a table that is rewritten, to compare the values of the
columns that were altered; of rows that were deleted as the counters have it, or where these are off.
It locks the tables, so that other sessions do not write between the two counts.

What does not belong here: which downs are run together (`data_loss.py`), the transaction around a file
(`migrate/transaction.py`), what is a loss (`losses.py`).
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from chatdb_cli.history.model import HISTORY_TABLES
from chatdb_cli.migrate.guards import losses, queries
from chatdb_cli.migrate.guards.effects import find_effects
from chatdb_cli.migrate.guards.relations import (
    Written,
    read_relations,
    read_touched,
    read_uses,
)
from chatdb_cli.migrate.guards.statements import GuardStatements
from chatdb_cli.migrate.guards.unmeasured import find_unmeasured
from chatdb_cli.migrate.parts import Guard, Part
from chatdb_cli.postgres.messages import join
from chatdb_cli.postgres.pipeline import Batch, Message, Outcome, run_pipeline
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.postgres.sqlstates import TRANSIENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import psycopg

    from chatdb_cli.migrate.guards.effects import Traits
    from chatdb_cli.migrate.guards.relations import Relation, Touched, Use
    from chatdb_cli.migrate.guards.unmeasured import Unmeasured
    from chatdb_cli.migrate.guards.watches import ValueWatch
    from chatdb_cli.migrate.model import Loss
    from chatdb_cli.postgres.pipeline import Completed, OnIdle


class DataLossTrial:
    """Runs some downs in a transaction that is rolled back.

    Args:
        conn: an idle connection in autocommit mode.
        schema: the target's schema.
        on_idle: what to do while the server is silent.

    Attributes:
        losses: the rows that they would delete.
        must_measure: `losses` is neither complete nor exact before `measure` has run, too.
        must_cast: `measure` must run once more.
        unmeasured: where rows may be deleted that can't be counted.
        lasting: a function that the downs may call and whose effects are not rolled back; then they
            were not run.
    """

    def __init__(self, conn: psycopg.Connection[Any], schema: str, on_idle: OnIdle) -> None:
        self._conn = conn
        self._schema = schema
        self._on_idle = on_idle
        names = Quoting(conn, schema)
        token = secrets.token_hex(6)
        self._savepoint = {"savepoint": names.identifier(f"chatdb_{token}")}
        self._sql = GuardStatements(names, schema, token)
        self.losses: tuple[Loss, ...] = ()
        self.must_measure = False
        self.must_cast = False
        self.unmeasured: tuple[Unmeasured, ...] = ()
        self.lasting: str | None = None
        self._growth: Sequence[dict[str, int]] = ()
        self._cast_back: set[ValueWatch] = set()

    # --- the trial --------------------------------------------------------------------------------

    def guard(self, traits: Traits) -> Guard:
        """Return the statements that record what a file of the trial has touched.

        Args:
            traits: what its text says.
        """
        return Guard((queries.COUNTING,), (self._sql.touched(traits.calls),))

    def run(
        self, opening: Sequence[Message], files: Iterable[Batch], traits: Sequence[Traits]
    ) -> Outcome:
        """Run the downs, record what they touched, and roll back; then set the attributes.

        After an error the caller must send ROLLBACK.

        Args:
            opening: the messages that begin the transaction.
            files: the messages of each down, with `guard` in them.
            traits: what the text of each file says, or of all if they have one guard.
        """
        batches = list(files)
        self._tag = batches[0].tag  # a failure of what follows is reported for the first file
        savepoint = _statement(queries.SAVEPOINT.format(**self._savepoint))
        calls = {name for trait in traits for name in trait.calls}
        check = [_statement(queries.PG_CATALOG_ONLY), _query(self._sql.no_lasting(calls))]
        opening = [*opening, *(check if calls else ()), _query(self._sql.storage), savepoint]
        outcome, (baseline, *answers) = self._send(_opened(opening, batches))
        if outcome.is_bad:
            if outcome.message == check[1] and not outcome.lost:
                self._find_lasting(calls)
            return outcome
        if calls:
            baseline, *answers = answers
        self._storage = {oid: facts[0] for oid, facts in baseline["tables"].items()}
        self._options = baseline["foreign"]
        self._counters = {oid: Written(*facts[1:]) for oid, facts in baseline["tables"].items()}
        self._objects, created = baseline["objects"], baseline["created"]
        seen = [read_touched(answer) for answer in answers]
        self._now, self._generated = seen[-1], any(t.drops_expressions for t in traits)
        outcome = self._undo(seen)
        if outcome.is_bad:
            return outcome
        self._tables = {
            o: r for o, r in self._was.items() if r.kind == "r" and not self._is_ours(r)
        }
        self._effects = [*find_effects(seen, traits, self._was, self._tables, self._counters)]
        self.unmeasured = tuple(find_unmeasured(seen, traits, self._was, created))
        outcome = self._count_before()
        if not outcome.is_bad:
            self._conclude()
        return outcome

    def _find_lasting(self, calls: Iterable[str]) -> None:
        """Find the function of these names that does what ROLLBACK does not undo."""
        for sql in (queries.ROLLBACK, queries.BEGIN, queries.PG_CATALOG_ONLY):
            self._conn.pgconn.exec_(sql.encode())
        row = self._conn.execute(self._sql.lasting(calls).encode()).fetchone()
        self.lasting = row[0] if row else None
        self._conn.pgconn.exec_(queries.ROLLBACK.encode())

    def _undo(self, seen: Sequence[Touched]) -> Outcome:
        """Count what is left after the downs, undo them, and read what was there before."""
        now = seen[-1]
        changed = {oid: r for oid, r in now.kept.items() if self._is_rewritten(oid, r)}
        foreign = {o: r for o, r in now.foreign.items() if r.storage == self._options.get(o)}
        counted = changed | foreign
        oids = {oid for touched in seen for oid in touched.oids}
        outcome, answers = self._send(
            [Batch([*_ALL_ROWS,
                    *(_query(self._sql.count(r)) for r in counted.values()),
                    _statement(queries.ROLLBACK_TO.format(**self._savepoint)),
                    *_ALL_ROWS,
                    _query(self._sql.relations(oids)),
                    _query(self._sql.uses(oids))], self._tag)]
        )  # fmt: skip
        if not outcome.is_bad:
            *rows, was, uses = answers
            self._left = dict(zip(counted, rows, strict=True))
            self._was, self._uses = read_relations(was), read_uses(uses)
        return outcome

    def _count_before(self) -> Outcome:
        """Count what was there before the downs, and end the transaction."""
        was, now, tables, sql = self._was, self._now, self._tables, self._sql
        whole = [oid for oid in tables if oid in now.gone or oid in self._left]
        foreign = [oid for oid in self._left if oid in now.foreign]
        columns = [
            (oid, n)
            for oid, r in tables.items()
            if oid in now.kept
            for n in r.dropped(now.kept[oid], generated=self._generated)
        ]
        attributes = self._dropped_attributes()
        outcome, answers = self._send(
            [Batch([*_ALL_ROWS,
                    *(_query(sql.count(was[oid])) for oid in (*whole, *foreign)),
                    *(_query(sql.count(was[oid], n)) for oid, n in columns),
                    *(_query(sql.count_attributes(use, names))
                      for use, names in attributes.values()),
                    _query(sql.casts(self._effects)),
                    _statement(queries.ROLLBACK)], self._tag)]
        )  # fmt: skip
        if outcome.is_bad:
            return outcome
        *rows, casts = answers
        self._casts = {(source, target) for source, target in casts}
        count = iter(rows)  # zip takes no count too many where the count comes second
        self._counts = losses.Counts(
            rows=dict(zip(whole, count, strict=False)),
            foreign={oid: (n, self._left[oid]) for oid, n in zip(foreign, count, strict=False)},
            values=dict(zip(columns, count, strict=False)),
            attributes=dict(zip(attributes, count, strict=False)),
            left={oid: n for oid, n in self._left.items() if oid in tables},
            counters=self._counters,
            objects=self._objects,
        )
        return outcome

    def _dropped_attributes(self) -> dict[tuple[str, str], tuple[Use, list[str]]]:
        """Return the columns that hold values of dropped attributes, with the names of these."""
        found: dict[tuple[str, str], tuple[Use, list[str]]] = {}
        for use in self._uses:
            relation, later = self._was.get(use.relation), self._now.kept.get(use.relation)
            table = self._now.find(use.table) or use.facts
            is_there = use.table not in self._now.gone and use.number in table.columns
            if relation is None or later is None or not is_there:
                continue
            names = [relation.columns[n].name for n in relation.dropped(later, generated=True)]
            if names:
                _, others = found.get((use.table, use.number), (use, []))
                found[use.table, use.number] = use, [*others, *names]
        return found

    def _conclude(self) -> None:
        """Set the attributes from what was counted."""
        counts, now = self._counts, self._now
        name_of = self._display_name
        self._relations = self._was | {use.table: use.facts for use in self._uses}
        deleted = dict(losses.find_deleted(counts, now, self._tables, name_of))
        self._foreign = dict(losses.find_foreign(counts, self._was, name_of))
        self.losses = (
            *losses.find_losses(counts, now, self._relations, name_of),
            *deleted.values(),
            *self._foreign.values(),
        )
        suspects = {*deleted}
        for done in self._effects:
            if not done.counted:
                suspects |= done.written.keys() & done.tables.keys()
        empty = {oid for oid, rows in counts.rows.items() if not rows}
        self._watches = [
            self._sql.watch(done, suspects, empty, self._casts) for done in self._effects
        ]
        self._suspects, self._empty = suspects, empty
        self.must_measure = bool(suspects) or any(watches.values for watches in self._watches)

    # --- the measured trial -----------------------------------------------------------------------

    def measuring_guards(self, traits: Sequence[Traits]) -> list[Guard]:
        """Return the statements around each file that count and compare what it must not lose.

        Args:
            traits: what the text of each file says.
        """
        return [
            Guard(
                (queries.COUNTING, *w.before),
                (
                    self._sql.touched(trait.calls),
                    *w.measure,
                    *(w.cast_statements if self.must_cast else ()),
                ),
            )
            for w, trait in zip(self._watches, traits, strict=True)
        ]

    def measure(
        self, opening: Sequence[Message], files: Iterable[Batch], traits: Sequence[Traits]
    ) -> Outcome:
        """Run the downs again between exact counts, and roll back; then set `losses`.

        Values that have another text now may be the same as values of their old type: then `must_cast`
        is set, and another call finds out.  A value that can't be cast back is a loss.  After an error
        the caller must send ROLLBACK.

        Args:
            opening: the messages that begin the transaction.
            files: the messages of each down, with `measuring_guards` in them.
            traits: what the text of each file says.
        """
        end = Batch([_statement(queries.ROLLBACK)], self._tag)
        outcome, (baseline, *answers) = self._send(
            _opened([*opening, _query(self._sql.storage)], [*files, end])
        )
        if outcome.is_bad and not self._is_cast_that_failed(outcome):
            return outcome
        if outcome.is_bad:
            self._conn.pgconn.exec_(queries.ROLLBACK.encode())
        answer, seen, growth = iter(answers), [], []
        changed: dict[ValueWatch, int] = {}
        for watches in self._watches:
            if (touched := next(answer, None)) is None:
                break  # a cast has failed
            seen.append(read_touched(touched))
            growth.append({w.oid: n for w, n in zip(watches.rows, answer, strict=False)})
            changed |= zip(watches.values, answer, strict=False)
            if self.must_cast:
                changed |= zip(watches.cast, answer, strict=False)
        counters = {oid: Written(*facts[1:]) for oid, facts in baseline["tables"].items()}
        effects = [*find_effects(seen, traits[: len(seen)], self._was, self._tables, counters)]
        name_of, self._growth = self._display_name, growth
        removed = dict(losses.find_measured(effects, growth, self._tables, name_of))
        self.losses = (
            *losses.find_losses(self._counts, self._now, self._relations, name_of),
            *removed.values(),
            *self._foreign.values(),
            *losses.find_changed(changed, removed | self._foreign, self._was, name_of),
        )
        if not self.must_cast:
            self._cast_back = {watch for watch, n in changed.items() if n and watch.old_type}
            self.must_cast = bool(self._cast_back)
        else:
            self.must_cast = False
        return Outcome()

    def _is_cast_that_failed(self, outcome: Outcome) -> bool:
        return (
            outcome.error is not None
            and not outcome.lost
            and outcome.message is not None
            and outcome.error.sqlstate not in TRANSIENT
            and any(
                outcome.message.sql.decode() in watches.cast_statements for watches in self._watches
            )
        )

    # --- the real run -----------------------------------------------------------------------------

    @property
    def guards(self) -> tuple[Guard, ...]:
        """The guard of each down in the real run: it does what it did in the trial, or fails."""
        growth = self._growth or [{} for _ in self._effects]
        return tuple(
            self._sql.guard(
                done,
                watches,
                watches.holds(grown, self._cast_back),
                tables=self._tables,
                empty=self._empty,
                uncounted=self._suspects,
                uses=self._uses,
                generated=self._generated,
            )
            for done, watches, grown in zip(self._effects, self._watches, growth, strict=True)
        )

    # --- what both need ---------------------------------------------------------------------------

    def _send(self, batches: Iterable[Batch]) -> tuple[Outcome, list[Any]]:
        """Send batches, and return the results of the `Part.GUARD` messages."""
        answers: list[Any] = []

        def keep(done: Completed) -> None:
            is_own = done.message.part == Part.GUARD and done.message.sql != _COUNTING
            if is_own and done.row:
                answers.append(json.loads(done.row[0] or "null"))

        outcome = run_pipeline(self._conn, batches, keep, self._on_idle)
        return outcome, answers or [None]

    def _is_rewritten(self, oid: str, now: Relation) -> bool:
        return oid in self._storage and now.storage != self._storage[oid]

    def _is_ours(self, relation: Relation) -> bool:
        return relation.schema == self._schema and relation.name in HISTORY_TABLES

    def _display_name(self, table: Relation) -> str:
        return table.name if table.schema == self._schema else f"{table.schema}.{table.name}"


def _opened(opening: Sequence[Message], files: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the batches of files, with these messages before the first."""
    first = list(opening)
    for batch in files:
        yield batch._replace(messages=join(first, batch.messages))
        first = []


def _query(sql: str) -> Message:
    return Message(sql.encode(), Part.GUARD)


def _statement(sql: str) -> Message:
    return Message(sql.encode(), Part.FRAME)


_ALL_ROWS = (_statement(queries.PG_CATALOG_ONLY), _statement(queries.ALL_ROWS))
_COUNTING = queries.COUNTING.encode()
