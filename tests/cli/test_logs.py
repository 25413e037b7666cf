"""With `--log-format json` stderr is JSON lines of the closed list of events, whatever the command does.

The runner of the commands (tests/support/chatdb.py) checks each line of every test; here is what the
records say, and that nothing else comes between them.
"""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import shutil
import signal
import stat
import subprocess
import sys
import termios
import threading
import uuid
import warnings

import pytest
import typer

from chatdb_cli import log
from chatdb_cli.cli import run
from chatdb_cli.cli.app import application
from chatdb_cli.migrate.migrator import Migrator
from tests.support.chatdb import Chatdb, Result, command_paths
from tests.support.database import Database
from tests.support.listen import ListenCommand
from tests.support.paths import ROOT
from tests.support.project import Project
from tests.support.records import Record, check_records
from tests.support.servers import on_first_server

JSON = ("--log-format", "json")


def events(result: Result, *names: str) -> list[Record]:
    """Return the records of a command, or those of some events."""
    return [r for r in check_records(result.err) if not names or r["event"] in names]


@pytest.mark.quick
@on_first_server
def test_a_run_is_logged_from_its_target_to_its_exit_code(project: Project, chatdb: Chatdb) -> None:
    project.write_tables(1, 2)
    result = chatdb("migrate", "up", *JSON)
    assert result.out == "2 applied; current 0002\n"
    records = events(result)
    assert [r["event"] for r in records] == [
        "target", "connection", *["schema_migration"] * 4, "command",
    ]  # fmt: skip
    steps = [(r["data"]["version"], r["data"]["state"]) for r in records[2:6]]
    assert steps == [
        ("0001", "started"), ("0001", "applied"), ("0002", "started"), ("0002", "applied"),
    ]  # fmt: skip
    assert isinstance(records[3]["data"]["duration_ms"], int)
    end = records[-1]["data"]
    assert (end["command"], end["exit_code"]) == ("migrate up", 0)
    assert {r["correlation_id"] for r in records} == {log.correlation_id}


@on_first_server
def test_verbose_logs_each_statement_and_quiet_only_warnings(
    project: Project, chatdb: Chatdb
) -> None:
    project.write("0001_a", "CREATE TABLE a (id int);", "SELECT 1")
    result = chatdb("migrate", "up", "--verbose", "--quiet", *JSON)
    assert {r["level"] for r in events(result)} == {"debug"}
    (record,) = events(result, "statement")
    assert record["data"]["file"] == "sql/up/0001_a.sql"
    assert record["data"]["command"] == "CREATE TABLE"
    assert isinstance(record["data"]["ms"], float)
    assert events(result, "query")
    assert chatdb("migrate", "up", "--quiet", *JSON).err == ""


# --- what failed ----------------------------------------------------------------------------------


@on_first_server
def test_a_failure_is_logged_with_its_place_and_its_sqlstate(
    project: Project, chatdb: Chatdb
) -> None:
    project.write("0001_bad", "SELECT 1;\nSELECT nope;\n")
    result = chatdb("migrate", "up", *JSON)
    assert result.code == 5
    _, failed = events(result, "schema_migration")
    assert failed["level"] == "error"
    assert failed["data"] == {
        "version": "0001", "name": "bad", "direction": "up", "state": "failed",
        "duration_ms": None, "sqlstate": "42703", "file": "sql/up/0001_bad.sql", "line": 2,
    }  # fmt: skip
    (error,) = events(result, "error")
    assert error["message"] == 'column "nope" does not exist'
    assert error["data"]["code"] == "statement"
    assert error["data"]["hint"] == 'correct the file and run "chatdb migrate up" again'
    assert error["data"]["exit_code"] == 5
    assert not events(result, "constraint_violation", "trigger_error")


CONSTRAINTS = {
    "unique": ("INSERT INTO s.t VALUES (1, 2), (1, 2)", "t_pkey", None, "23505"),
    "not null": ("INSERT INTO s.t VALUES (1, NULL)", None, "b", "23502"),
    "check": ("INSERT INTO s.t VALUES (1, -1)", "positive", None, "23514"),
    "foreign key": ("INSERT INTO s.u VALUES (7)", "u_a_fkey", None, "23503"),
    "deferred": (
        "INSERT INTO s.u VALUES (7); SET CONSTRAINTS ALL DEFERRED",
        "u_a_fkey",
        None,
        "23503",
    ),
}


