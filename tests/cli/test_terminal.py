"""Output on and off a terminal."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.support.database import Database
from tests.support.project import Project, command_environment
from tests.support.servers import on_first_server
from tests.support.terminal import Terminal


@on_first_server
def test_rich_is_not_imported_off_a_terminal(project: Project, database: Database) -> None:
    project.write_tables(1)
    project.write("0002_bad", "SELECT 'é', nope")
    code = (
        "import sys\nfrom chatdb_cli.cli import run\n"
        "for line in sys.argv[1:]:\n    run(line.split())\n"
        "modules = [m for m in sys.modules if m == 'rich' or m.startswith('rich.')]\n"
        "print('imported', modules)\n"
    )
    lines = ["--help", "migrate up --help", "migrate up --bogus", "migrate up", "migrate status",
             "migrate history", "migrate down", "migrate status --format json"]  # fmt: skip
    result = subprocess.run(
        [sys.executable, "-c", code, *lines],
        cwd=project.path,
        env=command_environment(project, database),
        capture_output=True,
        text=True,
    )
    assert result.stdout.splitlines()[-1] == "imported []", result.stderr
    assert "\x1b" not in result.stdout + result.stderr


@on_first_server
def test_a_setup_without_a_seed_imports_no_seed(project: Project, database: Database) -> None:
    project.write_tables(1)
    code = (
        "import sys\nfrom chatdb_cli.cli import run\nassert run(['setup']) == 0\n"
        "print(*[m for m in sys.modules if m in ('chatdb_cli.seed.files', 'chatdb_cli.seed.model')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.path,
        env=command_environment(project, database),
        capture_output=True,
        text=True,
    )
    assert result.stdout.splitlines()[-1] == "", result.stderr


@on_first_server
def test_output_is_colored_on_a_terminal_and_plain_with_no_color(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2)
    project.write("0003_bad", "SELECT nope")
    env = {"DATABASE_URL": database.url}
    terminal = Terminal(project, "migrate", "up", env=env)
    assert terminal.end() == 5
    assert "\x1b[32mapplied   0001 t1" in terminal.text
    assert "\x1b[1;31merror: column" in terminal.text
    terminal = Terminal(project, "migrate", "status", env=env | {"NO_COLOR": "1"})
    assert terminal.end() == 0
    assert not re.search(r"\x1b\[[\d;]*3\dm", terminal.text)
    assert "0001     t1    applied" in terminal.text
    piped = Terminal(project, "migrate", "status", env=env, pipe=True)
    assert piped.process.stdout
    assert b"\x1b" not in piped.process.stdout.read()
    assert piped.end() == 0


@on_first_server
def test_output_is_utf_8_whatever_the_locale(project: Project, database: Database) -> None:
    project.write("0001_漢字", "SELECT 'é'", "SELECT 1")
    env = {"DATABASE_URL": database.url, "PYTHONIOENCODING": "latin-1",
           "PYTHONUTF8": "0"}  # fmt: skip
    for arguments in (["up", "--dry-run"], ["up", "--format", "json"], ["status"]):
        result = project.chatdb("migrate", *arguments, env=env)
        assert result.returncode == 0, result.stderr
        assert "漢字" in result.stdout
