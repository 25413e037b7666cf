"""What listening can't recover from is an error."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.events.cursor_file import read_cursor, write_cursor
from chatdb_cli.events.listener import Listener
from tests.support.database import Database
from tests.support.listen import ULID, Chat, ListenCommand
from tests.support.project import Project
from tests.support.servers import on_first_server

pytestmark = on_first_server  # what the server does is tried elsewhere, on each of them


def test_listening_ends_when_the_database_is_gone(chat: Chat) -> None:
    gone = chat.database.server.create(chat.database.name)
    listener = Listener(gone.target())
    batches = listener.batches()
    gone.execute("INSERT INTO channels (type, name) VALUES ('public', 'x')")
    assert len(next(batches).events) == 1
    gone.drop()
    with pytest.raises(ChatdbError) as caught:
        next(batches)
    assert caught.value.code is Code.MISSING_DATABASE


def purged(chat: Chat) -> str:
    """A cursor whose events are no longer there."""
    old = chat.now()
    chat.say("purged")
    while chat.database.query("SELECT purge_events('0s')") != [(0,)]:
        pass
    return old


def test_a_cursor_that_is_no_longer_valid_is_an_error(chat: Chat, project: Project) -> None:
    state = project.path / "state"
    write_cursor(state, purged(chat))
    arguments = ("listen", "-d", chat.database.url, "--state", state)
    done = project.chatdb(*arguments, "--format", "json")
    assert done.returncode == 6
    error = json.loads(done.stdout)["error"]
    assert (error["code"], error["sqlstate"]) == ("resynchronise", "CD001")
    assert "have been purged" in error["message"]
    assert "--resync" in done.stderr


def test_with_resync_an_invalid_cursor_is_an_event_and_listening_continues_from_now(
    chat: Chat, project: Project
) -> None:
    state = project.path / "state"
    write_cursor(state, purged(chat))
    arguments = ("--state", state, "--resync", "--format", "json")
    with ListenCommand(project, chat.database.url, *arguments) as command:
        (resync,) = command.documents("resync")
        assert resync["resync"] is True
        assert "have been purged" in resync["reason"]
        row = chat.say("afterwards")
        (event,) = command.documents(row)
        assert event["row_id"] == row
        chat.database.execute("SELECT events_reset()")
        (again,) = command.documents("resync")
        assert "restored, copied or reset" in again["reason"]
        command.end(signal.SIGINT)
    assert read_cursor(state) == again["cursor"]


def test_with_resync_the_text_output_says_so_too(chat: Chat, project: Project) -> None:
    with ListenCommand(project, chat.database.url, "--from", purged(chat), "--resync") as command:
        (line,) = command.lines("resync")
    assert line.startswith("resync  ")


def test_a_cursor_that_becomes_invalid_while_listening_raises(chat: Chat) -> None:
    heard = iter(chat.listener())
    row = chat.say("hello")
    assert next(heard).row_id == row
    chat.database.execute("SELECT events_reset()")
    with pytest.raises(ChatdbError) as caught:
        next(heard)
    assert caught.value.code is Code.RESYNCHRONISE


Wrong = Callable[[Chat], Listener]
WRONG: dict[str, tuple[Wrong, Code, str]] = {
    "unknown table": (lambda c: c.listener(topics=["message"]), Code.USAGE, "mean messages?"),
    "no event": (lambda c: c.listener(topics=["typing_indicators"]), Code.USAGE, "no events of"),
    "no id": (lambda c: c.listener(topics=["channel:"]), Code.USAGE, "is not a ULID"),
    "bad id": (lambda c: c.listener(topics=["user:ada"]), Code.USAGE, "'ada' is not a ULID"),
    "unknown kind": (lambda c: c.listener(topics=[f"room:{ULID}"]), Code.USAGE, "no events of"),
    "no cursor": (lambda c: c.listener("yesterday"), Code.USAGE, "this is not a cursor"),
    "half a cursor": (lambda c: c.listener(f"{'0' * 12}|9:1:"), Code.USAGE, "not a cursor"),
    "another database": (
        lambda c: c.listener(f"{'0' * 12}|1:1:"), Code.RESYNCHRONISE, "was restored, copied",
    ),
    "no schema": (
        lambda c: Listener(c.database.target(schema="no")), Code.MISSING_SCHEMA, '"no" does not exist',
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_listening_fails_at_once_where_it_can_not_work(chat: Chat, name: str) -> None:
    wrong, code, said = WRONG[name]
    with pytest.raises(ChatdbError) as caught:
        next(wrong(chat).batches())
    assert caught.value.code is code
    assert said in caught.value.message
    assert caught.value.hint


def test_another_projects_schema_has_no_events(database: Database, project: Project) -> None:
    database.execute("CREATE TABLE events (id int)")
    done = project.chatdb("listen", "-d", database.url)
    assert (done.returncode, done.stdout) == (2, "")
    assert "events_since" in done.stderr
    assert "name the schema of the chat back end" in done.stderr


@pytest.mark.parametrize("content", ["", "\n", "ü"])
def test_a_state_file_without_a_cursor_is_refused_before_anything_is_missed(
    tmp_path: Path, content: str
) -> None:
    state = tmp_path / "state"
    state.write_text(content, encoding="utf-8")
    with pytest.raises(ChatdbError, match="holds no cursor"):
        read_cursor(state)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--state", "state", "--from", ""), "--from and --state contradict each other"),
        (("--state", "."), ". holds no cursor"),
        (("--state", "/dev/null"), "/dev/null holds no cursor"),
        (("--state", "no/such/folder"), "no/such/folder: no such file or directory [ENOENT]"),
    ],
)
def test_a_state_file_that_can_not_be_written_is_reported_at_once(
    chat: Chat, project: Project, arguments: tuple[str, ...], text: str
) -> None:
    done = project.chatdb("listen", "-d", chat.database.url, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: {text}\n" in done.stderr


def test_a_state_file_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_cursor(tmp_path / "link") == ""
    for cursor in ("one", "two"):
        write_cursor(tmp_path / "link", cursor)
        assert read_cursor(tmp_path / "file") == read_cursor(tmp_path / "link") == cursor
    assert (tmp_path / "link").is_symlink()