@on_first_server
@pytest.mark.parametrize("case", CONSTRAINTS)
@pytest.mark.parametrize("command", ["migrate", "seed"])
def test_a_violated_constraint_is_logged_as_the_server_names_it(
    case: str, command: str, project: Project, chatdb: Chatdb
) -> None:
    sql, constraint, column, sqlstate = CONSTRAINTS[case]
    project.write(
        "0001_t",
        "CREATE SCHEMA s; CREATE TABLE s.t (a int PRIMARY KEY, b int NOT NULL"
        " CONSTRAINT positive CHECK (b > 0));"
        "CREATE TABLE s.u (a int REFERENCES s.t DEFERRABLE INITIALLY "
        f"{'DEFERRED' if case == 'deferred' else 'IMMEDIATE'});",
    )
    assert chatdb("migrate", "up", *JSON).code == 0
    if command == "seed":
        (project.sql / "seed").mkdir()
        (project.sql / "seed/1.sql").write_text(sql)
        result = chatdb("seed", *JSON)
    else:
        project.write("0002_rows", sql)
        result = chatdb("migrate", "up", *JSON)
    assert result.code == 5
    (record,) = events(result, "constraint_violation")
    assert record["data"] == {
        "schema": "s", "table": "u" if "f" in (constraint or "") else "t", "column": column,
        "constraint": constraint, "sqlstate": sqlstate,
    }  # fmt: skip


RAISING = """
CREATE SCHEMA "Odd"; CREATE TABLE t (a int); CREATE TABLE u (a int);
CREATE FUNCTION no() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  RAISE EXCEPTION 'no' USING ERRCODE = 'CD123'; END $$;
CREATE FUNCTION direct() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  RAISE EXCEPTION 'no'; END $$;
CREATE FUNCTION "Odd"."of two"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM no(); RETURN NEW; END $$;
CREATE FUNCTION "Odd"."inner"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM no();
  RETURN NEW; END $$;
"""
TRIGGERS = {
    "of its own": (
        "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION direct()",
        {"table": "public.t", "trigger": "x", "function": "direct()", "line": 2, "sqlstate": "P0001"},
    ),
    "through another function, with odd names": (
        'CREATE TRIGGER "X y" AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION "Odd"."inner"()',
        {"table": "public.t", "trigger": "X y", "function": '"Odd"."inner"()', "line": 2,
         "sqlstate": "CD123"},
    ),
    "a function of two triggers": (
        'CREATE TRIGGER x BEFORE INSERT ON t EXECUTE FUNCTION "Odd"."of two"();'
        'CREATE TRIGGER x BEFORE INSERT ON u EXECUTE FUNCTION "Odd"."of two"()',
        {"table": None, "trigger": None, "function": '"Odd"."of two"()', "line": 2,
         "sqlstate": "CD123"},
    ),
}  # fmt: skip


@on_first_server
@pytest.mark.parametrize("case", TRIGGERS)
@pytest.mark.parametrize("command", ["migrate", "seed"])
def test_a_trigger_that_fails_is_logged_if_the_catalog_knows_it(
    case: str, command: str, project: Project, chatdb: Chatdb
) -> None:
    create, data = TRIGGERS[case]
    project.write("0001_t", f"{RAISING}{create};")
    assert chatdb("migrate", "up", *JSON).code == 0
    if command == "seed":
        (project.sql / "seed").mkdir()
        (project.sql / "seed/1.sql").write_text("INSERT INTO t VALUES (1)")
        result = chatdb("seed", *JSON)
    else:
        project.write("0002_rows", "INSERT INTO t VALUES (1)")
        result = chatdb("migrate", "up", *JSON)
    assert result.code == 5
    (record,) = events(result, "trigger_error")
    assert record["data"] == data


