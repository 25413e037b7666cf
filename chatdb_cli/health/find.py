"""Find the checks: every `Definition` of every module in `checks/`, so that no list is edited.

What does not belong here: the checks themselves.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path

from chatdb_cli.health.definition import Definition


@cache
def definitions() -> tuple[Definition, ...]:
    """Return all checks, in the order of their modules, and there in the order of definition."""
    folder = Path(__file__).with_name("checks")
    names = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    modules = [import_module(f"chatdb_cli.health.checks.{name}") for name in names]
    return tuple(d for m in modules for d in vars(m).values() if isinstance(d, Definition))
