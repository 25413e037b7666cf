"""Promises to who listens to the change log: none lost, none twice, whatever breaks in between."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

import chatdb_cli
from chatdb_cli import events
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.events import TABLES, Batch, Change, Listener, read_cursor, rings_for, write_cursor
from chatdb_cli.migrator import Migrator
from tests.support.database import Database
from tests.support.paths import ROOT, SHIPPED
from tests.support.pooler import PGBOUNCER, let_in, pooled
from tests.support.project import Project
from tests.support.proxy import Proxy
from tests.support.servers import Server, first, socket_of
from tests.support.ssh_server import SshServer
from tests.support.sshd import SSHD, USER, Sshd, make_key

pytestmark = first  # what the server does is tried elsewhere, on each of them

ULID = "01M7XXYZHZH8AF2BRD97RMHKAP"
DOCS = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")


@dataclass
class Chat:
    """A database with the chat schema, two users and two channels."""

    database: Database
    users: list[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)

    def insert(self, sql: str) -> list[str]:
        return [row[0] for row in self.database.query(f"{sql} RETURNING id")]

    def say(self, text: str, who: int = 0, where: int = 0) -> str:
        channel, user = self.channels[where], self.users[who]
        values = f"('{channel}', '{user}', '{text}')"
        return self.insert(f"INSERT INTO messages (channel_id, user_id, content) VALUES {values}")[
            0
        ]

    def logged(self, after: int = 0) -> list[int]:
        """The numbers of all events, read from the table itself."""
        rows = self.database.query(f"SELECT seq FROM events WHERE seq > {after} ORDER BY seq")
        return [row[0] for row in rows]

    def now(self) -> str:
        return str(self.database.query("SELECT cursor FROM events_since('')")[0][0])

    def after(self, cursor: str) -> list[tuple[Any, ...]]:
        """What comes after a cursor."""
        query = f"SELECT seq FROM events_since('{cursor}') WHERE seq IS NOT NULL"
        return self.database.query(query)

    @contextmanager
    def mode(self, name: str) -> Iterator[None]:
        """Let the doorbell ring in another way."""
        self.database.execute(f"SELECT set_notify_mode('{name}')")
        try:
            yield
        finally:
            self.database.execute("SELECT set_notify_mode('doorbell')")

    def listener(self, cursor: str = "", **more: Any) -> Listener:
        return Listener(self.database.target(), cursor, **more)

    def write(self, until: threading.Event, number: int) -> None:
        """Write as an application does, and go on when the server was away."""
        luck = random.Random(number)
        while not until.is_set():
            with suppress(psycopg.Error), self.database.connect() as conn:
                while not until.is_set():
                    with suppress(psycopg.errors.RaiseException), conn.transaction():
                        for n in range(luck.randint(1, 3)):
                            conn.execute(
                                "INSERT INTO messages (channel_id, user_id, content) "
                                "VALUES (%s, %s, %s)",
                                (self.channels[number % 2], self.users[0], f"{n}"),
                            )
                            time.sleep(luck.choice([0, 0, 0.001, 0.01]))
                        if luck.random() < 0.1:
                            raise psycopg.errors.RaiseException
            time.sleep(0.02)

    @contextmanager
    def writers(self, count: int = 3) -> Iterator[None]:
        """Several of them, until the block ends."""
        until = threading.Event()
        threads = [threading.Thread(target=self.write, args=(until, n)) for n in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            until.set()
            for thread in threads:
                thread.join()


@pytest.fixture(scope="module", autouse=True)
def chat(server: Server) -> Iterator[Chat]:
    """One for all tests: each listens from now on."""
    made = Chat(server.create())
    Migrator(made.database.target(), SHIPPED).up()
    made.users = made.insert(
        "INSERT INTO users (username, email, auth0_id) "
        "VALUES ('ada', 'ada@chat.example', 'a'), ('bob', 'bob@chat.example', 'b')"
    )
    made.channels = made.insert(
        "INSERT INTO channels (type, name) VALUES ('public', 'one'), ('public', 'two')"
    )
    yield made
    made.database.drop()


class Heard(threading.Thread):
    """Listens in a thread, until bob says something; the writers are all ada."""

    def __init__(self, chat: Chat, listener: Listener) -> None:
        super().__init__()
        self.bob = chat.users[1]
        self.listener = listener
        self.events: list[Change] = []
        self.start()

    def run(self) -> None:
        for event in self.listener:
            self.events.append(event)
            if event.user_id == self.bob:
                return

    def all(self) -> list[int]:
        """The numbers of all events, once bob has said the last word."""
        self.join()
        return sorted(e.seq for e in self.events)


def take(count: int, listener: Listener) -> list[Change]:
    found = []
    for event in listener:
        found.append(event)
        if len(found) == count:
            break
    return found


class Command:
    """A running `chatdb listen`; what it printed is read as it comes."""

    def __init__(
        self, project: Project, url: str, *arguments: str | Path, env: dict[str, str] | None = None
    ) -> None:
        root = str(ROOT)
        self.process = subprocess.Popen(
            project.command("listen", "-d", url, *arguments),
            cwd=project.path,
            env=project.environment(PYTHONPATH=root, **(env or {})),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.stderr: list[str] = []
        self._thread = threading.Thread(target=self._read)
        self._ready = threading.Event()
        self._thread.start()
        self._ready.wait()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.stderr.append(line)
            if line.startswith("listens to"):
                self._ready.set()
        self._ready.set()

    def lines(self, last: str) -> list[str]:
        """The lines up to one that has a text in it."""
        assert self.process.stdout
        found: list[str] = []
        for line in self.process.stdout:
            found.append(line)
            if last in line:
                return found
        raise AssertionError(f"{last} is not in {found[-5:]}, {self.stderr}")

    def wait_until_it_says(self, what: str, times: int) -> None:
        """Wait until that often something was on stderr."""
        while sum(what in line for line in self.stderr) < times:
            assert self.process.poll() is None, self.stderr
            time.sleep(0.01)

    def documents(self, last: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines(last)]

    def end(self, number: int) -> tuple[int, str, str]:
        """Send a signal; the exit code, and what else was said."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> tuple[int, str, str]:
        assert self.process.stdout
        rest = self.process.stdout.read() if not self.process.stdout.closed else ""
        self._thread.join()
        return self.process.wait(), rest, "".join(self.stderr)

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()


