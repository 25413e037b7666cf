"""What a rule is, and all rules, found by their place.

    Rule         what a user reads about a rule
    LoadedRule   a rule with the function that checks it
    load_rules   every module of `rules/`

A new rule is a module in `rules/`: its name with dashes is the id.  What does not belong here: running
the rules (`linter.py`), their pages (`page.py`).
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.settings.parse import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chatdb_cli.findings import Severity
    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.model import Problem

# What `check` takes: a statement of one of the kinds in `reads`; a file, before its statements; what all
# files have built, at the end; the allowances of a file that silence nothing; the errors of files that
# can't be read.
Scope = Literal["statement", "file", "project", "allowances", "refused"]


class Rule(NamedTuple):
    """What a user reads about a rule.

    Attributes:
        id: its name in reports and allowances: the name of its module, with dashes.
        severity: how bad a finding is, unless chatdb.toml says otherwise.
        title: what it finds, as a sentence.
        why: what happens, in a few sentences.
        bad: SQL in which it finds something; `-- file:` begins another file.
        safe: SQL that does the same in a safe way.
        before: SQL of an earlier, applied migration that both need.
        since: the first major version of PostgreSQL to which it applies; 0 for all.
        until: the last one; 0 for no last one.
        reads: the kinds of statements that `check` takes; none for a whole file.
        scope: what `check` takes.
        down: it also checks down files.
        default: it is on unless chatdb.toml turns it off.
        small_is_harmless: with a connection, a finding on a table that is almost empty is a note.
    """

    id: str
    severity: Severity
    title: str
    why: str
    bad: str
    safe: str
    before: str = ""
    since: int = 0
    until: int = 0
    reads: tuple[type, ...] = ()
    scope: Scope = "statement"
    down: bool = False
    default: bool = True
    small_is_harmless: bool = False

    def applies_to(self, server_version: int | None) -> bool:
        """Return whether the rule holds for a server of a major version; None is any version."""
        if server_version is None:
            return True
        return self.since <= server_version and (not self.until or server_version <= self.until)


class LoadedRule(NamedTuple):
    """A rule with the function that checks it.

    Attributes:
        rule: what a user reads.
        check: takes a statement, a file or all files, as `Rule.scope` says.
    """

    rule: Rule
    check: Callable[[Any, Context], Iterable[Problem]]


@cache
def load_rules() -> dict[str, LoadedRule]:
    """Import every rule, and return them by id."""
    package = import_module("chatdb_cli.lint.rules")
    rules = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        rule = import_module(f"{package.__name__}.{module}")
        rules[rule.RULE.id] = LoadedRule(rule.RULE, rule.check)
    return rules


def find_rule(name: str) -> Rule:
    """Return the rule of a name.

    Raises:
        ChatdbError: `USAGE`, with the nearest name: there is no such rule.
    """
    rules = load_rules()
    if name not in rules:
        raise ChatdbError(
            Code.USAGE,
            f"there is no rule {name!r}{did_you_mean(name, rules)}",
            hint="docs/rules has a page per rule",
        )
    return rules[name].rule
