"""The error that a user sees, and a password that no output may show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.chatdb import Chatdb, Result
from tests.support.servers import Server

SECRET = "hunter2-secret"


def error_text(result: Result) -> str:
    """Return stderr from the error on."""
    assert "Traceback" not in result.err
    return result.err[result.err.index("error: ") :]


def run_in_every_format(call: Chatdb, *arguments: str) -> Result:
    """Run a command in every output format, check for the secret, and return the plain result."""
    for more in (["--format", "json"], ["-v"], ["-v", "--log-format", "json"], []):
        result = call(*arguments, *more)
        assert SECRET not in result.out + result.err
        assert "Traceback" not in result.err
    return result


@pytest.fixture
def role(server: Server) -> Iterator[str]:
    """A role that logs in with a password and has no rights."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
        (setting,) = conn.execute("SHOW hba_file").fetchone() or ("",)
        (data,) = conn.execute("SHOW data_directory").fetchone() or ("",)
        hba = Path(data) / setting
        before = hba.read_text()
        hba.write_text(f"local all t_role scram-sha-256\n{before}")
        conn.execute(f"CREATE ROLE t_role LOGIN PASSWORD '{SECRET}'")
        conn.execute("SELECT pg_reload_conf()")
        try:
            yield "t_role"
        finally:
            hba.write_text(before)
            conn.execute("SELECT pg_reload_conf()")
            conn.execute("DROP ROLE t_role")
