"""The check of invariants: what is true of every healthy schema, whatever it is for.

What does not belong here: what depends on the load (`health/`), what the files say (`schema.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from psycopg.rows import class_row

from chatdb_cli.counts.sequences import read_sequences
from chatdb_cli.errors import Code
from chatdb_cli.files.folder import choose_folder
from chatdb_cli.files.read import read_migrations
from chatdb_cli.history.read import require_schema
from chatdb_cli.migrate.reading import read_target_history
from chatdb_cli.plural import plural
from chatdb_cli.postgres.connect import blame_tunnel
from chatdb_cli.postgres.diagnosis import explain_failures
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.tree.model import Create, Drop, Name
from chatdb_cli.syntax.tree.parse import Unreadable, parse_statements
from chatdb_cli.verify import queries
from chatdb_cli.verify.codes import found
from chatdb_cli.verify.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, LiteralString

    import psycopg

    from chatdb_cli.errors import Location
    from chatdb_cli.findings import Finding
    from chatdb_cli.history.model import History
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.verify.database import SharedDatabase
    from chatdb_cli.verify.model import Request


class _Object(NamedTuple):
    """A row of most statements: an object of a table that has a flaw."""

    schema: str
    table: str
    name: str
    columns: list[str]


class _Name(NamedTuple):
    """A row of `queries.SCHEMAS` and of `queries.EXTENSIONS`."""

    name: str


class _Number(NamedTuple):
    """A row of `queries.TABLES`."""

    number: int


class _Flaw(NamedTuple):
    """What a statement finds.

    Attributes:
        code: the code of the finding.
        query: the statement.
        message: a template of its message.
        hint: a template of its hint.
    """

    code: str
    query: LiteralString
    message: str
    hint: str


_FLAWS = (
    _Flaw(
        "unindexed-foreign-key",
        queries.UNINDEXED_FOREIGN_KEYS,
        "the foreign key {name} of table {table} has no index",
        "CREATE INDEX ON {table} ({columns})",
    ),
    _Flaw(
        "invalid-index",
        queries.INVALID_INDEXES,
        "the index {name} of table {table} is invalid",
        "REINDEX INDEX CONCURRENTLY, or drop it and create it again",
    ),
    _Flaw(
        "not-validated",
        queries.NOT_VALIDATED,
        "the constraint {name} of table {table} is not validated",
        "ALTER TABLE {table} VALIDATE CONSTRAINT {name}",
    ),
    _Flaw(
        "disabled-trigger",
        queries.DISABLED_TRIGGERS,
        "the trigger {name} of table {table} is disabled",
        "ALTER TABLE {table} ENABLE TRIGGER ALL",
    ),
    _Flaw(
        "no-primary-key",
        queries.NO_PRIMARY_KEY,
        "the table {table} has no primary key",
        "ALTER TABLE {table} ADD PRIMARY KEY (...)",
    ),
    _Flaw(
        "sequence-unreadable",
        queries.UNREADABLE_SEQUENCES,
        "the sequence {name} can't be compared with the column {columns} of table {table}: the role may "
        "not read one of them",
        "GRANT SELECT on both",
    ),
)


def check_invariants(request: Request, database: SharedDatabase) -> Outcome:
    """Look for objects that no healthy schema has; writes nothing.

    Raises:
        ChatdbError: no connection, no such schema, or the role may not read what is needed.
    """
    target = database.target()
    conn = database.connection()
    with (
        blame_tunnel(target),
        explain_failures("the invariants can't be read", Code.LOGIN),
    ):
        past = read_target_history(conn, target)
        require_schema(past, target.schema)
        conn.execute(queries.BEGIN)
        try:
            conn.execute(queries.SETTINGS)
            findings, tables = _read(conn, target)
            installed = {
                row.name
                for row in conn.cursor(row_factory=class_row(_Name)).execute(queries.EXTENSIONS)
            }
        finally:
            if not conn.closed:
                conn.execute(queries.COMMIT)
    findings += _missing_extensions(_required(request, past), installed)
    return Outcome(plural(tables, "table"), tuple(findings))


def _read(conn: psycopg.Connection[Any], target: Target) -> tuple[list[Finding], int]:
    """Return what the database says is wrong, and the number of tables that it was asked about."""
    schema = {"schema": target.schema}
    (counted,) = conn.cursor(row_factory=class_row(_Number)).execute(queries.TABLES, schema)
    findings = []
    for flaw in _FLAWS:
        for row in conn.cursor(row_factory=class_row(_Object)).execute(flaw.query, schema):
            schema_name = "" if row.schema == target.schema else row.schema
            names = {
                "table": str(Name(row.table, schema_name)),
                "name": str(Name(row.name)),
                "columns": ", ".join(str(Name(column)) for column in row.columns),
            }
            message, hint = flaw.message.format(**names), flaw.hint.format(**names)
            findings.append(found(flaw.code, message, hint))
    schemas = conn.cursor(row_factory=class_row(_Name)).execute(queries.SCHEMAS, schema).fetchall()
    for schema_row in schemas:
        findings += _sequences_behind(conn, replace(target, schema=schema_row.name), target.schema)
    return findings, counted.number


def _sequences_behind(conn: psycopg.Connection[Any], target: Target, own: str) -> Iterator[Finding]:
    prefix = "" if target.schema == own else f"{Name(target.schema)}."
    for sequence in read_sequences(conn, target):
        if sequence.is_behind:
            columns = ", ".join(f"{prefix}{table}.{column}" for table, column in sequence.columns)
            name = f"{prefix}{sequence.sequence}"
            literal = name.replace("'", "''")
            yield found(
                "sequence-behind",
                f"the next value of the sequence {name} is {sequence.value}, and {columns} has "
                f"{sequence.highest}",
                f"SELECT setval('{literal}', {sequence.highest})",
            )


def _required(request: Request, past: History) -> dict[str, tuple[Location, str]]:
    """Return each extension that the applied files create, with the place and the version.

    One that a later file drops is not among them.  A file that the grammar can't read is one of a newer
    server, or an error that the check of the files reports.
    """
    applied = {row.number for row in past.applied}
    required: dict[str, tuple[Location, str]] = {}
    for migration in read_migrations(choose_folder(request.directory)).migrations:
        text = migration.up.text
        if migration.number not in applied or "extension" not in text.lower():
            continue
        statements = parse_statements(text)
        for statement in () if isinstance(statements, Unreadable) else statements:
            body = statement.body
            if isinstance(body, Create) and body.kind == "extension":
                place = locate(text, statement.span.start, migration.up.path)
                required[body.name.name] = place, migration.version
            elif isinstance(body, Drop) and body.kind == "extension":
                for name in body.names:
                    required.pop(name.name, None)
    return required


def _missing_extensions(
    required: dict[str, tuple[Location, str]], installed: set[str]
) -> Iterator[Finding]:
    for name, (place, version) in required.items():
        if name not in installed:
            yield found(
                "missing-extension",
                f"the database has no extension {name}, which {version} creates",
                f"CREATE EXTENSION {Name(name)}",
                place,
                version,
            )
