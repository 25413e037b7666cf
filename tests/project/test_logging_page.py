"""docs/logging.md lists the events of the code, and the code logs no others."""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatdb_cli.log_events import EVENTS
from tests.support.paths import ROOT

PACKAGE = ROOT / "chatdb_cli"
LEVELS = {"debug": "debug", "info": "info", "warning": "warn", "error": "error"}


def test_logging_md_is_up_to_date() -> None:
    generated = runpy.run_path(str(ROOT / "docs/logs.py"))["document"]()
    assert generated == (ROOT / "docs/logging.md").read_text(encoding="utf-8"), 'run "make docs"'


def _calls() -> Iterator[tuple[Path, ast.Call]]:
    """Yield each call of a function of log.py, also by the name `record`, and its module."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name == "log.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _level(node.func) is not None:
                yield path, node


def _level(function: ast.expr) -> str | None:
    if isinstance(function, ast.Name) and function.id == "record":
        return "any"  # one of them, chosen by a condition
    if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)):
        return None
    return LEVELS.get(function.attr) if function.value.id == "log" else None


@pytest.mark.quick
def test_no_event_is_logged_that_the_list_does_not_have() -> None:
    logged = set()
    for path, call in _calls():
        where = f"{path.relative_to(ROOT)}:{call.lineno}"
        name = call.args[0]
        assert isinstance(name, ast.Constant), where
        event = EVENTS[str(name.value)]
        level = _level(call.func)
        assert level == "any" or level in event.levels, where
        keys = {keyword.arg for keyword in call.keywords if keyword.arg}
        assert keys <= event.keys.keys(), where
        logged.add(name.value)
    assert logged == EVENTS.keys()


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_and_key_is_explained(name: str) -> None:
    event = EVENTS[name]
    assert re.fullmatch(r"[a-z_]+", name)
    assert event.levels
    assert event.meaning.endswith(".")
    for key, meaning in event.keys.items():
        assert re.fullmatch(r"[a-z_]+", key)
        assert "|" not in meaning  # which would end the cell
        assert not meaning.endswith(".")
