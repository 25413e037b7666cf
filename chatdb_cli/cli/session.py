"""What a command works with: the settings, a target, and how to speak.

What does not belong here: the options of a command (`options.py`), output (`output.py`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from chatdb_cli.cli.output import Output
    from chatdb_cli.migrate.migrator import Migrator
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.settings.model import Settings


@dataclass
class Context:
    """What a command works with: the settings, and how to speak."""

    settings: Settings
    out: Output
    _opened: list[Target] = field(default_factory=list)

    def target(self, settings: Settings | None = None, **options: Any) -> Target:
        """Return the target, with the embedded server or the tunnel running that it needs.

        Args:
            settings: in place of the session's.
            options: as for `open_target`.
        """
        from chatdb_cli.postgres.target import open_target

        target = open_target(settings or self.settings, self.out.say, ask=self.ask, **options)
        self._opened.append(target)
        self.out.about = target
        return target

    def close(self) -> None:
        """Close what was opened."""
        for target in self._opened:
            target.close()

    def ask(self, question: str) -> str | None:
        """Ask the user for a secret; None where nobody can be asked."""
        if self.settings.format == "json" or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return None
        import getpass

        return getpass.getpass(question) or None

    def migrator(self, target: Target, *, sync_each: bool = False) -> Migrator:
        """Return a migrator for a target, and say which files it takes when nobody named them."""
        from chatdb_cli.migrate.migrator import Migrator

        migrator = Migrator(target, progress=self.out.progress, sync_each=sync_each)
        if migrator.folder.shipped and not migrator.folder.named:
            self.out.say("files: the chat schema that comes with chatdb (there is no ./sql)")
        return migrator

    def confirm_in_production(self, what: str, database: str, *, yes: bool) -> None:
        """Ask before something is done in production, unless `--yes` was given.

        Raises:
            ChatdbError: as `confirm` does.
        """
        if self.settings.environment == "production" and not yes:
            self.confirm(f"{what} in production, on database {database!r}", database)

    def confirm(self, what: str, word: str) -> None:
        """Ask the user to type a word before something is destroyed; no is the default.

        Raises:
            ChatdbError: `REFUSED` where nobody can be asked, `DECLINED` for any other answer.
        """
        from chatdb_cli.errors import ChatdbError, Code

        if self.settings.format == "json" or not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise ChatdbError(Code.REFUSED, f"this would {what}", hint="if you mean it, add --yes")
        self.out.write(f"this will {what}\ntype {word!r} to go on: ")
        if sys.stdin.readline().strip() != word:
            raise ChatdbError(Code.DECLINED, "not confirmed; nothing was changed")


def make_context(flags: dict[str, Any], out: Output) -> Context:
    """Read the settings, and return what a command works with."""
    from chatdb_cli.settings.load import load_settings

    settings = load_settings({name: value for name, value in flags.items() if name != "version"})
    out.form, out.quiet = settings.format, settings.quiet
    if settings.verbose:
        from chatdb_cli import log

        log.configure(sys.stderr, settings.log_format)
    for warning in settings.warnings:
        out.warn(warning)
    return Context(settings, out)
