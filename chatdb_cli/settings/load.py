"""Read every setting from its highest source.

    load_settings    flags, environment and .env files, as one value

What does not belong here: the table of settings (`table.py`), choosing a database (`database.py`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.settings import parse
from chatdb_cli.settings.database import (
    embedded_database,
    holds_server,
    libpq_database,
    named_database,
    reason_against_embedded,
    shown_path,
    test_database,
    tunnel_source,
)
from chatdb_cli.settings.model import Bastion, Settings
from chatdb_cli.settings.sources import read_sources, value_of
from chatdb_cli.settings.table import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from chatdb_cli.settings.sources import Source


def load_settings(
    flags: Mapping[str, str | bool | None] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Settings:
    """Read every setting from its highest origin; reads files, writes nothing.

    Args:
        flags: by setting name (`lock_timeout`); None, and False for a switch, is "not given".
        environ: in place of the process's own environment.
        cwd: in place of the working directory.

    Raises:
        ChatdbError: SETTINGS or USAGE, a value is wrong or two contradict each other; it names
            the setting, its origin and, unless it may be a secret, the value.
        TypeError: a flag is not the name of a setting.
    """
    try:
        cwd = (cwd or Path()).absolute()
    except FileNotFoundError:
        raise ChatdbError(Code.SETTINGS, "the working directory is gone", errno="ENOENT") from None
    given = dict(flags or {})
    insecure = given.pop("insecure", None) is True
    if given.pop("no_tunnel", None):
        given["ssh_enabled"] = "false"
    origins = read_sources(given, os.environ if environ is None else environ, cwd)
    fields = {s.field: value_of(origins, s.variable) for s in SETTINGS.values() if s.field}
    if fields["postgres_programs"] is not None:
        fields["postgres_programs"] = cwd / fields["postgres_programs"]
    home = cwd / value_of(origins, "CHATDB_HOME")
    warnings = _name_warnings(origins)
    database = named_database(origins, shown_path(home, cwd), warnings)
    database = database or libpq_database(origins, warnings)
    against = None if database else reason_against_embedded(origins)
    if database is None and holds_server(home):
        shown = shown_path(home, cwd)
        if against:
            warnings.append(f"the embedded server in {shown} is not used, because of {against}")
        else:
            database = embedded_database(shown)
    asked = None if database and database.embedded else tunnel_source(origins)
    bastion = _bastion(origins, asked, fields["environment"], cwd) if asked else None
    if "SSH_KEY_PASSPHRASE" in origins[0].values:
        warnings.append("--ssh-key-passphrase is a secret: the process list shows it")
    return Settings(
        database=database,
        home=home,
        bastion=bastion,
        warnings=tuple(warnings),
        insecure=insecure,
        test_database=test_database(origins),
        embeddable=None if database or against else embedded_database(shown_path(home, cwd)),
        **fields,
    )


def debug_requested() -> bool:
    """Say whether CHATDB_DEBUG asks for tracebacks; for the moment when `load` has failed."""
    return os.environ.get("CHATDB_DEBUG", "").lower() in parse.TRUE


def requested_format(arguments: Sequence[str]) -> Literal["text", "json"]:
    """Say which format a command line asks for, also where it can't be parsed as a whole."""
    line = " ".join(arguments).replace("--format=", "--format ")
    _, flag, rest = f"{line} ".rpartition("--format ")
    asked = rest.partition(" ")[0] if flag else os.environ.get("CHATDB_FORMAT", "")
    return "json" if asked.lower() == "json" else "text"


def _name_warnings(origins: Sequence[Source]) -> list[str]:
    """Variables that are set and do nothing."""
    known = [variable for variable in SETTINGS if variable.startswith("CHATDB_")]
    warnings = []
    for origin in origins[1:]:
        for variable in origin.values:
            if variable.startswith("CHATDB_") and variable not in known:
                near = parse.did_you_mean(variable, known)
                warnings.append(f"{origin.label(variable, line=True)} is not a setting{near}")
        for variable in ("CHATDB_ENV_FILE", "PGSERVICEFILE"):
            if origin.lines is not None and variable in origin.values:
                label = origin.label(variable, line=True)
                warnings.append(f"{label} does nothing there; only the environment's is read")
    return warnings


def _bastion(origins: Sequence[Source], asked: Source, environment: str, cwd: Path) -> Bastion:
    key, known = (value_of(origins, name) for name in ("SSH_KEY_PATH", "SSH_KNOWN_HOSTS"))
    retries, delay = (value_of(origins, name) for name in ("SSH_MAX_RETRIES", "SSH_RETRY_DELAY"))
    production = environment == "production"
    return Bastion(
        host=asked.read("SSH_HOST"),
        port=value_of(origins, "SSH_PORT"),
        user=value_of(origins, "SSH_USER"),
        key_path=cwd / key if key else None,
        passphrase=value_of(origins, "SSH_KEY_PASSPHRASE"),
        known_hosts=cwd / known if known else None,
        agent=value_of(origins, "SSH_AGENT"),
        retries=(5 if production else 3) if retries is None else retries,
        retry_delay_ms=(2000 if production else 1000) if delay is None else delay,
    )
