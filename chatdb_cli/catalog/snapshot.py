"""Read one or more schemas from the catalog, as a snapshot.

The tables of the history and the objects of extensions are left out.  What does not belong here: the
statements (`queries.py` of this package and of its parts), comparing two snapshots (`diff.py`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from chatdb_cli.catalog import queries
from chatdb_cli.catalog.grants import grants_in_words, role_name
from chatdb_cli.catalog.kinds import RANK
from chatdb_cli.catalog.model import SchemaObject, Snapshot, Unread
from chatdb_cli.catalog.options import masked_options
from chatdb_cli.catalog.questions import QUESTIONS
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.diagnosis import explain_failures
from chatdb_cli.postgres.hints import SETUP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import psycopg

    from chatdb_cli.catalog.model import Value
    from chatdb_cli.catalog.questions import Question


class _Facts(NamedTuple):
    server_version: int
    present: list[str]
    unreadable: list[str]


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
    from psycopg.pq import TransactionStatus
    from psycopg.rows import class_row

    names = {"schemas": sorted(set(schemas))}
    idle = connection.info.transaction_status == TransactionStatus.IDLE
    with (
        explain_failures("the catalog can't be read"),
        connection.pipeline(),
        connection.transaction(force_rollback=True),
    ):
        if idle:
            connection.execute(queries.SNAPSHOT_TRANSACTION)
        connection.execute(queries.SNAPSHOT_SETTINGS)
        facts = (
            connection.cursor(row_factory=class_row(_Facts))
            .execute(queries.SNAPSHOT_FACTS, names)
            .fetchall()[0]
        )
        asked = [q for q in QUESTIONS if q.exists(facts.server_version)]
        answers = _ask([q for q in asked if not q.reads & set(facts.unreadable)], connection, names)
    if missing := sorted(set(names["schemas"]) - set(facts.present)):
        raise ChatdbError(
            Code.MISSING_SCHEMA,
            f"schema {missing[0]!r} does not exist in database {connection.info.dbname!r}",
            hint=SETUP,
        )
    unread = [
        Unread(kind, "", "", f"permission denied for {', '.join(sorted(hidden))}")
        for q in asked
        if (hidden := q.reads & set(facts.unreadable))
        for kind in q.kinds
    ]
    objects = _objects(answers, facts.server_version)
    return Snapshot(
        facts.server_version, tuple(names["schemas"]), tuple(_ordered(objects)), tuple(unread)
    )


class _Answer(NamedTuple):
    question: Question
    columns: list[str]
    rows: list[tuple[Any, ...]]


def _ask(
    questions: Iterable[Question],
    connection: psycopg.Connection[Any],
    names: dict[str, list[str]],
) -> list[_Answer]:
    """Send all questions, then read all answers: one round trip."""
    from psycopg.rows import tuple_row

    cursors = [
        (q, connection.cursor(row_factory=tuple_row).execute(q.statement, names)) for q in questions
    ]
    answers = []
    for question, cursor in cursors:
        rows = cursor.fetchall()  # only then is its description known
        answers.append(_Answer(question, [c.name for c in cursor.description or ()], rows))
    return answers


class _Found(NamedTuple):
    """An object of the snapshot, and its key in the catalog."""

    catalog: str
    oid: int
    subid: int
    kind: str
    parent: str
    name: str
    attributes: dict[str, Any]


_Key = tuple[str, int, int]


def _objects(answers: Iterable[_Answer], server_version: int) -> Iterator[SchemaObject]:
    found: list[_Found] = []
    more: dict[_Key, dict[str, Any]] = defaultdict(dict)
    for question, columns, rows in answers:
        if question.catalog:
            found += (
                _found(question.catalog, dict(zip(columns, row, strict=True))) for row in rows
            )
        else:
            for catalog, oid, subid, attribute, value in rows:
                more[catalog, oid, subid][attribute] = value
    for catalog, oid, subid, kind, parent, name, attributes in found:
        attributes |= more.get((catalog, oid, subid), {})
        yield SchemaObject(kind, name, parent, _attributes(kind, attributes, server_version))


def _found(catalog: str, row: dict[str, Any]) -> _Found:
    return _Found(
        catalog, row.pop("oid"), row.pop("subid", 0), row.pop("kind"), row.pop("parent", ""),
        row.pop("name"), row,
    )  # fmt: skip


def _attributes(
    kind: str, values: dict[str, Any], server_version: int
) -> tuple[tuple[str, Value], ...]:
    """Return the attributes that differ from the default, as texts and lists of texts."""
    owner = values.get("owner")
    grants_on = values.pop("grants on", kind)
    if values.get("grants"):
        values["grants"] = grants_in_words(values["grants"], grants_on, owner, server_version)
    if owner is not None:
        values["owner"] = role_name(owner)
    if options := values.get("options"):
        values["options"] = masked_options(options)
    if options := values.pop("user mapping options", None):
        values["options"] = masked_options(options, of_user=True)
    return tuple(
        sorted((name, _value(name, v)) for name, v in values.items() if v not in _DEFAULTS)
    )


_DEFAULTS: tuple[Any, ...] = (None, False, [], ())
# Lists whose order matters; all others are sorted, because no collation is the same everywhere.
_IN_ORDER = {"labels", "inherits", "columns"}


def _value(name: str, value: str | bool | Sequence[str]) -> Value:
    if isinstance(value, str):
        return value
    if value is True or value is False:
        return "yes"
    return tuple(value if name in _IN_ORDER else sorted(value))


def _ordered(objects: Iterable[SchemaObject]) -> Iterator[SchemaObject]:
    """Yield objects by kind and name, each followed by its parts, columns in their order."""
    parts: dict[str, list[SchemaObject]] = defaultdict(list)
    whole = []
    for item in objects:
        if item.parent:
            parts[item.parent].append(item)
        else:
            whole.append(item)
    for item in sorted(whole, key=lambda o: (RANK[o.kind], o.name)):
        yield item
        yield from sorted(
            parts[item.name], key=lambda o: (RANK[o.kind], "" if o.kind == "column" else o.name)
        )
