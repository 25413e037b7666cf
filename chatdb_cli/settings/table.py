"""The table of all settings: variable, parser, default, and the field of `Settings` that it fills.

A new setting is one row here and one field in `model.py`.  What does not belong here: reading values.
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
    """One setting: its variable, how its text is read, and what holds without it.

    `CHATDB_LOCK_TIMEOUT` has the name `lock_timeout` in the flags and is `--lock-timeout` for
    people, `SSH_HOST` is `ssh_host` and `--ssh-host`; no other has a flag.  `field` is where it stands
    in `Settings`; without one, `load` works it into something else.
    """

    variable: str
    parse: Callable[[str], Any]
    default: str | None = None
    field: str = ""
    secret: bool = False

    @property
    def name(self) -> str:
        """The key in the flags."""
        return self.variable.removeprefix("CHATDB_").lower()


SETTINGS = {
    setting.variable: setting
    for setting in (
        Setting("CHATDB_DATABASE_URL", parse.url, secret=True),
        Setting("DATABASE_URL", parse.url, secret=True),
        Setting("POSTGRES_HOST", parse.host, "localhost"),
        Setting("POSTGRES_PORT", parse.ports, "5432"),
        Setting("POSTGRES_DB", str),
        Setting("POSTGRES_USER", str),
        Setting("POSTGRES_PASSWORD", str, secret=True),
        Setting("CHATDB_EMBEDDED", parse.boolean),
        Setting("CHATDB_HOME", parse.path, ".chatdb"),
        Setting("CHATDB_POSTGRES_BIN", parse.path, field="postgres_programs"),
        Setting(
            "CHATDB_ENV",
            parse.choice("development", "test", "staging", "production"),
            "development",
            "environment",
        ),
        Setting("CHATDB_ENV_FILE", parse.path),
        Setting("CHATDB_SCHEMA", parse.schema, "public", "schema"),
        Setting("CHATDB_DIR", str, field="directory"),
        Setting("CHATDB_CONNECT_TIMEOUT", parse.duration_ms, "2s", "connect_timeout_ms"),
        Setting("CHATDB_CONNECT_RETRIES", parse.count(0), "3", "connect_retries"),
        Setting("CHATDB_CONNECT_RETRY_DELAY", parse.duration_ms, "1s", "connect_retry_delay_ms"),
        Setting("CHATDB_POOL_SIZE", parse.count(1), "20", "pool_size"),
        Setting("CHATDB_POOL_IDLE", parse.duration_ms, "30s", "pool_idle_ms"),
        Setting("CHATDB_LOCK_TIMEOUT", parse.duration_ms, "5s", "lock_timeout_ms"),
        Setting("CHATDB_STATEMENT_TIMEOUT", parse.duration_ms, "0s", "statement_timeout_ms"),
        Setting("CHATDB_RETRIES", parse.count(0), "10", "retries"),
        Setting("CHATDB_WAIT", parse.duration_ms, "60s", "wait_ms"),
        Setting("CHATDB_POOLER", parse.choice("session", "transaction"), field="pooler"),
        Setting("CHATDB_FORMAT", parse.choice("text", "json"), "text", "format"),
        Setting("CHATDB_LOG_FORMAT", parse.choice("text", "json"), "text", "log_format"),
        Setting("CHATDB_QUIET", parse.boolean, "false", "quiet"),
        Setting("CHATDB_VERBOSE", parse.boolean, "false", "verbose"),
        Setting("CHATDB_DEBUG", parse.boolean, "false", "debug"),
        Setting("PGHOST", parse.host),
        Setting("PGHOSTADDR", str),
        Setting("PGPORT", parse.ports),
        Setting("PGDATABASE", str),
        Setting("PGUSER", str),
        Setting("PGSERVICE", str),
        Setting("PGPASSWORD", str, secret=True),
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
        Setting("TEST_DATABASE_URL", parse.url, secret=True),
    )
}
URLS = ("CHATDB_DATABASE_URL", "DATABASE_URL")
FAMILY = ("POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_USER")
LIBPQ = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE")
LIBPQ_PLACE = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGSERVICE")
LIBPQ_SECRETS = ("PGPASSWORD", "PGPASSFILE", "PGSERVICEFILE")
