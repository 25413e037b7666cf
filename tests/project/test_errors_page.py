"""docs/errors.md lists the error codes of the code."""

from __future__ import annotations

import re
import runpy

import pytest

from chatdb_cli.errors import Code, Exit
from tests.support.paths import ROOT

DOCS = ROOT / "docs"
ERRORS = (DOCS / "errors.md").read_text(encoding="utf-8")


def test_errors_md_is_up_to_date() -> None:
    generated = runpy.run_path(str(DOCS / "errors.py"))["document"]()
    assert generated == ERRORS, 'run "make docs"'


@pytest.mark.parametrize("code", Code, ids=lambda c: c.slug)
def test_every_code_is_listed_with_exit_cause_and_remedy(code: Code) -> None:
    assert f"| `{code.slug}` | {int(code.exit)} | {code.cause} | {code.remedy} |\n" in ERRORS
    for text in (code.cause, code.remedy):
        assert re.fullmatch(r"[A-Z`].*\.", text)
        assert "|" not in text  # which would end the cell


def test_no_two_error_codes_share_a_name_or_an_exit_code() -> None:
    assert len({code.slug for code in Code}) == len(Code)
    assert len({int(code) for code in Exit}) == len(Exit)
