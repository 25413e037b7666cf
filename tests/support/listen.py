"""A chat with concurrent writers, and listeners to its events."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from chatdb_cli.events.listener import Listener
from chatdb_cli.events.model import Change
from tests.support.database import Database
from tests.support.paths import ROOT
from tests.support.project import Project

ULID = "01M7XXYZHZH8AF2BRD97RMHKAP"


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
        """Return the numbers of all events after one, read from the table itself."""
        rows = self.database.query(f"SELECT seq FROM events WHERE seq > {after} ORDER BY seq")
        return [row[0] for row in rows]

    def now(self) -> str:
        return str(self.database.query("SELECT cursor FROM events_since('')")[0][0])

    def after(self, cursor: str) -> list[tuple[Any, ...]]:
        """Return the numbers of the events after a cursor."""
        query = f"SELECT seq FROM events_since('{cursor}') WHERE seq IS NOT NULL"
        return self.database.query(query)

    @contextmanager
    def mode(self, name: str) -> Iterator[None]:
        """Notify in another mode inside the block."""
        self.database.execute(f"SELECT set_notify_mode('{name}')")
        try:
            yield
        finally:
            self.database.execute("SELECT set_notify_mode('doorbell')")

    def listener(self, cursor: str = "", **more: Any) -> Listener:
        return Listener(self.database.target(), cursor, **more)

    def write(self, until: threading.Event, number: int) -> None:
        """Write as an application does until an event is set; reconnect when the server was down."""
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
        """Run several writers until the block ends."""
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


class ListenerThread(threading.Thread):
    """A thread that listens until bob writes a message; all the writers are ada."""

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
        """Wait for the message of bob; return the numbers of all events."""
        self.join()
        return sorted(e.seq for e in self.events)


def take_events(count: int, listener: Listener) -> list[Change]:
    events = []
    for event in listener:
        events.append(event)
        if len(events) == count:
            break
    return events


class ListenCommand:
    """A running `chatdb listen`; its output is read while it runs."""

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
            if "listening to" in line:  # in the text format, or in a record
                self._ready.set()
        self._ready.set()

    def lines(self, last: str) -> list[str]:
        """Return the lines up to one that contains a text."""
        assert self.process.stdout
        lines: list[str] = []
        for line in self.process.stdout:
            lines.append(line)
            if last in line:
                return lines
        raise AssertionError(f"{last} is not in {lines[-5:]}, {self.stderr}")

    def wait_until_it_says(self, what: str, times: int) -> None:
        """Wait until a text has been on stderr that many times."""
        while sum(what in line for line in self.stderr) < times:
            assert self.process.poll() is None, self.stderr
            time.sleep(0.01)

    def documents(self, last: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines(last)]

    def end(self, number: int) -> tuple[int, str, str]:
        """Send a signal; return the exit code, the rest of stdout, and stderr."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> tuple[int, str, str]:
        assert self.process.stdout
        rest = self.process.stdout.read() if not self.process.stdout.closed else ""
        self._thread.join()
        return self.process.wait(), rest, "".join(self.stderr)

    def __enter__(self) -> ListenCommand:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()
