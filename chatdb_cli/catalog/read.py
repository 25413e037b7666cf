"""Read a schema from the catalog, as values.

The tables of the history and the objects of extensions are left out.  What does not belong here:
documents (`docs/`), comparing two schemas, sequences, rewrite rules and grants.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from chatdb_cli.callbacks import ignore
from chatdb_cli.catalog import queries
from chatdb_cli.catalog.model import (
    Column,
    Constraint,
    ForeignKey,
    Function,
    Index,
    Policy,
    Relation,
    SchemaDocs,
    Trigger,
    Type,
)
from chatdb_cli.catalog.sql_text import FOREIGN_KEY, index_definition, tidy_sql, trigger_definition
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.connect import blame_tunnel, connect
from chatdb_cli.postgres.diagnosis import explain_failures
from chatdb_cli.postgres.hints import SETUP
from chatdb_cli.postgres.model import require_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chatdb_cli.postgres.model import Target

Row = dict[str, Any]


def read_schema(target: Target, report: Callable[[str], None] = ignore) -> SchemaDocs:
    """Read the catalog of a schema in one round trip; needs the USAGE privilege on the schema.

    Args:
        target: the schema.
        report: called with a line before each retry to connect.

    Raises:
        ChatdbError: no connection, or `MISSING_SCHEMA`.
    """
    from psycopg import IsolationLevel
    from psycopg.rows import dict_row

    require_target(target)
    statements = (
        queries.DOCS_SETTINGS, queries.DOCS_SCHEMA, queries.DOCS_RELATIONS, queries.DOCS_COLUMNS,
        queries.DOCS_CONSTRAINTS, queries.DOCS_INDEXES, queries.DOCS_TRIGGERS,
        queries.DOCS_POLICIES, queries.DOCS_FUNCTIONS, queries.DOCS_TYPES,
    )  # fmt: skip
    schema = {"schema": target.schema}
    with (
        blame_tunnel(target),
        explain_failures("the catalog can't be read"),
        connect(target, report) as conn,
    ):
        conn.isolation_level, conn.read_only = IsolationLevel.REPEATABLE_READ, True
        with conn.pipeline(), conn.transaction():
            cursors = [conn.cursor(row_factory=dict_row).execute(s, schema) for s in statements]
        _, schemas, relations, *parts, functions, types = (c.fetchall() for c in cursors)
    if not schemas:
        raise ChatdbError(
            Code.MISSING_SCHEMA,
            f"schema {target.schema!r} does not exist in database {target.database!r}",
            hint=SETUP,
        )
    by_relation = [_group_by_relation(rows) for rows in parts]
    all_relations = [
        _relation(row, *(rows[row["oid"]] for rows in by_relation)) for row in _by_name(relations)
    ]
    return SchemaDocs(
        comment=schemas[0]["comment"],
        tables=tuple(r for r in all_relations if "view" not in r.kind),
        views=tuple(r for r in all_relations if "view" in r.kind),
        functions=tuple(
            map(_function, sorted(functions, key=lambda r: (r["name"], r["arguments"])))
        ),
        types=tuple(
            Type(**row | {"definition": tidy_sql(row["definition"])}) for row in _by_name(types)
        ),
    )


def _by_name(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row["name"])


def _group_by_relation(rows: Iterable[Row]) -> dict[int, list[Row]]:
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.pop("relation")].append(row)
    return groups


_KINDS: dict[str, Any] = {
    "r": "table", "p": "partitioned table", "f": "foreign table",
    "v": "view", "m": "materialized view",
}  # fmt: skip
_CONSTRAINTS: dict[str, Any] = {"p": "primary key", "u": "unique", "c": "check", "x": "exclusion"}
_ROUTINES: dict[str, Any] = {"f": "function", "p": "procedure", "a": "aggregate"}


def _relation(
    row: Row,
    columns: list[Row],
    constraints: list[Row],
    indexes: list[Row],
    triggers: list[Row],
    policies: list[Row],
) -> Relation:
    rules = [_constraint(r) for r in _by_name(constraints) if r["kind"] != "f"]
    rules += [
        Constraint(
            r["name"],
            "unique",
            index_definition(r["definition"]),
            tuple(r["unique_columns"] or ()),
            r["comment"],
        )
        for r in _by_name(indexes)
        if r["is_unique"]
    ]
    not_null = {r["name"] for r in columns if not r["nullable"]}
    unique = [set(r.columns) for r in rules if r.kind in ("primary key", "unique") and r.columns]
    return Relation(
        name=row["name"],
        kind=_KINDS[row["kind"]],
        comment=row["comment"],
        unlogged=row["unlogged"],
        row_security=row["row_security"],
        row_security_forced=row["row_security_forced"],
        partition_key=row["partition_key"],
        partitions=tuple(sorted(row["partitions"])),
        inherits=tuple(row["inherits"]),
        options=tuple(sorted(row["options"] or ())),
        columns=tuple(map(_column, columns)),
        rules=tuple(rules),
        foreign_keys=tuple(
            _foreign_key(r, not_null, unique) for r in _by_name(constraints) if r["kind"] == "f"
        ),
        indexes=tuple(
            Index(r["name"], index_definition(r["definition"]), r["comment"])
            for r in _by_name(indexes)
            if not r["is_unique"]
        ),
        triggers=tuple(
            Trigger(**r | {"definition": trigger_definition(r["definition"])})
            for r in _by_name(triggers)
        ),
        policies=tuple(map(_policy, _by_name(policies))),
    )


def _column(row: Row) -> Column:
    type_ = tidy_sql(row["type"]) + (f" COLLATE {row['collation']}" if row["collation"] else "")
    default = tidy_sql(row["default"]) if row["default"] else None
    if row["identity"]:
        default = f"GENERATED {'ALWAYS' if row['identity'] == 'a' else 'BY DEFAULT'} AS IDENTITY"
    elif row["generated"]:
        stored = "STORED" if row["generated"] == "s" else "VIRTUAL"
        default = f"GENERATED ALWAYS AS ({default}) {stored}"
    return Column(row["name"], type_, row["nullable"], default, row["comment"])


def _constraint(row: Row) -> Constraint:
    keywords = {"p": "PRIMARY KEY ", "u": "UNIQUE ", "c": "CHECK ", "x": "EXCLUDE USING "}
    definition = tidy_sql(row["definition"]).removeprefix(keywords[row["kind"]])
    if row["kind"] == "c" and definition[-1] == ")":  # nothing such as NOT VALID follows
        definition = definition[1:-1].strip()
    return Constraint(
        row["name"], _CONSTRAINTS[row["kind"]], definition, tuple(row["columns"]), row["comment"]
    )


def _foreign_key(row: Row, not_null: set[str], unique: list[set[str]]) -> ForeignKey:
    columns = tuple(row["columns"])
    actions = FOREIGN_KEY.sub("", row["definition"])
    if "ON DELETE" not in actions:
        actions = f"ON DELETE NO ACTION {actions}".rstrip()
    return ForeignKey(
        name=row["name"],
        columns=columns,
        schema=row["to_schema"],
        table=row["to_table"],
        to_columns=tuple(row["to_columns"]),
        actions=actions,
        required=not_null.issuperset(columns),
        unique=any(key.issubset(columns) for key in unique),
        comment=row["comment"],
    )


def _policy(row: Row) -> Policy:
    texts = {name: row[name] and tidy_sql(row[name]) for name in ("reads", "writes")}
    return Policy(**row | texts | {"roles": tuple(sorted(row["roles"]))})


def _function(row: Row) -> Function:
    kind = "trigger function" if row.pop("for_trigger") else _ROUTINES.get(row["kind"])
    texts = {name: row[name] and tidy_sql(row[name]) for name in ("arguments", "result")}
    return Function(**row | texts | {"kind": kind or "window function"})
