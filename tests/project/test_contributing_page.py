"""CONTRIBUTING.md and SECURITY.md name packages, files and make targets that exist."""

from __future__ import annotations

import re

import pytest

from tests.support.paths import ROOT

PACKAGE = ROOT / "chatdb_cli"
PAGES = {
    name: (ROOT / name).read_text(encoding="utf-8") for name in ("CONTRIBUTING.md", "SECURITY.md")
}
CONTRIBUTING = PAGES["CONTRIBUTING.md"]


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_exists(page: str) -> None:
    paths = re.findall(r"`(\w[\w./]*/[\w.]+|[A-Z]+\.md|\w+\.toml)`", PAGES[page])
    missing = [path for path in paths if not any((r / path).exists() for r in (ROOT, PACKAGE))]
    assert paths
    assert missing == []


def test_every_package_and_module_is_described() -> None:
    table = re.findall(r"^\| (`.*?) \|", CONTRIBUTING, re.MULTILINE)
    described = set(re.findall(r"`(\w+)`", " ".join(table)))
    names = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert described >= {n for n in names if n != "__pycache__"} - {
        "__init__",
        "__main__",
        "py",
        "sql",
    }


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make ([a-z-]+)", CONTRIBUTING):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
