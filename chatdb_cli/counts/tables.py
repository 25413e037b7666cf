"""Which tables there are, which of them are meant, and which of their columns a checksum covers.

    read_catalog      the relations of a target's schema, and of the schemas that are named
    Catalog           them, and those that are left out unless they are named
    family_of         a table with its partitions
    choose_columns    the columns that `columns` and `exclude_columns` leave

Without names all tables of the schema are counted, with their partitions, wherever those are.  Left
out unless they are named: what the project file leaves out, the history of the migrations (it differs
between two databases by design), tables of extensions, foreign tables, views.  What does not belong
here: counting (`snapshot.py`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from psycopg.rows import class_row

from chatdb_cli.counts import queries
from chatdb_cli.counts.model import CountedColumn, CountedTable, HashedColumn, LeftOut
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.hints import SETUP
from chatdb_cli.postgres.sqlstates import INSUFFICIENT_PRIVILEGE
from chatdb_cli.remedy import Advice
from chatdb_cli.settings.parse import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    import psycopg

    from chatdb_cli.counts.model import Kind
    from chatdb_cli.postgres.model import Target

_KINDS: dict[str, Kind] = {
    "r": "table", "p": "partitioned table", "f": "foreign table",
    "v": "view", "m": "materialized view",
}  # fmt: skip
_HISTORY = ("chatdb_migration", "yoyo_lock", "_yoyo_log", "_yoyo_migration", "_yoyo_version")


class _Relation(NamedTuple):
    """A row of `queries.RELATIONS`."""

    oid: int
    schema: str
    relation: str
    kind: str
    parent: int | None
    unlogged: bool
    is_heap: bool | None
    pages: int | None
    analyzed_pages: int
    analyzed_rows: float
    live_rows: int
    readable: bool
    hides_rows: bool
    of_extension: bool


class _Key(NamedTuple):
    """A row of `queries.KEYS`."""

    relation: int
    columns: list[str]


class _Column(NamedTuple):
    """A row of `queries.COLUMNS`."""

    relation: int
    name: str
    type: str
    base: str
    output: str
    has_own_cast: bool


R = TypeVar("R", "Lockable", _Relation)


class Catalog(NamedTuple):
    """The relations that are meant.

    Attributes:
        tables: what is counted, a partitioned table before its partitions.
        left_out: what is not, and why.
        missing: the names that do not exist.
    """

    tables: tuple[CountedTable, ...]
    left_out: tuple[LeftOut, ...]
    missing: tuple[str, ...] = ()


class Lockable(NamedTuple):
    """A row of `queries.LOCKABLE`."""

    oid: int
    schema: str
    relation: str
    kind: str
    parent: int | None


def read_lockable(
    conn: psycopg.Connection[Any], target: Target, names: Sequence[str]
) -> list[Lockable]:
    """Return the tables that are meant and can be locked, with their partitions.

    Args:
        conn: a connection to the target.
        target: its schema is the one without a name.
        names: as for `read_catalog`; one that does not exist is ignored.
    """
    cursor = conn.cursor(row_factory=class_row(Lockable))
    schemas = _all_schemas(target, names)
    rows = cursor.execute(queries.LOCKABLE, {"schemas": schemas}).fetchall()
    if names:
        roots = [_look_up(name, rows, target) for name in names]
        return _with_partitions([root for root in roots if root], rows)
    left_out = _excluded(rows, target)
    return [row for row in rows if row.relation not in _HISTORY and row.oid not in left_out]


def read_catalog(
    conn: psycopg.Connection[Any],
    target: Target,
    names: Sequence[str],
    *,
    standby: bool,
    role: str,
    details: bool,
    lenient: bool = False,
) -> Catalog:
    """Return the tables that are meant, by reading the catalog.

    Args:
        conn: a connection to the target.
        target: its schema is the one without a name.
        names: tables of that schema, or `schema.table`; empty for all.
        standby: unlogged tables can't be read.
        role: the role whose rights count, for messages.
        details: also read columns and keys.
        lenient: a name that does not exist is in `Catalog.missing`.

    Raises:
        ChatdbError: `USAGE` for a name that does not exist, `MISSING_SCHEMA`, `LOGIN` for tables that
            the role may not read.
    """
    cursor = conn.cursor(row_factory=class_row(_Relation))
    schemas = _all_schemas(target, names)
    relations = cursor.execute(queries.RELATIONS, {"schemas": schemas}).fetchall()
    if not any(relation.schema == target.schema for relation in relations):
        _require_schema(conn, target)
    by_oid = {relation.oid: relation for relation in relations}
    left_out: list[LeftOut] = []
    missing: list[str] = []
    if names:
        found = {name: _look_up(name, relations, target) for name in names}
        roots = [relation for relation in found.values() if relation]
        missing = [name for name, relation in found.items() if relation is None]
        if missing and not lenient:
            raise _no_such_table(missing[0], relations, target)
    else:
        roots = []
        excluded = _excluded(relations, target)
        for relation in relations:
            if relation.oid in excluded:
                left_out.append(LeftOut(_name(relation, target), "left out by the project file"))
            elif reason := _reason(relation, standby=standby):
                if relation.schema == target.schema and relation.kind not in "vm":
                    left_out.append(LeftOut(_name(relation, target), reason))
            else:
                roots.append(relation)
    chosen = _with_partitions(roots, relations)
    _refuse_unreadable(chosen, target, role)
    _refuse_hidden_rows(chosen, target, role)
    oids = [relation.oid for relation in chosen]
    columns = _read_columns(conn, oids) if details else {}
    keys = _read_keys(conn, oids) if details else {}
    tables = tuple(
        _table(relation, by_oid, columns.get(relation.oid, ()), keys.get(relation.oid, ()), target)
        for relation in chosen
    )
    return Catalog(tables, tuple(left_out), tuple(missing))


def family_of(tables: Sequence[CountedTable], name: str) -> list[CountedTable]:
    """Return a table and its partitions, and the partitions of these."""
    family = [table for table in tables if table.name == name]
    for member in family:  # grows meanwhile
        family += [table for table in tables if table.parent == member.name]
    return family


def choose_columns(
    tables: Iterable[CountedTable], columns: Sequence[str], exclude: Sequence[str]
) -> dict[int, tuple[HashedColumn, ...]]:
    """Return the columns that a checksum covers, by the OID of the table.

    Args:
        tables: the tables.
        columns: the columns, as `column` of any table or `table.column`; empty for all.
        exclude: those that are left out, written in the same way.

    Raises:
        ChatdbError: `USAGE`, no table has such a column.
    """
    tables = tuple(tables)
    for name in (*columns, *exclude):
        if not any(_is_meant(name, table, c) for table in tables for c in table.columns):
            known = dict.fromkeys(c.name for table in tables for c in table.columns)
            raise ChatdbError(
                Code.USAGE,
                f"no table that is counted has a column {name!r}{did_you_mean(name, known)}",
                hint="name a column, or TABLE.COLUMN for that of one table",
            )
    return {
        table.oid: tuple(
            HashedColumn(column, column.name)
            for column in table.columns
            if (not columns or any(_is_meant(name, table, column) for name in columns))
            and not any(_is_meant(name, table, column) for name in exclude)
        )
        for table in tables
    }


def _is_meant(name: str, table: CountedTable, column: CountedColumn) -> bool:
    owners = [table.name, f"{table.schema}.{table.relation}"]
    owners += [table.parent] if table.parent else []
    return name in (column.name, *(f"{owner}.{column.name}" for owner in owners))


def _all_schemas(target: Target, names: Sequence[str]) -> list[str]:
    """Return the schemas that names may be in."""
    return sorted({target.schema, *(schema for name in names for _, schema in _ways(name, target))})


def _ways(name: str, target: Target) -> list[tuple[str, str]]:
    """Return each way to read a name, as (relation, schema), the most literal one first."""
    ways = [(relation, target.schema) for relation in _readings(name)]
    for place, character in enumerate(name):
        if character == "." and 0 < place < len(name) - 1:
            schemas, relations = _readings(name[:place]), _readings(name[place + 1 :])
            ways += [(relation, schema) for schema in schemas for relation in relations]
    return ways


def _readings(word: str) -> list[str]:
    """Return what a word means: a quoted one its content, a plain one itself, or in lower case."""
    if len(word) > 2 and word[0] == word[-1] == '"':
        return [word, word[1:-1].replace('""', '"')]
    return list(dict.fromkeys((word, word.lower())))


def _no_such_table(name: str, relations: Sequence[_Relation], target: Target) -> ChatdbError:
    known = [_name(relation, target) for relation in relations]
    return ChatdbError(
        Code.USAGE,
        f"there is no table {name!r} in schema {target.schema!r}{did_you_mean(name, known)}",
        hint=Advice("for a table of another schema write SCHEMA.TABLE, or name it with {schema}"),
    )


def _look_up(name: str, relations: Sequence[R], target: Target) -> R | None:
    """Return the relation of a name: of the target's schema first, then `schema.table`."""
    by_name = {(relation.relation, relation.schema): relation for relation in relations}
    return next((by_name[way] for way in _ways(name, target) if way in by_name), None)


