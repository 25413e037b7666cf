"""The options of a lint, from the settings.

What does not belong here: reading the project file (`settings/project_file.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code, Location
from chatdb_cli.lint.model import LintOptions
from chatdb_cli.lint.rule import load_rules
from chatdb_cli.settings.parse import did_you_mean

if TYPE_CHECKING:
    from chatdb_cli.lint.model import LiveDatabase
    from chatdb_cli.settings.model import Settings


def lint_options(settings: Settings, live: LiveDatabase | None = None) -> LintOptions:
    """Return how to lint, as the settings and `[lint]` of the project file say.

    Args:
        settings: the settings.
        live: what a database says.

    Raises:
        ChatdbError: `SETTINGS`, the project file names a rule that does not exist.
    """
    lint = settings.lint
    rules = load_rules()
    for name in (*lint.off, *lint.on, *lint.severities):
        if name not in rules:
            raise ChatdbError(
                Code.SETTINGS,
                f"{lint.where}: there is no rule {name!r}{did_you_mean(name, rules)}",
                place=Location(Path(lint.where)),
            )
    return LintOptions(
        settings.schema,
        frozenset(lint.off),
        frozenset(lint.on),
        lint.severities,
        lint.server_version,
        lint.after,
        live,
    )
