"""docs/rules: a page a rule, and the comparison with other linters names rules that exist."""

from __future__ import annotations

import re
import runpy

import pytest

from chatdb_cli.lint.rule import Rule, load_rules
from tests.support.paths import ROOT

FOLDER = ROOT / "docs" / "rules"
RULES = load_rules()


@pytest.mark.quick
def test_the_pages_are_made_from_the_rules() -> None:
    pages = runpy.run_path(str(ROOT / "docs" / "rules.py"))["pages"]()
    on_disk = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    assert on_disk.pop("compared.md")
    assert on_disk == pages, 'run "make docs"'


def test_the_comparison_names_rules_that_exist() -> None:
    text = (FOLDER / "compared.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?!---|squawk |eugene )(.*?) \| (.*) \|$", text, re.MULTILINE)
    assert len(rows) > 90
    for _, here in rows:
        names = [name for name in re.findall(r"`([a-z][a-z-]+)`", here) if "_" not in name]
        assert names or here.startswith(("none", "`chatdb"))
        assert [name for name in names if name not in RULES] == []


@pytest.mark.parametrize("rule", [loaded.rule for loaded in RULES.values()], ids=lambda r: r.id)
def test_a_rule_says_what_it_finds_and_why(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.id)
    assert re.fullmatch(r"[A-Z].*[^.]", rule.title)
    assert rule.why.endswith((".", "]"))
    assert "|" not in rule.title
