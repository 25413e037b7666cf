"""Projects of a few files, for the tests of the linter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from chatdb_cli.lint.linter import lint_files
from chatdb_cli.lint.model import LintOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chatdb_cli.lint.model import LintResult

_FILE = re.compile(r"^-- file: (\S+)\n", re.MULTILINE)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a project: an applied migration, and an example, which may hold several files."""

    def write_files(example: str, before: str = "") -> Path:
        files = {"up/0001_before.sql": before} if before else {}
        first, *rest = _FILE.split(example)
        files |= {"up/0002_example.sql": first} | dict(zip(rest[::2], rest[1::2], strict=True))
        for name, text in files.items():
            path = tmp_path / "sql" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / "sql" / "down").mkdir(exist_ok=True)
        return tmp_path / "sql"

    return write_files


@pytest.fixture
def lint(write: Callable[..., Path]) -> Callable[..., LintResult]:
    """Lint a project as `write` makes it; a missing down file is no finding."""

    def lint_example(
        example: str, before: str = "", options: LintOptions | None = None
    ) -> LintResult:
        folder = write(example, before)
        options = options or LintOptions(off=frozenset({"no-down-file"}))
        return lint_files(str(folder), options=options)

    return lint_example
