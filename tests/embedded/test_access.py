"""Who may connect, and what in the environment can not lead a connection astray."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from chatdb_cli.embedded.server import EmbeddedServer
from tests.support.embedded import (
    Make,
    as_nobody,
    as_root,
    assert_refused,
    connect,
    query,
    sockets_of,
)


@as_root
def test_other_users_are_refused_even_if_they_reach_the_socket(running: EmbeddedServer) -> None:
    run = sockets_of(running)
    url = running.url("postgres")
    assert "Permission denied" in as_nobody(lambda: psycopg.connect(url))
    run.chmod(0o755)
    (run / ".s.PGSQL.5432").chmod(0o777)
    assert "Peer authentication failed" in as_nobody(lambda: psycopg.connect(url))
    assert query(running, "SELECT 1") == [(1,)]
    run.chmod(0o700)


@as_root
def test_a_project_of_another_user_is_refused_by_name(running: EmbeddedServer) -> None:
    for work in (running.start, running.stop, running.status, running.destroy, running.url):
        assert "belongs to the user root" in as_nobody(work)
    assert running.status().running


@as_root
def test_root_gives_the_server_of_a_users_project_to_that_user(ground: Path, fresh: Make) -> None:
    project = ground / "project"
    project.mkdir()
    shutil.chown(project, "nobody", "nogroup")
    server = fresh()
    server.start()
    assert as_nobody(lambda: query(server, "SELECT 1")) == "[(1,)]"
    assert as_nobody(lambda: [server.start(), server.stop(), server.start()]) == str(
        [False, True, True]
    )
    assert query(server, "SELECT 1") == [(1,)]
    assert server.stop()


def test_the_url_works_in_psql_unchanged(running: EmbeddedServer) -> None:
    command = [
        str(running.programs / "psql"),
        "-XAtc",
        "SELECT current_user",
        running.url("postgres"),
    ]
    assert subprocess.check_output(command, env={}, text=True) == "postgres\n"
    assert running.url("a b/c").startswith("postgresql://postgres@/a%20b%2Fc?host=/")


@pytest.mark.parametrize("name", ["app", "odd role\\'\"%"])
def test_a_url_acts_as_a_role_with_its_rights_alone(name: str, running: EmbeddedServer) -> None:
    with connect(running) as conn:
        conn.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
        conn.execute("CREATE TABLE IF NOT EXISTS secret (n int)")
    with psycopg.connect(running.url("postgres", role=name)) as conn:
        assert conn.execute("SELECT current_user").fetchone() == (name,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("SELECT * FROM secret")
    assert_refused(lambda: running.url(role=name + "x"), repr(name + "x"), "CREATE ROLE")


def psql(server: EmbeddedServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `chatdb server psql` on a server that the environment does not name."""
    environment = {**os.environ, "CHATDB_HOME": str(server.home), "PGUSER": "mallory"}
    command = [sys.executable, "-m", "chatdb_cli", "server", "psql", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_psql_does_what_its_arguments_say_or_refuses(running: EmbeddedServer) -> None:
    query(running, "CREATE ROLE chat_app")
    ask = ("-XAtc", "SELECT current_user, current_database()")
    for arguments, answer in {
        (): f"postgres|{running.database}\n",
        ("-d", "template1"): "postgres|template1\n",
    }.items():
        assert psql(running, "--", *ask, *arguments).stdout == answer
    for option in (["-U", "chat_app"], ["--user", "chat_app"]):
        assert psql(running, *option, "--", *ask).stdout == f"chat_app|{running.database}\n"
    for arguments, words in {
        ("-U", "nobody"): "the embedded server has no role 'nobody'",
        ("--", "-U", "chat_app"): "before --",
        ("--", "--username=chat_app"): "before --",
    }.items():
        refused = psql(running, *arguments)
        assert refused.returncode != 0
        assert words in refused.stderr


def test_variables_of_the_environment_do_not_redirect_a_connection(
    stopped: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    traps = {
        "PGHOST": "192.0.2.1",
        "PGHOSTADDR": "192.0.2.1",
        "PGPORT": "1",
        "PGUSER": "mallory",
        "PGDATABASE": "elsewhere",
        "PGDATA": "/nowhere",
        "PGOPTIONS": "-c nonsense=1",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "system",
        "PGSSLNEGOTIATION": "direct",
        "PGSSLCERTMODE": "require",
        "PGGSSENCMODE": "require",
        "PGCHANNELBINDING": "require",
        "PGREQUIREAUTH": "scram-sha-256",
        "PGREQUIREPEER": "mallory",
        "PGTARGETSESSIONATTRS": "standby",
        "PGLOADBALANCEHOSTS": "random",
        "PGCLIENTENCODING": "LATIN1",
        "PGMINPROTOCOLVERSION": "3.2",
    }
    for name, value in traps.items():
        monkeypatch.setenv(name, value)
    server = stopped()
    assert server.start()
    assert query(server, "SELECT current_user, current_database(), 'ü'") == [
        ("postgres", "postgres", "ü")
    ]
    assert server.stop()


def test_an_unknown_libpq_service_does_no_harm(
    running: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSERVICE", "missing")
    assert running.status().running
