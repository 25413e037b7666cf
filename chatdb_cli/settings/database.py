"""Which database is meant: by a URL, the POSTGRES_* family, libpq's variables, or the embedded server.

Connection parameters are never mixed across sources.  What does not belong here: connecting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.settings.libpq import pin_keywords
from chatdb_cli.settings.model import Database
from chatdb_cli.settings.sources import source_of, value_of
from chatdb_cli.settings.table import FAMILY, LIBPQ, LIBPQ_PLACE, LIBPQ_SECRETS, SETTINGS, URLS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from chatdb_cli.settings.model import Settings
    from chatdb_cli.settings.sources import Source


def require_database(settings: Settings) -> Database:
    """Give the database of the settings.

    Raises:
        ChatdbError: NOT_CONFIGURED, nothing names one.
    """
    if settings.database is None:
        hint = "set DATABASE_URL in the environment or in ./.env"
        if settings.environment != "production":  # where the embedded server is never used
            hint += ', or run "chatdb setup --embedded" for a server of this project\'s own'
        raise ChatdbError(Code.NOT_CONFIGURED, "no database configured", hint=hint)
    return settings.database


def embedded_database(home: Path | str) -> Database:
    """Name the embedded server of a home, as it is shown to people."""
    return Database({}, f"embedded server in {home}", embedded=True)


def shown_path(path: Path, cwd: Path) -> str:
    """Return a path as it is shown to people: relative to the working directory inside of it."""
    return f"./{path.relative_to(cwd)}" if path.is_relative_to(cwd) else str(path)


def named_database(origins: Sequence[Source], home: str, warnings: list[str]) -> Database | None:
    """What a URL, the family or CHATDB_EMBEDDED names, in the highest origin that has one."""
    wanted = source_of(origins, "CHATDB_EMBEDDED")
    if wanted and not wanted.read("CHATDB_EMBEDDED"):
        wanted = None
    for position, origin in enumerate(origins):
        if origin is wanted:
            _check_embedded(origins, position, warnings)
            return embedded_database(home)
        if name := origin.names_database():
            family = name not in URLS
            params = _family(origins, position) if family else origin.read(name)
            if not origin.where and "password" in params:
                warnings.append("--database-url holds a password: the process list shows it")
            params = pin_keywords(_login(origins, position) | params)
            return Database(params, origin.label(name), embedded=False)
    if alone := source_of(origins, "POSTGRES_PASSWORD"):
        raise _half_set(alone)
    return None


def test_database(origins: Sequence[Source]) -> Database | None:
    """Return the database that TEST_DATABASE_URL names, or None."""
    origin = source_of(origins, "TEST_DATABASE_URL")
    if origin is None:
        return None
    params = pin_keywords(origin.read("TEST_DATABASE_URL"))
    return Database(params, origin.label("TEST_DATABASE_URL"), embedded=False)


def _family(origins: Sequence[Source], position: int) -> dict[str, str]:
    origin = origins[position]
    if not {"POSTGRES_DB", "POSTGRES_USER"} <= origin.values.keys():
        raise _half_set(origin)
    keywords = ("host", "port", "dbname", "user")
    params = {key: value_of([origin], name) for key, name in zip(keywords, FAMILY, strict=True)}
    if password := value_of(origins[: position + 1], "POSTGRES_PASSWORD"):
        params["password"] = password
    return params


def _half_set(origin: Source) -> ChatdbError:
    lacks = [name for name in ("POSTGRES_DB", "POSTGRES_USER") if name not in origin.values]
    return ChatdbError(
        Code.SETTINGS,
        f"{origin.label('POSTGRES_*')} is half-set: {' and '.join(lacks)} not given there",
        hint="POSTGRES_* come from one place as a whole (only the password may be exported on"
        " its own); or set DATABASE_URL",
    )


def _login(origins: Sequence[Source], position: int) -> dict[str, str]:
    """What the PG* variables of files, down to a position, say beside the place.

    A variable of the environment wins: libpq takes it on its own.
    """
    params: dict[str, str] = {}
    for origin in origins[2 : position + 1]:
        said = {name for name in origin.values if name.startswith("PG")}
        for name, keyword in _libpq_keywords().items() if said else ():
            if name in said and name not in origins[1].values and name not in LIBPQ_PLACE:
                params.setdefault(keyword, _libpq_value(origin, name))
    return params


def libpq_database(origins: Sequence[Source], warnings: list[str]) -> Database | None:
    """What libpq's own variables name; those of the environment libpq takes on its own."""
    found = [(i, origin, name) for i, origin in enumerate(origins) if (name := origin.first(LIBPQ))]
    if not found:
        return None
    (position, origin, name), *others = found
    place = {
        variable: _libpq_value(origin, variable) for variable in LIBPQ if variable in origin.values
    }
    for _, other, unused in others:
        warnings.append(f"{other.label(unused)} is not used: {origin.label(name)} names the place")
    params: dict[str, str] = {}
    if origin.lines is not None:
        keywords = _libpq_keywords()
        said = {keywords[variable]: text for variable, text in place.items()}
        params = pin_keywords(_login(origins, position) | said)
    return Database(params, f"libpq ({origin.label(name)})", embedded=False)


