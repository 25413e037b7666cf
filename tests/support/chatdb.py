"""The command, run in this process, which is thirty times as fast as in a new process."""

from __future__ import annotations

import io
import json
import logging
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from chatdb_cli import log
from chatdb_cli.cli import run
from tests.support.database import Database
from tests.support.project import Project
from tests.support.records import TIME as TIME
from tests.support.records import check_records, log_format


@dataclass
class Result:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Return the only JSON document on stdout."""
        assert self.out.count("\n") == 1
        document: dict[str, Any] = json.loads(self.out)
        assert document["format"] == 1
        return document


Chatdb = Callable[..., Result]


@pytest.fixture(autouse=True)
def _restore_process() -> Iterator[None]:
    """Restore what a command sets for the whole process: the signal handlers, the logs, the hooks."""
    handler, root = signal.getsignal(signal.SIGTERM), logging.getLogger()
    level, handlers, propagate = log.logger.level, log.logger.handlers, log.logger.propagate
    root_handlers, hooks = root.handlers, (sys.excepthook, sys.unraisablehook)
    thread_hook, show_warning = threading.excepthook, warnings.showwarning
    yield
    signal.signal(signal.SIGTERM, handler)
    log.logger.level, log.logger.handlers, log.logger.propagate = level, handlers, propagate
    root.handlers, (sys.excepthook, sys.unraisablehook) = root_handlers, hooks
    threading.excepthook, warnings.showwarning = thread_hook, show_warning
    log.correlation_id = log.PROCESS_ID
    logging.Logger.manager._clear_cache()  # type: ignore[attr-defined]


@pytest.fixture
def offline(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Chatdb:
    """Return a function that runs a command in the project's folder, without a database."""
    monkeypatch.chdir(project.path)

    def call(*arguments: str) -> Result:
        capsys.readouterr()
        for stream in (sys.stdout, sys.stderr):  # as in a process of its own
            assert isinstance(stream, io.TextIOWrapper)
            stream.reconfigure(errors="backslashreplace")
        code = run(arguments)
        output = capsys.readouterr()
        if log_format(arguments) == "json":
            check_records(output.err)
        return Result(code, output.out, output.err)

    return call


@pytest.fixture
def chatdb(offline: Chatdb, database: Database, monkeypatch: pytest.MonkeyPatch) -> Chatdb:
    """Return a function that runs a command in the project's folder, with DATABASE_URL set."""
    monkeypatch.setenv("DATABASE_URL", database.url)
    return offline


def command_paths(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of a command and of each of its subcommands."""
    yield path
    for name, sub in getattr(command, "commands", {}).items():
        yield from command_paths(sub, (*path, name))