def _excluded(relations: Sequence[R], target: Target) -> set[int]:
    """Return the OIDs of what `[counts]` of the project file leaves out, with partitions."""
    names = target.settings.counts.exclude_tables
    roots = [_look_up(name, relations, target) for name in names]
    return {r.oid for r in _with_partitions([root for root in roots if root], relations)}


def _reason(relation: _Relation, *, standby: bool) -> str | None:
    """Return why a relation is left out unless it is named, or None."""
    if relation.relation in _HISTORY:
        return "history of the migrations"
    if relation.of_extension:
        return "belongs to an extension"
    if relation.kind not in "rp":
        return _KINDS[relation.kind]
    if relation.unlogged and standby and relation.kind == "r":
        return "unlogged, and this server is a standby"
    return None


def _with_partitions(roots: Sequence[R], relations: Sequence[R]) -> list[R]:
    """Return relations with all their partitions, each once, a parent before its partitions."""
    children: dict[int | None, list[R]] = defaultdict(list)
    for relation in relations:
        children[relation.parent].append(relation)
    chosen: dict[int, R] = {}

    def add(relation: R) -> None:
        chosen[relation.oid] = relation
        for child in children[relation.oid]:
            add(child)

    named = {relation.oid for relation in roots}
    for root in sorted(roots, key=lambda r: r.parent in named):
        if root.oid not in chosen:
            add(root)
    return list(chosen.values())


