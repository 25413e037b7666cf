"""The options that many commands share, and the session that they make.

A command declares what is its own; `Commands` adds the shared ones to its signature, reads the
settings, and gives it a `Session`.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatdb_cli.migrate.migrator import Migrator
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.render import Output
    from chatdb_cli.settings.model import Settings


def print_version(context: typer.Context, wanted: bool) -> None:
    """Print the version and end, when that was asked for."""
    if wanted:
        from chatdb_cli._version import __version__

        context.obj.text(f"chatdb {__version__}")
        raise typer.Exit


_CONNECTION = "Connection"


def _ssh(option: str, metavar: str, says: str) -> Any:
    return Annotated[
        str | None, typer.Option(option, metavar=metavar, help=says, rich_help_panel="Tunnel")
    ]


_SSH: dict[str, Any] = {
    "ssh_host": _ssh("--ssh-host", "HOST", "Connect through this SSH host, or alias of ~/.ssh/config."),
    "ssh_port": _ssh("--ssh-port", "PORT", "Its SSH port (default 22)."),
    "ssh_user": _ssh("--ssh-user", "NAME", "Who logs in there."),
    "ssh_key_path": _ssh("--ssh-key-path", "FILE", "The private key (default: the agent's keys)."),
    "ssh_key_passphrase": _ssh("--ssh-key-passphrase", "TEXT",
                               "What unlocks it; the process list shows it, the variable is better."),
    "ssh_known_hosts": _ssh("--ssh-known-hosts", "FILE", "The host keys (default ~/.ssh/known_hosts)."),
    "ssh_agent": _ssh("--ssh-agent", "true|false", "Try the agent's keys, too, or never."),
    "ssh_max_retries": _ssh("--ssh-max-retries", "N", "How often what passes is tried again (3)."),
    "ssh_retry_delay": _ssh("--ssh-retry-delay", "TIME", "The pause, times the attempt (default 1s)."),
    "no_tunnel": Annotated[
        bool,
        typer.Option("--no-tunnel", rich_help_panel="Tunnel",
                     help="Connect straight, whatever SSH_HOST says."),
    ],
}  # fmt: skip
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
    **_SSH,
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
NO_FILES = {name: kind for name, kind in CONNECTED.items() if name != "dir"}
LOCAL = {"env_file": _SHARED["env_file"]} | _OUTPUT
FILES = {"dir": _SHARED["dir"]} | LOCAL


@dataclass
class Session:
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


class Commands:
    """The commands of one module of this package.

    Building a command from its signature takes typer a millisecond, and only one will run; so that
    is done when it is known which.

    Args:
        group: what the group is for that they stand in; None where they stand on top.
    """

    def __init__(self, group: str | None = None) -> None:
        self._group = group
        self._found: dict[str, tuple[Callable[..., None], dict[str, Any]]] = {}

    def add(
        self, name: str, shared: dict[str, Any]
    ) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Take in a function as a command that has shared options beside its own.

        Args:
            name: how it is called.
            shared: one of the tables above.
        """

        def note(function: Callable[..., None]) -> Callable[..., None]:
            self._found[name] = function, shared
            return function

        return note

    def build(self, app: typer.Typer, name: str, wanted: str = "") -> None:
        """Put them into an application.

        Args:
            app: where they go.
            name: that of the group, if they stand in one.
            wanted: this command alone, where there is one of that name.
        """
        into = app
        if self._group:
            into = typer.Typer(help=self._group, no_args_is_help=True)
            app.add_typer(into, name=name)
        for each in [wanted] if wanted in self._found else self._found:
            into.command(each, cls=_Command)(_with_shared(*self._found[each]))


def _with_shared(function: Callable[..., None], shared: dict[str, Any]) -> Callable[..., None]:
    """Return what typer calls: it takes all options, and the function gets a session."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

    @wraps(function)
    def run(context: typer.Context, **given: Any) -> None:
        flags = {key: given.pop(key) for key in shared}
        session = _session(flags, context.obj)
        try:
            function(session, **given)
        finally:
            try:
                session.out.close()
            finally:
                session.close()

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
    return run


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
    from chatdb_cli.settings.load import load_settings

    settings = load_settings({name: value for name, value in flags.items() if name != "version"})
    out.form, out.quiet = settings.format, settings.quiet
    if settings.verbose:
        from chatdb_cli import log

        log.configure(sys.stderr, settings.log_format)
    for warning in settings.warnings:
        out.warn(warning)
    return Session(settings, out)