# --- what is printed ------------------------------------------------------------------------------


def test_an_event_is_a_json_line_and_from_its_cursor_it_goes_on(
    chat: Chat, project: Project
) -> None:
    url = chat.database.url
    with Command(project, url, "--format", "json") as command:
        message = chat.say("hello")
        chat.database.execute(f"UPDATE messages SET content = 'bye' WHERE id = '{message}'")
        member = f"{chat.channels[1]}:{chat.users[1]}"
        chat.database.execute(
            "INSERT INTO channel_members (channel_id, user_id) VALUES "
            f"('{chat.channels[1]}', '{chat.users[1]}')"
        )
        said, changed, joined = command.documents(member)
        code, rest, told = command.end(signal.SIGINT)
    assert (code, rest) == (130, "")
    assert "error" not in told
    assert f"--from '{joined['cursor']}' goes on here" in told
    assert (said["format"], said["target"]["database"]) == (1, chat.database.name)
    at = datetime.fromisoformat(said["at"])
    assert said["at"].endswith("Z")
    assert abs(at - datetime.now(UTC)) < timedelta(minutes=5)
    assert isinstance(said["seq"], int)
    told_of = [
        {k: e[k] for k in ("table", "op", "row_id", "channel_id", "user_id")}
        for e in (said, changed, joined)
    ]
    about = {"channel_id": chat.channels[0], "user_id": chat.users[0]}
    assert told_of == [
        {"table": "messages", "op": "insert", "row_id": message, **about},
        {"table": "messages", "op": "update", "row_id": message, **about},
        {
            "table": "channel_members", "op": "insert", "row_id": member,
            "channel_id": chat.channels[1], "user_id": chat.users[1],
        },
    ]  # fmt: skip
    with Command(project, url, "--format", "json", "--from", said["cursor"]) as command:
        assert [e["seq"] for e in command.documents(member)] == [changed["seq"], joined["seq"]]


