"""The README: its examples run, and it names every command and exit code."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from chatdb_cli.cli.app import application
from chatdb_cli.errors import Exit
from tests.support.database import Database
from tests.support.paths import ROOT
from tests.support.project import Project

README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_of_the_readme_runs_unchanged(
    example: str, project: Project, database: Database
) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        cwd=project.path,
        env=project.environment(DATABASE_URL=database.url, PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout
    assert result.stderr == ""
    assert "users" in database.tables()


def commands() -> list[str]:
    import typer

    names = []
    root = typer.main.get_command(application())
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        names += [f"{name} {subcommand}" for subcommand in inner] if inner else [name]
    return names


@pytest.mark.parametrize("command", commands())
def test_the_readme_names_every_command(command: str) -> None:
    group, *name = command.split()
    if group == "server":
        assert re.search(rf"chatdb server [\w\\|]*\b{name[0]}\b", README)
    else:
        assert f"chatdb {command}" in README


def test_the_readme_lists_the_exit_codes_of_the_code() -> None:
    listed: dict[str, str] = {}
    for numbers, means in re.findall(r"^\| ([\d, ]+) \| (.*) \|$", README, re.MULTILINE):
        several = numbers.split(", ")
        listed |= zip(several, means.split(", ") if several[1:] else [means], strict=True)
    assert listed == {str(int(e)): e.means for e in Exit}


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 250
