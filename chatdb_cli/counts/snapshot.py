"""One snapshot of a database, shared by several connections.

    Snapshot    tables that are locked against TRUNCATE and DROP, and counted in one snapshot

What does not belong here: which tables are meant (`tables.py`), the hash of a row (`hashing.py`).
"""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import ExitStack, closing, suppress
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import class_row

from chatdb_cli.callbacks import ignore
from chatdb_cli.closing import Closing
from chatdb_cli.counts import queries
from chatdb_cli.counts.buckets import Buckets, BucketSums, buckets_sql
from chatdb_cli.counts.failures import count_failure, explain_count_failures
from chatdb_cli.counts.hashing import hash_method, row_hash
from chatdb_cli.counts.model import Checksum, CountProgress, Source, TableCount
from chatdb_cli.counts.ranges import RANGE, divide
from chatdb_cli.counts.tables import Catalog, read_catalog, read_lockable
from chatdb_cli.counts.workers import Crew
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.blockers import BlockerWatch, Waiting
from chatdb_cli.postgres.connect import blame_tunnel, connect
from chatdb_cli.postgres.model import require_target
from chatdb_cli.postgres.pool import open_pool
from chatdb_cli.postgres.pooler import is_pooled
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.postgres.target import is_on_this_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from chatdb_cli.counts.model import CountedTable, Form, HashedColumn
    from chatdb_cli.counts.ranges import Work
    from chatdb_cli.counts.tables import Lockable
    from chatdb_cli.counts.workers import Done, Opening
    from chatdb_cli.postgres.model import Target

JOBS = 4
# How often the tables are locked again because others appeared meanwhile.
_TRIES = 5
# How long canceling a statement may take, in seconds.
_CANCEL_S = 5.0
# How long another connection waits for a lock, in milliseconds; the first one holds them all.
_LOCK_MS = 1000
_LOCKED = ("table", "partitioned table")


class _SourceRow(NamedTuple):
    """The row of `queries.SOURCE`."""

    at: datetime
    server_version: int
    encoding: str
    standby: bool
    role: str
    parallel_workers: int
    hashes: str


class _CountRow(NamedTuple):
    """A row of `queries.COUNT`, and of `queries.BUCKETS`."""

    number: int
    rows: int
    checksum: str | None
    bucket: int | None


class Hashing(NamedTuple):
    """What the checksum of a table covers, and its form.

    Attributes:
        form: native or text.
        columns: the columns, in any order.
        buckets: the sums of buckets are wanted, too; None if not.
    """

    form: Form
    columns: tuple[HashedColumn, ...]
    buckets: Buckets | None = None


