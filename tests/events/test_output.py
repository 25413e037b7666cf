"""What `chatdb listen` prints, and the recipe of docs/events.md."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chatdb_cli.events.topics import TABLES
from tests.support.listen import Chat, ListenCommand
from tests.support.paths import ROOT
from tests.support.project import Project
from tests.support.servers import on_first_server

pytestmark = on_first_server  # what the server does is tried elsewhere, on each of them


DOCS = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")


# --- what is printed ------------------------------------------------------------------------------


def test_an_event_is_a_json_line_and_listening_continues_from_its_cursor(
    chat: Chat, project: Project
) -> None:
    url = chat.database.url
    with ListenCommand(project, url, "--format", "json") as command:
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
    assert f"to continue from here, give --from '{joined['cursor']}'" in told
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
    with ListenCommand(project, url, "--format", "json", "--from", said["cursor"]) as command:
        assert [e["seq"] for e in command.documents(member)] == [changed["seq"], joined["seq"]]


def test_a_topic_is_a_table_a_channel_or_a_user_and_one_match_is_enough(
    chat: Chat, project: Project
) -> None:
    topics = ("user_status", f"channel:{chat.channels[1]}", f"user:{chat.users[1]}")
    arguments = [a for topic in topics for a in ("--topic", topic)]
    with ListenCommand(project, chat.database.url, *arguments) as command:
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


def test_a_closed_pipe_ends_the_command_without_a_message(chat: Chat, project: Project) -> None:
    with ListenCommand(project, chat.database.url) as command:
        assert command.process.stdout
        chat.say("read")
        command.process.stdout.readline()
        command.process.stdout.close()
        chat.say("not read")
        code, _, told = command.ended()
    assert code == 141
    assert re.fullmatch("listening to .*\n", told)


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
