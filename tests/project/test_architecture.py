"""The house: imports only ever point down, and each room is the only one that knows its thing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGE = ROOT / "chatdb_cli"

# From the ground up.  A room may import what stands on a lower floor, and within its own floor what
# is listed here.
FLOORS = (
    {
        "errors",
        "log",
        "queries",
        "sqltext",
        "values",
        "settings",
        "migrations",
        "plan",
        "crowd",
        "markdown",
        "schema_values",
    },
    {
        "diagnosis",
        "pipeline",
        "server",
        "ssh",
        "sshfiles",
        "tunnel",
        "connection",
        "names",
        "history",
        "frame",
        "locks",
    },
    {
        "run",
        "journal",
        "losses",
        "confinement",
        "repair",
        "runner",
        "migrator",
        "provision",
        "schema_docs",
        "seed",
        "events",
    },
    {"render", "cli"},
)
BESIDE = {
    "log": set(),
    "sqltext": {"errors"},
    "settings": {"errors", "values"},
    "migrations": {"errors", "sqltext", "values"},
    "plan": {"errors", "migrations", "sqltext"},
    "history": {"names"},
    "frame": {"history", "names", "pipeline"},
    "locks": {"names"},
    "ssh": {"sshfiles"},
    "tunnel": {"ssh", "sshfiles"},
    "connection": {"server", "diagnosis", "ssh", "tunnel"},
    "losses": {"run"},
    "runner": {"confinement", "journal", "losses", "run"},
    "migrator": {"repair", "run", "runner"},
    "provision": {"confinement", "migrator", "run"},
    "markdown": {"schema_values"},
    "cli": {"render"},
}
ONLY = {
    "rich": {"render"},
    "typer": {"cli"},
    "dotenv": {"settings"},
    "yoyo": {"frame", "migrations"},
    "postgast": {"sqltext"},
    "sshtunnel": {"tunnel"},
    "paramiko": {"ssh", "sshfiles"},
    "psycopg_pool": {"connection", "provision"},
}


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


def test_every_room_has_its_floor() -> None:
    assert {room(p) for p in MODULES} == set().union(*FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    here = room(path)
    floor = next(n for n, rooms in enumerate(FLOORS) if here in rooms)
    allowed = set().union(*FLOORS[:floor]) | BESIDE.get(here, set()) | {here, "__version__"}
    named = {name.split(".")[1] for name in imports(path) if name.startswith("chatdb_cli.")}
    assert named <= allowed


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_library_is_known_to_its_room_alone(path: Path) -> None:
    named = {name.split(".")[0] for name in imports(path)}
    assert {lib for lib, rooms in ONLY.items() if lib in named and room(path) not in rooms} == set()


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
