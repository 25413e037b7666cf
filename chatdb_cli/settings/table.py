"""The table of all settings: variable, parser, default, and the field of `Settings` that it fills.

To add a setting:
    1. one row in SETTINGS, with a parser of `parse.py`;
    2. the field of the row, in `model.Settings` or, for an SSH option, in `model.Bastion`;
    3. for an SSH option, whose row names no field: fill the field of `Bastion` in `load.py`;
    4. one line in .env.example, unless it is `environment_only`; a test compares it with the table;
    5. its flag, if it is an option of a command: one entry in `cli/options.py`.

The package that obeys the setting reads it from `Settings`; an SSH option is merged with ~/.ssh/config
in `ssh/config.py`.  What does not belong here: reading values (`sources.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chatdb_cli.settings import parse

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        variable: its variable in the environment and in .env files.  `CHATDB_LOCK_TIMEOUT` is also the
            flag `lock_timeout` (`--lock-timeout`), `SSH_HOST` is `ssh_host`; no others are flags.
        parse: turns its text into a value, or raises ValueError.
        default: its text if no source sets it; None for no value.
        field: the field of `Settings` that it fills; empty if `load.py` derives something else from it.
        secret: its value is never shown.
        flag: the key of its flag, if that differs from its variable.
        environment_only: only the environment of the process may set it: a file that came with a
            project could name a program that is then run.
    """

    variable: str
    parse: Callable[[str], Any]
    default: str | None = None
    field: str = ""
    secret: bool = False
    flag: str = ""
    environment_only: bool = False

    @property
    def name(self) -> str:
        """The key of its flag."""
        return self.flag or self.variable.removeprefix("CHATDB_").lower()


