"""docs/reliability.md names an existing test for every promise, and names every test of faults."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.paths import ROOT

TESTS = ROOT / "tests"
TEXT = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(\w+/test_\w+\.py)::(test_\w+)`", TEXT)


def names_of_tests(file: Path) -> set[str]:
    return set(re.findall(r"^def (test_\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_promise_names_existing_tests() -> None:
    promises = re.findall(r"^\| (?!promise|---)(.+) \|$", TEXT, re.MULTILINE)
    assert len(promises) > 20
    for promise in promises:
        assert re.search(r"\| `[\w/]+\.py::test_\w+`(, `[\w/]+\.py::test_\w+`)*$", promise), promise
    for file, name in NAMED:
        assert name in names_of_tests(TESTS / file), f"{file}::{name}"


def test_every_fault_test_is_named() -> None:
    named = set(NAMED)
    for file in (TESTS / "faults").glob("test_*.py"):
        assert named >= {(f"faults/{file.name}", name) for name in names_of_tests(file)}
