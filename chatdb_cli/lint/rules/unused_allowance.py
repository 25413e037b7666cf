"""An allowance that silences nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.rule import Rule, load_rules
from chatdb_cli.settings.parse import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatdb_cli.lint.allowances import Allowance
    from chatdb_cli.lint.context import Context

RULE = Rule(
    id="unused-allowance",
    severity="warning",
    title="An allowance that silences nothing",
    why=(
        "The statement was changed, or the rule never applied: the comment now says something "
        "that is not so, and would silence a later mistake. Remove it."
    ),
    bad="""\
-- chatdb: allow: drop-table, nothing uses it any more
CREATE TABLE items (id bigint PRIMARY KEY);
""",
    safe="CREATE TABLE items (id bigint PRIMARY KEY);",
    scope="allowances",
)


def check(allowances: Sequence[Allowance], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    for allowance in allowances:
        rules = load_rules()
        if allowance.rule in rules:
            message = f"there is nothing here that {allowance.rule} finds"
        else:
            message = f"there is no rule {allowance.rule!r}{did_you_mean(allowance.rule, rules)}"
        yield Problem(message, allowance.span)
