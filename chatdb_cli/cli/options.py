"""The options that several commands share.

What does not belong here: the options of one command (`command/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from typing import Any


def print_version(context: typer.Context, requested: bool) -> None:
    """Print the version and end the command, if that was requested."""
    if requested:
        from chatdb_cli._version import __version__

        context.obj.text(f"chatdb {__version__}")
        raise typer.Exit


def print_all_options(context: typer.Context, requested: bool) -> None:
    """Print the help with every option and end the command, if that was requested."""
    if requested:
        context.meta[ALL_OPTIONS] = True
        context.obj.text(context.get_help())
        raise typer.Exit


_CONNECTION = "Connection"
# The panels of the options that most commands share: `--help` only names them.
SHARED_PANELS = (_CONNECTION, "Tunnel", "Output")
# Where a context notes that all of them are explained.
ALL_OPTIONS = "chatdb.all-options"


def _text(option: str, metavar: str, description: str, panel: str) -> Any:
    return Annotated[
        str | None,
        typer.Option(option, metavar=metavar, help=description, rich_help_panel=panel),
    ]


# The options of a tunnel, without the word before `ssh-`: metavar and help.
_SSH_OPTIONS = {
    "ssh_host": ("HOST", "The SSH host to connect through, or its alias."),
    "ssh_port": ("PORT", "Its SSH port (default 22)."),
    "ssh_user": ("NAME", "The user who logs in there."),
    "ssh_key_path": ("FILE", "The private key (default: the agent's keys)."),
    "ssh_key_passphrase": (
        "TEXT", "Unlocks the key; the variable is safer: the process list shows this."
    ),
    "ssh_known_hosts": ("FILE", "The host keys (default ~/.ssh/known_hosts)."),
    "ssh_agent": ("true|false", "Also try the agent's keys, or never."),
    "ssh_max_retries": ("N", "How often a temporary failure is retried (3)."),
    "ssh_retry_delay": ("TIME", "The pause, times the attempt (default 1s)."),
}  # fmt: skip


def _ssh(prefix: str, panel: str) -> dict[str, Any]:
    options = {f"{prefix}{name}": texts for name, texts in _SSH_OPTIONS.items()}
    return {
        name: _text("--" + name.replace("_", "-"), metavar, description, panel)
        for name, (metavar, description) in options.items()
    }


_SSH: dict[str, Any] = {
    **_ssh("", "Tunnel"),
    "no_tunnel": Annotated[
        bool,
        typer.Option("--no-tunnel", rich_help_panel="Tunnel",
                     help="Connect directly, even if SSH_HOST is set."),
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
                     help="The schema of the objects and their history (default public)."),
    ],
    "embedded": Annotated[
        bool,
        typer.Option("--embedded", rich_help_panel=_CONNECTION,
                     help="Use the project's own PostgreSQL, even if another is configured."),
    ],
    "insecure": Annotated[
        bool,
        typer.Option("--insecure", rich_help_panel=_CONNECTION,
                     help="In production, allow an unprotected connection."),
    ],
    "pooler": Annotated[
        str | None,
        typer.Option("--pooler", metavar="session|transaction", rich_help_panel=_CONNECTION,
                     help="The mode of a connection pooler (default: detected)."),
    ],
    **_SSH,
    "env_file": Annotated[
        str | None,
        typer.Option("--env-file", metavar="FILE", rich_help_panel=_CONNECTION,
                     help="Read this file instead of ./.env.local and ./.env."),
    ],
    "dir": Annotated[
        str | None,
        typer.Option("--dir", metavar="DIR", rich_help_panel=_CONNECTION,
                     help="The directory of up/ and down/ (default ./sql), or @chat."),
    ],
}  # fmt: skip
_OUTPUT: dict[str, Any] = {
    "format": Annotated[
        str | None,
        typer.Option("--format", metavar="text|json", rich_help_panel="Output",
                     help="The format of the result (default text)."),
    ],
    "log_format": Annotated[
        str | None,
        typer.Option("--log-format", metavar="text|json", rich_help_panel="Output",
                     help="The format of stderr: text, or a JSON object a line (default text)."),
    ],
    "log_file": Annotated[
        str | None,
        typer.Option("--log-file", metavar="FILE", rich_help_panel="Output",
                     help="Also append the log to this file, as a JSON object a line."),
    ],
    "quiet": Annotated[
        bool,
        typer.Option("--quiet", "-q", rich_help_panel="Output", help="Print no progress and no notes."),
    ],
    "verbose": Annotated[
        bool,
        typer.Option("--verbose", "-v", rich_help_panel="Output",
                     help="Log each statement with its duration."),
    ],
    "version": Annotated[
        bool,
        typer.Option("--version", "-V", is_eager=True, callback=print_version,
                     rich_help_panel="Output", help="Print the version."),
    ],
    "help_all": Annotated[
        bool,
        typer.Option("--help-all", is_eager=True, callback=print_all_options,
                     help="Also explain the options that most commands have."),
    ],
}  # fmt: skip
_TIMING: dict[str, Any] = {
    "retries": Annotated[
        str | None,
        typer.Option("--retries", metavar="N",
                     help="How often a file is retried after a lock timeout or a deadlock (10)."),
    ],
    "lock_timeout": Annotated[
        str | None,
        typer.Option("--lock-timeout", metavar="TIME",
                     help="How long a statement may wait for a lock (default 5s)."),
    ],
    "statement_timeout": Annotated[
        str | None,
        typer.Option("--statement-timeout", metavar="TIME",
                     help="How long a statement may run; 0s is no limit (default 0s)."),
    ],
    "wait": Annotated[
        str | None,
        typer.Option("--wait", metavar="TIME",
                     help="How long to wait for another migrator; 0s is no wait (default 60s)."),
    ],
}  # fmt: skip
_READ_ONLY: dict[str, Any] = {
    "allow_read_only_override": Annotated[
        bool,
        typer.Option("--allow-read-only-override",
                     help="Write although default_transaction_read_only is on."),
    ],
}  # fmt: skip
_OTHER_SIDE = "Comparison"
# The other side of a comparison, and its own tunnel.
AGAINST: dict[str, Any] = {
    "against": _text("--against", "URL", "Compare with this database.", _OTHER_SIDE),
    "against_schema": _text("--against-schema", "NAME", "Its schema (default: the same name).",
                            _OTHER_SIDE),
    **_ssh("against_", _OTHER_SIDE),
}  # fmt: skip
_SCRATCH: dict[str, Any] = {
    "scratch_url": Annotated[
        str | None,
        typer.Option("--scratch-url", metavar="URL",
                     help="A database on the server that gets the scratch database."),
    ],
    "prelude": Annotated[
        str | None,
        typer.Option("--prelude", metavar="FILE", help="A SQL file that runs first in it."),
    ],
}  # fmt: skip
_SERVING: dict[str, Any] = {
    "serve": Annotated[
        str | None,
        typer.Option("--serve", metavar="HOST[:PORT]", rich_help_panel="HTTP",
                     help="Serve /health and /metrics at this address until stopped; 127.0.0.1 is this "
                     "machine alone."),
    ],
    "cursor": Annotated[
        list[str] | None,
        typer.Option("--cursor", metavar="[NAME=]FILE",
                     help="Check how far the listener with this cursor has read; can be repeated."),
    ],
    "metrics_top": Annotated[
        str | None,
        typer.Option("--metrics-top", metavar="N", rich_help_panel="HTTP",
                     help="How many tables, indexes and statements get metrics of their own (50)."),
    ],
}  # fmt: skip
_WAIT_FOR_SERVER: dict[str, Any] = {
    "wait_for_server": Annotated[
        str | None,
        typer.Option("--wait-for-server", metavar="TIME",
                     help="How long to wait until the server answers; 0s is no wait (default 0s)."),
    ],
}  # fmt: skip
CONNECTED = _SHARED | _OUTPUT
SERVING = _SERVING | CONNECTED
MIGRATING = _TIMING | _READ_ONLY | CONNECTED
APPLYING = _WAIT_FOR_SERVER | MIGRATING
REHEARSING = _SCRATCH | CONNECTED
VERIFYING = REHEARSING | AGAINST
_READING = {key: _TIMING[key] for key in ("lock_timeout", "statement_timeout")} | CONNECTED
SEEDING = _READ_ONLY | _READING
COUNTING = {key: value for key, value in _READING.items() if key != "dir"}
NO_FILES = {name: kind for name, kind in CONNECTED.items() if name != "dir"}
LOCAL = {"env_file": _SHARED["env_file"]} | _OUTPUT
FILES = {"dir": _SHARED["dir"]} | LOCAL


def count(text: str) -> int:
    """Return a number of things that is at least 1, from the text of an option."""
    if not (text.isascii() and text.isdecimal() and int(text[:9]) > 0):
        raise typer.BadParameter(f"{text!r} is not a whole number from 1")
    return int(text[:9])


def _duration(text: str) -> int:
    from chatdb_cli.settings.parse import duration_ms

    try:
        return duration_ms(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}") from None


def duration_option(option: str, description: str) -> Any:
    """Return an option that is a duration with a unit; its value is in milliseconds."""
    return typer.Option(
        option, metavar="TIME", parser=_duration, show_default=False, help=description
    )


def steps_option(description: str) -> Any:
    """Return the option `--steps`."""
    return typer.Option("--steps", metavar="N", parser=count, help=description)


DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the script that would be sent; change nothing.")
]
AllowDataLoss = Annotated[
    bool,
    typer.Option(
        "--allow-data-loss", help="Roll back even if rows are deleted; do not check first."
    ),
]
AllowNonEmpty = Annotated[
    bool,
    typer.Option(
        "--allow-non-empty", help="Also into a schema that holds tables and has no history."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation in production.")]
DryRunOfHistory = Annotated[
    bool, typer.Option("--dry-run", help="Only show what would be changed.")
]
YesToAll = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
ColumnOrder = Annotated[
    bool,
    typer.Option("--column-order", help="Another order of the columns is a difference, too."),
]
SyncEach = Annotated[
    bool, typer.Option("--sync-each", help="Wait for the disk after each migration.")
]
