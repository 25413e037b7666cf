"""Read one or more schemas from the catalog, as a snapshot.

The tables of the history and the objects of extensions are left out.  What does not belong here: the
statements (`queries.py` of this package and of its parts), what their rows become (`objects.py`),
comparing two snapshots (`diff.py`).
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from chatdb_cli.catalog import queries
from chatdb_cli.catalog.model import Snapshot, Unread
from chatdb_cli.catalog.objects import Answer, has_no_definition, snapshot_objects
from chatdb_cli.catalog.questions import QUESTIONS
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.diagnosis import explain_failures
from chatdb_cli.postgres.hints import SETUP
from chatdb_cli.postgres.sqlstates import INTERNAL_ERROR

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import LiteralString

    import psycopg

    from chatdb_cli.catalog.questions import Question

_Names = dict[str, list[str]]


class _Facts(NamedTuple):
    server_version: int
    present: list[str]
    unreadable: list[str]


class _Used(NamedTuple):
    used: list[str] | None


def read_snapshot(connection: psycopg.Connection[Any], schemas: Sequence[str]) -> Snapshot:
    """Read one or more schemas, and the objects of the database that are in no schema.

    Takes three round trips, changes nothing, and needs no privilege: what the role may not read is
    named in the snapshot.  In an open transaction it sees the changes of that transaction, whose
    settings stay as they are.

    Args:
        connection: a connection to the database.
        schemas: the names of the schemas.

    Raises:
        ChatdbError: `MISSING_SCHEMA`, or the catalog can't be read.
    """
    names = {"schemas": sorted(set(schemas))}
    for _ in range(_TRIES - 1):
        try:
            return _read(connection, names)
        except _ChangedError:
            pass
    return _read(connection, names)


# Other sessions that create and drop tables without a pause spoil every second try.
_TRIES = 20


class _ChangedError(ChatdbError):
    """An object was dropped while its definition was read."""


def _read(connection: psycopg.Connection[Any], names: _Names) -> Snapshot:
    try:
        with explain_failures("the catalog can't be read"):
            facts, asked, cursors = _ask(connection, names)
            # A cursor knows the columns of its result only after the rows.
            rows = [cursor.fetchall() for cursor in cursors]
    except ChatdbError as error:
        # PostgreSQL's functions that print a definition see the newest catalog, not that of the
        # transaction: of an object that is gone, they return NULL or fail with an internal error.
        if error.sqlstate == INTERNAL_ERROR:
            raise _ChangedError(**vars(error)) from None
        raise
    if missing := sorted(set(names["schemas"]) - set(facts.present)):
        raise ChatdbError(
            Code.MISSING_SCHEMA,
            f"schema {missing[0]!r} does not exist in database {connection.info.dbname!r}",
            hint=SETUP,
        )
    unreadable = frozenset(facts.unreadable)
    answers = [
        Answer(question, [column.name for column in cursor.description or ()], found)
        for question, cursor, found in zip(asked, cursors, rows, strict=True)
    ]
    objects, hidden = snapshot_objects(answers, facts.server_version)
    if gone := next(filter(has_no_definition, objects), None):
        raise _ChangedError(
            Code.HISTORY,
            f"the catalog can't be read: {gone.kind} {gone.identity} changes all the time",
            hint="try again when no other session changes the schema",
        )
    refused = [
        u for q in QUESTIONS if q.exists(facts.server_version) for u in _refused(q, unreadable)
    ]
    return Snapshot(
        facts.server_version, tuple(names["schemas"]), objects, tuple(sorted((*refused, *hidden)))
    )


def _ask(
    connection: psycopg.Connection[Any], names: _Names
) -> tuple[_Facts, list[Question], list[psycopg.Cursor[tuple[Any, ...]]]]:
    """Send the questions, in three round trips; their answers have arrived when this returns."""
    from psycopg.rows import class_row, tuple_row

    with _taken_back(connection):
        connection.execute(queries.SNAPSHOT_SETTINGS, prepare=False)
        facts = connection.cursor(row_factory=class_row(_Facts))
        fact = facts.execute(queries.SNAPSHOT_FACTS, names, prepare=False).fetchall()[0]
        asked = [
            question
            for question in QUESTIONS
            if question.exists(fact.server_version) and question.reads.isdisjoint(fact.unreadable)
        ]
        if not fact.unreadable:
            kinds = connection.cursor(row_factory=class_row(_Used))
            found = kinds.execute(queries.SNAPSHOT_USED, prepare=False).fetchall()[0].used
            used = {"", *(found or ())}
            asked = [question for question in asked if question.only_if in used]
        cursors = [
            connection.cursor(row_factory=tuple_row).execute(
                question.statement, names, prepare=False
            )
            for question in asked
        ]
    return fact, asked, cursors


@contextmanager
def _taken_back(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Send the statements of the block as a pipeline, in a transaction that is rolled back.

    psycopg's own `transaction()` waits for the server at both ends of it.  None of the statements is
    prepared: the rollback would leave psycopg with a wrong idea of what is.
    """
    import psycopg
    from psycopg.pq import TransactionStatus

    end: tuple[LiteralString, ...] = queries.SNAPSHOT_SAVEPOINT_END
    begin: LiteralString = queries.SNAPSHOT_SAVEPOINT
    if connection.info.transaction_status == TransactionStatus.IDLE:
        end = (queries.SNAPSHOT_END,)
        begin = queries.SNAPSHOT_BEGIN if connection.autocommit else queries.SNAPSHOT_TRANSACTION
    try:
        with connection.pipeline() as pipeline:
            try:
                connection.execute(begin, prepare=False)
                yield
                for statement in end:
                    connection.execute(statement, prepare=False)
            except psycopg.Error:
                # Otherwise psycopg logs a warning for each statement that was skipped.
                with suppress(psycopg.Error):
                    pipeline.sync()
                raise
    except BaseException:
        # A statement failed, or Ctrl-C: the statements at the end were skipped, or not sent.
        open_ = (TransactionStatus.INERROR, TransactionStatus.INTRANS)
        if connection.info.transaction_status in open_:
            for statement in end:
                connection.execute(statement, prepare=False)
        raise


def _refused(question: Question, unreadable: frozenset[str]) -> Iterator[Unread]:
    """Yield what a question would have returned, if the role may not read one of its catalogs."""
    if catalogs := question.reads & unreadable:
        reason = f"permission denied for {', '.join(sorted(catalogs))}"
        for kind in question.kinds:
            yield Unread(kind, "", question.attribute, reason)
