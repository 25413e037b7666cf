# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""When the embedded server or a tunnel is used."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import pytest

from chatdb_cli.settings.libpq import environment_without_libpq, forget_service
from tests.support.settings import FULL, ONE, URL, source

pytestmark = pytest.mark.quick


# --- the embedded server --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "environ", "env", "expected"),
    [
        ({"embedded": True}, {}, "", "embedded server in ./.chatdb"),
        ({"embedded": True}, {"DATABASE_URL": URL}, FULL, "embedded server in ./.chatdb"),
        ({"embedded": True}, {"SSH_HOST": "b", "PGHOST": "x"}, "", "embedded server in ./.chatdb"),
        ({}, {"CHATDB_EMBEDDED": "true"}, ONE, "embedded server in ./.chatdb"),
        ({}, {"CHATDB_EMBEDDED": "true", "PGHOST": "x"}, "", "embedded server in ./.chatdb"),
        ({}, {"DATABASE_URL": URL}, "CHATDB_EMBEDDED=true", "DATABASE_URL from the environment"),
        ({}, {"CHATDB_EMBEDDED": "false"}, "CHATDB_EMBEDDED=true", None),
        ({}, {"CHATDB_EMBEDDED": "1", "CHATDB_HOME": "/srv/x"}, "", "embedded server in /srv/x"),
        ({}, {"CHATDB_EMBEDDED": "1"}, "SSH_HOST=b", "embedded server in ./.chatdb"),
        ({}, {"CHATDB_EMBEDDED": "1"}, "SSH_HOST=b\nSSH_PORT=x", "embedded server in ./.chatdb"),
        ({}, {"SSH_HOST": "b"}, "CHATDB_EMBEDDED=1\nSSH_ENABLED=0", "embedded server in ./.chatdb"),
    ],
)  # fmt: skip
def test_embedded_selects_the_embedded_server(project, flags, environ, env, expected):
    s = project.write(".env", env).load(flags, **environ)
    assert source(s) == expected
    if s.database and s.database.embedded:
        assert (s.database.params, s.ssh_host) == ({}, None)


@pytest.mark.parametrize(
    ("flags", "environ", "env", "says"),
    [
        ({"embedded": True, "database_url": URL}, {}, "", "--embedded contradicts --database-url"),
        ({}, {}, f"CHATDB_EMBEDDED=on\n{ONE}", "contradicts DATABASE_URL from ./.env"),
        ({}, {}, f"CHATDB_EMBEDDED=on\n{FULL}", "contradicts POSTGRES_* from ./.env"),
        ({}, {"SSH_HOST": "b"}, "CHATDB_EMBEDDED=on", "contradicts SSH_HOST from the environment"),
        ({"embedded": True}, {}, "CHATDB_ENV=production", "production"),
        ({}, {"CHATDB_ENV": "production"}, "CHATDB_EMBEDDED=on", "production"),
    ],
)  # fmt: skip
def test_the_embedded_server_is_refused_beside_another_database(project, flags, environ, env, says):
    assert says in str(project.write(".env", env).error(flags, **environ))


def test_the_flag_warns_of_each_setting_that_it_overrides(project):
    project.write(".env", f"{FULL}SSH_HOST=b\nPGHOST=x")
    assert project.load({"embedded": True}, DATABASE_URL=URL).warnings == (
        "--embedded: DATABASE_URL from the environment is not used",
        "--embedded: POSTGRES_* from ./.env is not used",
        "--embedded: PGHOST from ./.env is not used",
        "--embedded: SSH_HOST from ./.env is not used",
    )


def test_the_projects_own_server_is_used_when_nothing_is_configured(project):
    assert source(project.server().load()) == "embedded server in ./.chatdb"
    assert source(project.server("srv").load(CHATDB_HOME="srv")) == "embedded server in ./srv"
    assert project.load(CHATDB_HOME="empty").database is None


def test_a_folder_that_holds_no_server_is_not_used(project):
    (project.path / ".chatdb").mkdir()
    assert project.load().database is None


def test_the_embedded_server_ignores_libpq_variables(monkeypatch):
    monkeypatch.setenv("PGSERVICE", "nowhere")
    monkeypatch.setenv("PGHOST", "nowhere")
    assert not {name for name in environment_without_libpq() if name.startswith("PG")}
    forget_service()
    assert "PGSERVICE" not in os.environ


@pytest.mark.parametrize(
    ("environ", "env"),
    [
        ({"SSH_HOST": "b"}, ""),
        ({}, "SSH_HOST=b\nSSH_ENABLED=false"),
        ({"CHATDB_ENV": "production"}, ""),
        ({"PGPASSWORD": "x"}, ""),
        ({}, "CHATDB_EMBEDDED=false"),
    ],
)
def test_a_setting_that_suggests_another_database_keeps_the_own_server_unused(
    project, environ, env
):
    s = project.server().write(".env", env).load(**environ)
    assert s.database is None
    assert s.warnings[0].startswith("the embedded server in ./.chatdb is not used, because of ")


# --- the tunnel -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("enabled", "host"), [("", "b"), ("true", "b"), ("1", "b"), ("false", None), ("No", None)]
)
def test_ssh_host_requests_a_tunnel_unless_it_is_disabled(project, enabled, host):
    project.write(".env", "SSH_HOST=b")
    assert project.load(SSH_ENABLED=enabled, DATABASE_URL=URL).ssh_host == host


@pytest.mark.parametrize(
    ("environment", "retries", "delay"),
    [("development", 3, 1000), ("test", 3, 1000), ("staging", 3, 1000), ("production", 5, 2000)],
)
def test_a_tunnel_needs_its_host_alone(project, environment, retries, delay):
    """A value that is None here comes from ~/.ssh/config, or is a default."""
    bastion = project.load(SSH_HOST="b", CHATDB_ENV=environment).bastion
    assert asdict(bastion) == {
        "host": "b", "port": None, "user": None, "key_path": None, "passphrase": None,
        "known_hosts": None, "agent": None, "retries": retries, "retry_delay_ms": delay,
    }  # fmt: skip
    variables = {"CHATDB_ENV": environment, "SSH_MAX_RETRIES": "7", "SSH_RETRY_DELAY": "3s"}
    bastion = project.load(SSH_HOST="b", **variables).bastion
    assert (bastion.retries, bastion.retry_delay_ms) == (7, 3000)


def test_the_tunnel_is_described_by_flags_as_by_variables(project):
    variables = {
        "SSH_HOST": "b", "SSH_PORT": "2222", "SSH_USER": "ops", "SSH_KEY_PATH": "keys/one",
        "SSH_KEY_PASSPHRASE": "hunter2", "SSH_KNOWN_HOSTS": "~/hosts", "SSH_AGENT": "true",
        "SSH_MAX_RETRIES": "9", "SSH_RETRY_DELAY": "1.5s",
    }  # fmt: skip
    flags = {name.lower(): text for name, text in variables.items()}
    by_variables, by_flags = project.load(**variables).bastion, project.load(flags).bastion
    assert by_variables == by_flags
    assert by_flags.key_path == project.path / "keys/one"
    assert by_flags.known_hosts == Path("~/hosts").expanduser()
    assert (by_flags.port, by_flags.retries, by_flags.retry_delay_ms) == (2222, 9, 1500)
    assert "hunter2" not in repr(by_flags)
    assert project.load(flags | {"no_tunnel": True}).bastion is None
