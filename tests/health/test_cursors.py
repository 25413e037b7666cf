"""Listeners whose cursors are in files: how far they have read the change log."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatdb_cli.errors import ChatdbError
from chatdb_cli.events.cursor_file import write_cursor
from chatdb_cli.events.listener import Listener
from chatdb_cli.health.check import check_health
from chatdb_cli.health.cursors import read_cursors
from chatdb_cli.health.model import Check, Health
from chatdb_cli.settings.load import load_settings
from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.health import as_nobody, row_of
from tests.support.http import request, scrape, serving
from tests.support.metrics import measure
from tests.support.paths import SHIPPED
from tests.support.servers import Server, on_first_server

NAME = "event-cursors"
EVENT = "INSERT INTO events (table_name, op, row_id, at) VALUES ('messages', 'insert', 'x', {})"
OLD = "now() - interval '{}'"
# Plausible for the server's parser, and not a cursor.
SPOILED = (
    "",
    "x",
    "0123456789ab|5:3:",
    "0123456789ab|3:9:7,5",
    "0123456789ab|0:0:",
    "\x00",
    "é" * 9,
)


@pytest.fixture
def chat(server: Server) -> Iterator[Database]:
    database = server.chat()
    yield database
    database.drop()


@pytest.fixture
def file(tmp_path: Path, chat: Database) -> Path:
    """A cursor that starts from now."""
    path = tmp_path / "bell.cursor"
    write_cursor(path, now(chat))
    return path


def now(chat: Database) -> str:
    return str(chat.query("SELECT cursor FROM events_since('')")[0][0])


def log_event(chat: Database, age: str = "0 s") -> None:
    chat.execute(EVENT.format(OLD.format(age)))


def health_with(
    chat: Database, *cursors: str | Path, url: str = "", **limits: str
) -> tuple[Health, Check]:
    settings = chat.settings(
        database_url=url or chat.url, dir=str(SHIPPED), cursor=",".join(map(str, cursors))
    )
    limits = {"latency": "1h", "connection": "1h"} | limits
    health = check_health(settings, thresholds=limits)
    check = health.check(NAME)
    assert check is not None, health
    return health, check


def check_with(chat: Database, *cursors: str | Path, **limits: str) -> Check:
    return health_with(chat, *cursors, **limits)[1]


def read_all(chat: Database, file: Path) -> None:
    cursor = file.read_text().strip()
    rows = chat.query(f"SELECT cursor FROM events_since('{cursor}', 1000)")
    write_cursor(file, rows[-1][0])


@pytest.mark.quick
def test_a_listener_that_lags_is_found_and_one_that_has_read_everything_is_healthy(
    chat: Database, file: Path
) -> None:
    quiet = check_with(chat, file)
    assert row_of(quiet) == ("ok", 0, 60_000)
    assert quiet.message == "every event is read by the listeners with the cursors 'bell'"
    log_event(chat, "10 min")
    check = check_with(chat, file)
    assert (check.status, check.threshold) == ("degraded", 60_000)
    assert 600_000 <= (check.value or 0) < 700_000
    assert check.message == (
        "the listener with the cursor 'bell' has not read an event that is 10 min old"
    )
    assert check.hint
    assert check_with(chat, file, **{"event-cursors": "1h"}).status == "ok"
    assert check_with(chat, file, **{"event-cursors.error": "9min"}).status == "error"
    read_all(chat, file)
    assert check_with(chat, file).value == 0


def test_the_slowest_of_several_listeners_is_reported(
    chat: Database, file: Path, tmp_path: Path
) -> None:
    log_event(chat, "2 h")
    write_cursor(tmp_path / "search", now(chat))
    log_event(chat, "3 min")
    for order in itertools.permutations((f"push={file}", str(tmp_path / "search"))):
        check = check_with(chat, *order)
        assert check.status == "error"
        assert "'push'" in check.message
        assert "2 h old" in check.message


def test_a_listener_whose_events_were_purged_must_reload(chat: Database, file: Path) -> None:
    log_event(chat, "9 d")
    log_event(chat)
    assert chat.query("SELECT purge_events('7 days')") == [(1,)]
    health, check = health_with(chat, file)
    assert not health.ok
    assert (check.status, check.value) == ("error", None)
    assert check.message == (
        "the listener with the cursor 'bell' can't continue: events after it were purged"
    )
    assert "Listener.batches(resync=True)" in check.hint
    # It is what the listener itself would be told.
    with pytest.raises(ChatdbError) as error:
        next(Listener(chat.target(), file.read_text().strip()).batches())
    assert error.value.code.slug == "resynchronise"


def test_a_listener_of_a_log_that_was_reset_or_restored_must_reload(
    chat: Database, file: Path
) -> None:
    later = tmp_write(file, "later", f"{file.read_text()[:12]}|999999999999:999999999999:")
    ahead = check_with(chat, later)
    assert ahead.status == "error"
    assert "ahead of the log" in ahead.message
    chat.execute(ahead.hint.partition("(")[0].removeprefix("SELECT ").join(("SELECT ", "()")))
    for path in (file, later):
        check = check_with(chat, path)
        assert check.status == "error"
        assert check.message.endswith("the database was restored, copied or reset")
    write_cursor(file, now(chat))
    assert check_with(chat, file).status == "ok"


def test_a_log_that_nobody_has_read_yet_knows_no_cursor(chat: Database, tmp_path: Path) -> None:
    path = tmp_path / "c"
    write_cursor(path, "0123456789ab|3:9:")
    assert check_with(chat, path).message.endswith("the database was restored, copied or reset")


def tmp_write(file: Path, name: str, text: str) -> Path:
    path = file.with_name(name)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_events_of_open_transactions_are_unread_when_they_are_committed(
    chat: Database, file: Path
) -> None:
    """Their numbers are lower than that of an event that was read."""
    with chat.connect() as early:
        early.execute("BEGIN")
        early.execute(EVENT.format(OLD.format("7 min")))
        log_event(chat, "1 s")
        read_all(chat, file)
        assert check_with(chat, file).value == 0
        early.execute("COMMIT")
    assert 400_000 < (check_with(chat, file).value or 0) < 500_000
    read_all(chat, file)
    assert check_with(chat, file).value == 0


def test_the_oldest_unread_event_is_that_of_the_log_also_between_pages(
    chat: Database, file: Path
) -> None:
    """Each page of a batch has events of transactions that began before it, and after it."""
    with chat.connect() as early, chat.connect() as late:
        early.execute("BEGIN")
        early.execute(EVENT.format(OLD.format("100 min")))
        log_event(chat, "90 min")
        read_all(chat, file)
        for minutes in (80, 70):
            log_event(chat, f"{minutes} min")
        early.execute(EVENT.format(OLD.format("60 min")))
        early.execute("COMMIT")
        late.execute("BEGIN")
        late.execute(EVENT.format(OLD.format("50 min")))
        log_event(chat, "40 min")
        first = file.read_text().strip()
        pages = [row[0] for row in chat.query(f"SELECT cursor FROM events_since('{first}', 4)")]
        assert "-" in pages[0]
        late.execute("COMMIT")
    log_event(chat, "30 min")
    for cursor in (first, *pages):
        write_cursor(file, cursor)
        unread = f"SELECT extract(epoch FROM now() - min(at)) * 1000 FROM ({all_after(cursor)}) u"
        ((expected,),) = chat.query(unread)
        assert check_with(chat, file).value == pytest.approx(float(expected), abs=60_000)


def all_after(cursor: str) -> str:
    """Read the batch of a cursor, and the next one."""
    return f"""\
