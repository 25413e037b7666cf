"""Read a schema from the live catalog, as values.

The history and what belongs to an extension are left out.  What does not belong here: writing it down
(`docs/`), comparing two schemas, sequences, rules and grants.
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chatdb_cli.postgres.model import Target

Row = dict[str, Any]


def read_schema(target: Target, tell: Callable[[str], None] = ignore) -> SchemaDocs:
    """Read the catalog in one round trip; writes nothing, and needs the right to use the schema.

    Args:
        target: the schema.
        tell: called with a line before another try to connect.

    Raises:
        ChatdbError: no connection, or `MISSING_SCHEMA`.
    """
    from psycopg import IsolationLevel
    from psycopg.rows import dict_row

    asked = (
        queries.DOCS_SETTINGS, queries.DOCS_SCHEMA, queries.DOCS_RELATIONS, queries.DOCS_COLUMNS,
        queries.DOCS_CONSTRAINTS, queries.DOCS_INDEXES, queries.DOCS_TRIGGERS,
        queries.DOCS_POLICIES, queries.DOCS_FUNCTIONS, queries.DOCS_TYPES,
    )  # fmt: skip
    schema = {"schema": target.schema}
    with (
        blame_tunnel(target),
        explain_failures("the catalog can't be read"),
        connect(target, tell) as conn,
    ):
        conn.isolation_level, conn.read_only = IsolationLevel.REPEATABLE_READ, True
        with conn.pipeline(), conn.transaction():
            cursors = [conn.cursor(row_factory=dict_row).execute(q, schema) for q in asked]
        _, found, relations, *parts, functions, types = (c.fetchall() for c in cursors)
    if not found:
        raise ChatdbError(
            Code.MISSING_SCHEMA,
            f"there is no schema {target.schema!r} in database {target.database!r}",
            hint=SETUP,
        )
    by_relation = [_grouped(rows) for rows in parts]
    all_of_them = [
        _relation(row, *(rows[row["oid"]] for rows in by_relation)) for row in _sorted(relations)
    ]
    return SchemaDocs(
        comment=found[0]["comment"],
        tables=tuple(r for r in all_of_them if "view" not in r.kind),
        views=tuple(r for r in all_of_them if "view" in r.kind),
        functions=tuple(
            map(_function, sorted(functions, key=lambda r: (r["name"], r["arguments"])))
        ),
        types=tuple(
            Type(**row | {"definition": tidy_sql(row["definition"])}) for row in _sorted(types)
        ),
    )


def _sorted(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row["name"])


def _grouped(rows: Iterable[Row]) -> dict[int, list[Row]]:
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.pop("relation")].append(row)
    return groups


_KINDS: dict[str, Any] = {
    "r": "table", "p": "partitioned table", "f": "foreign table",
    "v": "view", "m": "materialized view",
}  # fmt: skip
_RULES: dict[str, Any] = {"p": "primary key", "u": "unique", "c": "check", "x": "exclusion"}
_ROUTINES: dict[str, Any] = {"f": "function", "p": "procedure", "a": "aggregate"}


def _relation(
    row: Row,
    columns: list[Row],
    constraints: list[Row],
    indexes: list[Row],
    triggers: list[Row],
    policies: list[Row],
) -> Relation:
    rules = [_rule(r) for r in _sorted(constraints) if r["kind"] != "f"]
    rules += [
        Constraint(
            r["name"],
            "unique",
            index_definition(r["definition"]),
            tuple(r["unique_columns"] or ()),
            r["comment"],
        )
        for r in _sorted(indexes)
        if r["is_unique"]
    ]
    always = {r["name"] for r in columns if not r["nullable"]}
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
            _foreign_key(r, always, unique) for r in _sorted(constraints) if r["kind"] == "f"
        ),
        indexes=tuple(
            Index(r["name"], index_definition(r["definition"]), r["comment"])
            for r in _sorted(indexes)
            if not r["is_unique"]
        ),
        triggers=tuple(
            Trigger(**r | {"definition": trigger_definition(r["definition"])})
            for r in _sorted(triggers)
        ),
        policies=tuple(map(_policy, _sorted(policies))),
    )


def _column(row: Row) -> Column:
    kind = tidy_sql(row["type"]) + (f" COLLATE {row['collation']}" if row["collation"] else "")
    default = tidy_sql(row["default"]) if row["default"] else None
    if row["identity"]:
        default = f"GENERATED {'ALWAYS' if row['identity'] == 'a' else 'BY DEFAULT'} AS IDENTITY"
    elif row["generated"]:
        stored = "STORED" if row["generated"] == "s" else "VIRTUAL"
        default = f"GENERATED ALWAYS AS ({default}) {stored}"
    return Column(row["name"], kind, row["nullable"], default, row["comment"])


def _rule(row: Row) -> Constraint:
    words = {"p": "PRIMARY KEY ", "u": "UNIQUE ", "c": "CHECK ", "x": "EXCLUDE USING "}
    definition = tidy_sql(row["definition"]).removeprefix(words[row["kind"]])
    if row["kind"] == "c" and definition[-1] == ")":  # no NOT VALID or the like behind it
        definition = definition[1:-1].strip()
    return Constraint(
        row["name"], _RULES[row["kind"]], definition, tuple(row["columns"]), row["comment"]
    )


def _foreign_key(row: Row, always: set[str], unique: list[set[str]]) -> ForeignKey:
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
        required=always.issuperset(columns),
        unique=any(one.issubset(columns) for one in unique),
        comment=row["comment"],
    )


def _policy(row: Row) -> Policy:
    said = {name: row[name] and tidy_sql(row[name]) for name in ("reads", "writes")}
    return Policy(**row | said | {"roles": tuple(sorted(row["roles"]))})


def _function(row: Row) -> Function:
    kind = "trigger function" if row.pop("for_trigger") else _ROUTINES.get(row["kind"])
    said = {name: row[name] and tidy_sql(row[name]) for name in ("arguments", "result")}
    return Function(**row | said | {"kind": kind or "window function"})