def _refuse_unreadable(chosen: Sequence[_Relation], target: Target, role: str) -> None:
    unreadable = [relation for relation in chosen if not relation.readable]
    if not unreadable:
        return
    names = [_name(relation, target) for relation in unreadable]
    qualified = ", ".join(_sql_name(relation) for relation in unreadable)
    schemas = ", ".join(dict.fromkeys(_sql_word(relation.schema) for relation in unreadable))
    raise ChatdbError(
        Code.LOGIN,
        f"permission denied: role {role!r} may not read {', '.join(map(repr, names))}",
        hint=f"GRANT USAGE ON SCHEMA {schemas} TO {_sql_word(role)}; "
        f"GRANT SELECT ON {qualified} TO {_sql_word(role)}",
        sqlstate=INSUFFICIENT_PRIVILEGE,
    )


def _refuse_hidden_rows(chosen: Sequence[_Relation], target: Target, role: str) -> None:
    if hidden := [_name(relation, target) for relation in chosen if relation.hides_rows]:
        raise ChatdbError(
            Code.LOGIN,
            f"row-level security may hide rows of {', '.join(map(repr, hidden))} "
            f"from role {role!r}: not all of them can be counted",
            hint="count as the owner of the tables, unless they FORCE ROW LEVEL SECURITY, or as a role "
            f"that sees every row: ALTER ROLE {_sql_word(role)} BYPASSRLS",
            sqlstate=INSUFFICIENT_PRIVILEGE,
        )


def _sql_name(relation: _Relation) -> str:
    return f"{_sql_word(relation.schema)}.{_sql_word(relation.relation)}"


def _sql_word(name: str) -> str:
    import re

    quoted = name.replace('"', '""')
    return name if re.fullmatch(r"[a-z_][a-z0-9_$]*", name) else f'"{quoted}"'


def _name(relation: _Relation, target: Target) -> str:
    return name_in_results(relation.schema, relation.relation, target)


def name_in_results(schema: str, relation: str, target: Target) -> str:
    """Return the name of a relation in results, which no other relation has."""
    parts = [relation]
    if schema != target.schema:
        parts.insert(0, schema)
    elif "." not in relation and '"' not in relation:
        return relation
    return ".".join(
        '"{}"'.format(part.replace('"', '""')) if set('."') & set(part) else part for part in parts
    )


def _read_columns(
    conn: psycopg.Connection[Any], oids: list[int]
) -> Mapping[int, tuple[CountedColumn, ...]]:
    cursor = conn.cursor(row_factory=class_row(_Column))
    found: dict[int, tuple[CountedColumn, ...]] = defaultdict(tuple)
    for row in cursor.execute(queries.COLUMNS, {"relations": oids}):
        found[row.relation] += (
            CountedColumn(row.name, row.type, row.base, row.output, not row.has_own_cast),
        )
    return found


def _read_keys(conn: psycopg.Connection[Any], oids: list[int]) -> Mapping[int, tuple[str, ...]]:
    cursor = conn.cursor(row_factory=class_row(_Key))
    rows = cursor.execute(queries.KEYS, {"relations": oids})
    return {row.relation: tuple(row.columns) for row in rows}


def _table(
    relation: _Relation,
    by_oid: Mapping[int, _Relation],
    columns: tuple[CountedColumn, ...],
    key: tuple[str, ...],
    target: Target,
) -> CountedTable:
    parent = by_oid.get(relation.parent or 0)
    return CountedTable(
        oid=relation.oid,
        schema=relation.schema,
        relation=relation.relation,
        name=_name(relation, target),
        kind=_KINDS[relation.kind],
        parent=_name(parent, target) if parent else None,
        columns=columns,
        key=key,
        pages=relation.pages or 0,
        estimate=_estimate(relation),
        divisible=bool(relation.is_heap) and relation.kind == "r",
    )


def _estimate(relation: _Relation) -> int | None:
    """Return the rows as the planner estimates them: their density, times the pages of now."""
    if relation.kind not in "rm":
        return None
    if relation.pages == 0:
        return 0
    if relation.analyzed_rows >= 0 and relation.analyzed_pages > 0:
        density = relation.analyzed_rows / relation.analyzed_pages
        return round(density * (relation.pages or 0))
    return relation.live_rows or None


def _require_schema(conn: psycopg.Connection[Any], target: Target) -> None:
    if conn.execute(queries.SCHEMA_EXISTS, (target.schema,)).fetchone() is None:
        raise ChatdbError(
            Code.MISSING_SCHEMA,
            f"schema {target.schema!r} does not exist in database {target.database!r}",
            hint=SETUP,
        )
