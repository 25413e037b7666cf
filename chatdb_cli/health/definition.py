"""What a check is made of: its name and thresholds, its question to the server, its judgment.

    check        makes a check of a function in `checks/`
    Definition   a check
    Question     a statement that checks ask, and the type of its rows
    Facts        what is known before any question is asked
    Reading      what a check found

What does not belong here: asking (`ask.py`), the checks themselves (`checks/`), SQL (`queries.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.syntax.identifiers import display_name, quote_identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from chatdb_cli.files.model import Files
    from chatdb_cli.health.cursors import Cursor
    from chatdb_cli.health.model import Status, Unit
    from chatdb_cli.postgres.model import Target


class Server(NamedTuple):
    """The row of `queries.SERVER`: the session, the server, and what this role may see.

    Attributes:
        pid: the process ID of the server's session.
        version: such as `18.1`.
        version_number: such as 180001.
        now: the clock of the server.
        user: the current role.
        standby: the server is in recovery.
        sees_statistics: the role may see what other sessions do (`pg_read_all_stats`).
        schema_exists: the target's schema exists.
        schema_usable: the role may use it.
        has_row_security: the schema has tables with row-level security.
        relations: which of the relations that chatdb knows exist in the schema.
        readable: which of them the role may read.
        not_tables: which of these names belong to something else than a table, such as a view.
        statements: the schema of pg_stat_statements; None if it is not installed, not loaded, or not for
            this role.
    """

    pid: int
    version: str
    version_number: int
    now: datetime
    user: str
    standby: bool
    sees_statistics: bool
    schema_exists: bool
    schema_usable: bool
    has_row_security: bool
    relations: Sequence[str]
    readable: Sequence[str]
    not_tables: Sequence[str]
    statements: str | None


class Project(NamedTuple):
    """The files of the migrations, to compare with the history.

    Attributes:
        files: the files, or None if there are none to compare with.
        assumed: nobody named these files: they are the chat schema that chatdb ships.
        problem: why the files can't be read; empty if they can.
    """

    files: Files | None = None
    assumed: bool = False
    problem: str = ""


class Facts(NamedTuple):
    """What is known before any question is asked.

    Attributes:
        target: the database and schema.
        server: what the first round trip has told.
        connect_ms: how long connecting took, in milliseconds; None if the connection was open before.
        latency_ms: how long the first round trip took, in milliseconds.
        project: the files of the migrations.
        late: how many questions had no answer in time.
        pool: the statistics of the application's pool (`ConnectionPool.get_stats`), or None.
        cursors: the cursors of listeners that the settings name.
    """

    target: Target
    server: Server
    connect_ms: float | None
    latency_ms: float
    project: Project = Project()
    late: int = 0
    pool: Mapping[str, int] | None = None
    cursors: Sequence[Cursor] = ()


class Reading(NamedTuple):
    """What a check found.

    Attributes:
        value: to compare with the thresholds; None if it is unknown.
        message: one sentence in lower case.
        hint: what to do, if the status is not `ok`.
        status: the status, whatever the value is; None to compare the value with the thresholds.  With
            `unknown`, a value is what is known all the same: it is compared, too.
    """

    value: float | None
    message: str
    hint: str = ""
    status: Status | None = None


# The reading of a check that does not apply to this database: it is left out.
NOT_APPLICABLE = Reading(None, "does not apply")


def unknown(message: str, hint: str = "") -> Reading:
    """Return the reading of a value that can't be read.

    Args:
        message: why.
        hint: what would show it.
    """
    return Reading(None, message, hint, "unknown")


def unseen(what: str, server: Server) -> Reading:
    """Return the reading of a value that this role may not see, with the grant that would show it.

    Args:
        what: the value, for people.
        server: names the role.
    """
    return _unseen(what, server, "pg_monitor")


def unreadable(what: str, tables: Sequence[str], facts: Facts) -> Reading:
    """Return the reading of tables that this role may not read, with the grants that it lacks.

    Args:
        what: their content, for people.
        tables: of the target's schema.
        facts: name the schema and the role.
    """
    schema, server = facts.target.schema, facts.server
    grants = [f"SELECT ON {', '.join(display_name(schema, table) for table in tables)}"]
    if not server.schema_usable:
        grants.insert(0, f"USAGE ON SCHEMA {display_name(schema)}")
    return _unseen(what, server, *grants)


def _unseen(what: str, server: Server, *grants: str) -> Reading:
    role = quote_identifier(server.user)
    statements = "; ".join(f"GRANT {grant} TO {role}" for grant in grants)
    return unknown(f"role {server.user!r} may not see {what}", f"to see it: {statements}")


class Question(NamedTuple):
    """A statement that checks ask.

    Attributes:
        sql: the statement, or a function that chooses it; `{schema}` is the target's schema as an
            identifier, `{name}` as a literal, `{key}` and `{lock_key}` are the keys of its locks.
        row: the type of its rows, by the names of its columns.
        blocked: returns a reading that says why the question can't be asked, or None.
    """

    sql: str | Callable[[Facts], str]
    row: type[Any]
    blocked: Callable[[Facts], Reading | None] = lambda _: None


class Definition(NamedTuple):
    """A check.

    Attributes:
        name: its name, and that of its threshold.
        unit: the unit of its value and its thresholds.
        degraded: the status is `degraded` if the value is higher; None for never.
        error: the status is `error` if the value is higher; None for never.
        lowest: the thresholds are lower limits: the status is worse if the value is lower.
        questions: what it asks the server; none if the facts are enough.
        judge: from the facts and the rows of each question to a reading.
    """

    name: str
    unit: Unit
    degraded: float | None
    error: float | None
    lowest: bool
    questions: tuple[Question, ...]
    judge: Callable[..., Reading]


def check(
    name: str,
    unit: Unit,
    *questions: Question,
    degraded: float | None = None,
    error: float | None = None,
    lowest: bool = False,
) -> Callable[[Callable[..., Reading]], Definition]:
    """Make a check of a function of the facts and the rows of each question.

    The arguments are the attributes of `Definition`.
    """

    def decorate(judge: Callable[..., Reading]) -> Definition:
        return Definition(name, unit, degraded, error, lowest, questions, judge)

    return decorate
