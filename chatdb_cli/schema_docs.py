"""What the live catalog says of a schema, and a file that tells it.

    read        the catalog, as values
    update      a file with them in Markdown: written, or only compared

What does not belong here: how it is written down (`markdown.py`), comparing two schemas, sequences,
rules and grants.  Left out are the history, and what belongs to an extension.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from chatdb_cli import markdown, queries
from chatdb_cli.callbacks import ignore
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.connect import blame_tunnel, connect
from chatdb_cli.postgres.diagnosis import explain_failures
from chatdb_cli.postgres.sqlstates import SETUP
from chatdb_cli.schema_values import (
    Column,
    ForeignKey,
    Function,
    Index,
    Policy,
    Relation,
    Rule,
    SchemaDocs,
    Trigger,
    Type,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from chatdb_cli.postgres.model import Target

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FileState:
    """How a file stands to the schema.

    Attributes:
        path: the file.
        state: written, unchanged (it was right already), or stale (it was only checked).
        reason: why it is stale.
    """

    path: Path
    state: Literal["written", "unchanged", "stale"]
    reason: str | None = None


# --- reading --------------------------------------------------------------------------------------


def read(target: Target, tell: Callable[[str], None] = ignore) -> SchemaDocs:
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
            Type(**row | {"definition": _tidy(row["definition"])}) for row in _sorted(types)
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
        Rule(r["name"], "unique", _index(r), tuple(r["unique_columns"] or ()), r["comment"])
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
            Index(r["name"], _index(r), r["comment"])
            for r in _sorted(indexes)
            if not r["is_unique"]
        ),
        triggers=tuple(
            Trigger(**r | {"definition": _behind_trigger(r["definition"])})
            for r in _sorted(triggers)
        ),
        policies=tuple(map(_policy, _sorted(policies))),
    )


def _column(row: Row) -> Column:
    kind = _tidy(row["type"]) + (f" COLLATE {row['collation']}" if row["collation"] else "")
    default = _tidy(row["default"]) if row["default"] else None
    if row["identity"]:
        default = f"GENERATED {'ALWAYS' if row['identity'] == 'a' else 'BY DEFAULT'} AS IDENTITY"
    elif row["generated"]:
        stored = "STORED" if row["generated"] == "s" else "VIRTUAL"
        default = f"GENERATED ALWAYS AS ({default}) {stored}"
    return Column(row["name"], kind, row["nullable"], default, row["comment"])


def _rule(row: Row) -> Rule:
    words = {"p": "PRIMARY KEY ", "u": "UNIQUE ", "c": "CHECK ", "x": "EXCLUDE USING "}
    definition = _tidy(row["definition"]).removeprefix(words[row["kind"]])
    if row["kind"] == "c" and definition[-1] == ")":  # no NOT VALID or the like behind it
        definition = definition[1:-1].strip()
    return Rule(row["name"], _RULES[row["kind"]], definition, tuple(row["columns"]), row["comment"])


def _foreign_key(row: Row, always: set[str], unique: list[set[str]]) -> ForeignKey:
    columns = tuple(row["columns"])
    actions = _FOREIGN_KEY.sub("", row["definition"])
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
    said = {name: row[name] and _tidy(row[name]) for name in ("reads", "writes")}
    return Policy(**row | said | {"roles": tuple(sorted(row["roles"]))})


def _function(row: Row) -> Function:
    kind = "trigger function" if row.pop("for_trigger") else _ROUTINES.get(row["kind"])
    said = {name: row[name] and _tidy(row[name]) for name in ("arguments", "result")}
    return Function(**row | said | {"kind": kind or "window function"})


# --- SQL as PostgreSQL writes it, for people ------------------------------------------------------

_QUOTED = r"""'(?:[^']|'')*'|"(?:[^"]|"")*\""""
_NAME = r'(?:"(?:[^"]|"")*"|[^\s".(]+)'
_PLACE = rf"(?:{_NAME}\.)?{_NAME}"
_COLUMNS = r'\((?:"(?:[^"]|"")*"|[^")])*\)'
_INDEX = re.compile(rf"CREATE (?:UNIQUE )?INDEX {_NAME} ON (?:ONLY )?{_PLACE} USING (?:btree )?")
_TRIGGER = re.compile(rf"CREATE (?:CONSTRAINT )?TRIGGER {_NAME} ")
_FOREIGN_KEY = re.compile(rf"FOREIGN KEY {_COLUMNS} REFERENCES {_PLACE}{_COLUMNS} ?")
_WORDS = re.compile(
    rf"(?P<literal>'(?:[^']|'')*'|\bNULL)::text\b(?!\[)|(?P<kept>{_QUOTED})|(?P<space>\s+)"
    r"|\b(?P<varchar>character varying)\b|\b(?P<stamp>time(?:stamp)?)(?P<digits>\(\d\))?"
    r" (?P<zone>with|without) time zone\b|(?P<like>!?~~)(?P<any_case>\*?)(?=\s)"
)
_ONE_OF = re.compile(r"(= ANY|<> ALL) \(ARRAY\[((?:'(?:[^']|'')*'(?:, )?)+)\]\)")


