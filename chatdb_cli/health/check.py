"""Check the health of a database: connect, ask, judge.

    check_health        of the database that settings name
    check_connection    of the database that a connection is open to
    disconnected        the health of a database that can't be reached
    is_healthy          whether a pool can reach its database

What does not belong here: the checks (`checks/`), sending the questions (`ask.py`).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from chatdb_cli.errors import ChatdbError, Code, Exit
from chatdb_cli.health.cursors import read_cursors
from chatdb_cli.health.definition import NOT_APPLICABLE, Facts, Project, Reading, unknown, unseen
from chatdb_cli.health.find import definitions
from chatdb_cli.health.model import STATUSES, Check, Health
from chatdb_cli.health.thresholds import Limits, read_thresholds
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg
    from psycopg_pool import ConnectionPool

    from chatdb_cli.health.definition import Definition, Question
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.settings.model import Settings

    Answers = dict[Question, tuple[Any, ...] | psycopg.Error]

_NO_SUCH_OBJECT = "42"  # the class of SQLSTATEs for names and types


def check_health(
    settings: Settings | Target,
    *,
    thresholds: Mapping[str, str | float] | None = None,
    pool: ConnectionPool[Any] | None = None,
) -> Health:
    """Check the health of the database that settings name; writes nothing.

    It needs no privilege but to connect: what the role may not see is `unknown`.  A database that can't
    be reached is a result, not an error.

    Args:
        settings: from `load_settings`; or an open target.
        thresholds: in place of the defaults and of the settings' own, by name; see docs/operating.md.
        pool: the application's pool, to report its statistics.

    Raises:
        ChatdbError: `SETTINGS` for an unknown threshold or a wrong value; or the settings name no
            database, or a folder of migrations that does not exist.
    """
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.postgres.target import open_target

    limits = _limits(settings.settings if isinstance(settings, Target) else settings, thresholds)
    require_usable(settings.settings if isinstance(settings, Target) else settings)
    if isinstance(settings, Target):
        return _check_target(settings, limits, pool)
    try:
        target = open_target(settings)
    except ChatdbError as error:
        return disconnected(error, None)
    with target:
        return _check_target(target, limits, pool)


def check_connection(
    conn: psycopg.Connection[Any],
    target: Target,
    *,
    thresholds: Mapping[str, str | float] | None = None,
    connect_ms: float | None = None,
    pool: ConnectionPool[Any] | None = None,
) -> Health:
    """Check the health of the database that a connection is open to, in two round trips.

    A server that does not answer within three seconds is a result, too: then the connection is closed.

    Args:
        conn: an idle connection to the target, in autocommit mode.
        target: the database and schema.
        thresholds: as for `check_health`.
        connect_ms: how long connecting took, in milliseconds, to be checked too.
        pool: the application's pool, to report its statistics.

    Raises:
        ChatdbError: `SETTINGS` for an unknown threshold or a wrong value.
    """
    return _check(conn, target, _limits(target.settings, thresholds), connect_ms, pool)


def disconnected(error: ChatdbError, target: Target | None) -> Health:
    """Return the health of a database that can't be reached.

    Args:
        error: why it can't be reached.
        target: the database, or None if it could not be opened.

    Raises:
        ChatdbError: the error itself, if it is not about reaching the database.
    """
    if error.exit not in (Exit.UNREACHABLE, Exit.TUNNEL):
        raise error
    check = Check("connection", "error", None, None, "ms", error.message, error.hint or "")
    now = datetime.now(UTC)
    return Health("error", "disconnected", now, None, None, (check,), target, error)


def require_usable(settings: Settings, thresholds: Mapping[str, str | float] | None = None) -> None:
    """Refuse wrong thresholds, and a folder that does not exist, before anything is opened.

    Args:
        settings: have thresholds, too.
        thresholds: as for `check_health`.

    Raises:
        ChatdbError: `SETTINGS` for an unknown threshold or a wrong value; `USAGE` for a folder of
            migrations that is named and does not exist.
    """
    if settings.directory is not None:
        from chatdb_cli.files.folder import choose_folder

        choose_folder(settings.directory)
    _limits(settings, thresholds)


def is_healthy(pool: ConnectionPool[Any], timeout_s: float = 2.0) -> bool:
    """Return whether a pool can reach its database: a connection answers in time.

    For the readiness probe of an application; never raises for a database that is down.

    Args:
        pool: from `open_pool` or `setup`; another pool of psycopg whose `check` waits for ever may
            hang with its server.
        timeout_s: how long to wait for a free connection, and then for its answer, in seconds.
    """
    import psycopg
    from psycopg_pool import PoolClosed, PoolTimeout

    from chatdb_cli.postgres.ping import ping

    try:
        with pool.connection(timeout=timeout_s) as conn:
            return ping(conn, timeout_s)
    except (PoolTimeout, PoolClosed, psycopg.OperationalError):
        return False


def _limits(settings: Settings, thresholds: Mapping[str, str | float] | None) -> Limits:
    return read_thresholds(
        definitions(), {**(settings.health_thresholds or {}), **(thresholds or {})}
    )


def _check_target(target: Target, limits: Limits, pool: ConnectionPool[Any] | None) -> Health:
    from chatdb_cli.postgres.connect import connect

    try:
        begun = time.monotonic()
        with connect(target, retries=0) as conn:
            return _check(conn, target, limits, (time.monotonic() - begun) * 1000, pool)
    except ChatdbError as error:
        return disconnected(error, target)


def _check(
    conn: psycopg.Connection[Any],
    target: Target,
    limits: Limits,
    connect_ms: float | None,
    pool: ConnectionPool[Any] | None,
) -> Health:
    import psycopg

    from chatdb_cli.health.ask import open_inquiry

    seconds: list[float] = []
    try:
        server = open_inquiry(conn, target.schema, seconds.append)
    except psycopg.Error as error:
        return disconnected(_lost(error, target), target)
    latency_ms = seconds[0] * 1000
    facts = Facts(
        target,
        server,
        connect_ms,
        latency_ms,
        pool=pool.get_stats() if pool else None,
        cursors=read_cursors(target.settings),
    )
    facts, answers = _ask(conn, facts)
    checks = [c for d in definitions() if (c := _judge(d, limits, facts, answers)) is not None]
    checks.sort(key=lambda c: STATUSES.index(c.status))
    statuses = {check.status for check in checks}
    worst: Literal["ok", "degraded", "error"] = "ok"
    if statuses & {"error", "degraded"}:
        worst = "error" if "error" in statuses else "degraded"
    now = datetime.now(UTC)
    return Health(worst, "connected", now, round(latency_ms), server.version, tuple(checks), target)


def _ask(conn: psycopg.Connection[Any], facts: Facts) -> tuple[Facts, Answers]:
    """Ask the questions of all checks; return the complete facts, and the answers."""
    import psycopg

    from chatdb_cli.health.ask import ask
    from chatdb_cli.health.project import read_project

    asked: dict[Question, tuple[str, type[Any]]] = {}
    for question in (q for d in definitions() for q in d.questions):
        if question not in asked and question.blocked(facts) is None:
            sql = question.sql if isinstance(question.sql, str) else question.sql(facts)
            asked[question] = sql, question.row
    project = Project()

    def read_files() -> None:
        nonlocal project
        project = read_project(facts.target.settings)

    replies = ask(conn, facts.target.schema, list(asked.values()), read_files)
    late = sum(isinstance(reply, psycopg.OperationalError) for reply in replies)
    return facts._replace(project=project, late=late), dict(zip(asked, replies, strict=True))


def _lost(error: psycopg.Error, target: Target) -> ChatdbError:
    from chatdb_cli.postgres.diagnosis import server_error

    return server_error(
        error, Code.LOST, f"{target.where} accepts connections, but does not answer"
    )


def _judge(definition: Definition, limits: Limits, facts: Facts, answers: Answers) -> Check | None:
    """Return the result of a check, or None if it does not apply."""
    reading = _read(definition, facts, answers)
    if reading is NOT_APPLICABLE:
        return None
    degraded, error = limits[definition.name]
    status = reading.status or "ok"
    compared = reading.status in (None, "unknown")
    if compared and _exceeds(reading.value, degraded, lowest=definition.lowest):
        status = "degraded"
    if compared and _exceeds(reading.value, error, lowest=definition.lowest):
        status = "error"
    value = None if status == "unknown" else reading.value
    threshold = error if degraded is None or (status == "error" and error is not None) else degraded
    hint = "" if status == "ok" else reading.hint
    return Check(definition.name, status, value, threshold, definition.unit, reading.message, hint)


def _exceeds(value: float | None, limit: float | None, *, lowest: bool) -> bool:
    if value is None or limit is None:
        return False
    return value < limit if lowest else value > limit


def _read(definition: Definition, facts: Facts, answers: Answers) -> Reading:
    rows: list[tuple[Any, ...]] = []
    for question in definition.questions:
        if reading := question.blocked(facts):
            return reading
        answer = answers[question]
        if not isinstance(answer, tuple):
            return _failed(answer, facts)
        rows.append(answer)
    return definition.judge(facts, *rows)


def _failed(error: psycopg.Error, facts: Facts) -> Reading:
    """Return the reading of a question that failed."""
    from psycopg import errors

    message = error.diag.message_primary or str(error).strip().partition("\n")[0]
    if isinstance(error, errors.InsufficientPrivilege):
        return unseen(f"this ({message})", facts.server)
    if isinstance(error, errors.QueryCanceled | errors.LockNotAvailable):
        return unknown(
            f"no answer in time ({message})", "look at latency and blocked-sessions, and try again"
        )
    if (error.sqlstate or "").startswith(_NO_SUCH_OBJECT):  # the system's have what chatdb asks for
        return unknown(
            f"a table is not as chatdb creates it: {message}",
            Advice("correct the table, or name another schema with {schema}"),
        )
    return unknown(f"the query failed: {message}", "try again; look at the server's log")