def _libpq_value(origin: Source, variable: str) -> str:
    return str(origin.read(variable) if variable in SETTINGS else origin.values[variable])


def _libpq_keywords() -> dict[str, str]:
    """The keyword of each PG* variable, as this libpq knows them."""
    from psycopg.pq import Conninfo

    options = Conninfo.parse(b"")
    return {option.envvar.decode(): option.keyword.decode() for option in options if option.envvar}


def tunnel_source(origins: Sequence[Source]) -> Source | None:
    """Return the source of SSH_HOST, or None where no tunnel is wanted."""
    return source_of(origins, "SSH_HOST") if value_of(origins, "SSH_ENABLED") else None


def _check_embedded(origins: Sequence[Source], position: int, warnings: list[str]) -> None:
    """Refuse what contradicts the embedded server; note what the flag overrides."""
    origin = origins[position]
    label = origin.label("CHATDB_EMBEDDED")
    code = Code.SETTINGS if origin.where else Code.USAGE
    if value_of(origins, "CHATDB_ENV") == "production":
        reason = "CHATDB_ENV is production, where the embedded server is never used"
        raise ChatdbError(code, f"{label} is refused: {reason}", hint="name it by DATABASE_URL")
    against = origin.label(name) if (name := origin.names_database()) else None
    tunnel = tunnel_source(origins)
    if tunnel in origins[: position + 1] and tunnel:  # one asked for further down is outvoted
        against = against or tunnel.label("SSH_HOST")
    if against:
        hint = "the embedded server is a database of its own on this machine; give one or the other"
        raise ChatdbError(code, f"{label} contradicts {against}", hint=hint)
    if not origin.where:
        for other in origins[1:]:
            names = (other.names_database(), other.first(LIBPQ), other.first(["SSH_HOST"]))
            warnings.extend(f"{label}: {other.label(name)} is not used" for name in names if name)


def holds_server(home: Path) -> bool:
    """Return whether a home holds an embedded server."""
    try:
        return (home / "server.json").is_file()
    except OSError:  # a home that can't be looked into is no server to use
        return False


def reason_against_embedded(origins: Sequence[Source]) -> str | None:
    """Name what hints at another database than one of the project's own, or None."""
    suspects = ["CHATDB_EMBEDDED", "SSH_HOST", *LIBPQ_SECRETS]  # the first can only be false here
    if value_of(origins, "CHATDB_ENV") == "production":
        suspects.insert(0, "CHATDB_ENV")
    for name in suspects:
        if origin := source_of(origins, name):
            return origin.label(name)
    return None