SETTINGS = {
    setting.variable: setting
    for setting in (
        # The database.
        Setting("CHATDB_DATABASE_URL", parse.url, secret=True),
        Setting("DATABASE_URL", parse.url, secret=True),
        Setting("POSTGRES_HOST", parse.host, "localhost"),
        Setting("POSTGRES_PORT", parse.ports, "5432"),
        Setting("POSTGRES_DB", str),
        Setting("POSTGRES_USER", str),
        Setting("POSTGRES_PASSWORD", str, secret=True),
        Setting("PGHOST", parse.host),
        Setting("PGHOSTADDR", str),
        Setting("PGPORT", parse.ports),
        Setting("PGDATABASE", str),
        Setting("PGUSER", str),
        Setting("PGSERVICE", str),
        Setting("PGPASSWORD", str, secret=True),
        Setting("TEST_DATABASE_URL", parse.url, secret=True),
        # The embedded server.
        Setting("CHATDB_EMBEDDED", parse.boolean),
        Setting("CHATDB_HOME", parse.path, ".chatdb"),
        Setting(
            "CHATDB_POSTGRES_BIN",
            parse.absolute_path,
            field="postgres_programs",
            environment_only=True,
        ),
        # The project.
        Setting(
            "CHATDB_ENV",
            parse.choice("development", "test", "staging", "production"),
            "development",
            "environment",
        ),
        Setting("CHATDB_ENV_FILE", parse.path),
        Setting("CHATDB_SCHEMA", parse.schema, "public", "schema"),
        Setting("CHATDB_DIR", str, field="directory"),
        # Connections.
        Setting("CHATDB_CONNECT_TIMEOUT", parse.duration_ms, "2s", "connect_timeout_ms"),
        Setting("CHATDB_CONNECT_RETRIES", parse.count(0), "3", "connect_retries"),
        Setting("CHATDB_CONNECT_RETRY_DELAY", parse.duration_ms, "1s", "connect_retry_delay_ms"),
        Setting("CHATDB_POOL_SIZE", parse.count(1), "20", "pool_size"),
        Setting("CHATDB_POOL_IDLE", parse.duration_ms, "30s", "pool_idle_ms"),
        Setting("CHATDB_POOL_WAIT", parse.positive_duration_ms, field="pool_wait_ms"),
        Setting("CHATDB_POOLER", parse.choice("session", "transaction"), field="pooler"),
        # Migrations.
        Setting("CHATDB_LOCK_TIMEOUT", parse.duration_ms, "5s", "lock_timeout_ms"),
        Setting("CHATDB_STATEMENT_TIMEOUT", parse.duration_ms, "0s", "statement_timeout_ms"),
        Setting("CHATDB_RETRIES", parse.count(0), "10", "retries"),
        Setting("CHATDB_WAIT", parse.duration_ms, "60s", "wait_ms"),
        Setting("CHATDB_WAIT_FOR_SERVER", parse.duration_ms, "0s", "wait_for_server_ms"),
        # Health checks.
        Setting("CHATDB_THRESHOLD", parse.thresholds, field="health_thresholds"),
        Setting("CHATDB_CURSOR", parse.cursors, field="health_cursors"),
        # The HTTP server of `chatdb health`; PORT, which many platforms set, completes its address.
        Setting("CHATDB_HEALTH_LISTEN", parse.listen, flag="serve"),
        Setting("PORT", parse.port),
        Setting("CHATDB_METRICS_TOP", parse.count(1), "50", "metrics_top"),
        # The scratch place, for rehearsals and drift.
        Setting("CHATDB_SCRATCH_URL", parse.url, secret=True),
        Setting("CHATDB_PRELUDE", parse.path, field="prelude"),
        # Output.
        Setting("CHATDB_FORMAT", parse.choice("text", "json"), "text", "format"),
        Setting("CHATDB_LOG_FORMAT", parse.choice("text", "json"), "text", "log_format"),
        Setting("CHATDB_LOG_FILE", parse.path, field="log_file"),
        Setting("CHATDB_CORRELATION_ID", parse.correlation_id, field="correlation_id"),
        Setting("CHATDB_QUIET", parse.boolean, "false", "quiet"),
        Setting("CHATDB_VERBOSE", parse.boolean, "false", "verbose"),
        Setting("CHATDB_DEBUG", parse.boolean, "false", "debug"),
        # The SSH tunnel; all but SSH_ENABLED are fields of `Bastion`.
        Setting("SSH_HOST", parse.bastion),
        Setting("SSH_ENABLED", parse.boolean, "true"),
        Setting("SSH_PORT", parse.port),
        Setting("SSH_USER", str),
        Setting("SSH_KEY_PATH", parse.path),
        Setting("SSH_KEY_PASSPHRASE", str, secret=True),
        Setting("SSH_KNOWN_HOSTS", parse.path),
        Setting("SSH_AGENT", parse.boolean),
        Setting("SSH_MAX_RETRIES", parse.count(0)),
        Setting("SSH_RETRY_DELAY", parse.milliseconds),
        # The other side of a comparison, and its own tunnel; all are fields of `OtherSide`.
        Setting("CHATDB_AGAINST_URL", parse.url, secret=True, flag="against"),
        Setting("CHATDB_AGAINST_SCHEMA", parse.schema),
        Setting("CHATDB_AGAINST_SSH_HOST", parse.bastion),
        Setting("CHATDB_AGAINST_SSH_PORT", parse.port),
        Setting("CHATDB_AGAINST_SSH_USER", str),
        Setting("CHATDB_AGAINST_SSH_KEY_PATH", parse.path),
        Setting("CHATDB_AGAINST_SSH_KEY_PASSPHRASE", str, secret=True),
        Setting("CHATDB_AGAINST_SSH_KNOWN_HOSTS", parse.path),
        Setting("CHATDB_AGAINST_SSH_AGENT", parse.boolean),
        Setting("CHATDB_AGAINST_SSH_MAX_RETRIES", parse.count(0)),
        Setting("CHATDB_AGAINST_SSH_RETRY_DELAY", parse.milliseconds),
    )
}
URL_VARIABLES = ("CHATDB_DATABASE_URL", "DATABASE_URL")
POSTGRES_VARIABLES = ("POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_USER")
AGAINST_VARIABLES = tuple(v for v in SETTINGS if v.startswith("CHATDB_AGAINST_"))
