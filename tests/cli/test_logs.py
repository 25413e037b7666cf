"""With `--log-format json` stderr is JSON lines of the closed list of events, whatever the command does.

The runner of the commands (tests/support/chatdb.py) checks each line of every test; here is what the
records say, and that nothing else comes between them.
"""

from __future__ import annotations

import pytest

from chatdb_cli import log
from tests.support.chatdb import Chatdb, Result
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
