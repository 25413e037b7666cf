"""No command ever shows a secret: not when it succeeds, and not when it fails.

The commands are read from the application, so each new one is tested here too.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from chatdb_cli.cli.app import application
from tests.support.chatdb import Chatdb, command_paths
from tests.support.database import Database
from tests.support.project import Project
from tests.support.servers import Server, on_first_server

MARK = "s3cr3t-m4rk"
# The arguments of the commands that need some.
ARGUMENTS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("migrate", "new"): ("a name",),
    ("migrate", "baseline"): ("1", "--yes"),
    ("migrate", "mark"): ("1", "--yes"),
    ("migrate", "unmark"): ("1", "--yes"),
    ("migrate", "repair"): ("--yes",),
    ("migrate", "down"): ("--yes", "--all"),
    ("migrate", "redo"): ("--yes",),
    ("server", "destroy"): ("--yes",),
}
# These run until they are stopped, unless something fails.
ENDLESS = {("listen",), ("tunnel",), ("server", "psql")}
COMMANDS = [
    path
    for path in command_paths(typer.main.get_command(application()))
    if path and path not in {("migrate",), ("server",)}
]
# These succeed without a database.
WITHOUT_DATABASE = {
    ("init",),
    ("migrate", "lint"),
    ("migrate", "new"),
    ("server", "status"),
    ("server", "stop"),
}
FORMS = [(), ("-v",), ("--format", "json"), ("-v", "--log-format", "json")]


@pytest.fixture(scope="module")
def keeper(server: Server) -> Iterator[Server]:
    """A server with a role `keeper`, which logs in with a password that is the mark."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
        (setting,) = conn.execute("SHOW hba_file").fetchone() or ("",)
        (data,) = conn.execute("SHOW data_directory").fetchone() or ("",)
        hba = Path(data) / setting
        before = hba.read_text()
        hba.write_text(f"local all keeper scram-sha-256\n{before}")
        conn.execute(
            f"SET log_statement = none; CREATE ROLE keeper SUPERUSER LOGIN PASSWORD '{MARK}'"
        )
        conn.execute("SELECT pg_reload_conf()")
        try:
            yield server
        finally:
            hba.write_text(before)
            conn.execute("SELECT pg_reload_conf()")
            conn.execute("REASSIGN OWNED BY keeper TO postgres")
            conn.execute("DROP ROLE keeper")


@pytest.fixture
def logged(keeper: Server) -> Iterator[Path]:
    """Check that neither the log that the server writes meanwhile nor a process title has the mark."""
    log = keeper.embedded.home / "log"
    before = log.stat().st_size
    yield log
    assert MARK.encode() not in log.read_bytes()[before:]
    titles = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert MARK not in titles.stdout


def _url(database: Database, password: str) -> str:
    host = re.search(r"host=([^&]*)", database.url)
    assert host
    return f"postgresql://keeper:{password}@/{database.name}?host={host[1]}"


def _environments(database: Database, project: Project, password: str) -> Iterator[dict[str, str]]:
    """Yield the variables for each place where a password can be set."""
    url = _url(database, password)
    folder = re.search(r"host=([^&]*)", url)
    assert folder
    yield {"DATABASE_URL": url}
    yield {
        "POSTGRES_HOST": folder[1].replace("%2F", "/"), "POSTGRES_DB": database.name,
        "POSTGRES_USER": "keeper", "POSTGRES_PASSWORD": password,
    }  # fmt: skip
    (project.path / ".env").write_text(f"DATABASE_URL={url}\n")
    yield {}
    (project.path / ".env").unlink()
    yield {"PGPASSWORD": password, "DATABASE_URL": url.replace(f":{password}", "")}


def _run_without_mark(call: Chatdb, path: tuple[str, ...], form: tuple[str, ...]) -> int:
    result = call(*path, *ARGUMENTS.get(path, ()), *form)
    assert MARK not in result.out + result.err, path
    assert "Traceback" not in result.err
    return result.code


def _history(database: Database) -> list[Any]:
    names = database.query(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r'"
        " AND (relname ~ 'yoyo' OR relname = 'chatdb_migration')"
    )
    return [row for (name,) in names for row in database.query(f"SELECT * FROM {name}")]


@on_first_server
@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_password_is_never_shown_when_a_command_works_or_its_file_fails(
    path: tuple[str, ...],
    keeper: Server,
    database: Database,
    project: Project,
    offline: Chatdb,
    logged: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """Without --long a command has its password in two of the four places, in each form of output."""
    if path in ENDLESS or path[0] == "server":
        pytest.skip("only its failures are tested")
    half = COMMANDS.index(path) % 2
    for number, variables in enumerate(_environments(database, project, MARK)):
        if number // 2 != half and not request.config.getoption("--long"):
            continue
        with monkeypatch.context() as environment:
            for name, value in variables.items():
                environment.setenv(name, value)
            project.write_tables(1)
            _run_without_mark(offline, path, FORMS[number])
            project.write("0002_wrong", "SELECT 1;\nSELECT * FROM nowhere;")
            _run_without_mark(offline, path, FORMS[-1 - number])
    assert MARK not in str(_history(database))


@on_first_server
@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_password_is_never_shown_when_the_login_or_the_connection_fails(
    path: tuple[str, ...],
    keeper: Server,
    database: Database,
    project: Project,
    offline: Chatdb,
    logged: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project.write_tables(1)
    (project.path / ".chatdb").write_text("a file in place of the embedded server's folder")
    monkeypatch.setenv("CHATDB_CONNECT_RETRIES", "0")
    wrong = f"{MARK}-and-wrong"
    for number, variables in enumerate(_environments(database, project, wrong)):
        with monkeypatch.context() as environment:
            for name, value in variables.items():
                environment.setenv(name, value)
            code = _run_without_mark(offline, path, FORMS[number])
            assert code or path in WITHOUT_DATABASE
    with monkeypatch.context() as environment:
        environment.setenv("DATABASE_URL", f"postgresql://u:{MARK}@127.0.0.1:1/d")
        _run_without_mark(offline, path, ("--format", "json"))
        environment.setenv("DATABASE_URL", f"postgresql://u:{MARK}@@127.0.0.1:port/d")
        _run_without_mark(offline, path, ())
        environment.setenv("DATABASE_URL", f"postgresql+psycopg://u:{MARK}@127.0.0.1/d")
        _run_without_mark(offline, path, ("-v",))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_passphrase_is_never_shown_when_the_tunnel_fails(
    path: tuple[str, ...], project: Project, offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(1)
    (project.path / ".chatdb").write_text("a file in place of the embedded server's folder")
    key = project.path / "key"
    key.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.OpenSSH, BestAvailableEncryption(b"another passphrase")
        )
    )
    key.chmod(0o600)
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:{MARK}@db.internal/d")
    monkeypatch.setenv("SSH_HOST", "127.0.0.1")
    monkeypatch.setenv("SSH_PORT", "1")  # a closed port
    monkeypatch.setenv("SSH_KEY_PASSPHRASE", MARK)
    monkeypatch.setenv("SSH_MAX_RETRIES", "0")
    for number, file in enumerate((key, project.path / "none", project.path)):
        monkeypatch.setenv("SSH_KEY_PATH", str(file))
        _run_without_mark(offline, path, FORMS[number])
