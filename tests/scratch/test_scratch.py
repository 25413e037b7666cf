"""A scratch database: made like the target's, dropped whatever happens, and never another's."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import psycopg
import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.target import open_target
from chatdb_cli.scratch.database import MARK, PREFIX, scratch_place
from chatdb_cli.settings.load import load_settings
from tests.support.database import Database
from tests.support.embedded import make_server_folder
from tests.support.pooler import PGBOUNCER, allow_owner_login, pooled
from tests.support.servers import PROGRAMS, Server, allow_logins, on_first_server

CONTEXT = multiprocessing.get_context("forkserver")


def scratch_databases(server: Server) -> list[str]:
    with psycopg.connect(server.url("postgres")) as conn:
        rows = conn.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'chatdb_scratch%' ORDER BY 1"
        )
        return [name for (name,) in rows]


@contextmanager
def role(server: Server, options: str = "LOGIN") -> Iterator[str]:
    """Create a role that can log in, and drop it."""
    name = f"r_{secrets.token_hex(4)}"
    server.execute(f"CREATE ROLE {name} {options}")
    try:
        with allow_logins(server, f"local all {name} trust"):
            yield name
    finally:
        server.execute(f"DROP ROLE {name}")


def hold_scratch(url: str, ready: Connection) -> None:
    """Create a scratch database, tell its name, and wait until this process is killed."""
    settings = load_settings({"database_url": url}, environ={}, cwd=Path("/"))
    with open_target(settings) as target, scratch_place(target) as place, place.database() as made:
        ready.send(made.database)
        ready.recv()


@pytest.mark.quick
def test_it_is_marked_has_the_schema_and_is_dropped_at_the_end(database: Database) -> None:
    with scratch_place(database.target(schema="app")) as place, place.database() as scratch:
        with connect(scratch) as conn:
            rows = conn.execute(
                "SELECT current_database(), shobj_description(oid, 'pg_database'),"
                " to_regnamespace('app') IS NOT NULL FROM pg_database"
                " WHERE datname = current_database()"
            ).fetchall()
        assert rows == [(scratch.database, MARK, True)]
        assert scratch_databases(database.server) == [scratch.database]
    assert scratch_databases(database.server) == []


@pytest.mark.parametrize(
    "options",
    ["ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'",
     "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'",
     "ENCODING 'SQL_ASCII' LC_COLLATE 'POSIX' LC_CTYPE 'POSIX'"],
)  # fmt: skip
def test_it_has_the_encoding_and_locale_of_the_target(server: Server, options: str) -> None:
    libc = "LOCALE_PROVIDER libc"
    name = f"t_{secrets.token_hex(6)}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE template0 {libc} {options}")
    database = Database(server, name)
    made = "SELECT encoding, datcollate, datctype, datlocprovider FROM pg_database WHERE datname = "
    try:
        with scratch_place(database.target()) as place, place.database() as scratch:
            assert database.query(f"{made}'{scratch.database}'") == database.query(
                f"{made}'{name}'"
            )
    finally:
        database.drop()


class _UnexpectedError(Exception):
    pass


@pytest.mark.parametrize("ending", [_UnexpectedError, KeyboardInterrupt, SystemExit])
def test_it_is_dropped_when_the_block_fails_even_with_sessions_in_it(
    database: Database, ending: type[BaseException]
) -> None:
    with (  # noqa: PT012
        pytest.raises(ending),
        scratch_place(database.target()) as place,
        place.database() as scratch,
    ):
        session = connect(scratch)
        session.execute("BEGIN; CREATE TABLE t ()")
        raise ending
    session.close()
    assert scratch_databases(database.server) == []


def test_a_signal_while_it_is_dropped_waits_until_it_is_gone(database: Database) -> None:
    seen = []
    with (  # noqa: PT012
        pytest.raises(KeyboardInterrupt),
        scratch_place(database.target()) as place,
        place.database() as scratch,
    ):
        # A session that can't be ended by this role holds the drop up until it is gone.
        blocker = psycopg.connect(database.server.url("postgres"))
        blocker.execute("BEGIN")
        blocker.execute(f"COMMENT ON DATABASE {scratch.database} IS '{MARK}'")

        def interrupt() -> None:
            while not database.query(
                "SELECT FROM pg_stat_activity WHERE query LIKE 'DROP DATABASE%'"
                " AND wait_event_type = 'Lock'"
            ):
                pass
            os.kill(os.getpid(), signal.SIGINT)
            seen.append(scratch_databases(database.server))
            blocker.rollback()
            blocker.close()

        threading.Thread(target=interrupt).start()
    assert seen == [[scratch.database]]
    assert scratch_databases(database.server) == []


@pytest.mark.quick
def test_what_a_killed_run_left_is_dropped_by_the_next_one(database: Database) -> None:
    here, there = CONTEXT.Pipe()
    process = CONTEXT.Process(target=hold_scratch, args=(database.url, there))
    process.start()
    left = here.recv()
    lines: list[str] = []
    with scratch_place(database.target(), report=lines.append):
        assert scratch_databases(database.server) == [left], "the other run is alive"
    process.kill()
    process.join()
    database.execute(
        "DO $$ BEGIN WHILE EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory') LOOP"
        " PERFORM pg_sleep(0.002); END LOOP; END $$"
    )
    with scratch_place(database.target(), report=lines.append):
        assert scratch_databases(database.server) == []
    assert lines == [f"dropped {left}, which a run that was killed had left"]


NAME = f"{PREFIX}0123456789abcdef"
CLOSED = "ALLOW_CONNECTIONS false"
# Databases, how each is created, and its comment.
OF_KILLED_RUNS = [
    (f"{PREFIX}0000000000000001", "", MARK),
    (f"{PREFIX}0000000000000002", CLOSED, None),  # killed before it was marked
]
OF_OTHERS = [
    (f"{PREFIX}0000000000000003", "", None),
    (f"{PREFIX}0000000000000004", "", "mine"),
    (f"{PREFIX}0000000000000005", CLOSED, "mine"),
    ("chatdb_scratch_mine", "", MARK),
    ("copy_of_scratch", "", MARK),
]


def test_a_database_that_is_not_of_a_run_is_never_dropped(database: Database) -> None:
    server = database.server
    every = OF_KILLED_RUNS + OF_OTHERS
    try:
        for name, options, comment in every:
            server.execute(f"CREATE DATABASE {name} TEMPLATE template0 {options}")
            if comment:
                server.execute(f"COMMENT ON DATABASE {name} IS '{comment}'")
        with scratch_place(database.target()):
            pass
        left = {name for (name,) in database.query("SELECT datname FROM pg_database")}
        assert left & {name for name, _, _ in every} == {name for name, _, _ in OF_OTHERS}
    finally:
        for name, _, _ in every:
            server.execute(f"DROP DATABASE IF EXISTS {name}")


def test_one_in_which_somebody_works_stays(database: Database) -> None:
    server = database.server
    server.execute(f"CREATE DATABASE {NAME} TEMPLATE template0")
    server.execute(f"COMMENT ON DATABASE {NAME} IS '{MARK}'")
    with psycopg.connect(server.url(NAME)), scratch_place(database.target()):
        assert scratch_databases(server) == [NAME]
    with scratch_place(database.target()):
        assert scratch_databases(server) == []


def test_a_role_without_createdb_is_told_the_ways_out(database: Database) -> None:
    with role(database.server) as name:
        target = open_target(database.settings(database_url=f"{database.url}&user={name}"))
        with pytest.raises(ChatdbError) as caught, scratch_place(target):
            pass
    error = caught.value
    assert (error.code, error.exit) == (Code.NO_SCRATCH, 8)
    assert f'on the target\'s server the role "{name}" lacks CREATEDB' in error.notes
    assert error.hint
    assert "scratch_url" in error.hint
    assert "EmbeddedServer.start()" in error.hint


def test_a_role_with_createdb_needs_no_more(database: Database) -> None:
    with role(database.server, "LOGIN CREATEDB") as name:
        target = open_target(database.settings(database_url=f"{database.url}&user={name}"))
        with scratch_place(target) as place, place.database() as scratch:
            assert place.server.kind == "target"
            assert scratch.user == name
        assert scratch_databases(database.server) == []


def test_a_server_that_is_named_is_used_by_a_role_that_may_create_nothing(
    database: Database,
) -> None:
    with role(database.server) as name:
        settings = database.settings(
            database_url=f"{database.url}&user={name}", scratch_url=database.server.url("postgres")
        )
        with scratch_place(open_target(settings)) as place, place.database() as scratch:
            assert (place.server.kind, scratch.user) == ("named", "postgres")


@pytest.mark.parametrize("url", ["host=192.0.2.1 dbname=x", "host=127.0.0.1,192.0.2.1 dbname=x"])
def test_nothing_is_created_on_another_machine_unless_it_is_named(
    database: Database, url: str
) -> None:
    from chatdb_cli.scratch.place import choose_server, read_form

    form, pooled = read_form(database.target())
    remote = open_target(database.settings(database_url=url))
    with pytest.raises(ChatdbError) as caught:
        choose_server(remote, form, pooled=pooled)
    assert caught.value.code is Code.NO_SCRATCH
    assert "the target's server is on another machine" in caught.value.notes[0]


@pytest.mark.skipif(len(PROGRAMS) < 2, reason="needs two major versions of PostgreSQL")
@on_first_server
def test_a_server_of_another_major_version_must_be_named(
    database: Database, tmp_path: Path
) -> None:
    from chatdb_cli.embedded.server import EmbeddedServer

    other = EmbeddedServer(make_server_folder(tmp_path) / ".chatdb", programs=PROGRAMS[1])
    other.start()
    try:
        with role(database.server) as name:
            flags = {"database_url": f"{database.url}&user={name}", "home": str(other.home)}
            with (
                pytest.raises(ChatdbError) as caught,
                scratch_place(open_target(database.settings(**flags))),
            ):
                pass
            assert "the embedded server is PostgreSQL" in caught.value.notes[-1]
            named = database.settings(**flags, scratch_url=other.url("postgres"))
            with scratch_place(open_target(named)) as place, place.database() as scratch:
                assert place.server.version // 10000 != place.form.major
                assert scratch.host == other.params()["host"]
    finally:
        other.destroy()


def test_the_embedded_server_takes_the_place_of_a_target_that_may_not(
    database: Database,
) -> None:
    with role(database.server) as name:
        home = str(database.server.embedded.home)
        flags = {"database_url": f"{database.url}&user={name}", "home": home}
        target = open_target(database.settings(**flags))
        with scratch_place(target) as place, place.database() as scratch:
            assert (place.server.kind, scratch.user) == ("embedded", "postgres")


@pytest.mark.skipif(not PGBOUNCER, reason="PgBouncer is not installed")
def test_a_pooler_is_no_way_to_a_scratch_place(database: Database) -> None:
    allow_owner_login(database.server)
    with (
        pooled(database) as pooler,
        pytest.raises(ChatdbError) as caught,
        scratch_place(database.target(database_url=pooler.url(database.name))),
    ):
        pass
    assert caught.value.code is Code.NO_SCRATCH
    assert "pooler" in caught.value.notes[0]


def test_a_locale_that_the_server_lacks_is_refused_with_the_ways_out(database: Database) -> None:
    from chatdb_cli.scratch import database as module

    with scratch_place(database.target()) as place:
        form = place.form._replace(provider="c", collate="tlh_QO.UTF-8", ctype="tlh_QO.UTF-8")
        other = module.ScratchPlace(
            place._conn, place.server, database.target(), form, None, lambda _: None
        )
        with pytest.raises(ChatdbError) as caught, other.database():
            pass
    assert caught.value.code is Code.NO_SCRATCH
    assert "tlh_QO.UTF-8" in caught.value.message


PRELUDE = "CREATE SCHEMA platform;\nCREATE FUNCTION platform.id() RETURNS int RETURN 1;\n"


def test_the_prelude_runs_first(database: Database, tmp_path: Path) -> None:
    prelude = tmp_path / "prelude.sql"
    prelude.write_text(PRELUDE)
    with scratch_place(database.target(prelude=str(prelude))) as place:
        for _ in range(2):
            with place.database() as scratch, connect(scratch) as conn:
                assert conn.execute("SELECT platform.id()").fetchone() == (1,)


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        (f"{PRELUDE}SELECT nothing;\n", Code.STATEMENT, 3),
        (f"{PRELUDE}BEGIN;\n", Code.BAD_FILE, 3),
        (f"{PRELUDE}DROP ROLE IF EXISTS nobody_here;\n", Code.REFUSED, 3),
        (None, Code.USAGE, None),
    ],
)
def test_a_prelude_that_fails_is_located_and_leaves_no_database(
    database: Database, tmp_path: Path, text: str | None, code: Code, line: int | None
) -> None:
    prelude = tmp_path / "prelude.sql"
    if text is not None:
        prelude.write_text(text)
    with (
        pytest.raises(ChatdbError) as caught,
        scratch_place(database.target(prelude=str(prelude))) as place,
        place.database(),
    ):
        pass
    assert caught.value.code is code
    assert caught.value.place is not None
    assert (caught.value.place.file, caught.value.place.line) == (prelude, line)
    assert scratch_databases(database.server) == []


def test_a_database_that_does_not_exist_yet_has_a_scratch_place_too(server: Server) -> None:
    database = Database(server, "not_created_yet")
    with scratch_place(database.target()) as place, place.database() as scratch:
        assert scratch.database.startswith(PREFIX)
