"""The settings as values: the database that is named, the bastion, everything else.

What does not belong here: where they come from (`sources.py`), how a text is parsed (`parse.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Literal


@dataclass(frozen=True, slots=True)
class Database:
    """Which database was named, and by what.

    Attributes:
        params: libpq keywords; empty for libpq's own defaults and for the embedded server.
        source: what named it, for people: `DATABASE_URL from ./.env`.
        embedded: the server of `Settings.home` is meant; it gives the params.
    """

    params: Mapping[str, str] = field(repr=False)
    source: str
    embedded: bool


@dataclass(frozen=True, slots=True)
class Bastion:
    """The host that an SSH tunnel goes through, as far as the settings say; ~/.ssh/config has the rest.

    Attributes:
        host: a name, an address, or an alias of ~/.ssh/config.
        port: None for what ~/.ssh/config says, or 22.
        user: None for what ~/.ssh/config says, or who runs chatdb.
        key_path: the private key; None for what ~/.ssh/config says, or the agent's keys.
        passphrase: unlocks the key.
        known_hosts: None for what ~/.ssh/config says, or ~/.ssh/known_hosts.
        agent: whether the agent's keys are tried; None is only where no key is named.
        retries: how often what passes is tried again.
        retry_delay_ms: the pause before it, times the attempt.
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
class Settings:
    """Every setting, checked; durations in milliseconds.

    Attributes:
        database: None when nothing names one; `require_database` raises then.
        directory: `--dir` as it was given (`@chat` included), None when it was not.
        bastion: what a tunnel goes through, when one is asked for.
        warnings: sentences to show, without secrets.
        test_database: what TEST_DATABASE_URL names, for `setup --test`.
        embeddable: the embedded server, which `setup` may make, where nothing hints at another.
        insecure: `--insecure`, which has no variable: nothing takes that protection away for good.
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
    lock_timeout_ms: int
    statement_timeout_ms: int
    retries: int
    wait_ms: int
    pooler: Literal["session", "transaction"] | None
    format: Literal["text", "json"]
    log_format: Literal["text", "json"]
    quiet: bool
    verbose: bool
    debug: bool
    bastion: Bastion | None
    warnings: tuple[str, ...]
    insecure: bool = False
    embeddable: Database | None = None
    test_database: Database | None = None

    @property
    def ssh_host(self) -> str | None:
        """The bastion's name, when a tunnel is asked for."""
        return self.bastion.host if self.bastion else None
