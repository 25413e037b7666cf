"""The tree of the tests: one folder a theme, and shared code only in tests/support."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.quick


TESTS = ROOT / "tests"
MODULES = sorted(TESTS.rglob("*.py"))


def imported_modules(path: Path) -> Iterator[str]:
    """Yield the full name of each import of a module, also of those inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_module_imports_a_test_module() -> None:
    for path in MODULES:
        for name in imported_modules(path):
            root, *inside = name.split(".")
            assert not root.startswith("test_"), (path, name)
            assert root != "tests" or inside[0] == "support", (path, name)


def test_support_holds_no_tests() -> None:
    for path in sorted((TESTS / "support").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not any(name.startswith("test_") for name in names), path


def test_every_test_module_is_in_the_folder_of_a_theme() -> None:
    assert [path.name for path in TESTS.glob("test_*.py")] == []
