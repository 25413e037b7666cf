"""The statements of a trial and of the guards that follow from it, for the relations at hand.

    GuardStatements    fills `queries.py` with names and OIDs

What does not belong here: sending them (`trial.py`), comparing rows and values (`watches.py`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from chatdb_cli.migrate.guards import queries
from chatdb_cli.migrate.guards.watches import RowWatch, ValueWatch, Watches
from chatdb_cli.migrate.parts import Guard

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from chatdb_cli.migrate.guards.effects import Effects
    from chatdb_cli.migrate.guards.relations import Relation, Use
    from chatdb_cli.postgres.quoting import Quoting


class GuardStatements:
    """Returns statements about relations.

    Args:
        names: quotes names and values.
        schema: the target's schema.
        token: what the names of temporary tables contain, unknown to any file.
    """

    def __init__(self, names: Quoting, schema: str, token: str) -> None:
        self._names = names
        self._token = token
        self._kept = 0
        self._target = schema
        self.storage = names.fill(queries.STORAGE)

    # --- what a trial asks ------------------------------------------------------------------------

    def touched(self, calls: Iterable[str]) -> str:
        """Return the query for what the transaction has done so far.

        Args:
            calls: the names of the functions that the file may call.
        """
        return self._names.fill(
            queries.TOUCHED, target=self._target, calls=_array(map(_quoted, calls))
        )

    def no_lasting(self, calls: Iterable[str]) -> str:
        """Return the statement that fails if one of these functions has lasting effects."""
        return self._names.fill(queries.NO_LASTING, calls=_array(map(_quoted, calls)))

    def lasting(self, calls: Iterable[str]) -> str:
        """Return the query for the name of such a function."""
        return self._names.fill(queries.LASTING, calls=_array(map(_quoted, calls)))

    def relations(self, oids: Iterable[str]) -> str:
        """Return the query for relations as they are."""
        return self._names.fill(queries.RELATIONS_BEFORE, oids=_array(oids))

    def uses(self, oids: Iterable[str]) -> str:
        """Return the query for columns that hold values of the row types of relations."""
        return self._names.fill(queries.USES, oids=_array(oids))

    def count(self, table: Relation, column: str | None = None) -> str:
        """Return the query that counts the rows of a table, or those where a column is not null."""
        what = "*" if column is None else self._column(table, column)
        return queries.COUNT.format(what=what, table=self._table(table))

    def count_attributes(self, use: Use, attributes: Iterable[str]) -> str:
        """Return the query that counts the rows where a column has a value of these attributes."""
        return queries.COUNT_ATTRIBUTES.format(
            table=self._table(use.facts), condition=self._has_attribute(use, attributes)
        )

    def casts(self, effects: Iterable[Effects]) -> str:
        """Return the query for casts from the new types of altered columns to the old ones."""
        pairs = [
            (new.columns[n].type_oid, old.columns[n].type_oid)
            for done in effects
            for old, new in ((done.then[oid], done.kept[oid]) for oid in done.rewritten)
            for n in old.altered(new)
        ]
        return self._names.fill(
            queries.CASTS,
            sources=_array(source for source, _ in pairs),
            targets=_array(target for _, target in pairs),
        )

    # --- what watches a file ----------------------------------------------------------------------

    def watch(
        self,
        done: Effects,
        suspects: Collection[str],
        empty: Collection[str],
        casts: Collection[tuple[str, str]],
    ) -> Watches:
        """Return what counts and compares what a file must not lose.

        Args:
            done: what the file did in the trial.
            suspects: the OIDs of tables whose counters can't be believed.
            empty: the OIDs of tables without rows.
            casts: the types that can be cast to another.
        """
        rewritten = [oid for oid in done.rewritten if oid not in empty]
        written = [oid for oid in done.tables if oid in suspects and oid not in rewritten]
        values = [
            self._value_watch(done, oid, n, casts)
            for oid in rewritten
            for n in done.then[oid].altered(done.kept[oid])
        ]
        # Counts alone don't show rows that were deleted if as many were inserted.
        whole = [*([] if done.counted else written), *(done.foreign if done.deletes else ())]
        return Watches(
            [self._row_watch(done, oid) for oid in (*rewritten, *written)],
            [*values, *(self._whole_row_watch(done, oid) for oid in whole)],
            [self._row_watch(done, oid) for oid in done.foreign],
            [self._table(done.then[oid]) for oid in rewritten],
            [self._table(done.then[oid]) for oid in written],
        )

    def guard(
        self,
        done: Effects,
        watches: Watches,
        holds: Sequence[str],
        *,
        tables: Collection[str],
        empty: Collection[str],
        uncounted: Collection[str],
        uses: Sequence[Use],
        generated: bool,
    ) -> Guard:
        """Return the guard of a down in the real run: it does what it did in the trial, or fails.

        Args:
            done: what it did in the trial.
            watches: what counts and compares.
            holds: the statements that fail if that shows a loss.
            tables: the OIDs of the relations that are tables and may hold rows.
            empty: the OIDs of the tables that held none.
            uncounted: the OIDs of tables whose counters can't be believed.
            uses: the columns that hold values of a row type.
            generated: the values of generated columns may be lost.
        """
        locked, lost = set(), []
        for table, condition in self._conditions(done, tables, empty, uses, generated=generated):
            locked.add(table)
            lost.append(condition)
        kept, then, fill = done.kept, done.then, self._names.fill
        same = {
            "stored": _array(o for o, r in kept.items() if r.storage == then[o].storage),
            "whole": _array(
                o for o, r in kept.items() if r.columns.keys() >= then[o].columns.keys()
            ),
        }
        lock = [queries.LOCK_TABLES.format(tables=", ".join(sorted(locked)))] if locked else []
        before = fill(
            queries.GUARD_BEFORE,
            **same,
            written=_array(oid for oid in done.written if oid not in uncounted),
        ) % (" OR ".join(lost) or "false")
        after = fill(
            queries.GUARD_AFTER,
            **same,
            gone=_array(done.gone),
            kept=_array(kept),
            fresh=done.fresh,
            elsewhere=_array(done.elsewhere),
            fresh_elsewhere=done.fresh_elsewhere,
            measured=_array(uncounted),
            target=self._target,
        )
        return Guard((queries.COUNTING, *watches.before, *lock, before), (*holds, after))

    def _conditions(
        self,
        done: Effects,
        tables: Collection[str],
        empty: Collection[str],
        uses: Sequence[Use],
        *,
        generated: bool,
    ) -> Iterator[tuple[str, str]]:
        """Yield a table and a condition on it, which is false as long as nothing is lost."""
        for oid in sorted({*done.gone, *done.kept}, key=int):
            then = done.then[oid]
            if oid not in tables:
                continue
            table = self._table(then)
            if oid in done.gone or (oid in empty and oid in done.rewritten):
                yield table, queries.HAS_ROWS.format(table=table)
            for n in then.dropped(done.kept[oid], generated=generated) if oid in done.kept else ():
                column = self._column(then, n)
                yield table, queries.HAS_VALUES.format(table=table, column=column)
        for use in uses:
            relation, later = done.then.get(use.relation), done.kept.get(use.relation)
            facts = done.then.get(use.table, use.facts)
            if not relation or not later or use.table in done.gone:
                continue
            gone = [relation.columns[n].name for n in relation.dropped(later, generated=True)]
            if gone and use.number in facts.columns:
                condition = self._has_attribute(use._replace(facts=facts), gone)
                table = self._table(facts)
                yield table, queries.HAS_ATTRIBUTES.format(table=table, condition=condition)

    def _row_watch(self, done: Effects, oid: str) -> RowWatch:
        later = done.tables.get(oid) or done.foreign[oid]
        return RowWatch(oid, self._temporary(), self._table(done.then[oid]), self._table(later))

    def _value_watch(
        self, done: Effects, oid: str, n: str, casts: Collection[tuple[str, str]]
    ) -> ValueWatch:
        then, later = done.then[oid], done.kept[oid]
        old, new = then.columns[n], later.columns[n]
        return ValueWatch(
            oid,
            n,
            self._temporary(),
            self._table(then),
            self._column(then, n),
            self._table(later),
            self._column(later, n),
            None if old.type_name == new.type_name else old.type_name,
            old.type_oid == new.type_oid or (new.type_oid, old.type_oid) in casts,
            old.strips_blanks(new),
        )

    def _whole_row_watch(self, done: Effects, oid: str) -> ValueWatch:
        kept, watch = self._temporary(), self._row_watch(done, oid)
        row = f"{kept}_row"
        table, later = f"{watch.table} AS {row}", f"{watch.later} AS {row}"
        return ValueWatch(oid, "", kept, table, row, later, row, None)

    def _temporary(self) -> str:
        self._kept += 1
        return f"chatdb_{self._token}_{self._kept}"

    def _has_attribute(self, use: Use, attributes: Iterable[str]) -> str:
        column = self._column(use.facts, use.number)
        paths = (self._names.literal(f"$.**.{json.dumps(name)}") for name in attributes)
        return " OR ".join(queries.HAS_ATTRIBUTE.format(column=column, path=path) for path in paths)

    def _table(self, relation: Relation) -> str:
        name = self._names.identifier
        only = "ONLY " if relation.parent else ""
        return f"{only}{name(relation.schema)}.{name(relation.name)}"

    def _column(self, relation: Relation, n: str) -> str:
        return self._names.identifier(relation.columns[n].name)


def _quoted(name: str) -> str:
    """Return a text as an element of an array."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _array(oids: Iterable[str]) -> str:
    return f"{{{','.join(oids)}}}"
