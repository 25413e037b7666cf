"""Which rows a way back would destroy: found by doing it, in a transaction that is rolled back.

    Trial    tries some downs, and knows then what is lost, and how each is guarded in the run itself

Nothing is read from the SQL of the files: what CASCADE, a DO block, EXECUTE or a function does is seen
as well.  The locks that the transaction holds tell which relations it touched, so that it costs the same
among any number of tables; what is not touched is not looked at.  A row is lost when its table or (where
it is not null) its column is dropped, when it is truncated or deleted.  What is computed from other rows
is no loss: a materialized view, a generated column.

What does not belong here: the transaction around a file (`frame.py`), what becomes of the run
(`runner.py`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError, Code, Location
from chatdb_cli.history.model import HISTORY_TABLES
from chatdb_cli.migrate import queries as migrate_queries
from chatdb_cli.migrate.guards import queries as migrate_guards_queries
from chatdb_cli.migrate.model import Loss
from chatdb_cli.migrate.transaction import Guard, Part
from chatdb_cli.postgres.pipeline import Batch, Message, run_pipeline
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.syntax.effects import find_lasting_effects
from chatdb_cli.syntax.location import locate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from typing import Any, Literal

    import psycopg

    from chatdb_cli.files.model import Script
    from chatdb_cli.postgres.pipeline import Completed, OnIdle, Outcome
    from chatdb_cli.syntax.statements import Statement

ALLOW_DATA_LOSS_HINT = "look at the file, and if rows may go, add --allow-data-loss"


class Relation(NamedTuple):
    """A relation at one moment.

    Attributes:
        schema: where it is.
        name: how it is called.
        kind: as in pg_class.
        storage: the file that holds its rows.
        parent: it may have children, whose rows are not its own.
        columns: by number, the name and whether it is generated.
    """

    schema: str
    name: str
    kind: str
    storage: str
    parent: bool
    columns: dict[str, tuple[str, bool]]

    def dropped(self, later: Relation) -> list[str]:
        """Return the columns that are not there any more later; what is generated is no loss."""
        gone = self.columns.keys() - later.columns.keys()
        return sorted((n for n in gone if not self.columns[n][1]), key=int)


class Touched(NamedTuple):
    """What a transaction has done to relations by some moment, by oid.

    Attributes:
        gone: dropped; also what it has made itself and dropped again.
        kept: what may have been altered, as it is now.
        written: the tables that rows were written to: how many inserted, how many deleted.
    """

    gone: frozenset[str]
    kept: dict[str, Relation]
    written: dict[str, tuple[int, int]]


class DataLossTrial:
    """Tries some downs.

    Args:
        conn: an idle connection in autocommit mode.
        schema: the target's schema.
        idle: what to do while the server is silent.

    Attributes:
        losses: what would be lost.
        guards: for each down, what watches it in the run itself.
    """

    def __init__(self, conn: psycopg.Connection[Any], schema: str, idle: OnIdle) -> None:
        self._conn = conn
        self._schema = schema
        self._idle = idle
        self._names = Quoting(conn, schema)
        self.losses: tuple[Loss, ...] = ()
        self.guards: tuple[Guard, ...] = ()

    @property
    def guard(self) -> Guard:
        """What looks at each file of the trial."""
        return Guard(after=(self._names.fill(migrate_guards_queries.TOUCHED, target=self._schema),))

    def run(self, opening: Sequence[Message], files: Iterable[Batch]) -> Outcome:
        """Do it, look, and undo it; what came out stands in the attributes then.

        After an error, which is of the file of that number, a ROLLBACK is still due.

        Args:
            opening: what begins the transaction.
            files: for each down, its messages, with `guard` in them.
        """
        batches = list(files)
        tag = batches[0].tag  # what fails afterwards is reported as a failure of the first file
        outcome, (storage, *answers) = self._send(self._tries(opening, batches))
        if outcome.is_bad:
            return outcome
        seen = [_touched(answer) for answer in answers]
        now = seen[-1]
        rewritten = {
            oid: r for oid, r in now.kept.items() if oid in storage and r.storage != storage[oid][0]
        }
        oids = {oid for touched in seen for oid in (*touched.gone, *touched.kept, *touched.written)}
        look = self._names.fill(migrate_guards_queries.RELATIONS_BEFORE, oids=_array(oids))
        outcome, (*counts, answer) = self._send(
            [Batch([_set(migrate_guards_queries.ALL_ROWS), *map(self._count, rewritten.values()),
                    _set(migrate_guards_queries.ROLLBACK_TO), _look(look)], tag)]
        )  # fmt: skip
        if outcome.is_bad:
            return outcome
        left = dict(zip(rewritten, counts, strict=True))
        was = _relations(answer)
        tables = {oid: r for oid, r in was.items() if r.kind == "r" and not self._is_ours(r)}
        whole = [oid for oid in tables if oid in now.gone or oid in left]
        columns = [
            (oid, n)
            for oid, r in tables.items()
            if oid in now.kept
            for n in r.dropped(now.kept[oid])
        ]
        outcome, counts = self._send(
            [Batch([_set(migrate_guards_queries.ALL_ROWS),
                    *(self._count(tables[oid]) for oid in whole),
                    *(self._count(tables[oid], n) for oid, n in columns),
                    _set(migrate_queries.ROLLBACK)], tag)]
        )  # fmt: skip
        if outcome.is_bad:
            return outcome
        rows = dict(zip((*((oid, "") for oid in whole), *columns), counts, strict=True))
        self.losses = tuple(self._lost(storage, now, tables, left, rows))
        empty = {oid for oid in whole if not rows[oid, ""]}
        before = Touched(frozenset(), {}, {})
        guards = []
        for touched in seen:
            guards.append(self._guard(before, touched, was, tables, empty))
            before = touched
        self.guards = tuple(guards)
        return outcome

    def _tries(self, opening: Sequence[Message], files: Iterable[Batch]) -> Iterator[Batch]:
        first = [
            *opening,
            _look(self._names.fill(migrate_guards_queries.STORAGE)),
            _set(migrate_guards_queries.SAVEPOINT),
        ]
        for batch in files:
            yield batch._replace(messages=[*first, *batch.messages])
            first = []

    def _send(self, batches: Iterable[Batch]) -> tuple[Outcome, list[Any]]:
        """Send, and return what the statements that look have answered."""
        answers: list[Any] = []

        def keep(done: Completed) -> None:
            if done.message.part == Part.GUARD:
                answers.append(json.loads(done.row[0] or "null"))

        outcome = run_pipeline(self._conn, batches, keep, self._idle)
        return outcome, answers if not outcome.is_bad else [None]

    def _is_ours(self, relation: Relation) -> bool:
        return relation.schema == self._schema and relation.name in HISTORY_TABLES

    def _table(self, relation: Relation) -> str:
        name = self._names.identifier
        only = "ONLY " if relation.parent else ""
        return f"{only}{name(relation.schema)}.{name(relation.name)}"

    def _count(self, table: Relation, column: str | None = None) -> Message:
        """Return what counts the rows of a table, or of a column those where it is not null."""
        what = "*" if column is None else self._names.identifier(table.columns[column][0])
        return _look(migrate_guards_queries.COUNT.format(what=what, table=self._table(table)))

    def _lost(
        self,
        storage: dict[str, list[Any]],
        now: Touched,
        tables: dict[str, Relation],
        left: dict[str, int],
        rows: dict[tuple[str, str], int],
    ) -> Iterator[Loss]:
        """Yield what is lost.

        Args:
            storage: of each table, where its rows were, and how many this session had written.
            now: what was done to which relations.
            tables: how they were, but for the history's.
            left: of the tables that were emptied, or written anew, how many rows they have now.
            rows: how many rows each that goes had, by oid, and each column of it, by its number.
        """
        for (oid, column), count in rows.items():
            if count and column:
                name = tables[oid].columns[column][0]
                yield Loss(self._shown(tables[oid]), name, count, "dropped column")
            elif count and oid in now.gone:
                yield Loss(self._shown(tables[oid]), None, count, "dropped table")
        for oid in tables.keys() & (left.keys() | now.written.keys()) - now.gone:
            then = storage[oid][1:]
            inserted, deleted = map(int.__sub__, now.written.get(oid, then), then)
            # A TRUNCATE forgets what was written before it.
            gone = rows[oid, ""] - (left[oid] - inserted) if oid in left else deleted
            if gone > 0:
                how: Literal["truncated", "deleted"] = "truncated" if gone > deleted else "deleted"
                yield Loss(self._shown(tables[oid]), None, gone, how)

    def _shown(self, table: Relation) -> str:
        return table.name if table.schema == self._schema else f"{table.schema}.{table.name}"

    def _guard(
        self,
        before: Touched,
        after: Touched,
        was: dict[str, Relation],
        tables: Collection[str],
        empty: Collection[str],
    ) -> Guard:
        """Return what watches a down in the run itself: it does what it did in the trial, or fails.

        Args:
            before: what was done before it.
            after: what was done with it.
            was: how all of it was before the trial.
            tables: which of it are tables that may hold rows.
            empty: those of them that held none.
        """
        gone = [oid for oid in after.gone - before.gone if oid in was]
        kept = {oid: r for oid, r in after.kept.items() if oid in was}
        then = {oid: before.kept.get(oid, was[oid]) for oid in (*gone, *kept)}
        locked, lost = set(), []
        for oid in sorted({*gone, *kept}, key=int):
            table = self._table(then[oid])
            if oid not in tables:
                continue
            if oid in gone or (oid in empty and kept[oid].storage != then[oid].storage):
                locked.add(table)
                lost.append(migrate_guards_queries.HAS_ROWS.format(table=table))
            for n in then[oid].dropped(kept[oid]) if oid in kept else ():
                locked.add(table)
                column = self._names.identifier(then[oid].columns[n][0])
                lost.append(migrate_guards_queries.HAS_VALUES.format(table=table, column=column))
        fresh = sum(oid not in was for oid in (*after.gone, *after.kept))
        same = {
            "stored": _array(o for o, r in kept.items() if r.storage == then[o].storage),
            "whole": _array(
                o for o, r in kept.items() if r.columns.keys() >= then[o].columns.keys()
            ),
        }
        fill = self._names.fill
        lock = (
            [migrate_guards_queries.LOCK_TABLES.format(tables=", ".join(sorted(locked)))]
            if locked
            else []
        )
        return Guard(
            (
                *lock,
                fill(migrate_guards_queries.GUARD_BEFORE, **same, written=_array(after.written))
                % (" OR ".join(lost) or "false"),
            ),
            (
                fill(
                    migrate_guards_queries.GUARD_AFTER,
                    gone=_array(gone),
                    kept=_array(kept),
                    **same,
                    fresh=fresh,
                    target=self._schema,
                ),
            ),
        )


def refused(ids: Sequence[str], fate: str) -> ChatdbError:
    """Return the error of a way back that would destroy rows.

    Args:
        ids: the migrations that it would take back.
        fate: what stays of the run.
    """
    what = ids[0] if len(ids) == 1 else f"{len(ids)} migrations"
    return ChatdbError(
        Code.REFUSED,
        f"taking {what} back would destroy rows",
        hint="keep what is needed elsewhere first; if these rows may go, add --allow-data-loss",
        notes=(fate,),
    )


def untried(
    script: Script, statements: tuple[Statement, ...] | None, *, piecewise: bool
) -> ChatdbError | None:
    """Return why a down can't be tried in a transaction that is rolled back, or None.

    Args:
        script: the file.
        statements: what it was cut into.
        piecewise: it runs statement by statement.
    """
    lasting = find_lasting_effects(script.text, statements)
    found = next((f for f in lasting if f.what.lower() != "nextval"), None)  # a gap is no loss
    if piecewise:
        what, place = "the file runs outside of a transaction", Location(script.path)
    elif found is not None:
        what = f"no rollback undoes {found.what}"
        place = locate(script.text, found.offset, script.path)
    else:
        return None
    return ChatdbError(
        Code.REFUSED,
        f"{what}, so that nobody can try what rows it would destroy",
        hint=ALLOW_DATA_LOSS_HINT,
        place=place,
    )


def _touched(answer: dict[str, Any]) -> Touched:
    written = {oid: (i, d) for oid, (i, d) in answer["written"].items()}
    return Touched(frozenset(answer["gone"]), _relations(answer["kept"]), written)


def _relations(answer: dict[str, Any]) -> dict[str, Relation]:
    return {
        oid: Relation._make((*facts, {n: (name, gen) for n, (name, gen) in columns.items()}))
        for oid, (*facts, columns) in answer.items()
    }


def _array(oids: Iterable[str]) -> str:
    return f"{{{','.join(oids)}}}"


def _look(sql: str) -> Message:
    return Message(sql.encode(), Part.GUARD)


def _set(sql: str) -> Message:
    return Message(sql.encode(), Part.FRAME)