class Snapshot(Closing):
    """A snapshot of a target, with the tables that are meant, locked against TRUNCATE and DROP.

    Args:
        target: the database and the schema.
        names: tables, as for `count_rows`.
        jobs: how many connections share the work at most.
        details: read the columns and the key of each table, too.
        report: called with a line for what a person should know.
        lenient: a name that does not exist is in `missing`, and no error.

    Attributes:
        source: the server and the moment.
        tables: the tables that are counted.
        left_out: those that are not, and why.
        missing: the names that do not exist.
        sums: the sums of buckets that `count` has computed, by `Buckets.table`.

    Raises:
        ChatdbError: as `count_rows` does.
    """

    def __init__(
        self,
        target: Target,
        names: Sequence[str] = (),
        *,
        jobs: int = JOBS,
        details: bool = True,
        report: Callable[[str], None] = ignore,
        lenient: bool = False,
    ) -> None:
        require_target(target)
        self._target = target
        self._report = report
        self._exported = ""
        self._crew: Crew | None = None
        self._opened = ExitStack()
        with self.explained():
            self.connection = self._opened.enter_context(closing(connect(target, report)))
            try:
                self._quoting = Quoting(self.connection, target.schema)
                pooled = is_pooled(self.connection, target)
                self._blockers = BlockerWatch(
                    lambda: connect(target, retries=0),
                    Waiting(application=target.application)
                    if pooled
                    else Waiting(pid=self.connection.info.backend_pid),
                    target.settings.lock_timeout_ms,
                    lambda blockers: report(f"waits for {'; '.join(map(str, blockers))}"),
                )
                if pooled and jobs > 1:
                    report(
                        "through a pooler in transaction mode the tables are counted over one "
                        "connection, in one transaction"
                    )
                    jobs = 1
                self._connections = _connections(target, jobs)
                if self._connections > 1:  # they are opened while this one reads the catalog
                    self._pool = self._opened.enter_context(
                        # Longer than connecting takes at most: a connection less makes it slower.
                        open_pool(
                            target,
                            wait=target.settings.connect_timeout_ms / 1000 + 3,
                            ready=self._connections - 1,
                        )
                    )
                catalog, row = self._begin(names, details=details, lenient=lenient)
            except BaseException:
                self.close()
                raise
        self._parallel_workers = row.parallel_workers
        self.tables, self.left_out = catalog.tables, catalog.left_out
        self.missing = catalog.missing
        self.sums: dict[str, BucketSums] = defaultdict(BucketSums)
        self.source = Source(
            row.at, row.server_version, row.encoding, row.hashes, row.standby, self._connections
        )

    def close(self) -> None:
        """End the transactions and close the connections."""
        self._opened.close()

    def cancel(self) -> None:
        """End early what another thread does with this snapshot."""
        if crew := self._crew:
            crew.cancel()
        with suppress(psycopg.Error):
            self.connection.cancel_safe(timeout=_CANCEL_S)

    def quote(self, name: str) -> str:
        """Return a name as SQL."""
        return self._quoting.identifier(name)

    def explained(self) -> Any:
        """Return a context that turns an exception of psycopg into a `ChatdbError`."""
        stack = ExitStack()
        stack.enter_context(blame_tunnel(self._target))
        stack.enter_context(explain_count_failures())
        return stack

    def sql_name(self, table: CountedTable | Lockable) -> str:
        """Return the name of a table as SQL, with its schema."""
        quote = self._quoting.identifier
        return f"{quote(table.schema)}.{quote(table.relation)}"

    def row_hash(self, hashing: Hashing) -> str:
        """Return the hash of a row as an SQL expression of type int8."""
        return row_hash(hashing.columns, hashing.form, self._quoting.identifier)

    def count(
        self,
        hashing: Mapping[int, Hashing] | None = None,
        progress: Callable[[CountProgress], None] = ignore,
    ) -> tuple[TableCount, ...]:
        """Count the tables, the largest first, partitions after their table.

        Args:
            hashing: what is hashed, by the OID of the table; nothing for tables that are missing.
            progress: called as pages are read.

        Raises:
            ChatdbError: as `count_rows` does.
        """
        hashing = hashing or {}
        stored = [table for table in self.tables if table.kind != "partitioned table"]
        works = divide(
            stored,
            lambda table: self._statement(table, hashing.get(table.oid)),
            hashing,
            connections=self.source.connections,
            parallel=self._parallel_workers > 0,
            buckets=any(one.buckets for one in hashing.values()),
        )
        rows: dict[int, int] = defaultdict(int)
        sums: dict[int, int] = defaultdict(int)
        spent: dict[str, float] = defaultdict(float)
        pages, total = 0, sum(work.pages for work in works)
        progress(CountProgress("", 0, 0, total))
        for done in self.run(works, class_row(_CountRow)):
            for row in done.rows:
                rows[row.number] += row.rows
                sums[row.number] += int(row.checksum or 0)
                if row.bucket is not None and (buckets := hashing[row.number].buckets):
                    self.sums[buckets.table].add(row.bucket, row.rows, int(row.checksum or 0))
            spent[done.work.label] += done.seconds
            pages += done.work.pages
            progress(CountProgress(done.work.label, sum(rows.values()), pages, total))
        return self._results(rows, sums, spent, hashing)

    def _statement(self, table: CountedTable, hashing: Hashing | None) -> str:
        """Return the statement that counts a table, and hashes its rows."""
        values = {"number": table.oid, "table": self.from_item(table), "range": RANGE}
        if not hashing:
            return queries.COUNT.format(checksum=queries.NO_CHECKSUM, **values)
        row = self.row_hash(hashing)
        if not hashing.buckets:
            return queries.COUNT.format(checksum=queries.CHECKSUM.format(hash=row), **values)
        key = hashing.buckets.key
        key_hash = self.row_hash(hashing._replace(columns=key)) if key else ""
        return buckets_sql(row, key_hash, hashing.buckets.mask, **values)

    def run(self, works: Sequence[Work], row_factory: Any) -> Generator[Done]:
        """Run statements in the snapshot, shared among the connections; yield each that is done.

        Args:
            works: the statements, in the order in which they are begun.
            row_factory: makes the rows.

        Raises:
            ChatdbError: as `count_rows` does.
        """
        with self.explained(), ExitStack() as stack:
            others: list[Opening] = []
            if self.source.connections > 1 and len(works) > 1:
                others = [self._pool.connection] * (self.source.connections - 1)
                self._exported = self._export()
            self._crew = Crew(self.connection, others, self._join, row_factory, self._report)
            yield from stack.enter_context(closing(self._crew.run(works)))
            self._crew = None

    def estimate(self) -> tuple[TableCount, ...]:
        """Estimate the rows from statistics."""
        with self.explained():
            rows = {
                table.oid: self._expected(table) if table.estimate is None else table.estimate
                for table in self.tables
                if table.kind != "partitioned table"
            }
        return tuple(result._replace(estimated=True) for result in self._results(rows, {}, {}, {}))

    def _expected(self, table: CountedTable) -> int:
        """Return how many rows the planner expects of a table that has no statistics."""
        name = self.from_item(table)
        ((plan,),) = self.connection.execute(
            queries.EXPECTED.format(table=name).encode()
        ).fetchall()
        return int(plan[0]["Plan"]["Plan Rows"])

    def from_item(self, table: CountedTable) -> str:
        """Return a table in FROM: its own rows alone, without those of tables that inherit from it."""
        name = self.sql_name(table)
        return f"ONLY {name}" if table.kind == "table" else name

    # --- the transaction --------------------------------------------------------------------------

    def _begin(
        self, names: Sequence[str], *, details: bool, lenient: bool
    ) -> tuple[Catalog, _SourceRow]:
        """Lock the tables that are meant, and take the snapshot after that."""
        conn = self.connection
        for _ in range(_TRIES):
            self._start()
            lockable = read_lockable(conn, self._target, names)
            conn.execute(queries.END)
            self._start()
            if not self._lock(lockable):
                continue
            (row,) = (
                conn.cursor(row_factory=class_row(_SourceRow)).execute(queries.SOURCE).fetchall()
            )
            catalog = read_catalog(
                conn,
                self._target,
                names,
                standby=row.standby,
                role=row.role,
                details=details,
                lenient=lenient,
            )
            locked = {table.oid for table in lockable}
            if all(t.oid in locked for t in catalog.tables if t.kind in _LOCKED):
                return catalog, row
            conn.execute(queries.END)
        raise ChatdbError(
            Code.LOCKED, "tables are being created or dropped all the time", hint="try again later"
        )

    def _lock(self, lockable: Sequence[Lockable]) -> bool:
        """Lock tables; return False, without a transaction, if one of them is gone."""
        if not lockable:
            return True
        tables = ", ".join(f"ONLY {self.sql_name(table)}" for table in lockable)
        try:
            with self._blockers.watching():
                self.connection.execute(queries.LOCK.format(tables=tables).encode())
        except psycopg.errors.LockNotAvailable as error:
            waited = tuple(f"it waited for {blocker}" for blocker in self._blockers.blockers)
            raise count_failure(error).with_(notes=waited) from None
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            self.connection.execute(queries.END)
            return False
        return True

    def _start(self) -> None:
        settings = self._settings(self._target.settings.lock_timeout_ms)
        self.connection.execute(f"{queries.BEGIN};\n{settings}".encode())

    def _export(self) -> str:
        ((snapshot,),) = self.connection.execute(queries.EXPORT).fetchall()
        return str(snapshot)

    def _join(self, conn: psycopg.Connection[Any]) -> None:
        """Begin a transaction in the snapshot on another connection."""
        if not conn.autocommit:
            conn.autocommit = True
        elif conn.info.transaction_status is not TransactionStatus.IDLE:
            conn.execute(queries.END)
        snapshot = self._quoting.literal(self._exported)
        settings = self._settings(min(self._target.settings.lock_timeout_ms or _LOCK_MS, _LOCK_MS))
        use = queries.USE_SNAPSHOT.format(snapshot=snapshot)
        conn.execute(f"{queries.BEGIN};\n{use};\n{settings}".encode())

    def _settings(self, lock_timeout_ms: int) -> str:
        settings = queries.SETTINGS.format(
            lock_timeout=lock_timeout_ms,
            statement_timeout=self._target.settings.statement_timeout_ms,
        )
        if self.connection.info.server_version >= 170000:
            settings += f";\n{queries.NO_TRANSACTION_TIMEOUT}"
        if self._connections >= _processors(self._target):
            settings += f";\n{queries.NO_WORKERS}"
        return settings

    # --- results ----------------------------------------------------------------------------------

    def _results(
        self,
        rows: Mapping[int, int],
        sums: Mapping[int, int],
        spent: Mapping[str, float],
        hashing: Mapping[int, Hashing],
    ) -> tuple[TableCount, ...]:
        children: dict[str | None, list[CountedTable]] = defaultdict(list)
        names = {table.name for table in self.tables}
        for table in self.tables:
            children[table.parent if table.parent in names else None].append(table)

        def results(table: CountedTable) -> list[TableCount]:
            """Return the count of a table, and those of its partitions after it."""
            parts = [results(child) for child in children[table.name]]
            parts.sort(key=lambda part: (-part[0].rows, part[0].table))
            direct = [part[0] for part in parts]
            count = rows.get(table.oid, 0) + sum(part.rows for part in direct)
            total = sums.get(table.oid, 0)
            total += sum(int(p.checksum.value, 16) for p in direct if p.checksum)
            one = hashing.get(table.oid)
            result = TableCount(
                table=table.name,
                rows=count,
                estimated=False,
                checksum=_checksum(total, one) if one else None,
                kind=table.kind,
                parent=table.parent,
                columns=table.columns,
                key=table.key,
                duration_ms=round(1000 * spent.get(table.name, 0)),
            )
            return [result, *(row for part in parts for row in part)]

        families = [results(table) for table in children[None]]
        families.sort(key=lambda family: (-family[0].rows, family[0].table))
        return tuple(row for family in families for row in family)


def _checksum(total: int, hashing: Hashing) -> Checksum:
    columns = sorted((column.alias, hash_method(column)) for column in hashing.columns)
    return Checksum(f"{total % 2**64:016x}", hashing.form, tuple(columns))


def _connections(target: Target, jobs: int) -> int:
    """Return how many connections share the work: not more than the pool, or this machine, has."""
    return int(min(jobs, target.settings.pool_size, _processors(target)))


def _processors(target: Target) -> float:
    """Return how many processors the server has: of one on another machine it is not known."""
    return max(os.cpu_count() or 2, 2) if is_on_this_machine(target) else inf