def test_a_topic_is_a_table_a_channel_or_a_user_and_any_of_them_will_do(
    chat: Chat, project: Project
) -> None:
    topics = ("user_status", f"channel:{chat.channels[1]}", f"user:{chat.users[1]}")
    arguments = [a for topic in topics for a in ("--topic", topic)]
    with Command(project, chat.database.url, *arguments) as command:
        chat.say("no topic has this")
        wanted = [chat.say("by channel", where=1), chat.say("by user", who=1)]
        chat.database.execute(f"INSERT INTO user_status (user_id) VALUES ('{chat.users[0]}')")
        lines = command.lines("user_status")
        code, rest, told = command.end(signal.SIGTERM)
    assert (code, rest) == (143, "")
    assert "error" not in told
    time_ = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert [re.sub(time_, "TIME", line) for line in lines] == [
        f"TIME  insert  messages            {wanted[0]}  "
        f"channel {chat.channels[1]}  user {chat.users[0]}\n",
        f"TIME  insert  messages            {wanted[1]}  "
        f"channel {chat.channels[0]}  user {chat.users[1]}\n",
        f"TIME  insert  user_status         {chat.users[0]}  user {chat.users[0]}\n",
    ]


def test_the_tables_are_those_that_have_the_triggers(chat: Chat) -> None:
    rows = chat.database.query(
        "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgname ~ '_notify_insert$'"
    )
    assert {row[0] for row in rows} == set(TABLES)


def test_a_reader_that_has_gone_ends_it_without_a_word(chat: Chat, project: Project) -> None:
    with Command(project, chat.database.url) as command:
        assert command.process.stdout
        chat.say("read")
        command.process.stdout.readline()
        command.process.stdout.close()
        chat.say("not read")
        code, _, told = command.ended()
    assert code == 141
    assert re.fullmatch("listens to .*\n", told)


# --- nothing is lost ------------------------------------------------------------------------------


def test_it_listens_from_the_moment_on_that_listen_returns_and_goes_on_where_it_was_left(
    chat: Chat,
) -> None:
    listener = chatdb_cli.listen(chat.database.settings())
    rows = [chat.say(str(n)) for n in range(5)]
    assert [e.row_id for e in take(2, listener)] == rows[:2]
    assert [e.row_id for e in take(1, listener)] == rows[2:3]
    again = chatdb_cli.listen(chat.database.settings(), listener.cursor)
    assert [e.row_id for e in take(2, again)] == rows[3:]
    assert all(e.at.tzinfo is UTC for e in take(1, chat.listener(listener.cursor)))


@contextmanager
def restarted(server: Server) -> Iterator[None]:
    """Stop a server, and start it again."""
    server.embedded.stop()
    try:
        yield
    finally:
        server.embedded.start()


def test_several_listeners_hear_each_event_once_through_restarts_of_the_server(
    chat: Chat, request: pytest.FixtureRequest
) -> None:
    writers, seconds = (32, 20.0) if request.config.getoption("--long") else (3, 0.2)
    said: list[str] = []
    old = chat.logged()[-1]
    heard = [Heard(chat, chat.listener(tell=said.append)) for _ in range(2)]
    with chat.writers(writers):
        for _ in range(2):
            time.sleep(seconds)
            with restarted(chat.database.server):
                time.sleep(0.1)
        time.sleep(seconds)
    chat.say("the last", who=1)
    assert [one.all() for one in heard] == [chat.logged(old)] * 2
    assert len(chat.logged(old)) > 20
    lost = sum("connection was lost" in line for line in said)
    assert 2 <= lost <= 4, said  # who had not come back yet misses the second restart
    assert said.count("connected again") == lost


def test_a_connection_that_is_cut_again_and_again_costs_no_event(chat: Chat) -> None:
    old = chat.logged()[-1]
    with Proxy(socket_of(chat.database.server)) as proxy:
        target = chat.database.target(database_url=proxy.url(chat.database.name))
        heard = Heard(chat, Listener(target))
        with chat.writers():
            for _ in range(5):
                time.sleep(0.1)
                with suppress(OSError):
                    proxy.cut(clients_only=True)
        chat.say("the last", who=1)
        found = heard.all()
    assert found == chat.logged(old)


