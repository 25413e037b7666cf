"""What libpq takes from the environment by itself, and how to keep it from doing so.

What does not belong here: which database is meant (`database.py`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from collections.abc import Mapping


def forget_service() -> None:
    """Take PGSERVICE out of this process's environment.

    An embedded server is named whole by keywords, and no keyword can overrule this variable: libpq
    fails when its service is unknown.
    """
    os.environ.pop("PGSERVICE", None)


def environment_without_libpq() -> dict[str, str]:
    """Give the environment for a program that shall connect to just what it is told."""
    return {name: text for name, text in os.environ.items() if not name.startswith("PG")}


def libpq_defaults(service: str | None = None) -> dict[str, str]:
    """Give what libpq takes where nothing was given: from a service, PG* variables, or built in.

    Args:
        service: one to look up in the service file, in place of PGSERVICE's.

    Raises:
        ChatdbError: SETTINGS, there is no such service.
    """
    from psycopg import OperationalError
    from psycopg.pq import Conninfo

    before = os.environ.get("PGSERVICE")
    if service is not None:
        _require_service(service)
        os.environ["PGSERVICE"] = service  # libpq looks a service up by no other way
    try:
        options = Conninfo.get_defaults()
    except (OperationalError, MemoryError):
        options = []
    finally:
        if service is not None:
            os.environ.pop("PGSERVICE")
            if before is not None:
                os.environ["PGSERVICE"] = before
    found = {o.keyword.decode(): o.val.decode() for o in options if o.val}
    found.pop("service", None)
    return found


def _require_service(service: str) -> None:
    """Refuse a service that libpq does not know: its defaults alone would be some other place."""
    from psycopg.conninfo import make_conninfo
    from psycopg.pq import PGconn

    # libpq looks the service up first, and stops at the wrong sslmode before it connects anywhere.
    wrong = "none-of-them"
    attempt = PGconn.connect_start(make_conninfo(service=service, sslmode=wrong).encode())
    said = attempt.get_error_message().strip()
    attempt.finish()
    if wrong in said:
        return
    raise ChatdbError(
        Code.SETTINGS,
        f"service {service!r} can't be used: {said}",
        hint="correct its name, or write it into ~/.pg_service.conf or the file of PGSERVICEFILE",
    )


def pin_keywords(params: Mapping[str, str]) -> dict[str, str]:
    """Complete a place so that no PG* variable of the environment bends it elsewhere.

    libpq takes each keyword that is absent from the environment, `PGHOSTADDR` even beside a given
    host; an empty one is its built-in default (the socket, the database with the user's name).
    User, password and TLS may still come from there, as with psql.  A service is left alone: an
    empty keyword would win over what the service file says.
    """
    if "service" in params:
        return dict(params)
    return {"host": "", "hostaddr": "", "port": "5432", "dbname": "", **params}