@on_first_server
@pytest.mark.parametrize("sql", ["SELECT no()", "DO $$ BEGIN PERFORM no(); END $$"])
def test_a_function_that_is_no_trigger_is_not_taken_for_one(
    sql: str, project: Project, chatdb: Chatdb
) -> None:
    project.write("0001_t", RAISING)
    project.write("0002_call", sql)
    result = chatdb("migrate", "up", *JSON)
    assert result.code == 5
    assert not events(result, "trigger_error")
    project.write("0002_call", "SELECT 1")  # and one that the failed file itself has created
    project.write(
        "0003_new",
        "CREATE TRIGGER x BEFORE INSERT ON t EXECUTE FUNCTION direct(); INSERT INTO t VALUES (1)",
    )
    result = chatdb("migrate", "up", *JSON)
    assert result.code == 5
    (record,) = events(result, "trigger_error")
    assert (record["data"]["table"], record["data"]["function"]) == (None, "direct()")


# --- what waits, and what the server says ---------------------------------------------------------


@on_first_server
def test_a_wait_for_a_lock_is_logged_with_the_sessions_that_hold_it(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1)
    chatdb("migrate", "up")
    project.write("0002_alter", "ALTER TABLE t1 ADD b int")
    with database.connect(application_name="the holder") as conn:
        conn.autocommit = False
        conn.execute("SELECT * FROM t1")
        result = chatdb("migrate", "up", "--lock-timeout", "700ms", "--retries", "1", *JSON)
        pid = conn.info.backend_pid
    assert result.code == 7
    wait = events(result, "lock_wait")[0]
    assert wait["level"] == "warn"
    assert (wait["data"]["lock"], wait["data"]["version"]) == ("statement", "0002")
    (blocker,) = wait["data"]["blockers"]
    assert (blocker["pid"], blocker["application"]) == (pid, "the holder")
    assert (blocker["state"], blocker["query"]) == ("idle in transaction", "SELECT * FROM t1")
    (retry,) = events(result, "retry")
    assert retry["data"]["what"] == "migration"
    assert (retry["data"]["attempt"], retry["data"]["retries"]) == (1, 1)
    assert (retry["data"]["sqlstate"], retry["data"]["version"]) == ("55P03", "0002")