def test_through_a_tunnel_that_is_lost_again_and_again_each_event_is_printed_once(
    chat: Chat, project: Project
) -> None:
    bastion: Sshd | SshServer = Sshd() if SSHD else SshServer()
    key = make_key(project.path / "key")
    with bastion, Proxy(socket_of(chat.database.server)) as proxy:
        bastion.let_in(key)
        (project.path / "known").write_text(bastion.known())
        env = {
            "SSH_HOST": "127.0.0.1", "SSH_PORT": str(bastion.port), "SSH_USER": USER,
            "SSH_KEY_PATH": str(key), "SSH_KNOWN_HOSTS": "known", "SSH_RETRY_DELAY": "10",
        }  # fmt: skip
        old = chat.logged()[-1]
        url = proxy.url(chat.database.name)
        with (
            ThreadPoolExecutor(1) as pool,
            Command(project, url, "--format", "json", env=env) as command,
        ):
            reading = pool.submit(command.documents, chat.users[1])
            with chat.writers():
                for times in (1, 2):
                    bastion.lose()
                    command.wait_until_it_says("connected again", times)
                bastion.stop()
                command.wait_until_it_says("was lost", 3)
                bastion.start()
                command.wait_until_it_says("connected again", 3)
            chat.say("the last", who=1)
            found = reading.result()
            code, rest, said = command.end(signal.SIGTERM)
    assert sorted(one["seq"] for one in found) == chat.logged(old)
    assert (code, rest) == (143, "")
    assert "Traceback" not in said
    lost = f"the tunnel through {USER}@127.0.0.1:{bastion.port} was lost: "
    assert said.count(lost) == said.count("connecting until it works again") == 3


def test_a_failover_is_waited_for_and_a_standby_is_refused_at_the_start(
    chat: Chat, project: Project
) -> None:
    server = chat.database.server
    said: list[str] = []
    heard = Heard(chat, chat.listener(tell=said.append))
    data = server.embedded.status().data
    assert data
    signal_file = data / "standby.signal"
    server.embedded.stop()
    owner = data.stat()
    signal_file.touch()
    os.chown(signal_file, owner.st_uid, owner.st_gid)
    server.embedded.start()
    try:
        done = project.chatdb("listen", "-d", chat.database.url, "--format", "json")
        assert done.returncode == 3, done.stderr
        assert json.loads(done.stdout)["error"]["code"] == "standby"
        assert "target_session_attrs=primary" in done.stderr
    finally:
        server.embedded.stop()
        signal_file.unlink()
        server.embedded.start()
    chat.say("written on the primary", who=1)
    assert len(heard.all()) == 1
    assert said[-1] == "connected again"


def test_a_killed_one_with_a_state_file_goes_on_where_it_was(chat: Chat, project: Project) -> None:
    state = project.path / "state"
    arguments = ("--format", "json", "--state", state)
    old = chat.logged()[-1]
    heard: list[list[int]] = []
    with ExitStack() as writing:
        for _ in range(2):
            with Command(project, chat.database.url, *arguments) as command:
                if not heard:
                    writing.enter_context(chat.writers())
                newest = max(chat.logged(old), default=old)
                lines: list[str] = []
                while not lines or json.loads(lines[-1])["seq"] < newest + 30:
                    lines += command.lines("")
                command.process.kill()
                lines += command.ended()[1].splitlines(keepends=True)
            heard.append([json.loads(line)["seq"] for line in lines if line.endswith("}\n")])
    last = chat.say("the last")
    with Command(project, chat.database.url, *arguments) as command:
        heard.append([e["seq"] for e in command.documents(last)])
        assert command.end(signal.SIGINT)[:2] == (130, "")
    assert chat.after(read_cursor(state)) == []
    assert {n for part in heard for n in part} == set(chat.logged(old))  # none was lost, ...
    for part in heard:
        assert len(part) == len(set(part))
    # ... and what came twice is what was printed last, and not yet noted.
    for one, next_ in pairwise(heard):
        twice = set(one) & set(next_)
        assert twice == set(one[len(one) - len(twice) :])


def test_the_state_moves_on_when_no_topic_wants_what_happens(chat: Chat, project: Project) -> None:
    state = project.path / "state"
    with Command(project, chat.database.url, "--topic", "files", "--state", state) as command:
        chat.say("nobody wants this")
        newest = chat.logged()[-1]
        while chat.after(read_cursor(state)):
            time.sleep(0.01)
        assert command.end(signal.SIGINT)[:2] == (130, "")
    assert chat.logged()[-1] == newest


@pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")
def test_through_a_pooler_in_transaction_mode_it_says_so_once_and_polls(chat: Chat) -> None:
    said: list[str] = []
    old = chat.logged()[-1]
    let_in(chat.database.server)
    with pooled(chat.database) as pooler:
        target = chat.database.target(database_url=pooler.url(chat.database.name))
        heard = Heard(chat, Listener(target, tell=said.append))
        with chat.writers(1):
            time.sleep(0.2)
            pooler.restart()
            time.sleep(0.2)
        chat.say("the last", who=1)
        found = heard.all()
        assert chat.database.query("SELECT * FROM pg_listening_channels()") == []
    assert found == chat.logged(old)
    assert sum("LISTEN can't work" in line for line in said) == 1
    assert "the log is read every 250 ms" in said[0]


@pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")
def test_through_a_pooler_that_keeps_sessions_it_listens_when_that_is_said(chat: Chat) -> None:
    said: list[str] = []
    let_in(chat.database.server)
    with pooled(chat.database, mode="session") as pooler:
        url = pooler.url(chat.database.name)
        target = chat.database.target(database_url=url, pooler="session")
        listener = Listener(target, tell=said.append)
        row = chat.say("hello")
        assert [e.row_id for e in take(1, listener)] == [row]
    assert said == []


