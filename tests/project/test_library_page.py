"""docs/library.md: made from the docstrings, complete, and its examples run."""

from __future__ import annotations

import os
import runpy
from collections import Counter

import pytest

import chatdb_cli
from tests.support.database import Database
from tests.support.examples import run_example
from tests.support.paths import ROOT
from tests.support.project import Project

PAGE = runpy.run_path(str(ROOT / "docs/library.py"))
EXAMPLES = sorted(path.stem for path in (ROOT / "docs/examples").glob("*.py"))
# These need the chat schema; the tunnel's example runs with the tests of the tunnel.
ON_THE_SCHEMA = ("listen", "seed", "docs")


def test_library_md_is_up_to_date() -> None:
    text = (ROOT / "docs/library.md").read_text(encoding="utf-8")
    assert PAGE["document"]() == text, 'run "make docs"'


def test_every_public_name_is_in_one_section() -> None:
    names = Counter(name for section in PAGE["SECTIONS"].values() for name in section)
    assert names == Counter(chatdb_cli.__all__)


def test_every_example_is_a_task() -> None:
    assert sorted(PAGE["TASKS"]) == EXAMPLES


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "tunnel"])
def test_an_example_runs_unchanged(name: str, project: Project, database: Database) -> None:
    if name in ON_THE_SCHEMA:
        chatdb_cli.Migrator(database.target(), "@chat").up()
    result = run_example(name, project, DATABASE_URL=database.url)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout
    assert result.stderr == ""
    assert os.sep + "site-packages" not in result.stdout
