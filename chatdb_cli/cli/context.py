"""The context of a command: its settings, its target, its output, and questions to a person.

What does not belong here: the options of a command (`options.py`), streams (`output.py`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from chatdb_cli import log

if TYPE_CHECKING:
    from typing import Any

    from chatdb_cli.cli.output import Output
    from chatdb_cli.migrate.migrator import Migrator
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.settings.model import Settings


@dataclass
class Context:
    """What a command works with.

    Attributes:
        settings: the settings, flags included.
        out: where the command writes.
    """

    settings: Settings
    out: Output
    _opened: list[Target] = field(default_factory=list)

    def require_files(self) -> None:
        """Refuse to continue without a folder of migrations, before anything is opened or started.

        Raises:
            ChatdbError: `USAGE`, there is none.
        """
        from chatdb_cli.files.folder import choose_folder

        choose_folder(self.settings.directory)

    def target(self, settings: Settings | None = None, **options: Any) -> Target:
        """Open the target, with the embedded server or the tunnel that it needs.

        Args:
            settings: in place of the context's.
            options: as for `open_target`.
        """
        from chatdb_cli.postgres.target import open_target

        target = open_target(settings or self.settings, self.out.say, ask=self.ask, **options)
        self._opened.append(target)
        self.out.about = target
        return target

    def scratch_target(self) -> Target:
        """Open the target; if none is configured, the server of the scratch database is the target."""
        settings = self.settings
        if settings.database is None and settings.scratch_database is not None:
            settings = replace(settings, database=settings.scratch_database)
        return self.target(settings)

    def ready_target(self, wait_ms: int) -> Target:
        """Open the target, and wait until its server answers.

        Args:
            wait_ms: how long to wait, in milliseconds; 0 does not even connect.

        Raises:
            ChatdbError: it does not answer in time.
        """
        if not wait_ms:
            return self.target()
        from chatdb_cli.postgres.wait import Patience, wait_for_server

        target = Patience(wait_ms, self.out.say).try_until(self.target)
        wait_for_server(target, wait_ms, self.out.say)
        return target

    def close(self) -> None:
        """Close each target that was opened."""
        for target in self._opened:
            target.close()

    def migrator(self, target: Target, *, sync_each: bool = False) -> Migrator:
        """Return a migrator for a target."""
        from chatdb_cli.cli.progress import migration_progress
        from chatdb_cli.migrate.migrator import Migrator

        return Migrator(target, progress=migration_progress(self.out), sync_each=sync_each)

    @property
    def interactive(self) -> bool:
        """A person can be asked."""
        return self.settings.format != "json" and sys.stdin.isatty() and sys.stderr.isatty()

    def ask(self, question: str) -> str | None:
        """Ask a person for a secret; return None if no person can be asked."""
        if not self.interactive:
            return None
        import getpass

        if not self.out.logs:
            return getpass.getpass(question) or None
        self.out.ask(question)
        return getpass.getpass("") or None

    def confirm_in_production(self, what: str, database: str, *, yes: bool) -> None:
        """Ask for a confirmation in production, unless `--yes` was given.

        Raises:
            ChatdbError: as `confirm` does.
        """
        if self.settings.environment == "production" and not yes:
            self.confirm(f"{what} in production, on database {database!r}", database)

    def confirm(self, what: str, word: str) -> None:
        """Ask a person to type a word as the confirmation of a destructive command.

        Raises:
            ChatdbError: `REFUSED` if no person can be asked, `DECLINED` for any other answer.
        """
        from chatdb_cli.errors import ChatdbError, Code

        if not self.interactive:
            raise ChatdbError(Code.REFUSED, f"this would {what}", hint="to confirm it, add --yes")
        self.out.ask(f"this will {what}\ntype {word!r} to continue: ")
        if sys.stdin.readline().strip() != word:
            raise ChatdbError(Code.DECLINED, "not confirmed; nothing was changed")


def make_context(flags: dict[str, Any], out: Output) -> Context:
    """Read the settings and return the context of a command.

    Args:
        flags: the shared options, by the name of their setting.
        out: where the command writes; the settings decide its form.
    """
    from chatdb_cli.settings.load import load_settings

    settings = load_settings({k: v for k, v in flags.items() if k not in ("version", "help_all")})
    out.form, out.quiet = settings.format, settings.quiet
    log.correlation_id = settings.correlation_id or log.PROCESS_ID
    as_json = settings.log_format == "json"
    if as_json or settings.verbose or settings.log_file:
        from chatdb_cli.cli.logs import LogOptions, configure

        options = LogOptions(
            as_json, settings.quiet, settings.verbose, settings.log_file, settings.debug
        )
        configure(options, out)
    out.is_final = True
    out.warn(*settings.warnings)
    return Context(settings, out)