@pytest.mark.parametrize("mode", ["every", "doorbell"])
def test_the_bell_wakes_it(chat: Chat, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_SOON_S", 300.0)  # without a bell it would look after so long
    with chat.mode(mode):
        heard = iter(chat.listener())
        for text in ("one", "two", "three"):
            later = threading.Timer(0.05, chat.say, (text,))
            later.start()
            assert next(heard).table == "messages"
            later.join()


def test_when_nobody_rings_it_looks_anyway(chat: Chat) -> None:
    with chat.mode("off"):
        heard = iter(chat.listener())
        for text in ("one", "two"):
            later = threading.Timer(0.05, chat.say, (text,))
            later.start()
            assert next(heard).table == "messages"
            later.join()


def test_a_long_backlog_comes_whole_and_in_order(chat: Chat) -> None:
    begin, old = chat.now(), chat.logged()[-1]
    chat.database.execute(
        "INSERT INTO messages (channel_id, user_id, content) SELECT "
        f"'{chat.channels[0]}', '{chat.users[0]}', 'x' FROM generate_series(1, 4500)"
    )
    batches: Iterator[Batch] = chat.listener(begin).batches()
    found = [e.seq for batch in (next(batches) for _ in range(3)) for e in batch.events]
    assert found == chat.logged(old)


def test_two_copies_in_one_database_do_not_hear_each_other(chat: Chat) -> None:
    odd = '50%s "odd" {schema}'
    chat.database.execute(SQL("CREATE SCHEMA {}").format(Identifier(odd)).as_string())
    target = chat.database.target(schema=odd)
    Migrator(target, SHIPPED).up()
    listener = Listener(target)
    chat.say("in public")
    chat.database.execute(
        SQL("INSERT INTO {}.channels (type, name) VALUES ('public', 'x')")
        .format(Identifier(odd))
        .as_string()
    )
    assert [e.table for e in take(1, listener)] == ["channels"]


@pytest.mark.parametrize(
    ("payload", "rings"),
    [
        ('{"v": 1, "schema": "mine", "table": "messages"}', True),
        ('{"v": 1, "schema": "other", "table": "messages"}', False),
        ("", True),
        ("hello", True),
        ("[]", True),
        ("1", True),
        ("{}", True),
        ("[" * 7999, True),
    ],
)
def test_whoever_rings_and_does_not_say_for_another_schema_is_heard(
    payload: str, rings: bool
) -> None:
    assert rings_for("mine", payload) is rings


def test_a_bell_that_rings_nonsense_does_no_harm(chat: Chat) -> None:
    listener = chat.listener()
    chat.database.execute("NOTIFY chat_events; NOTIFY chat_events, 'x'")
    row = chat.say("hello")
    assert [e.row_id for e in take(1, listener)] == [row]


# --- what will not pass ---------------------------------------------------------------------------


def test_a_database_that_is_gone_ends_it(chat: Chat) -> None:
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


def test_a_cursor_that_says_nothing_any_more_is_an_error(chat: Chat, project: Project) -> None:
    state = project.path / "state"
    write_cursor(state, purged(chat))
    arguments = ("listen", "-d", chat.database.url, "--state", state)
    done = project.chatdb(*arguments, "--format", "json")
    assert done.returncode == 6
    error = json.loads(done.stdout)["error"]
    assert (error["code"], error["sqlstate"]) == ("resynchronise", "CD001")
    assert "have been purged" in error["message"]
    assert "--resync" in done.stderr


def test_with_resync_that_is_an_event_of_its_own_and_it_goes_on_from_now(
    chat: Chat, project: Project
) -> None:
    state = project.path / "state"
    write_cursor(state, purged(chat))
    arguments = ("--state", state, "--resync", "--format", "json")
    with Command(project, chat.database.url, *arguments) as command:
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


def test_with_resync_text_says_so_too(chat: Chat, project: Project) -> None:
    with Command(project, chat.database.url, "--from", purged(chat), "--resync") as command:
        (line,) = command.lines("resync")
    assert line.startswith("resync  ")


def test_a_cursor_that_dies_while_it_is_followed_raises(chat: Chat) -> None:
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
    "no id": (lambda c: c.listener(topics=["channel:"]), Code.USAGE, "is no ULID"),
    "bad id": (lambda c: c.listener(topics=["user:ada"]), Code.USAGE, "'ada' is no ULID"),
    "unknown kind": (lambda c: c.listener(topics=[f"room:{ULID}"]), Code.USAGE, "no events of"),
    "no cursor": (lambda c: c.listener("yesterday"), Code.USAGE, "this is no cursor"),
    "half a cursor": (lambda c: c.listener(f"{'0' * 12}|9:1:"), Code.USAGE, "no cursor"),
    "another database": (
        lambda c: c.listener(f"{'0' * 12}|1:1:"), Code.RESYNCHRONISE, "was restored, copied",
    ),
    "no schema": (
        lambda c: Listener(c.database.target(schema="no")), Code.MISSING_SCHEMA, '"no" does not exist',
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_from_the_start_is_said(chat: Chat, name: str) -> None:
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
    ("arguments", "said"),
    [
        (("--state", "state", "--from", ""), "--from and --state contradict each other"),
        (("--state", "."), ". holds no cursor"),
        (("--state", "/dev/null"), "/dev/null holds no cursor"),
        (("--state", "no/such/folder"), "no/such/folder: no such file or directory [ENOENT]"),
    ],
)
def test_a_state_that_can_not_be_kept_is_said_at_once(
    chat: Chat, project: Project, arguments: tuple[str, ...], said: str
) -> None:
    done = project.chatdb("listen", "-d", chat.database.url, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: {said}\n" in done.stderr


def test_a_state_file_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_cursor(tmp_path / "link") == ""
    for cursor in ("one", "two"):
        write_cursor(tmp_path / "link", cursor)
        assert read_cursor(tmp_path / "file") == read_cursor(tmp_path / "link") == cursor
    assert (tmp_path / "link").is_symlink()


# --- docs/events.md -------------------------------------------------------------------------------


def test_the_example_in_plain_psycopg_runs_as_it_stands(chat: Chat, tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    assert len(example.splitlines()) <= 25

    @contextmanager
    def running() -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, "-u", "-W", "error", "-c", example],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "DATABASE_URL": chat.database.url},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            assert process.stdout
            process.stdout.close()

    def lines(process: subprocess.Popen[str], last: str) -> list[str]:
        assert process.stdout
        found: list[str] = []
        while last not in "".join(found):
            found.append(process.stdout.readline())
            assert found[-1], found
        return found

    rows: list[str] = []
    with running() as process:
        while not list(tmp_path.iterdir()):
            time.sleep(0.01)
        rows += [chat.say(str(n)) for n in range(3)]
        heard = lines(process, rows[-1])
    rows += [chat.say(str(n)) for n in range(3)]  # while nobody listens
    with running() as process:
        heard += lines(process, rows[-1])
    assert [r for r in rows if not any(r in line for line in heard)] == []
