"""The database that the settings name: by URL, POSTGRES_* variables, libpq or the embedded server.

Connection parameters are never mixed across sources.  What does not belong here: libpq's variables
(`libpq.py`), connecting (`postgres/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.remedy import Advice
from chatdb_cli.settings.libpq import LIBPQ_SECRETS, LIBPQ_VARIABLES, login_keywords, pin_keywords
from chatdb_cli.settings.model import Database
from chatdb_cli.settings.sources import source_of, value_of
from chatdb_cli.settings.table import POSTGRES_VARIABLES, URL_VARIABLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from chatdb_cli.settings.model import Settings
    from chatdb_cli.settings.sources import Source


def require_database(settings: Settings) -> Database:
    """Return the database of the settings.

    Raises:
        ChatdbError: NOT_CONFIGURED, no setting names one.
    """
    if settings.database is None:
        hint = "set DATABASE_URL in the environment or in ./.env"
        if settings.environment != "production":  # where the embedded server is never used
            hint = Advice(hint + ", or run {setup_embedded} for a server of this project's own")
        raise ChatdbError(Code.NOT_CONFIGURED, "no database configured", hint=hint)
    return settings.database


def embedded_database(home: Path | str) -> Database:
    """Return the database on the embedded server.

    Args:
        home: the home of the server, as it is shown to people.
    """
    return Database({}, f"embedded server in {home}", embedded=True)


def display_path(path: Path, cwd: Path) -> str:
    """Return a path as it is shown to people: relative, if it is in the working directory."""
    return f"./{path.relative_to(cwd)}" if path.is_relative_to(cwd) else str(path)


def named_database(sources: Sequence[Source], home: str, warnings: list[str]) -> Database | None:
    """Return the database that a URL, POSTGRES_* or CHATDB_EMBEDDED names, or None.

    Args:
        sources: highest first; the highest that names a database wins.
        home: the home of the embedded server, as it is shown to people.
        warnings: gets a line for each setting that is not used, or shows a password.

    Raises:
        ChatdbError: SETTINGS or USAGE, a source names two databases or half of one.
    """
    requesting = source_of(sources, "CHATDB_EMBEDDED")
    if requesting and not requesting.read("CHATDB_EMBEDDED"):
        requesting = None
    for position, source in enumerate(sources):
        if source is requesting:
            _check_embedded(sources, position, warnings)
            return embedded_database(home)
        if name := source.names_database():
            is_url = name in URL_VARIABLES
            params = source.read(name) if is_url else _read_postgres(sources, position)
            if not source.where and "password" in params:
                warnings.append("--database-url holds a password: the process list shows it")
            params = pin_keywords(login_keywords(sources, position) | params)
            return Database(params, source.label(name), embedded=False)
    if password_source := source_of(sources, "POSTGRES_PASSWORD"):
        raise _incomplete_postgres(password_source)
    return None


def other_database(
    sources: Sequence[Source], variable: str, warnings: list[str]
) -> Database | None:
    """Return the database that a variable for a special purpose names, or None.

    Args:
        sources: highest first.
        variable: TEST_DATABASE_URL, or CHATDB_SCRATCH_URL.
        warnings: gets a line if a flag shows a password.
    """
    source = source_of(sources, variable)
    if source is None:
        return None
    params = pin_keywords(source.read(variable))
    if not source.where and "password" in params:
        warnings.append(f"{source.label(variable)} holds a password: the process list shows it")
    return Database(params, source.label(variable), embedded=False)


def _read_postgres(sources: Sequence[Source], position: int) -> dict[str, str]:
    """Return the keywords of a source's POSTGRES_*; only the password may be of a higher source."""
    source = sources[position]
    if not {"POSTGRES_DB", "POSTGRES_USER"} <= source.values.keys():
        raise _incomplete_postgres(source)
    keywords = ("host", "port", "dbname", "user")
    params = {
        keyword: value_of([source], variable)
        for keyword, variable in zip(keywords, POSTGRES_VARIABLES, strict=True)
    }
    if password := value_of(sources[: position + 1], "POSTGRES_PASSWORD"):
        params["password"] = password
    return params


def _incomplete_postgres(source: Source) -> ChatdbError:
    missing = [name for name in ("POSTGRES_DB", "POSTGRES_USER") if name not in source.values]
    return ChatdbError(
        Code.SETTINGS,
        f"{source.label('POSTGRES_*')} is incomplete: {' and '.join(missing)} not set there",
        hint="set all POSTGRES_* variables in the same place (only the password may be exported"
        " alone); or set DATABASE_URL",
    )


def tunnel_source(sources: Sequence[Source]) -> Source | None:
    """Return the source of SSH_HOST, or None for no tunnel."""
    return source_of(sources, "SSH_HOST") if value_of(sources, "SSH_ENABLED") else None


def _check_embedded(sources: Sequence[Source], position: int, warnings: list[str]) -> None:
    """Refuse settings that contradict the embedded server, and warn of those that the flag overrides.

    Args:
        sources: highest first.
        position: of the source that requests the embedded server.
        warnings: gets a line for each setting that is not used.
    """
    source = sources[position]
    label = source.label("CHATDB_EMBEDDED")
    code = Code.SETTINGS if source.where else Code.USAGE
    if value_of(sources, "CHATDB_ENV") == "production":
        reason = "CHATDB_ENV is production, where the embedded server is never used"
        raise ChatdbError(code, f"{label} is refused: {reason}", hint="set DATABASE_URL instead")
    contradiction = source.label(name) if (name := source.names_database()) else None
    tunnel = tunnel_source(sources)
    if tunnel in sources[: position + 1] and tunnel:  # a lower source does not contradict this one
        contradiction = contradiction or tunnel.label("SSH_HOST")
    if contradiction:
        hint = "the embedded server is a separate database on this machine; set one or the other"
        raise ChatdbError(code, f"{label} contradicts {contradiction}", hint=hint)
    if not source.where:
        for other in sources[1:]:
            names = (
                other.names_database(),
                other.first(LIBPQ_VARIABLES),
                other.first(["SSH_HOST"]),
            )
            warnings.extend(f"{label}: {other.label(name)} is not used" for name in names if name)


def holds_server(home: Path) -> bool:
    """Return whether a home holds an embedded server."""
    try:
        return (home / "server.json").is_file()
    except OSError:  # a home that can't be read holds no usable server
        return False


def reason_against_embedded(sources: Sequence[Source]) -> str | None:
    """Return the setting that suggests another database than the project's own, or None."""
    names = ["CHATDB_EMBEDDED", "SSH_HOST", *LIBPQ_SECRETS]  # the first can only be false here
    if value_of(sources, "CHATDB_ENV") == "production":
        names.insert(0, "CHATDB_ENV")
    for name in names:
        if source := source_of(sources, name):
            return source.label(name)
    return None