SELECT e.at FROM events_since('{cursor}', 1000) e UNION ALL
SELECT e.at FROM (SELECT b.cursor FROM events_since('{cursor}', 1000) WITH ORDINALITY b
                  ORDER BY b.ordinality DESC LIMIT 1) l,
     events_since(l.cursor, 1000) e"""


def test_a_file_that_is_missing_or_spoiled_is_unknown_and_no_fault(
    chat: Database, tmp_path: Path
) -> None:
    health, check = health_with(chat, tmp_path / "bell.cursor")
    assert health.status == "ok"
    assert (check.status, check.value) == ("unknown", None)
    assert check.message == f"not known: 'bell' ({tmp_path / 'bell.cursor'} does not exist)"
    assert check.hint.startswith("start the listener")
    long = tmp_path / ("x" * 300)
    assert "file name too long" in check_with(chat, f"a={long}").message
    # A value that the server refuses would make all cursors unknown.
    paths = [tmp_write(tmp_path / "x", f"{n}", text) for n, text in enumerate(SPOILED)]
    cursors = read_cursors(chat.settings(cursor=",".join(map(str, [*paths, tmp_path]))))
    assert len(cursors) == len(SPOILED) + 1
    assert all(not c.values and "holds no cursor" in c.problem for c in cursors)


def test_a_missing_file_hides_no_listener_that_lags(chat: Database, file: Path) -> None:
    missing = file.with_name("gone")
    assert check_with(chat, file, missing).status == "unknown"
    log_event(chat, "10 min")
    check = check_with(chat, missing, file)
    assert check.status == "degraded"
    assert "'bell' has not read" in check.message
    assert "'gone'" in check.message


def test_without_a_cursor_there_is_no_such_check(chat: Database) -> None:
    assert check_health(chat.settings()).check(NAME) is None


def test_a_database_without_a_change_log_is_unknown(database: Database, tmp_path: Path) -> None:
    check = check_with(database, tmp_path / "c")
    assert (check.status, check.message) == ("unknown", "there is no change log in schema 'public'")


def test_a_role_that_may_not_read_the_log_gets_the_grant(chat: Database, file: Path) -> None:
    log_event(chat, "10 min")
    with as_nobody(chat) as url:
        check = health_with(chat, file, url=url)[1]
        assert check.status == "unknown"
        assert "GRANT SELECT ON public.events, public.events_state" in check.hint
        chat.execute(check.hint.partition(": ")[2])
        assert health_with(chat, file, url=url)[1].status == "degraded"


def test_the_lag_is_a_metric_of_each_cursor(chat: Database, file: Path) -> None:
    log_event(chat, "10 min")
    old, new = tmp_write(file, "old", "0123456789ab|3:9:"), file.with_name("new")
    write_cursor(new, now(chat))
    cursors = f"{file},{old},{new},{file.with_name('gone')}"
    metrics = measure(chat, cursor=cursors)
    with serving(chat, cursor=cursors) as running:
        (check,) = (
            c for c in request(running.port, "/health").document["checks"] if c["name"] == NAME
        )
        assert check["status"] == "error"
        assert "'old'" in check["message"]
        assert {labels["cursor"] for labels in scrape(running.port).labels("event_cursor_valid")} == {
            "bell", "old", "new", "gone"
        }  # fmt: skip
    for name, valid, lag in (("bell", 1, 600), ("old", 0, None), ("new", 1, 0), ("gone", 0, None)):
        assert metrics.value("event_cursor_valid", cursor=name) == valid
        measured = metrics.value("event_cursor_lag_seconds", cursor=name)
        assert measured == (lag and pytest.approx(lag, abs=60))
    assert metrics.value("collector_success", collector="event_cursors") == 1


def test_the_option_can_be_repeated(chat: Database, file: Path, chatdb: Chatdb) -> None:
    log_event(chat, "10 min")
    result = chatdb(
        "health", "-d", chat.url, "--cursor", str(file), "--cursor", "b=gone",
        "--dir", str(SHIPPED), "--format", "json",
    )  # fmt: skip
    (check,) = (c for c in json.loads(result.out)["checks"] if c["name"] == NAME)
    assert check["status"] == "degraded"
    assert "'bell'" in check["message"]
    assert "'b' (" in check["message"]


@on_first_server
@pytest.mark.parametrize(
    ("text", "words"),
    [("=x", "is not NAME=FILE"), ("a=", "is not NAME=FILE"), ("a/x.c,b/x.d", "the name 'x' twice")],
)
def test_a_wrong_option_is_refused(text: str, words: str, chatdb: Chatdb) -> None:
    result = chatdb("health", "--cursor", text)
    assert result.code == 2
    assert words in result.err


def test_a_file_of_the_environment_is_relative_to_the_working_directory(tmp_path: Path) -> None:
    write_cursor(tmp_path / "x.cursor", "0123456789ab|3:9:")
    settings = load_settings({}, environ={"CHATDB_CURSOR": "x.cursor, y = gone"}, cwd=tmp_path)
    known, missing = read_cursors(settings)
    assert (known.name, known.path, known.problem) == ("x", tmp_path / "x.cursor", "")
    assert (missing.name, missing.problem) == ("y", f"{tmp_path / 'gone'} does not exist")
