"""The house: imports only ever point down, and each room is the only one that knows its thing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "chatdb_cli"


# From the ground up.  A room may import what stands on a lower floor, and within its own floor what
# is listed here.
def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "chatdb_cli":
                found |= {f"chatdb_cli.{alias.name}" for alias in node.names}
    return found


MODULES = sorted(p for p in PACKAGE.rglob("*.py") if room(p) not in ("__init__", "__main__"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_room_says_what_belongs_in_it(path: Path) -> None:
    assert len(ast.get_docstring(ast.parse(path.read_text())) or "") > 15


SSH = {"paramiko", "sshtunnel", "cryptography"}
LATE = {
    "import chatdb_cli.cli": {"typer", "psycopg", "rich", "yoyo", "postgast", "dotenv"} | SSH,
    "import chatdb_cli.cli.app": {"psycopg", "rich", "yoyo", "postgast", "dotenv"} | SSH,
    "import chatdb_cli": {"typer", "psycopg", "rich", "yoyo", "postgast", "dotenv"} | SSH,
    "import chatdb_cli.migrator": {"typer", "rich", "yoyo", "postgast", "dotenv", "psycopg_pool"}
    | SSH,
}


@pytest.mark.parametrize("statement", LATE)
def test_what_is_slow_to_import_comes_when_it_is_needed(statement: str) -> None:
    code = f"import sys; {statement}; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert LATE[statement] & set(said.stdout.split()) == set()
