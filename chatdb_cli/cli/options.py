"""The options that many commands share, and the session that they make.

A command declares what is its own; `command` adds the shared ones to its signature, reads the
settings, and gives it a `Session`.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatdb_cli.connection import Target
    from chatdb_cli.migrator import Migrator
    from chatdb_cli.render import Output
    from chatdb_cli.settings import Settings


def print_version(wanted: bool) -> None:
    """Print the version and end, when that was asked for."""
    if wanted:
        from chatdb_cli import __version__

        typer.echo(f"chatdb {__version__}")
        raise typer.Exit


_CONNECTION = "Connection"
_SHARED: dict[str, Any] = {
    "database_url": Annotated[
        str | None,
        typer.Option("--database-url", "-d", metavar="URL", rich_help_panel=_CONNECTION,
                     help="The database, as a URL or a libpq keyword string."),
    ],
    "schema": Annotated[
        str | None,
        typer.Option("--schema", metavar="NAME", rich_help_panel=_CONNECTION,
                     help="The schema that holds the objects and their history (default public)."),
    ],
    "embedded": Annotated[
        bool,
        typer.Option("--embedded", rich_help_panel=_CONNECTION,
                     help="Use the project's own PostgreSQL, whatever else is configured."),
    ],
    "insecure": Annotated[
        bool,
        typer.Option("--insecure", rich_help_panel=_CONNECTION,
                     help="In production, allow a connection that nothing protects."),
    ],
    "pooler": Annotated[
        str | None,
        typer.Option("--pooler", metavar="session|transaction", rich_help_panel=_CONNECTION,
                     help="How a pooler in between shares sessions, if chatdb is to know better."),
    ],
    "env_file": Annotated[
        str | None,
        typer.Option("--env-file", metavar="FILE", rich_help_panel=_CONNECTION,
                     help="Read this file in place of ./.env.local and ./.env."),
    ],
    "dir": Annotated[
        str | None,
        typer.Option("--dir", metavar="DIR", rich_help_panel=_CONNECTION,
                     help="The folder that holds up/ and down/ (default ./sql), or @chat."),
    ],
}  # fmt: skip
_OUTPUT: dict[str, Any] = {
    "format": Annotated[
        str | None,
        typer.Option("--format", metavar="text|json", rich_help_panel="Output",
                     help="How the result is printed (default text)."),
    ],
    "log_format": Annotated[
        str | None,
        typer.Option("--log-format", metavar="text|json", rich_help_panel="Output",
                     help="How logs are printed (default text)."),
    ],
    "quiet": Annotated[
        bool,
        typer.Option("--quiet", "-q", rich_help_panel="Output", help="No progress, no notes."),
    ],
    "verbose": Annotated[
        bool,
        typer.Option("--verbose", "-v", rich_help_panel="Output",
                     help="Log each statement with its milliseconds."),
    ],
    "version": Annotated[
        bool,
        typer.Option("--version", "-V", is_eager=True, callback=print_version,
                     rich_help_panel="Output", help="Print the version."),
    ],
}  # fmt: skip
_TIMING: dict[str, Any] = {
    "retries": Annotated[
        str | None,
        typer.Option("--retries", metavar="N",
                     help="How often a file that met a lock or a deadlock is tried again (10)."),
    ],
    "lock_timeout": Annotated[
        str | None,
        typer.Option("--lock-timeout", metavar="TIME",
                     help="How long a statement may wait for a lock (default 5s)."),
    ],
    "statement_timeout": Annotated[
        str | None,
        typer.Option("--statement-timeout", metavar="TIME",
                     help="How long a statement may run; 0s is for ever (default 0s)."),
    ],
    "wait": Annotated[
        str | None,
        typer.Option("--wait", metavar="TIME",
                     help="How long to wait for another migrator; 0s is not at all (default 60s)."),
    ],
}  # fmt: skip

CONNECTED = _SHARED | _OUTPUT
MIGRATING = _TIMING | CONNECTED
SEEDING = {key: _TIMING[key] for key in ("lock_timeout", "statement_timeout")} | CONNECTED
CATALOG = {name: kind for name, kind in CONNECTED.items() if name != "dir"}
LOCAL = {"env_file": _SHARED["env_file"]} | _OUTPUT
FILES = {"dir": _SHARED["dir"]} | LOCAL


@dataclass
class Session:
    """What a command works with: the settings, and how to speak."""

    settings: Settings
    out: Output

    def target(self) -> Target:
        """Return the target, with the embedded server running if it is that one."""
        from chatdb_cli.connection import open_target

        self.out.about = target = open_target(self.settings, self.out.say)
        return target

    def migrator(self, target: Target, *, sync_each: bool = False) -> Migrator:
        """Return a migrator for a target, and say which files it takes when nobody named them."""
        from chatdb_cli.migrator import Migrator

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


def command(
    group: typer.Typer, name: str, shared: dict[str, Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a command that takes shared options beside its own.

    Args:
        group: where it belongs.
        name: how it is called.
        shared: one of the tables above.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

        @wraps(function)
        def run(context: typer.Context, **given: Any) -> None:
            flags = {key: given.pop(key) for key in shared}
            session = _session(flags, context.obj)
            try:
                function(session, **given)
            finally:
                session.out.close()

        added = [
            inspect.Parameter(
                key,
                inspect.Parameter.KEYWORD_ONLY,
                default=False if kind.__origin__ is bool else None,
                annotation=kind,
            )
            for key, kind in shared.items()
        ]
        context = inspect.Parameter(
            "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
        )
        parameters = [
            context,
            *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own),
            *added,
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        group.command(name, cls=_Command)(run)
        return function

    return register


class _Command(TyperCommand):
    """A command whose plain help has the sections that rich's would have."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each panel, in the order of the signature."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                kind = "Arguments" if param.param_type_name == "argument" else "Options"
                title = getattr(param, "rich_help_panel", None) or kind
                sections.setdefault(title, []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def _session(flags: dict[str, Any], out: Output) -> Session:
    from chatdb_cli import settings as reading

    settings = reading.load({name: value for name, value in flags.items() if name != "version"})
    out.form, out.quiet = settings.format, settings.quiet
    if settings.verbose:
        from chatdb_cli import log

        log.configure(sys.stderr, settings.log_format)
    for warning in settings.warnings:
        out.warn(warning)
    return Session(settings, out)
