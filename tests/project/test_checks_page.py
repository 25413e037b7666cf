"""docs/checks.md lists every code that a check can find."""

from __future__ import annotations

import re
import runpy

import pytest

from chatdb_cli.verify.codes import CODES
from chatdb_cli.verify.model import CHECKS
from tests.support.paths import ROOT

CHECKS_PAGE = (ROOT / "docs/checks.md").read_text(encoding="utf-8")
VERIFY = ROOT / "chatdb_cli/verify"


def test_checks_md_is_up_to_date() -> None:
    generated = runpy.run_path(str(ROOT / "docs/checks.py"))["document"]()
    assert generated == CHECKS_PAGE, 'run "make docs"'


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_listed_with_cause_and_remedy(code: str) -> None:
    text = CODES[code]
    assert f"| `{code}` | {text.cause} | {text.remedy} |\n" in CHECKS_PAGE
    for sentence in (text.cause, text.remedy):
        assert re.fullmatch(r"[A-Z`].*\.", sentence)
        assert "|" not in sentence  # which would end the cell


def test_every_check_has_a_section() -> None:
    titles = re.findall(r"^## ([a-z]+)$", CHECKS_PAGE, re.MULTILINE)
    assert titles == list(CHECKS)


def test_every_problem_of_a_status_has_a_code() -> None:
    source = (ROOT / "chatdb_cli/migrate/compare.py").read_text(encoding="utf-8")
    problems = set(re.findall(r'(?:_problem|Finding)\(\s*"([\w-]+)"', source))
    assert problems >= {"changed", "missing", "out-of-order", "refused", "unfinished"}
    history = {code for code, text in CODES.items() if "history" in text.checks}
    assert problems | {"pending"} == history
