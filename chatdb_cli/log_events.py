"""The closed list of events that chatdb logs; docs/logging.md is generated from it.

A new event is an entry here, and a call such as `log.info("seed", message, file=...)` where it happens.
A test compares every such call with this list: the name, the level, and the keys of its data.  What does
not belong here: writing records (`log.py`).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    Level = Literal["debug", "info", "warn", "error"]


class LogEvent(NamedTuple):
    """One kind of event.

    Attributes:
        levels: the levels that it is logged with.
        meaning: when it is logged; a sentence for docs/logging.md.
        keys: the keys of its data, each with its meaning; a key may be absent or null.
    """

    levels: tuple[Level, ...]
    meaning: str
    keys: Mapping[str, str] = MappingProxyType({})


_MIGRATION = {
    "version": "the version, as in the file name",
    "name": "the name of the migration, without its version",
}
_SQLSTATE = {"sqlstate": "PostgreSQL's code"}
_BLOCKERS = (
    "the sessions that hold the lock, each with pid, application, user, client, state, since, age_s and "
    "query; empty if they are not known"
)

EVENTS: dict[str, LogEvent] = {
    # --- a run --------------------------------------------------------------------------------------
    "target": LogEvent(
        ("info",),
        "The command works on this database. A command that writes logs it before it writes.",
        {
            "host": "as in the settings; null for the default",
            "port": "null for the default",
            "database": "its name",
            "user": "the role",
            "schema": "the schema",
            "via": "the bastion of the tunnel",
            "source": "the setting that names the database",
        },
    ),
    "schema_migration": LogEvent(
        ("info", "warn", "error"),
        "A migration has started, or its state is final. Warn: the state is unknown, because the server "
        "can't be reached. Error: it has failed.",
        {
            **_MIGRATION,
            "direction": "`up` or `down`",
            "state": "`started`, `applied`, `reverted`, `resumed`, `failed`, `by-another`, `unknown` or "
            "`marked`",
            "duration_ms": "milliseconds, measured by the server",
            **_SQLSTATE,
            "file": "of a failure: the file",
            "line": "of a failure: the line in it",
        },
    ),
    "history_repair": LogEvent(
        ("info",),
        "A repair has changed the history, to make it agree with the files.",
        {
            "kind": "`changed`, `missing`, `invalid-history` or `yoyo-lock`",
            "version": "the version, if it is about one",
        },
    ),
    "command": LogEvent(
        ("info",),
        "The command has ended.",
        {
            "command": "the words of the command, such as `migrate up`; null if they are no command",
            "exit_code": "its exit code",
            "duration_ms": "milliseconds since it started",
            "chatdb_version": "the version of chatdb",
        },
    ),
    # --- what failed --------------------------------------------------------------------------------
    "error": LogEvent(
        ("error",),
        "The command fails. The data is `error` of the JSON document; docs/errors.md lists the codes.",
        {
            "code": "the kind of error",
            "hint": "what to do next",
            "file": "the file with the error",
            "line": "counted from 1",
            "column": "counted from 1",
            **_SQLSTATE,
            "errno": "the name of an error of the operating system",
            "notes": "further facts, such as PostgreSQL's detail and what was rolled back",
            "exit_code": "the exit code of the command",
        },
    ),
    "constraint_violation": LogEvent(
        ("error",),
        "A statement failed because rows violate a constraint (SQLSTATE class 23).",
        {
            "schema": "of the table",
            "table": "the table",
            "column": "the column, for NOT NULL",
            "constraint": "the constraint",
            **_SQLSTATE,
        },
    ),
    "trigger_error": LogEvent(
        ("error",),
        "A statement failed inside a trigger function, according to the context that the server sent. "
        "The server names neither the trigger nor its table: they are null unless the catalog has "
        "exactly one trigger with this function.",
        {
            "table": "the table of the trigger, with its schema",
            "trigger": "the trigger",
            "function": "the trigger function, as the server's context names it",
            "line": "the line of the function's body",
            **_SQLSTATE,
        },
    ),
    "internal_error": LogEvent(
        ("error",),
        "A bug in chatdb, or an exception in one of its threads. `CHATDB_DEBUG=1` adds the traceback.",
        {
            "exception": "the type of the exception",
            "thread": "the thread, if it is not the main one",
            "traceback": "the lines of the traceback, with CHATDB_DEBUG=1",
        },
    ),
    # --- what waits, and what is tried again --------------------------------------------------------
    "lock_wait": LogEvent(
        ("warn",),
        "A migration waits for a lock that other sessions hold, or for another migrator.",
        {
            "lock": "`migration`: another migrator runs; `statement`: a lock of a statement; "
            "`history`: a lock on a table of the history",
            **_MIGRATION,
            "blockers": _BLOCKERS,
        },
    ),
    "lock_lost": LogEvent(
        ("warn",), "The migration lock was lost before the end of the run, for example in a pooler."
    ),
    "retry": LogEvent(
        ("warn",),
        "Something temporary failed, and is tried again.",
        {
            "what": "`connection`, `tunnel`, `migration`, `listener`, `probe` (of health) or `server` "
            "(waiting until it answers)",
            "attempt": "how many times it is tried again, with this time",
            "retries": "how many times at most; null for no limit",
            "delay_ms": "the pause before it, in milliseconds",
            "code": "the kind of error, as in docs/errors.md",
            **_SQLSTATE,
            "errno": "the name of an error of the operating system",
            **_MIGRATION,
        },
    ),
    # --- connections --------------------------------------------------------------------------------
    "connection": LogEvent(
        ("info",),
        "A connection to the server was opened, or opened again after it was lost.",
        {
            "state": "`opened` or `restored`",
            "host": "as in the settings",
            "port": "as in the settings",
            "database": "its name",
            "user": "the role",
            "pid": "the process ID of the session, as the protocol announced it",
            "server_version": "such as 18.1",
            "ssl": "whether it is encrypted",
            "duration_ms": "how long that took, in milliseconds",
        },
    ),
    "tunnel": LogEvent(
        ("debug", "info", "warn"),
        "The SSH tunnel. Debug: one step of the route. Info: it was opened or closed, or a connection "
        "through it was. Warn: it was lost.",
        {
            "state": "`ok` or `failed` (a step); `open`, `lost`, `restored`, `closed` (the tunnel); "
            "`connection-opened`, `connection-closed`",
            "hop": "of a step: where, as user@host",
            "step": "`keys`, `connect`, `host key`, `login`, `forward` or `database`",
            "detail": "the result in words, such as the fingerprint of the host key",
            "via": "the bastion",
            "ports": "the local ports",
            "connection": "the number of the connection through the tunnel",
            "duration_ms": "milliseconds",
            "errno": "the name of an error of the operating system",
        },
    ),
    "pooler": LogEvent(
        ("info",), "A pooler in transaction mode was detected, which changes how the command works."
    ),
    "server": LogEvent(
        ("info",),
        "The project's own PostgreSQL was created, started or stopped, or was so already.",
        {
            "state": "`started`, `running` or `stopped`",
            "home": "its folder",
        },
    ),
    # --- what the server and the files say ----------------------------------------------------------
    "notice": LogEvent(
        ("info", "warn"),
        "The server sent a notice, such as one of RAISE NOTICE. Warn: a WARNING of the server.",
        {"severity": "`NOTICE` or `WARNING`", **_SQLSTATE, **_MIGRATION},
    ),
    "statement": LogEvent(
        ("debug",),
        "A statement of a migration was executed.",
        {
            "file": "the file",
            "line": "the line on which the statement begins",
            "command": "PostgreSQL's command tag, such as `CREATE TABLE`",
            "ms": "milliseconds, with one decimal",
        },
    ),
    "query": LogEvent(
        ("debug",),
        "A statement of chatdb's own was executed (docs/statements.md).",
        {
            "sql": "its beginning, at most 200 characters; parameters are not in it",
            "rows": "the number of rows that it returned or changed",
            "duration_ms": "milliseconds, with one decimal",
            **_SQLSTATE,
        },
    ),
    "nontransactional": LogEvent(
        ("info",),
        "A file that runs outside a transaction continues where the last run stopped.",
        {
            **_MIGRATION,
            "index": "an INVALID index of the last run, which was dropped",
            "statement": "the number of a statement that the last run had finished",
        },
    ),
    # --- other commands -----------------------------------------------------------------------------
    "created": LogEvent(
        ("info",),
        "Setting up has created a database or a schema.",
        {"kind": "`database` or `schema`", "name": "its name"},
    ),
    "seed": LogEvent(
        ("info",),
        "A seed has started to write.",
        {
            "what": "what it writes, such as `messages`; null for a file",
            "total": "how many",
            "file": "the file that runs",
        },
    ),
    "scratch": LogEvent(
        ("info",),
        "A scratch database of an earlier run, which was killed, was dropped.",
        {"state": "`dropped`", "database": "its name"},
    ),
    "listener": LogEvent(
        ("info",),
        "Listening to change events has begun, or has ended.",
        {"state": "`listening` or `ended`", "cursor": "where to continue"},
    ),
    # --- the command line ---------------------------------------------------------------------------
    "note": LogEvent(("info",), "Anything else that a command tells the user."),
    "warning": LogEvent(
        ("warn",),
        "Something that the user should know, and that does not stop the command: about the settings or "
        "the files, or a warning of Python.",
        {"category": "of a warning of Python: its class", "file": "its file", "line": "its line"},
    ),
    "question": LogEvent(
        ("warn",),
        "A question to the person at the terminal, who types the answer there. A command that is not on "
        "a terminal never asks.",
    ),
    "library": LogEvent(
        ("debug", "info", "warn", "error"),
        "A library that chatdb uses has logged a warning, or written to stderr.",
        {"logger": "the name of its logger, or `stderr`"},
    ),
}
