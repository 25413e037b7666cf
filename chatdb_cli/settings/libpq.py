"""The environment of the process, and libpq's variables (PG*) in every source.

The only module that reads or changes the environment.  libpq reads PG* variables by itself: here they
are read as libpq does, and kept from redirecting a database that other settings name.  What does not
belong here: the choice of the database (`database.py`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.settings.model import Database
from chatdb_cli.settings.table import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chatdb_cli.settings.sources import Source

# Those that name a database, of those the ones that name its place, and those that hold secrets.
LIBPQ_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE")
LIBPQ_SECRETS = ("PGPASSWORD", "PGPASSFILE", "PGSERVICEFILE")
_PLACE = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGSERVICE")


def process_environment() -> Mapping[str, str]:
    """Return the environment of this process."""
    return os.environ


def forget_service() -> None:
    """Remove PGSERVICE from the environment of this process.

    No keyword overrides this variable, and libpq fails if its service is unknown, so a connection to
    the embedded server needs it gone.
    """
    os.environ.pop("PGSERVICE", None)


def environment_without_libpq() -> dict[str, str]:
    """Return the environment for a program that must connect only where its arguments say."""
    return {name: text for name, text in os.environ.items() if not name.startswith("PG")}


def libpq_defaults(service: str | None = None) -> dict[str, str]:
    """Return the values that libpq uses for absent keywords: of a service, PG* variables, or built in.

    Args:
        service: the service to look up in the service file, in place of that of PGSERVICE.

    Raises:
        ChatdbError: SETTINGS, the service does not exist.
    """
    from psycopg import OperationalError
    from psycopg.pq import Conninfo

    previous = os.environ.get("PGSERVICE")
    if service is not None:
        _require_service(service)
        os.environ["PGSERVICE"] = service  # the only way to have libpq look up a service
    try:
        options = Conninfo.get_defaults()
    except (OperationalError, MemoryError):
        options = []
    finally:
        if service is not None:
            os.environ.pop("PGSERVICE")
            if previous is not None:
                os.environ["PGSERVICE"] = previous
    defaults = {o.keyword.decode(): o.val.decode() for o in options if o.val}
    defaults.pop("service", None)
    return defaults


def _require_service(service: str) -> None:
    """Refuse a service that libpq does not find: without it, its defaults name another database."""
    from psycopg.conninfo import make_conninfo
    from psycopg.pq import PGconn

    # libpq looks up the service first, and stops at the wrong sslmode before it connects.
    wrong = "none-of-them"
    attempt = PGconn.connect_start(make_conninfo(service=service, sslmode=wrong).encode())
    message = attempt.get_error_message().strip()
    attempt.finish()
    if wrong in message:
        return
    raise ChatdbError(
        Code.SETTINGS,
        f"can't use service {service!r}: {message}",
        hint="correct its name, or add it to ~/.pg_service.conf or the file of PGSERVICEFILE",
    )


def pin_keywords(params: Mapping[str, str]) -> dict[str, str]:
    """Complete the keywords of a database so that no PG* variable of the environment redirects it.

    libpq fills each absent keyword from the environment, `PGHOSTADDR` even beside a given host; an empty
    keyword is its built-in default (the socket, the database named as the user).  User, password and TLS
    may still come from the environment, as in psql.  Keywords with a service stay as they are: an empty
    keyword would override the service file.
    """
    if "service" in params:
        return dict(params)
    return {"host": "", "hostaddr": "", "port": "5432", "dbname": "", **params}


def libpq_database(sources: Sequence[Source], warnings: list[str]) -> Database | None:
    """Return the database that PG* variables name in the highest source that has one, or None.

    Args:
        sources: highest first.
        warnings: gets a line for each lower source whose variables are not used.
    """
    named = [
        (position, source, variable)
        for position, source in enumerate(sources)
        if (variable := source.first(LIBPQ_VARIABLES))
    ]
    if not named:
        return None
    (position, source, variable), *others = named
    for _, other, unused in others:
        warnings.append(
            f"{other.label(unused)} is not used: {source.label(variable)} names the database"
        )
    values = {name: _read(source, name) for name in LIBPQ_VARIABLES if name in source.values}
    params: dict[str, str] = {}
    if source.lines is not None:  # libpq reads those of the environment by itself
        keywords = _keywords_by_variable()
        place = {keywords[name]: value for name, value in values.items()}
        params = pin_keywords(login_keywords(sources, position) | place)
    return Database(params, f"libpq ({source.label(variable)})", embedded=False)


def login_keywords(sources: Sequence[Source], position: int) -> dict[str, str]:
    """Return the keywords for user, password, TLS and so on that PG* variables of env files set.

    A variable of the environment wins: libpq reads it by itself.

    Args:
        sources: flags, environment, then the files, highest first.
        position: of the lowest file to read.
    """
    params: dict[str, str] = {}
    for source in sources[2 : position + 1]:
        variables = {name for name in source.values if name.startswith("PG")}
        for name, keyword in _keywords_by_variable().items() if variables else ():
            if name in variables and name not in sources[1].values and name not in _PLACE:
                params.setdefault(keyword, _read(source, name))
    return params


def _read(source: Source, variable: str) -> str:
    return str(source.read(variable) if variable in SETTINGS else source.values[variable])


def _keywords_by_variable() -> dict[str, str]:
    """Return the keyword of each PG* variable, as the installed libpq has them."""
    from psycopg.pq import Conninfo

    options = Conninfo.parse(b"")
    return {option.envvar.decode(): option.keyword.decode() for option in options if option.envvar}
