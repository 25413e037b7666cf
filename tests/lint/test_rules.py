"""Each rule finds what its page calls bad, and nothing in what its page calls safe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chatdb_cli.lint.model import LintOptions
from chatdb_cli.lint.rule import load_rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatdb_cli.lint.model import LintResult
    from chatdb_cli.lint.rule import Rule

RULES = [loaded.rule for loaded in load_rules().values()]


def options_for(rule: Rule) -> LintOptions:
    off = frozenset({"no-down-file"} - {rule.id})
    return LintOptions(on=frozenset({rule.id}), off=off)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_the_bad_example_of_a_page_is_found_in_the_file_that_has_it(
    rule: Rule, lint: Callable[..., LintResult]
) -> None:
    result = lint(rule.bad, rule.before, options_for(rule))
    found = [finding for finding in result.findings if finding.code == rule.id]
    assert found, [finding.message for finding in result.findings]
    assert {finding.severity for finding in found} == {rule.severity}
    for finding in found:
        assert finding.location is not None
        assert "0001_before" not in finding.location.file.name
        assert finding.why == rule.why


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_the_safe_example_of_a_page_is_quiet_for_every_rule(
    rule: Rule, lint: Callable[..., LintResult]
) -> None:
    result = lint(rule.safe, rule.before, options_for(rule))
    assert [(f.code, f.message) for f in result.findings if f.severity != "note"] == []
    assert rule.id not in [finding.code for finding in result.findings]
