"""The settings as values: the database that they name, the bastion, everything else.

A new setting is a field of `Settings`, a new SSH option a field of `Bastion`; `table.py` lists the other
steps.  What does not belong here: which source a value comes from (`sources.py`), how a text is parsed
(`parse.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.arguments import require_type

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Literal

    from chatdb_cli.findings import Severity


@dataclass(frozen=True, slots=True)
class Database:
    """A database that the settings name.

    Attributes:
        params: libpq keywords; empty for libpq's own defaults and for the embedded server.
        source: the setting that names it, for people: `DATABASE_URL from ./.env`.
        embedded: it is on the embedded server of `Settings.home`, which has the params.
    """

    params: Mapping[str, str] = field(repr=False)
    source: str
    embedded: bool


@dataclass(frozen=True, slots=True)
class Bastion:
    """The SSH options: the host that a tunnel goes through; ~/.ssh/config completes what is None.

    Attributes:
        host: a name, an address, or an alias of ~/.ssh/config.
        port: None for the port in ~/.ssh/config, or 22.
        user: None for the user in ~/.ssh/config, or the user that runs chatdb.
        key_path: the private key; None for the keys in ~/.ssh/config, or the agent's keys.
        passphrase: unlocks the key.
        known_hosts: None for the file in ~/.ssh/config, or ~/.ssh/known_hosts.
        agent: whether the agent's keys are tried; None for only if no key is named.
        retries: how many times a transient failure is tried again.
        retry_delay_ms: the pause before the first retry, in milliseconds; before the second, twice that.
    """

    host: str
    port: int | None = None
    user: str | None = None
    key_path: Path | None = None
    passphrase: str | None = field(default=None, repr=False)
    known_hosts: Path | None = None
    agent: bool | None = None
    retries: int = 3
    retry_delay_ms: int = 1000


@dataclass(frozen=True, slots=True)
class OtherSide:
    """The other side of a comparison: a database, with its own tunnel and schema.

    Attributes:
        database: None if a setting of it is given, but no URL; `settings_against` refuses that.
        schema: None for the schema of `Settings`.
        bastion: the host of its own SSH tunnel, or None for no tunnel.
        source: the setting that names it, for people.
    """

    database: Database | None
    schema: str | None
    bastion: Bastion | None
    source: str


class LintSettings(NamedTuple):
    """The table `[lint]` of the project file; the linter knows which rules exist.

    Attributes:
        off: rules that are not checked.
        on: rules that are off by default, and are checked.
        severities: a severity in place of the rule's own, by rule.
        server_version: the major version of the server; None for any.
        after: files up to this version are not checked.
        strict: warnings make the command fail, too.
        where: the file; empty if there is none.
    """

    off: tuple[str, ...] = ()
    on: tuple[str, ...] = ()
    severities: Mapping[str, Severity] = MappingProxyType({})
    server_version: int | None = None
    after: str | None = None
    strict: bool = False
    where: str = ""


class CountsSettings(NamedTuple):
    """The table `[counts]` of the project file.

    Attributes:
        exclude_tables: tables that are not counted unless they are named.
        exclude_columns: columns that no checksum covers.
    """

    exclude_tables: tuple[str, ...] = ()
    exclude_columns: tuple[str, ...] = ()


NO_LINT = LintSettings()
NO_COUNTS = CountsSettings()


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, checked; durations in milliseconds.

    Attributes:
        database: None if no setting names one; `require_database` raises then.
        directory: the folder of the migrations as it was given (`@chat` included), or None.
        bastion: the host of the SSH tunnel, or None for no tunnel.
        health_thresholds: limits of the health checks, by name, as they were given; or None.
        health_cursors: the files of the cursors that are compared with the change log, by name; or None.
        pool_wait_ms: how long a caller waits for a connection of a pool; None: `connect_timeout_ms`.
        metrics_top: how many tables, indexes and statements get metrics of their own.
        health_listen: the address of the HTTP server, as host and port; either is None if it is not
            given.  None for no server.
        warnings: sentences to show, without secrets.
        log_file: the file that log records are appended to, or None.
        correlation_id: the id of the run, in place of one that chatdb chooses, or None.
        test_database: the database that TEST_DATABASE_URL names, for the test schema.
        scratch_database: the database whose server gets scratch databases, or None if no setting names
            one.
        prelude: the SQL file that runs first in a scratch database, or None.
        against: the other side of a comparison, or None if no setting names one.
        embeddable: the embedded server, which `setup` may create if no setting names another database.
        lint: the table `[lint]` of the project file.
        counts: the table `[counts]` of the project file.
        insecure: allow an unprotected connection in production.  It has a flag and no variable, so that
            the protection is never turned off for good.
        allow_read_only_override: write although transactions are read-only by default; as `insecure`, it
            has a flag alone.
        schema_named: a setting names the schema; else it is the default.
    """

    database: Database | None
    home: Path
    environment: Literal["development", "test", "staging", "production"]
    schema: str
    directory: str | None
    postgres_programs: Path | None
    connect_timeout_ms: int
    connect_retries: int
    connect_retry_delay_ms: int
    pool_size: int
    pool_idle_ms: int
    pool_wait_ms: int | None
    lock_timeout_ms: int
    statement_timeout_ms: int
    retries: int
    wait_ms: int
    wait_for_server_ms: int
    health_thresholds: Mapping[str, str] | None = field(repr=False)
    health_cursors: Mapping[str, Path] | None
    metrics_top: int
    pooler: Literal["session", "transaction"] | None
    format: Literal["text", "json"]
    log_format: Literal["text", "json"]
    log_file: Path | None
    correlation_id: str | None
    quiet: bool
    verbose: bool
    debug: bool
    bastion: Bastion | None
    warnings: tuple[str, ...]
    lint: LintSettings = NO_LINT
    counts: CountsSettings = NO_COUNTS
    insecure: bool = False
    allow_read_only_override: bool = False
    schema_named: bool = True
    embeddable: Database | None = None
    test_database: Database | None = None
    scratch_database: Database | None = None
    prelude: Path | None = None
    against: OtherSide | None = None
    health_listen: tuple[str | None, int | None] | None = None

    @property
    def ssh_host(self) -> str | None:
        """The name of the bastion, or None for no tunnel."""
        return self.bastion.host if self.bastion else None


def require_settings(value: object) -> None:
    """Raise an error that says how to get settings, if a value is not `Settings`.

    Raises:
        TypeError: the value is of another type.
    """
    require_type(
        value,
        Settings,
        'load_settings() reads them, or load_settings({"database_url": url}) for one URL',
    )
