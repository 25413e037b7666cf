"""A folder with migrations, and commands and migrators that run in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.migrate.model import Progress
from tests.support.database import Database
from tests.support.paths import ROOT
from tests.support.proxy import Proxy
from tests.support.records import check_records, log_format


@dataclass
class Project:
    """A folder with migrations, and the command run in it."""

    path: Path

    @property
    def sql(self) -> Path:
        return self.path / "sql"

    def write(self, stem: str, up: str | bytes, down: str | bytes | None = "") -> None:
        """Write a pair of files; no down file when `down` is None."""
        for folder, text in (("up", up), ("down", down)):
            (self.sql / folder).mkdir(parents=True, exist_ok=True)
            if text is not None:
                data = text if isinstance(text, bytes) else text.encode()
                (self.sql / folder / f"{stem}.sql").write_bytes(data)

    def write_tables(self, *numbers: int) -> None:
        """Write migrations that each create and drop a table: t1, t2, ..."""
        for n in numbers:
            self.write(f"{n:04}_t{n}", f"CREATE TABLE t{n} (id int);\n", f"DROP TABLE t{n};\n")

    def migrator(self, database: Database, **flags: Any) -> Migrator:
        progress = flags.pop("progress", None)
        more = {"progress": progress} if progress else {}
        return Migrator(database.target(**flags), self.sql, **more)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a command: of this process, it has only the PATH."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.path), "LC_ALL": "C.UTF-8", **more}

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "chatdb_cli", *map(str, arguments)]

    def chatdb(
        self, *arguments: str | Path, env: dict[str, str] | None = None, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `chatdb` in this folder in a new process, not on a terminal."""
        variables = self.environment(PYTHONPATH=str(ROOT), **(env or {}))
        result = subprocess.run(
            self.command(*arguments),
            cwd=self.path,
            env=variables,
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if log_format(arguments, variables) == "json":
            check_records(result.stderr)
        return result


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def migrator_through(proxy: Proxy, project: Project, database: Database, **flags: Any) -> Migrator:
    return project.migrator(database, database_url=proxy.url(database.name), **flags)


def states(error_or_run: Any) -> list[str]:
    run = getattr(error_or_run, "run", error_or_run)
    return [s.state for s in run.steps]


def call_when_waiting(act: Callable[[str], object], word: str = "") -> Callable[[Progress], None]:
    """Return a progress callback that calls `act` once, when a migrator waits."""
    texts: list[str] = []

    def progress(event: Progress) -> None:
        if event.kind == "waiting" and word in event.text and not texts:
            texts.append(event.text)
            act(event.text)

    return progress


def command_environment(project: Project, database: Database) -> dict[str, str]:
    root = str(ROOT)
    return project.environment(DATABASE_URL=database.url, PYTHONPATH=root)
