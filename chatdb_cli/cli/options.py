"""The options that many commands share.

What does not belong here: the options of one command (`command/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from typing import Any


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
