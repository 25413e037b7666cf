"""Who may connect, and what in the environment can not lead a connection astray."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from chatdb_cli.embedded.server import EmbeddedServer
from tests.support.embedded import Make, as_nobody, as_root, query, sockets_of


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
