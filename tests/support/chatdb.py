"""The command, run in this process: thirty times as fast as in one of its own."""

from __future__ import annotations

import io
import json
import logging
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from chatdb_cli import log
from chatdb_cli.cli import run
from tests.support.database import Database
from tests.support.project import Project

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@dataclass
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        assert self.out.count("\n") == 1
        found: dict[str, Any] = json.loads(self.out)
        assert found["format"] == 1
        return found


Chatdb = Callable[..., Result]


@pytest.fixture(autouse=True)
def _restore_process() -> Iterator[None]:
    """A command sets up signals and logs for its whole process; here that is ours."""
    handler, level, handlers = (
        signal.getsignal(signal.SIGTERM),
        log.logger.level,
        log.logger.handlers,
    )
    yield
    signal.signal(signal.SIGTERM, handler)
    log.logger.level, log.logger.handlers = level, handlers
    logging.Logger.manager._clear_cache()  # type: ignore[attr-defined]


@pytest.fixture
def offline(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Chatdb:
    """Run a command in the project's folder, where nothing names a database."""
    monkeypatch.chdir(project.path)

    def call(*arguments: str) -> Result:
        capsys.readouterr()
        for stream in (sys.stdout, sys.stderr):  # as a process of its own has them
            assert isinstance(stream, io.TextIOWrapper)
            stream.reconfigure(errors="backslashreplace")
        code = run(arguments)
        output = capsys.readouterr()
        return Result(code, output.out, output.err)

    return call


@pytest.fixture
def chatdb(offline: Chatdb, database: Database, monkeypatch: pytest.MonkeyPatch) -> Chatdb:
    """Run a command in the project's folder, with DATABASE_URL set."""
    monkeypatch.setenv("DATABASE_URL", database.url)
    return offline


def command_paths(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, sub in getattr(command, "commands", {}).items():
        yield from command_paths(sub, (*path, name))
