"""The cluster of the embedded server: its data directory, made by initdb, its database, its roles.

What does not belong here: starting the server on it (`postmaster.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.embedded import queries
from chatdb_cli.embedded.failures import program_failure, server_failure
from chatdb_cli.embedded.process import start_process
from chatdb_cli.embedded.programs import major_version
from chatdb_cli.embedded.unix_socket import SUPERUSER
from chatdb_cli.remedy import Advice
from chatdb_cli.syntax.identifiers import quote_identifier

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from pwd import struct_passwd

    from chatdb_cli.embedded.home import Home


def create_data_directory(home: Home, user: struct_passwd, programs: Path, alive: int) -> None:
    """Run initdb in `data.new`, then rename that to `data`: a data directory is always complete.

    Args:
        home: the home of the server, prepared.
        user: the user that the server runs as.
        programs: the directory of initdb.
        alive: the open `alive` file; initdb inherits its lock, so that the next chatdb waits for initdb
            even if this chatdb is killed.

    Raises:
        ChatdbError: SERVER, initdb failed.
        OSError: the directory can't be written.
    """
    from shutil import rmtree

    base = home.base()
    new = base / "data.new"
    if new.exists():
        rmtree(new)
    home.create_private_folder(new, user)
    command = [str(programs / "initdb"), "-D", new.name, "-U", SUPERUSER, "-E", "UTF8"]
    command += ["--auth-local=peer", "--auth-host=reject", "--no-instructions"]
    if int(major_version(programs) or 0) >= 17:
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    for locale in ("C.UTF-8", "C"):  # some systems lack C.UTF-8
        child = start_process(user, [*command, f"--locale={locale}"], cwd=base, pass_fds=[alive])
        output = child.communicate()[0].decode(errors="replace")
        if child.returncode == 0:
            new.rename(base / "data")
            return
        if "invalid locale" not in output:
            break
    rmtree(new, ignore_errors=True)
    raise program_failure(f'initdb could not create the data directory "{base / "data"}"', output)


def create_database(name: str, keywords: Mapping[str, str]) -> None:
    """Create the database that `EmbeddedServer.url` and `EmbeddedServer.params` name.

    Args:
        name: of the database.
        keywords: libpq's, for the database `postgres` of the running server.

    Raises:
        ChatdbError: SERVER, the server refused.
    """
    import psycopg

    try:
        with psycopg.connect(**keywords, autocommit=True) as connection:  # type: ignore[arg-type]
            statement = queries.CREATE_DATABASE.format(name=quote_identifier(name))
            connection.execute(statement.encode())
    except psycopg.Error as error:
        raise server_failure(
            f"can't create the database of the embedded server: {error}",
            Advice("look at the log, then run {setup}"),
        ) from None


def require_role(keywords: Mapping[str, str], role: str) -> None:
    """Raise an error if the running server has no role of this name.

    Args:
        keywords: libpq's, for a database of the running server.
        role: the name of the role.

    Raises:
        ChatdbError: SERVER, there is no such role, or the server refused.
    """
    import psycopg

    try:
        with psycopg.connect(**keywords, autocommit=True) as connection:  # type: ignore[arg-type]
            if connection.execute(queries.FIND_ROLE, (role,)).fetchone():
                return
    except psycopg.Error as error:
        raise server_failure(
            f"can't look up the role {role!r}: {error}", Advice("look at the log of the server")
        ) from None
    raise server_failure(
        f"the embedded server has no role {role!r}",
        Advice("create it with CREATE ROLE; {up} creates those of the chat schema"),
    )