@on_first_server
def test_another_migrator_is_logged_as_the_blocker(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    from chatdb_cli.postgres.quoting import Quoting

    project.write_tables(1)
    with database.connect(application_name="the other") as conn:
        conn.execute(f"SELECT pg_advisory_lock({Quoting(conn, 'public').session_key})")
        result = chatdb("migrate", "up", "--wait", "200ms", *JSON)
    assert result.code == 7
    (wait,) = events(result, "lock_wait")
    assert wait["data"]["lock"] == "migration"
    assert [b["application"] for b in wait["data"]["blockers"]] == ["the other"]


@on_first_server
def test_notices_of_the_server_are_logged_with_their_migration(
    project: Project, chatdb: Chatdb
) -> None:
    project.write(
        "0001_talk", "DO $$ BEGIN RAISE NOTICE E'one\ntwo'; RAISE WARNING 'three'; END $$"
    )
    result = chatdb("migrate", "up", *JSON)
    notices = events(result, "notice")
    assert [(n["level"], n["message"]) for n in notices] == [
        ("info", "notice: one\ntwo"), ("warn", "warning: three"),
    ]  # fmt: skip
    assert [n["data"]["version"] for n in notices] == ["0001", "0001"]


def test_each_retry_of_a_connection_is_logged(
    project: Project, offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(1)
    monkeypatch.setenv("CHATDB_CONNECT_RETRY_DELAY", "1ms")
    result = offline("migrate", "status", "-d", "postgresql://u:pw-mark@127.0.0.1:1/d", *JSON)
    assert result.code == 3
    retries = events(result, "retry")
    assert [r["data"]["attempt"] for r in retries] == [1, 2, 3]
    assert {(r["data"]["what"], r["data"]["code"], r["data"]["errno"]) for r in retries} == {
        ("connection", "unreachable", "ECONNREFUSED")
    }
    assert "pw-mark" not in result.err


@on_first_server
def test_verbose_logs_each_question_of_health(chatdb: Chatdb) -> None:
    queries = events(chatdb("health", *JSON, "--verbose"), "query")
    sql = " ".join(record["data"]["sql"] for record in queries)
    for part in ("BEGIN ISOLATION LEVEL", "pg_notification_queue_usage()", "COMMIT"):
        assert part in sql
    assert {record["data"]["sqlstate"] for record in queries} == {None}


@pytest.mark.parametrize(
    "arguments", [("health", "--wait", "200ms"), ("migrate", "up", "--wait-for-server", "200ms")]
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_waiting_for_a_server_and_giving_up_are_logged(
    arguments: tuple[str, ...], form: str, project: Project, offline: Chatdb
) -> None:
    project.write_tables(1)
    target = ("-d", "postgresql://u:pw-mark@127.0.0.1:1/d")
    result = offline(*arguments, *target, "--format", form, *JSON)
    assert result.code == 3
    (retry,) = events(result, "retry")
    assert (retry["data"]["what"], retry["data"]["errno"]) == ("server", "ECONNREFUSED")
    (error,) = events(result, "error")
    assert (error["data"]["code"], error["data"]["exit_code"]) == ("unreachable", 3)
    assert "pw-mark" not in result.err + result.out


@on_first_server
def test_marks_and_repairs_are_logged(project: Project, chatdb: Chatdb) -> None:
    project.write_tables(1)
    (marked,) = events(chatdb("migrate", "baseline", "1", *JSON), "schema_migration")
    assert (marked["data"]["state"], marked["data"]["version"]) == ("marked", "0001")
    project.write("0001_t1", "SELECT 1")
    (repair,) = events(chatdb("migrate", "repair", "--yes", *JSON), "history_repair")
    assert repair["data"] == {"kind": "changed", "version": "0001"}


@on_first_server
def test_listening_is_logged(project: Project, database: Database) -> None:
    Migrator(database.target(), "@chat").up()
    with ListenCommand(project, database.url, *JSON) as command:
        code, _, err = command.end(signal.SIGINT)
    assert code == 130
    records = check_records(err)
    states = [r["data"]["state"] for r in records if r["event"] == "listener"]
    assert states == ["listening", "ended"]
    assert records[-1]["data"]["exit_code"] == 130


# --- nothing else on stderr -----------------------------------------------------------------------

BAD = {
    "no command": (),
    "an unknown command": ("bogus",),
    "an unknown option": ("migrate", "up", "--bogus"),
    "no argument": ("migrate", "new"),
    "a group alone": ("migrate",),
    "a wrong setting": ("migrate", "up", "--wait", "5"),
    "a wrong format": ("migrate", "up", "--format", "xml"),
    "no database": ("migrate", "up", "--env-file", "/dev/null"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("place", ["option", "environment", ".env"])
def test_wrong_usage_is_logged_wherever_the_format_is_set(
    case: str, place: str, project: Project, offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = BAD[case]
    if place == "option":
        arguments = (*arguments[:1], "--log-format=json", *arguments[1:])
        if case in ("no command", "a group alone"):
            pytest.skip("there the option itself is wrong")
    elif place == "environment":
        monkeypatch.setenv("CHATDB_LOG_FORMAT", "json")
    elif "--env-file" in arguments:
        pytest.skip("another file is read")
    else:
        (project.path / ".env").write_text("CHATDB_LOG_FORMAT=json\n")
    result = offline(*arguments)
    assert result.code == 2
    check_records(result.err)
    (error,) = events(result, "error")
    assert error["data"]["exit_code"] == 2


@on_first_server
def test_a_bug_is_logged_without_its_text_and_with_its_traceback_on_request(
    project: Project, chatdb: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Migrator, **_: bool) -> None:
        threading.Thread(target=raising, name="helper").start()
        warnings.warn("old\nway", DeprecationWarning, stacklevel=1)
        logging.getLogger("psycopg.pool").warning("%d connections lost", 3)
        raise RuntimeError("text-in-here")

    def raising() -> None:
        raise KeyError("text-in-here")

    project.write_tables(1)
    monkeypatch.setattr(Migrator, "status", broken)
    # pytest collects the warnings of a test and the exceptions of its threads in these places.
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        result = chatdb("migrate", "status", *JSON)
    assert result.code == 70
    (warning,) = events(result, "warning")
    assert (warning["message"], warning["data"]["category"]) == ("old\nway", "DeprecationWarning")
    (library,) = events(result, "library")
    assert (library["message"], library["data"]["logger"]) == ("3 connections lost", "psycopg.pool")
    bugs = events(result, "internal_error")
    assert {(b["data"]["exception"], b["data"]["thread"]) for b in bugs} == {
        ("KeyError", "helper"), ("RuntimeError", None),
    }  # fmt: skip
    assert "text-in-here" not in result.err
    monkeypatch.setenv("CHATDB_DEBUG", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traceback = events(chatdb("migrate", "status", *JSON), "internal_error")[-1]
    assert traceback["data"]["traceback"][-1] == "RuntimeError: text-in-here"


@on_first_server
def test_what_a_c_library_prints_to_stderr_is_a_record(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    passwords = project.path / "pgpass"
    passwords.write_text("*:*:*:*:secret\n")
    passwords.chmod(0o644)
    env = {"DATABASE_URL": database.url, "PGPASSFILE": str(passwords)}
    result = project.chatdb("migrate", "status", *JSON, env=env)
    assert result.returncode == 0
    (record,) = (r for r in check_records(result.stderr) if r["event"] == "library")
    assert record["data"] == {"logger": "stderr"}
    assert "has group or world access" in record["message"]


COMMANDS = [
    path
    for path in command_paths(typer.main.get_command(application()))
    if path and path not in {("migrate",), ("server",)}
]
ARGUMENTS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("migrate", "new"): ("a name",),
    ("migrate", "baseline"): ("1",),
    ("migrate", "mark"): ("1",),
    ("migrate", "unmark"): ("1",),
}
# These run until they are stopped, become another program, or start a server.
ONLY_FAILURES = {("listen",), ("tunnel",), ("server", "psql"), ("server", "start")}


class Terminal:
    """A terminal that is stdin and stderr of this process while a command runs in it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def run(self, arguments: tuple[str, ...], typed: str = "") -> tuple[int, str]:
        """Run a command; return its exit code, and what it wrote to the terminal."""
        master, slave = pty.openpty()
        mode = termios.tcgetattr(slave)
        mode[3] &= ~termios.ECHO  # what is typed is not what the command writes
        termios.tcsetattr(slave, termios.TCSANOW, mode)
        chunks: list[bytes] = []
        reader = threading.Thread(target=_read_all, args=(master, chunks))
        reader.start()
        with (
            self._monkeypatch.context() as context,
            os.fdopen(os.dup(slave), encoding="utf-8") as stdin,
            os.fdopen(slave, "w", encoding="utf-8", errors="backslashreplace") as stderr,
        ):
            context.setattr(sys, "stdin", stdin)
            context.setattr(sys, "stderr", stderr)
            os.write(master, typed.encode())
            code = run(arguments)
        reader.join()
        os.close(master)
        return code, b"".join(chunks).decode().replace("\r\n", "\n")


def _read_all(master: int, chunks: list[bytes]) -> None:
    try:
        while chunk := os.read(master, 65536):
            chunks.append(chunk)
    except OSError:  # nothing has the terminal open any more
        return


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(monkeypatch)


@on_first_server
@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_writes_records_alone_on_a_terminal_and_off(
    path: tuple[str, ...],
    project: Project,
    chatdb: Chatdb,
    database: Database,
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = (*path, *ARGUMENTS.get(path, ()), *JSON, "--log-file", "log.jsonl")
    monkeypatch.setenv("CHATDB_CONNECT_RETRIES", "0")
    monkeypatch.setenv("CHATDB_ENV", "production")
    monkeypatch.setenv("CHATDB_HOME", str(project.path / "home"))
    project.write_tables(1)
    texts = []
    if path not in ONLY_FAILURES:
        chatdb("migrate", "up") if path != ("migrate", "baseline") else None
        project.write("0001_t1", "SELECT 1; -- changed", "DROP TABLE t1")  # for `repair`
        texts.append(chatdb(*arguments).err)
        texts.append(terminal.run(arguments, f"{database.name}\n")[1])
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@127.0.0.1:1/d")
    (project.path / "home").write_text("a file in place of the embedded server's folder")
    texts.append(chatdb(*arguments).err)
    texts.append(terminal.run(arguments, "no\n")[1])
    texts.append(terminal.run((*arguments, "--bogus"))[1])
    for text in texts:
        assert check_records(text)[-1]["event"] == "command"
    lines = (project.path / "log.jsonl").read_text()
    for record in (r for text in texts for r in check_records(text)):
        assert f"{json.dumps(record)}\n" in lines


@on_first_server
def test_a_question_is_a_record_too(
    project: Project,
    chatdb: Chatdb,
    database: Database,
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project.write_tables(1)
    monkeypatch.setenv("CHATDB_ENV", "production")
    assert chatdb("migrate", "up", *JSON).code == 0
    for typed, code in (("no", 8), (database.name, 0)):
        ended, text = terminal.run(("migrate", "down", "--quiet", *JSON), f"{typed}\n")
        assert ended == code
        (question,) = (r for r in check_records(text) if r["event"] == "question")
        assert question["message"].endswith(f"type '{database.name}' to continue:")


def test_no_command_writes_to_stderr_past_the_log() -> None:
    for path in (ROOT / "chatdb_cli/cli/command").rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert "out.write(" not in line or "recorded(" in line, path
            assert "print(" not in line, path


@on_first_server
def test_a_closed_stderr_ends_a_command_as_in_the_text_format(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    read, write = os.pipe()
    os.close(read)
    env = project.environment(DATABASE_URL=database.url, PYTHONPATH=str(ROOT))
    for form in ("text", "json"):
        result = subprocess.run(
            project.command("migrate", "up", "--log-format", form),
            cwd=project.path, env=env, stdout=subprocess.PIPE, stderr=write, timeout=60,
        )  # fmt: skip
        assert (result.returncode, result.stdout) == (141, b"")
    os.close(write)


# --- the file -------------------------------------------------------------------------------------


@on_first_server
def test_the_file_gets_all_records_as_json_whatever_stderr_gets(
    project: Project, chatdb: Chatdb
) -> None:
    project.write_tables(1)
    text = chatdb("migrate", "up", "--quiet", "--log-file", "log.jsonl")
    assert (text.code, text.err) == (0, "")
    file = project.path / "log.jsonl"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first = check_records(file.read_text())
    assert [r["event"] for r in first] == [
        "target", "connection", "schema_migration", "schema_migration", "command",
    ]  # fmt: skip
    shown = chatdb("migrate", "down", "--log-file", "log.jsonl").err
    assert re.fullmatch(r"target: .*\nreverted  0001 t1 \(\d+ ms\)\n", shown)
    again = check_records(file.read_text())
    assert again[: len(first)] == first  # appended
    assert len(again) > len(first)


@pytest.mark.parametrize(
    ("path", "errno"), [("none/log", "ENOENT"), (".", "EISDIR"), ("fifo", "ENXIO")]
)
def test_a_file_that_cannot_be_opened_is_exit_2(
    path: str, errno: str, project: Project, offline: Chatdb
) -> None:
    os.mkfifo(project.path / "fifo")
    result = offline("server", "status", "--log-file", path, "--format", "json")
    assert result.code == 2
    assert result.document["error"]["errno"] == errno
    assert result.err.startswith(f"error: the log file '{path}' can't be opened: ")
    (error,) = events(offline("server", "status", "--log-file", path, *JSON), "error")
    assert error["data"]["errno"] == errno


def test_a_full_disk_under_the_file_does_not_end_the_command(
    project: Project, offline: Chatdb
) -> None:
    result = offline("server", "stop", "--log-file", "/dev/full")
    assert result.code == 0
    assert result.err == (
        "warning: the log file '/dev/full' can't be written: no space left on device\n"
        "the server was not running\n"
    )


def test_a_file_that_is_lost_to_a_missing_folder_does_not_close_another_file(
    project: Project, offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of a file that was closed is soon the number of another one."""
    from chatdb_cli.embedded.server import EmbeddedServer

    others: list[int] = []

    def lose(self: EmbeddedServer) -> bool:
        shutil.rmtree(project.path / "logs")
        log.info("note", "the folder is gone")
        others.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(8))
        for handler in log.logger.handlers:
            handler.close()
        return False

    (project.path / "logs").mkdir()
    monkeypatch.setattr(EmbeddedServer, "stop", lose)
    result = offline("server", "stop", "--log-file", "logs/log.jsonl")
    assert result.code == 0
    assert "can't be written: no such file or directory" in result.err
    for other in others:
        os.close(other)


def test_the_file_is_opened_again_after_it_was_renamed(
    project: Project, offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chatdb_cli.embedded.server import EmbeddedServer

    file = project.path / "log.jsonl"

    def rotate(self: EmbeddedServer) -> bool:
        log.info("note", "before")
        file.rename(file.with_suffix(".1"))
        return False

    monkeypatch.setattr(EmbeddedServer, "stop", rotate)
    assert offline("server", "stop", "--log-file", "log.jsonl").code == 0
    assert [r["event"] for r in check_records(file.with_suffix(".1").read_text())] == ["note"]
    assert [r["event"] for r in check_records(file.read_text())] == ["server", "command"]


def test_a_command_whose_settings_are_wrong_is_in_the_file(
    project: Project, offline: Chatdb
) -> None:
    (project.path / ".env").write_text("CHATDB_LOG_FILE=log.jsonl\nCHATDB_WAIT=5\n")
    assert offline("migrate", "up").code == 2
    records = check_records((project.path / "log.jsonl").read_text())
    assert [r["event"] for r in records] == ["error", "command"]


# --- the correlation id ---------------------------------------------------------------------------


@on_first_server
@pytest.mark.parametrize("given", [None, "a", str(uuid.UUID(int=7)), "x" * 40, "ci-4711.2:a_b"])
def test_the_correlation_id_is_in_everything_that_a_run_leaves(
    given: str | None,
    project: Project,
    chatdb: Chatdb,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if given:
        monkeypatch.setenv("CHATDB_CORRELATION_ID", given)
    expected = given or log.PROCESS_ID
    project.write(
        "0001_a", "CREATE TABLE a AS SELECT current_setting('application_name')::text AS name"
    )
    project.write("0002_b", "SELECT nope")
    result = chatdb("migrate", "up", "--format", "json", *JSON)
    assert result.document["error"]["correlation_id"] == expected
    assert {r["correlation_id"] for r in events(result)} == {expected}
    ((name,),) = database.query("SELECT name FROM a")
    ids = f"{expected} {log.PROCESS_ID}" if given else expected
    assert name == f"chatdb {ids}"  # nothing was cut
    entries = chatdb("migrate", "history", "--format", "json").document["entries"]
    assert {entry["correlation_id"] for entry in entries} == {expected}
    assert [entry["operation"] for entry in entries] == ["failed", "apply"]


@pytest.mark.parametrize("given", ["x" * 41, "a b", "-a", "é", "a\nb", "a;b", "a'b", "%s"])
def test_a_correlation_id_that_does_not_fit_is_exit_2(
    given: str, offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATDB_CORRELATION_ID", given)
    result = offline("server", "status", *JSON)
    assert result.code == 2
    (error,) = events(result, "error")
    assert "CHATDB_CORRELATION_ID" in error["message"]


@on_first_server
def test_a_long_application_name_leaves_room_for_the_id(
    project: Project, chatdb: Chatdb, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATDB_CORRELATION_ID", "i" * 40)
    target = database.target(
        database_url=f"{database.url}&application_name={'é' * 40}", correlation_id="i" * 40
    )
    assert target.application.endswith(f" {'i' * 40} {log.PROCESS_ID}")
    assert len(target.application.encode()) <= 63
    assert target.correlation_id == "i" * 40


# --- the library ----------------------------------------------------------------------------------


@on_first_server
def test_a_program_gets_the_records_from_the_logger_of_the_standard_library(
    project: Project, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    project.write_tables(1)
    with caplog.at_level(logging.INFO, "chatdb"):
        project.migrator(database).up()
    assert [getattr(r, "event", None) for r in caplog.records] == [
        "connection", "schema_migration", "schema_migration",
    ]  # fmt: skip
    assert caplog.records[-1].getMessage().startswith("applied 0001_t1 (")
    line = json.loads(log.JsonLines().format(caplog.records[-1]))
    assert line["data"]["state"] == "applied"


@pytest.mark.parametrize(
    "message",
    ["postgresql://u:hunter2@h/d", "host=h password=hunter2", "ALTER ROLE r PASSWORD 'hunter2'"],
)
def test_a_password_in_a_text_is_hidden_in_every_part_of_a_record(message: str) -> None:
    record = logging.makeLogRecord(
        {"msg": message, "levelno": 20, "event": "note", "data": {"a": [{"b": message}]}}
    )
    assert "hunter2" not in log.JsonLines().format(record)
