"""What import-linter can't check: slow libraries are imported late; every module has a docstring.

The layers, and which package may import what, are contracts in pyproject.toml; `make lint` checks them.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGE = ROOT / "chatdb_cli"
MODULES = sorted(PACKAGE.rglob("*.py"))

SSH = {"paramiko", "sshtunnel", "cryptography"}
LATE = {
    "import chatdb_cli": {"typer", "psycopg", "rich", "yoyo", "postgast", "dotenv"} | SSH,
    "import chatdb_cli.cli": {"typer", "psycopg", "rich", "yoyo", "postgast", "dotenv"} | SSH,
    "import chatdb_cli.cli.app": {"psycopg", "rich", "yoyo", "postgast", "dotenv"} | SSH,
    "import chatdb_cli.migrate.migrator": {
        "typer", "rich", "yoyo", "postgast", "dotenv", "psycopg_pool"
    } | SSH,
}  # fmt: skip


def docstring_of(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def test_every_module_has_a_docstring() -> None:
    assert [path for path in MODULES if len(docstring_of(path)) <= 15] == []


@pytest.mark.parametrize("statement", LATE)
def test_slow_libraries_are_imported_only_when_they_are_needed(statement: str) -> None:
    code = f"import sys; {statement}; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert LATE[statement] & set(result.stdout.split()) == set()


def test_only_the_command_that_is_asked_for_is_imported() -> None:
    code = (
        "import sys; from chatdb_cli.cli.app import application; application(['migrate', 'status'])\n"
        "print(*(m for m in sys.modules if m.startswith('chatdb_cli.cli.command.')))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    package = "chatdb_cli.cli.command.migrate"
    assert result.stdout.split() == [package, f"{package}.status"]


def test_a_command_is_a_function_with_the_name_of_its_module() -> None:
    from importlib import import_module

    from chatdb_cli.cli.commands import Command, PlainCommand

    for path in sorted((PACKAGE / "cli/command").rglob("[!_]*.py")):
        module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        assert isinstance(getattr(module, path.stem), Command | PlainCommand), path


PACKAGES = sorted(
    path.parent for path in PACKAGE.rglob("__init__.py") if path.parent.parent.name != "command"
)


def test_a_package_says_what_each_of_its_modules_is_for() -> None:
    missing = []
    for package in PACKAGES:
        if package.name in ("command", "rules"):  # the name of a module is the command, or the rule
            continue
        docstring = docstring_of(package / "__init__.py")
        modules = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
        missing += [package / name for name in modules if not re.search(rf"\b{name}\b", docstring)]
    assert missing == []
