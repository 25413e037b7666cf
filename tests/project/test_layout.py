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
            assert node.level == 0, f"line {node.lineno}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(TESTS)))
def test_no_module_imports_a_test_module(path: Path) -> None:
    for name in imported_modules(path):
        root, *inside = name.split(".")
        assert not root.startswith("test_"), name
        assert root != "tests" or inside[0] == "support", name


@pytest.mark.parametrize("path", sorted((TESTS / "support").glob("*.py")), ids=lambda p: p.name)
def test_support_holds_no_tests(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert not any(name.startswith("test_") for name in names)


def test_every_test_module_is_in_the_folder_of_a_theme() -> None:
    assert [path.name for path in TESTS.glob("test_*.py")] == []
