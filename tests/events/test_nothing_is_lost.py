"""No event is lost and none comes twice, whatever breaks in between."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC
from itertools import pairwise

import pytest
from psycopg.sql import SQL, Identifier

import chatdb_cli
from chatdb_cli.events import listener as listener_module
from chatdb_cli.events.cursor_file import read_cursor
from chatdb_cli.events.listener import Listener
from chatdb_cli.events.model import Batch
from chatdb_cli.events.topics import concerns_schema
from chatdb_cli.migrate.migrator import Migrator
from tests.support.listen import Chat, ListenCommand, ListenerThread, take_events
from tests.support.paths import SHIPPED
from tests.support.pooler import PGBOUNCER, allow_owner_login, pooled
from tests.support.project import Project
from tests.support.proxy import Proxy
from tests.support.servers import Server, on_first_server, socket_of
from tests.support.ssh_server import SshServer
from tests.support.sshd import SSHD, USER, Sshd, make_key

pytestmark = on_first_server  # what the server does is tried elsewhere, on each of them


def test_a_listener_receives_events_from_its_creation_on_and_continues_where_it_stopped(
    chat: Chat,
) -> None:
    listener = chatdb_cli.listen(chat.database.settings())
    rows = [chat.say(str(n)) for n in range(5)]
    assert [e.row_id for e in take_events(2, listener)] == rows[:2]
    assert [e.row_id for e in take_events(1, listener)] == rows[2:3]
    again = chatdb_cli.listen(chat.database.settings(), listener.cursor)
    assert [e.row_id for e in take_events(2, again)] == rows[3:]
    assert all(e.at.tzinfo is UTC for e in take_events(1, chat.listener(listener.cursor)))


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
    lines: list[str] = []
    old = chat.logged()[-1]
    heard = [ListenerThread(chat, chat.listener(report=lines.append)) for _ in range(2)]
    with chat.writers(writers):
        for _ in range(2):
            time.sleep(seconds)
            with restarted(chat.database.server):
                time.sleep(0.1)
        time.sleep(seconds)
    chat.say("the last", who=1)
    assert [one.all() for one in heard] == [chat.logged(old)] * 2
    assert len(chat.logged(old)) > 20
    lost = sum("connection was lost" in line for line in lines)
    assert 2 <= lost <= 4, lines  # who had not come back yet misses the second restart
    assert lines.count("connected again") == lost


def test_a_connection_that_is_cut_again_and_again_costs_no_event(chat: Chat) -> None:
    old = chat.logged()[-1]
    with Proxy(socket_of(chat.database.server)) as proxy:
        target = chat.database.target(database_url=proxy.url(chat.database.name))
        heard = ListenerThread(chat, Listener(target))
        with chat.writers():
            for _ in range(5):
                time.sleep(0.1)
                with suppress(OSError):
                    proxy.cut(clients_only=True)
        chat.say("the last", who=1)
        numbers = heard.all()
    assert numbers == chat.logged(old)


def test_through_a_tunnel_that_is_lost_again_and_again_each_event_is_printed_once(
    chat: Chat, project: Project
) -> None:
    bastion: Sshd | SshServer = Sshd() if SSHD else SshServer()
    key = make_key(project.path / "key")
    with bastion, Proxy(socket_of(chat.database.server)) as proxy:
        bastion.authorize(key)
        (project.path / "known").write_text(bastion.known_hosts_line())
        env = {
            "SSH_HOST": "127.0.0.1", "SSH_PORT": str(bastion.port), "SSH_USER": USER,
            "SSH_KEY_PATH": str(key), "SSH_KNOWN_HOSTS": "known", "SSH_RETRY_DELAY": "10",
        }  # fmt: skip
        old = chat.logged()[-1]
        url = proxy.url(chat.database.name)
        with (
            ThreadPoolExecutor(1) as pool,
            ListenCommand(project, url, "--format", "json", env=env) as command,
        ):
            reading = pool.submit(command.documents, chat.users[1])
            with chat.writers():
                for times in (1, 2):
                    bastion.drop_connections()
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
    lines: list[str] = []
    heard = ListenerThread(chat, chat.listener(report=lines.append))
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
    assert lines[-1] == "connected again"


def test_a_killed_listener_with_a_state_file_continues_where_it_was(
    chat: Chat, project: Project
) -> None:
    state = project.path / "state"
    arguments = ("--format", "json", "--state", state)
    old = chat.logged()[-1]
    heard: list[list[int]] = []
    with ExitStack() as writing:
        for _ in range(2):
            with ListenCommand(project, chat.database.url, *arguments) as command:
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
    with ListenCommand(project, chat.database.url, *arguments) as command:
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


def test_the_state_advances_past_events_of_other_topics(chat: Chat, project: Project) -> None:
    state = project.path / "state"
    with ListenCommand(project, chat.database.url, "--topic", "files", "--state", state) as command:
        chat.say("nobody wants this")
        newest = chat.logged()[-1]
        while chat.after(read_cursor(state)):
            time.sleep(0.01)
        assert command.end(signal.SIGINT)[:2] == (130, "")
    assert chat.logged()[-1] == newest


@pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")
def test_through_a_pooler_in_transaction_mode_it_warns_once_and_polls(chat: Chat) -> None:
    lines: list[str] = []
    old = chat.logged()[-1]
    allow_owner_login(chat.database.server)
    with pooled(chat.database) as pooler:
        target = chat.database.target(database_url=pooler.url(chat.database.name))
        heard = ListenerThread(chat, Listener(target, report=lines.append))
        with chat.writers(1):
            time.sleep(0.2)
            pooler.restart()
            time.sleep(0.2)
        chat.say("the last", who=1)
        numbers = heard.all()
        assert chat.database.query("SELECT * FROM pg_listening_channels()") == []
    assert numbers == chat.logged(old)
    assert sum("LISTEN can't work" in line for line in lines) == 1
    assert "the log is read every 250 ms" in lines[0]


@pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")
def test_through_a_pooler_in_session_mode_it_listens_when_told_so(chat: Chat) -> None:
    lines: list[str] = []
    allow_owner_login(chat.database.server)
    with pooled(chat.database, mode="session") as pooler:
        url = pooler.url(chat.database.name)
        target = chat.database.target(database_url=url, pooler="session")
        listener = Listener(target, report=lines.append)
        row = chat.say("hello")
        assert [e.row_id for e in take_events(1, listener)] == [row]
    assert lines == []


@pytest.mark.parametrize("mode", ["every", "doorbell"])
def test_a_notification_wakes_a_listener(
    chat: Chat, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        listener_module, "_SHORTEST_GAP_S", 300.0
    )  # without a notification it would read only then
    with chat.mode(mode):
        heard = iter(chat.listener())
        for text in ("one", "two", "three"):
            later = threading.Timer(0.05, chat.say, (text,))
            later.start()
            assert next(heard).table == "messages"
            later.join()


def test_without_notifications_a_listener_polls(chat: Chat) -> None:
    with chat.mode("off"):
        heard = iter(chat.listener())
        for text in ("one", "two"):
            later = threading.Timer(0.05, chat.say, (text,))
            later.start()
            assert next(heard).table == "messages"
            later.join()


def test_a_long_backlog_is_received_completely_and_in_order(chat: Chat) -> None:
    begin, old = chat.now(), chat.logged()[-1]
    chat.database.execute(
        "INSERT INTO messages (channel_id, user_id, content) SELECT "
        f"'{chat.channels[0]}', '{chat.users[0]}', 'x' FROM generate_series(1, 4500)"
    )
    batches: Iterator[Batch] = chat.listener(begin).batches()
    numbers = [e.seq for batch in (next(batches) for _ in range(3)) for e in batch.events]
    assert numbers == chat.logged(old)


def test_no_timeout_of_the_database_ends_a_listener(chat: Chat) -> None:
    name, lines = chat.database.name, list[str]()
    with chat.database.connect() as other:  # it has no such timeouts yet
        chat.database.execute(
            f"ALTER DATABASE {name} SET idle_session_timeout = '50ms'; "
            f"ALTER DATABASE {name} SET statement_timeout = '200ms'"
        )
        heard = ListenerThread(chat, Listener(chat.database.target(), report=lines.append))
        other.execute("SELECT pg_sleep(0.3)")
        other.execute(
            "INSERT INTO messages (channel_id, user_id, content) VALUES "
            f"('{chat.channels[0]}', '{chat.users[1]}', 'after a while')"
        )
        chat.database.execute(f"ALTER DATABASE {name} RESET ALL")
        assert len(heard.all()) == 1
    assert lines == []  # the connection was not lost


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
    assert [e.table for e in take_events(1, listener)] == ["channels"]


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
def test_a_notification_counts_unless_it_names_another_schema(payload: str, rings: bool) -> None:
    assert concerns_schema("mine", payload) is rings


def test_a_notification_with_a_foreign_payload_does_no_harm(chat: Chat) -> None:
    listener = chat.listener()
    chat.database.execute("NOTIFY chat_events; NOTIFY chat_events, 'x'")
    row = chat.say("hello")
    assert [e.row_id for e in take_events(1, listener)] == [row]