def _tidy(sql: str) -> str:
    """Return SQL in one line, with the short words for what PostgreSQL has long ones for."""

    def word(found: re.Match[str]) -> str:
        if found["literal"] or found["kept"]:
            return found["literal"] or found["kept"]
        if found["space"]:
            return " "
        if found["stamp"]:
            return (
                found["stamp"] + ("tz" if found["zone"] == "with" else "") + (found["digits"] or "")
            )
        if found["like"]:
            negated = "NOT " if found["like"][0] == "!" else ""
            return negated + ("ILIKE" if found["any_case"] else "LIKE")
        return "varchar"

    def one_of(found: re.Match[str]) -> str:
        return f"{'IN' if found[1] == '= ANY' else 'NOT IN'} ({found[2]})"

    return _ONE_OF.sub(one_of, _WORDS.sub(word, sql)).strip()


def _index(row: Row) -> str:
    return _tidy(_INDEX.sub("", row["definition"], count=1))


def _behind_trigger(definition: str) -> str:
    return _tidy(_TRIGGER.sub("", definition, count=1))


# --- a file that tells it -------------------------------------------------------------------------


def update(path: Path, docs: SchemaDocs, *, check: bool = False) -> FileState:
    """Bring a file up to date; what stands above chatdb's mark in it stays as it is.

    Args:
        path: the file; it may be missing.
        docs: what it has to tell.
        check: only compare, and write nothing.

    Raises:
        ChatdbError: `REFUSED` for a file without the mark, `USAGE` when it can't be read or written.
    """
    try:
        was = path.read_text(encoding="utf-8") if path.exists() else None
        if was is not None and markdown.MARK not in was:
            raise ChatdbError(
                Code.REFUSED,
                f"{path} was not made by chatdb docs; nothing was written",
                hint="name another file, or put this line below what is to stay in it: "
                + markdown.MARK_LINE,
            )
        now = markdown.document(docs, was)
        if was == now:
            return FileState(path, "unchanged")
        if check:
            return FileState(path, "stale", _difference(was, now))
        path.write_text(now, encoding="utf-8", newline="\n")
    except (OSError, UnicodeDecodeError) as error:
        import errno

        number = getattr(error, "errno", None)
        raise ChatdbError(
            Code.USAGE,
            f"{path}: {(getattr(error, 'strerror', None) or 'it is not UTF-8').lower()}",
            hint="name a file that can be read and written",
            errno=errno.errorcode.get(number or 0),
        ) from None
    return FileState(path, "written")


def _difference(was: str | None, now: str) -> str:
    if was is None:
        return "there is no such file"
    old, new = was.splitlines(), now.splitlines()
    line = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), None)
    if line is None:
        line = min(len(old), len(new))
    says, should = (repr(t[line]) if line < len(t) else "the end of the file" for t in (old, new))
    return f"line {line + 1} is {says} and should be {should}"
