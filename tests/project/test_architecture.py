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


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_module_has_a_docstring(path: Path) -> None:
    assert len(ast.get_docstring(ast.parse(path.read_text())) or "") > 15


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


@pytest.mark.parametrize(
    "path",
    sorted((PACKAGE / "cli/command").rglob("[!_]*.py")),
    ids=lambda p: str(p.relative_to(PACKAGE)),
)
def test_a_command_is_a_function_with_the_name_of_its_module(path: Path) -> None:
    from importlib import import_module

    from chatdb_cli.cli.commands import Command, PlainCommand

    module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert isinstance(getattr(module, path.stem), Command | PlainCommand)


PACKAGES = sorted(
    path.parent for path in PACKAGE.rglob("__init__.py") if path.parent.parent.name != "command"
)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: str(p.relative_to(PACKAGE.parent)))
def test_a_package_says_what_each_of_its_modules_is_for(package: Path) -> None:
    docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    modules = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    if package.name in ("command", "rules"):  # the name of a module is the command, or the rule
        return
    assert {name for name in modules if not re.search(rf"\b{name}\b", docstring)} == set()
