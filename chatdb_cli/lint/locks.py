"""Which strong locks a statement acquires on tables, and which statements work for long.

From PostgreSQL's manual, "Explicit Locking" and the pages of the commands.  A strong lock is one that
blocks writes, or reads and writes: SHARE and above.  What does not belong here: whether a table exists
(`context.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.tree import model as sql

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"
SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
SHARE = "SHARE"
# Commands of ALTER TABLE that acquire SHARE UPDATE EXCLUSIVE at most: reads and writes continue.
_WEAK = frozenset(
    [
        "SetStatistics",
        "SetOptions",
        "ResetOptions",
        "ValidateConstraint",
        "ClusterOn",
        "DropCluster",
        "SetRelOptions",
        "ResetRelOptions",
        "AttachPartition",
    ]
)
_SHARE_ROW = frozenset(("EnableTrig", "DisableTrig", "EnableTrigAll", "DisableTrigAll"))


class TableLock(NamedTuple):
    """A strong lock.

    Attributes:
        table: the table.
        mode: its mode, as the manual names it.
    """

    table: sql.Name
    mode: str


def strong_locks(body: sql.Body) -> Iterator[TableLock]:
    """Yield the strong locks that a statement acquires on tables that it names."""
    match body:
        case sql.AlterTable(kind="table"):
            yield from _alter_locks(body)
        case sql.CreateIndex(concurrently=False):
            yield TableLock(body.table, SHARE)
        case sql.CreateTrigger():
            yield TableLock(body.table, SHARE_ROW_EXCLUSIVE)
        case sql.CreateTable():
            yield from _references(body)
        case _:
            yield from (TableLock(name, ACCESS_EXCLUSIVE) for name in _exclusive(body))


def _exclusive(body: sql.Body) -> tuple[sql.Name, ...]:
    """Return the tables on which a statement acquires ACCESS EXCLUSIVE, except by ALTER TABLE."""
    match body:
        case sql.CreatePolicy():
            return (body.table,)
        case sql.Drop(kind="table"):
            return body.names
        case sql.Drop() if body.on is not None:
            return (body.on,)
        case sql.Truncate():
            return body.tables
        case sql.Rename(kind="table" | "column" | "constraint"):
            return (body.relation,)
    return ()


def _references(create: sql.CreateTable) -> Iterator[TableLock]:
    """Yield the locks on the tables that a new table refers to."""
    of_columns = (constraint for column in create.columns for constraint in column.constraints)
    for constraint in (*create.constraints, *of_columns):
        if constraint.references:
            yield TableLock(constraint.references, SHARE_ROW_EXCLUSIVE)


def _alter_locks(alter: sql.AlterTable) -> Iterator[TableLock]:
    modes = set()
    for action in alter.actions:
        constraint = action.constraint
        if action.kind in _WEAK or action.concurrently:
            continue
        if action.kind in _SHARE_ROW:
            modes.add(SHARE_ROW_EXCLUSIVE)
        elif constraint is not None and constraint.references:
            modes.add(SHARE_ROW_EXCLUSIVE)
            yield TableLock(constraint.references, SHARE_ROW_EXCLUSIVE)
        else:
            modes.add(ACCESS_EXCLUSIVE)
    if modes:
        yield TableLock(alter.table, min(modes))  # ACCESS EXCLUSIVE sorts first


def long_work(body: sql.Body) -> str:
    """Return what a statement does for as long as a table is large, or an empty text."""
    match body:
        case sql.Write(verb="update" | "delete" | "merge"):
            return body.verb.upper()
        case sql.Write(verb="insert", limited=False):
            return "INSERT ... SELECT"
        case sql.CreateIndex(concurrently=False):
            return "CREATE INDEX"
        case sql.AlterTable() if any(a.kind == "ValidateConstraint" for a in body.actions):
            return "VALIDATE CONSTRAINT"
        case sql.Maintain(verb="refresh"):
            return "REFRESH MATERIALIZED VIEW"
    return ""


def worked_on(body: sql.Body) -> sql.Name | None:
    """Return the table that `long_work` is done on."""
    match body:
        case sql.Write() | sql.CreateIndex() | sql.AlterTable():
            return body.table
        case sql.Maintain(relations=(first, *_)):
            return first
    return None
