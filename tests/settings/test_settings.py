# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""What the settings promise: which origin wins, what is refused, and that no secret is shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.settings import (
    SETTINGS,
    Settings,
    environment_without_libpq,
    forget_service,
    load,
    pinned,
    redact,
    require_database,
)
from chatdb_cli.values import duration_ms
from tests.support.paths import ROOT

PLACE = {"host": "", "hostaddr": "", "port": "5432", "dbname": ""}
URL = "postgres://app@db.example/chat"


Flags = Mapping[str, str | bool | None] | None


class Project:
    """A working directory with env files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str | bytes) -> Project:
        path = self.path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self

    def server(self, home: str = ".chatdb") -> Project:
        (self.path / home).mkdir()
        (self.path / home / "server.json").write_text("{}")
        return self

    def load(self, flags: Flags = None, **environ: str) -> Settings:
        return load(flags, environ=environ, cwd=self.path)

    def error(self, flags: Flags = None, **environ: str) -> ChatdbError:
        with pytest.raises(ChatdbError) as caught:
            self.load(flags, **environ)
        assert caught.value.exit == 2
        return caught.value


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def source(settings: Settings) -> str | None:
    return settings.database.source if settings.database else None


# --- what holds without anything ------------------------------------------------------------------


def test_without_anything_every_default_is_the_documented_one(project):
    s = project.load()
    assert (s.database, s.schema, s.directory, s.environment) == (
        None,
        "public",
        None,
        "development",
    )
    assert (s.connect_timeout_ms, s.connect_retries, s.connect_retry_delay_ms) == (2000, 3, 1000)
    assert (s.pool_size, s.pool_idle_ms) == (20, 30_000)
    assert (s.lock_timeout_ms, s.statement_timeout_ms) == (5000, 0)
    assert (s.retries, s.wait_ms) == (10, 60_000)
    assert (s.format, s.log_format, s.quiet, s.verbose, s.debug) == ("text", "text", *[False] * 3)
    assert (s.home, s.postgres_programs) == (project.path / ".chatdb", None)
    assert (s.ssh_host, s.warnings) == (None, ())


def test_no_database_is_an_error_that_says_what_to_do(project):
    with pytest.raises(ChatdbError) as caught:
        require_database(project.load())
    assert caught.value.code is Code.NOT_CONFIGURED
    assert str(caught.value) == "no database configured"
    assert "DATABASE_URL" in str(caught.value.hint)
    assert "chatdb setup" in str(caught.value.hint)


def test_every_setting_has_its_line_in_the_example_file_and_the_other_way_round():
    shown = dict(
        re.findall(r"^# ([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    )
    assert shown.keys() == SETTINGS.keys()
    for setting in SETTINGS.values():
        setting.parse(shown[setting.variable])
        assert setting.default in (None, shown[setting.variable])


def test_a_copied_example_file_changes_nothing(project):
    bare = project.load()
    assert project.write(".env", (ROOT / ".env.example").read_bytes()).load() == bare


def test_reading_settings_without_env_files_imports_neither_psycopg_nor_dotenv(tmp_path):
    code = (
        "import sys; from chatdb_cli.settings import load; load(environ={}); "
        "print([m for m in ('psycopg', 'dotenv', 'difflib', 'json') if m in sys.modules])"
    )
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    out = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=environment)
    assert out.strip() == b"[]"


# --- which origin wins ----------------------------------------------------------------------------

ORIGINS = ("flag", "environment", ".env.local", ".env")


@pytest.mark.parametrize("highest", range(4))
def test_the_highest_origin_wins(project, highest):
    flags, environ = {}, {}
    for name in ORIGINS[highest:]:
        value = f"s{ORIGINS.index(name)}"
        if name == "flag":
            flags["schema"] = value
        elif name == "environment":
            environ["CHATDB_SCHEMA"] = value
        else:
            project.write(name, f"CHATDB_SCHEMA={value}\n")
    assert project.load(flags, **environ).schema == f"s{highest}"


ONE = f"DATABASE_URL={URL}\n"
FULL = "POSTGRES_DB=chat\nPOSTGRES_USER=app\n"


@pytest.mark.parametrize(
    ("environ", "local", "env", "expected"),
    [
        ({"DATABASE_URL": URL}, "", f"CHATDB_{ONE}", "DATABASE_URL from the environment"),
        ({}, ONE, f"CHATDB_{ONE}", "DATABASE_URL from ./.env.local"),
        ({}, "", f"{ONE}CHATDB_{ONE}", "CHATDB_DATABASE_URL from ./.env"),
        ({}, "", FULL + ONE, "DATABASE_URL from ./.env"),
        ({}, FULL, ONE, "POSTGRES_* from ./.env.local"),
        ({"PGHOST": "x"}, "", FULL, "POSTGRES_* from ./.env"),
        ({"PGHOST": "x"}, "", "", "libpq (PGHOST from the environment)"),
        ({}, "", "PGDATABASE=x", "libpq (PGDATABASE from ./.env)"),
        ({"DATABASE_URL": ""}, "DATABASE_URL=", ONE, "DATABASE_URL from ./.env"),
        ({"POSTGRES_PASSWORD": "x"}, "", ONE, "DATABASE_URL from ./.env"),
        ({"PGSSLMODE": "require", "PGPASSWORD": "x"}, "", "", None),
    ],
)  # fmt: skip
def test_the_database_is_the_highest_origins(project, environ, local, env, expected):
    project.write(".env.local", local).write(".env", env)
    assert source(project.load(**environ)) == expected


def test_a_flag_names_the_database_before_all(project):
    project.write(".env", f"CHATDB_EMBEDDED=true\nDATABASE_URL={URL}")
    s = project.load({"database_url": "host=a dbname=b"}, DATABASE_URL=URL)
    assert s.database.source == "--database-url"
    assert s.database.params == PLACE | {"host": "a", "dbname": "b"}


def test_a_switch_that_is_false_and_an_option_that_is_none_are_not_given(project):
    s = project.load({"quiet": False, "wait": None, "embedded": False}, CHATDB_QUIET="yes")
    assert (s.quiet, s.wait_ms) == (True, 60_000)


def test_only_the_flag_makes_a_command_insecure(project):
    assert project.load({"insecure": True}).insecure
    s = project.load({"insecure": False}, CHATDB_INSECURE="true")
    assert not s.insecure
    assert "CHATDB_INSECURE from the environment is not a setting" in s.warnings[0]


def test_a_flag_that_is_no_setting_is_the_callers_mistake(project):
    with pytest.raises(TypeError, match="databse"):
        project.load({"databse": "x"})


# --- the POSTGRES_* family ------------------------------------------------------------------------


def test_the_family_has_localhost_and_5432(project):
    database = project.write(".env", FULL).load().database
    expected = PLACE | {"host": "localhost", "dbname": "chat", "user": "app"}
    assert database.params == expected


@pytest.mark.parametrize(
    ("given", "lacks"),
    [
        ({"POSTGRES_HOST": "h"}, "POSTGRES_DB and POSTGRES_USER"),
        ({"POSTGRES_PORT": "1"}, "POSTGRES_DB and POSTGRES_USER"),
        ({"POSTGRES_DB": "d"}, "POSTGRES_USER"),
        ({"POSTGRES_USER": "u", "POSTGRES_DB": ""}, "POSTGRES_DB"),
        ({"POSTGRES_PASSWORD": "hunter2"}, "POSTGRES_DB and POSTGRES_USER"),
    ],
)
def test_a_half_set_family_is_refused_and_names_what_lacks(project, given, lacks):
    error = project.error(**given)
    assert f"POSTGRES_* from the environment is half-set: {lacks} not given" in str(error)


def test_a_password_of_a_higher_origin_completes_the_family_of_a_lower_one(project):
    project.write(".env", FULL + "POSTGRES_PASSWORD=checked-in")
    assert project.load(POSTGRES_PASSWORD="exported").database.params["password"] == "exported"


def test_a_password_of_a_lower_origin_never_goes_to_a_higher_ones_host(project):
    project.write(".env", FULL + "POSTGRES_PASSWORD=checked-in")
    environ = {"POSTGRES_HOST": "prod", "POSTGRES_DB": "d", "POSTGRES_USER": "u"}
    assert "password" not in project.load(**environ).database.params


def test_an_exported_member_does_not_send_a_run_to_the_host_of_a_checked_in_file(project):
    project.write(".env", FULL + "POSTGRES_HOST=staging")
    assert "POSTGRES_USER" in str(project.error(POSTGRES_DB="other"))


# --- URLs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "params"),
    [
        ("postgres://u:p@h:1", {"user": "u", "password": "p", "host": "h", "port": "1"}),
        ("POSTGRESQL://h/d?sslmode=require", {"host": "h", "dbname": "d", "sslmode": "require"}),
        ("host=h hostaddr=10.0.0.1", {"host": "h", "hostaddr": "10.0.0.1"}),
        ("postgres://a,b:2/d", {"host": "a,b", "port": ",2", "dbname": "d"}),
        ("postgres://h/d?options=a@b", {"host": "h", "dbname": "d", "options": "a@b"}),
        ("postgresql:///d?host=/tmp/run", {"host": "/tmp/run", "dbname": "d"}),
        ("postgres://u:p?x@h/d", {"user": "u", "password": "p?x", "host": "h", "dbname": "d"}),
        (" postgres:// \n", {}),
    ],
)  # fmt: skip
def test_a_url_gives_its_keywords_and_pins_the_place(project, url, params):
    assert project.load(DATABASE_URL=url).database.params == PLACE | params


def test_a_service_is_left_to_its_service_file(project):
    assert project.load(DATABASE_URL="service=prod").database.params == {"service": "prod"}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql+psycopg://u:hunter2@h/d", 'write "postgresql://"'),
        ("postgres+asyncpg://u:hunter2@h/d", 'write "postgresql://"'),
        ("jdbc:postgresql://h/d?password=hunter2", 'write "postgresql://"'),
        ("mysql://u:hunter2@h/d", "not for PostgreSQL"),
        ("u:hunter2@h/d", "neither a URL nor keywords"),
        ("hunter2", "neither a URL nor keywords"),
        ("postgres://u:hun@ter2@h/d", "%40"),
        ("postgres://u:hunter2@@h/d", "%40"),
        ("postgres://u:hun/ter2@h/d", "%40"),
        ("postgres://u:12/hunter2@h/d", "%40"),
        ("postgres://u:a?hunter2@x@h/d", "%40"),
        ("postgres://u:hunter2%zz@h/d", "percent-encode"),
        ("postgres://u:hunter2%ff@h/d", "not UTF-8"),
        ("postgres://u:hunter2%00@h/d", "forbidden value"),
        ("postgres://u:hunter2\udcff@h/d", "not UTF-8"),
        ("postgres://u:hun ter2@h/d", "percent-encode"),
        ("postgres://u:hunter2@[::1/d", "can't be read"),
        ("postgres://u:hunter2@h:0/d", "65535"),
        ("postgres://u:hunter2@h:65536/d", "65535"),
        ("host=h port=hunter2", "65535"),
        ("host=h password='hunter2", "unterminated quoted string"),
        ("host=h hunter2=x", "only libpq's own"),
        ("postgres://h/d?password=a&hunter2=b", "only libpq's own"),
        ("postgres://h/d?password=a&hunter2", "missing key/value separator"),
        ("postgres://h/d?schema=x", "--schema"),
    ],
)
def test_a_wrong_url_is_explained_without_showing_any_of_it(project, url, says):
    error = project.error(DATABASE_URL=url)
    text = f"{error} {error.hint}"
    assert says in text
    assert str(error).startswith("DATABASE_URL from the environment: ")
    assert not re.search("hun|ter2", text)
    assert error.__suppress_context__ or error.__context__ is None


def test_a_password_on_the_command_line_is_warned_about(project):
    s = project.load({"database_url": "postgres://u:hunter2@h/d"})
    assert "process list" in s.warnings[0]
    assert project.load({"database_url": URL}).warnings == ()


def test_params_never_show(project):
    assert "hunter2" not in repr(project.load(DATABASE_URL="postgres://u:hunter2@h/d"))


# --- libpq's own variables ------------------------------------------------------------------------


def libpq_sees(params: Mapping[str, str]) -> dict[str, str]:
    """What libpq makes of the params in this environment, as it would connect."""
    connection = pq.PGconn.connect_start(make_conninfo(**params, connect_timeout="1").encode())
    found = {option.keyword.decode(): option.val for option in connection.info}
    connection.finish()
    return {key: (found[key] or b"").decode() for key in ("host", "hostaddr", "port", "dbname")}


@pytest.mark.parametrize("url", ["postgres://u@127.0.0.1/chat", "postgres://u@127.0.0.1", "user=u"])
def test_the_environments_variables_do_not_bend_a_url_elsewhere(project, monkeypatch, url):
    params = project.load(DATABASE_URL=url).database.params
    straight = libpq_sees(params)
    monkeypatch.setenv("PGHOST", "192.0.2.1")
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATABASE", "elsewhere")
    assert libpq_sees(params) == straight
    assert straight["port"] == "5432"
    assert straight["dbname"] == conninfo_to_dict(url).get("dbname", "u")


def test_libpq_would_bend_a_url_that_is_not_pinned(monkeypatch):
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    assert libpq_sees({"host": "127.0.0.1"})["hostaddr"] == "192.0.2.1"


def test_a_service_of_the_environment_does_not_bend_a_url_elsewhere(monkeypatch, tmp_path):
    (tmp_path / "services").write_text("[s]\nhostaddr=192.0.2.1\nport=1\ndbname=elsewhere\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    monkeypatch.setenv("PGSERVICE", "s")
    seen = libpq_sees(pinned({"host": "127.0.0.1", "user": "u"}))
    assert seen == {"host": "127.0.0.1", "hostaddr": "", "port": "5432", "dbname": "u"}


def test_the_environments_own_are_left_to_libpq(project):
    s = project.load(PGHOST="h", PGPASSWORD="hunter2")
    assert (s.database.params, s.database.embedded) == ({}, False)


def test_those_of_a_file_become_params_and_never_mix_with_another_files_place(project):
    project.write(".env.local", "PGHOST=a\nPGUSER=u\n")
    project.write(".env", "PGHOST=b\nPGDATABASE=d\nPGSSLMODE=disable\nPGPASSWORD=hunter2\n")
    s = project.load()
    assert s.database.params == PLACE | {"host": "a", "user": "u"}
    assert s.warnings == (
        "PGHOST from ./.env is not used: PGHOST from ./.env.local names the place",
    )


@pytest.mark.parametrize(
    ("environ", "local", "env", "login"),
    [
        ({}, "", "PGPASSWORD=x\nPGSSLMODE=require", {"password": "x", "sslmode": "require"}),
        ({}, "PGPASSWORD=mine", "PGPASSWORD=x", {"password": "mine"}),
        ({"PGPASSWORD": "e"}, "", "PGPASSWORD=x", {}),  # libpq takes the environment's on its own
        ({}, "", "PGHOST=elsewhere\nPGPORT=1\nPGDATABASE=y", {}),
    ],
)
def test_those_of_a_file_complete_a_url_of_the_same_or_a_lower_file(
    project, environ, local, env, login
):
    project.write(".env.local", local).write(".env", f"{env}\nDATABASE_URL={URL}")
    expected = PLACE | {"host": "db.example", "user": "app", "dbname": "chat"} | login
    assert project.load(**environ).database.params == expected


def test_those_of_a_file_never_reach_the_database_of_a_higher_origin(project):
    project.write(".env", "PGPASSWORD=hunter2\nPGSSLMODE=disable")
    assert project.load(DATABASE_URL=URL).database.params.keys() == PLACE.keys() | {"user"}


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
def test_the_embedded_server_is_one_more_way_to_name_a_database(
    project, flags, environ, env, expected
):
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
def test_the_embedded_server_is_refused_where_it_contradicts(project, flags, environ, env, says):
    assert says in str(project.write(".env", env).error(flags, **environ))


def test_the_flag_says_what_it_overrides(project):
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


def test_no_variable_of_libpq_is_left_for_the_embedded_server(monkeypatch):
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
def test_the_projects_own_server_is_not_a_surprise(project, environ, env):
    s = project.server().write(".env", env).load(**environ)
    assert s.database is None
    assert s.warnings[0].startswith("the embedded server in ./.chatdb is not used, because of ")


# --- the tunnel -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("enabled", "host"), [("", "b"), ("true", "b"), ("1", "b"), ("false", None), ("No", None)]
)
def test_a_tunnel_is_asked_for_by_its_host_unless_disabled(project, enabled, host):
    project.write(".env", "SSH_HOST=b")
    assert project.load(SSH_ENABLED=enabled, DATABASE_URL=URL).ssh_host == host


@pytest.mark.parametrize(
    ("environment", "retries", "delay"),
    [("development", 3, 1000), ("test", 3, 1000), ("staging", 3, 1000), ("production", 5, 2000)],
)
def test_a_tunnel_needs_its_host_alone(project, environment, retries, delay):
    """What is None here ~/.ssh/config says, or a default stands in for."""
    bastion = project.load(SSH_HOST="b", CHATDB_ENV=environment).bastion
    assert asdict(bastion) == {
        "host": "b", "port": None, "user": None, "key_path": None, "passphrase": None,
        "known_hosts": None, "agent": None, "retries": retries, "retry_delay_ms": delay,
    }  # fmt: skip
    said = {"CHATDB_ENV": environment, "SSH_MAX_RETRIES": "7", "SSH_RETRY_DELAY": "3s"}
    bastion = project.load(SSH_HOST="b", **said).bastion
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


# --- env files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "CHATDB_SCHEMA=s",
        "\ufeffCHATDB_SCHEMA=s\n",
        "# a comment\r\n\r\nCHATDB_SCHEMA=s # why\r\n",
        "export CHATDB_SCHEMA='s'\n",
        'X="two\nlines"\nCHATDB_SCHEMA = "s"',
        "CHATDB_SCHEMA=first\nCHATDB_SCHEMA=s",
    ],
)
def test_usual_env_files_are_read(project, text):
    assert project.write(".env", text).load().schema == "s"


def test_values_are_literal(project):
    project.write(".env", "CHATDB_DIR=${HOME}/$X\n")
    assert project.load(HOME="/h", X="x").directory == "${HOME}/$X"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("hunter2", 1),
        ("\n\n# x\n\nhunter2\n", 5),
        ("A=1\r\n\r\nB = 2\r\nexport hunter2\r\n", 4),
        ("A=1\nB='hunter2\n\nC=3", 2),
        ("A=1\nhunter2 B=2\n", 2),
        ("=hunter2", 1),
        (b"A=1\nB=hunter2\xff\n", 2),
        (b"A=1\nB=hunter2\0\n", 2),
        ("A=1\n".encode("utf-16"), 1),
    ],
)
def test_a_line_that_is_no_assignment_is_refused_with_its_number(project, text, line):
    error = project.write(".env", text).error()
    assert str(error).startswith(f"./.env line {line} ")
    assert (str(error.place.file), error.place.line) == (".env", line)
    assert "hunter2" not in f"{error} {error.hint} {error.place}"


def test_a_named_env_file_stands_in_place_of_both(project):
    project.write(".env", "broken line").write(".env.local", "broken line")
    project.write("ci.env", "CHATDB_SCHEMA=s")
    assert project.load(CHATDB_ENV_FILE="ci.env").schema == "s"
    assert project.load({"env_file": "./ci.env"}, CHATDB_ENV_FILE="other").schema == "s"
    assert project.load({"env_file": "/dev/null"}).schema == "public"
    assert "./ci.env line 1" in str(
        project.write("ci.env", "CHATDB_WAIT=5").error({"env_file": "./ci.env"})
    )


def test_a_named_env_file_that_is_not_there_is_refused(project):
    error = project.error({"env_file": "./nowhere.env"})
    assert (str(error), error.errno) == (
        "can't read ./nowhere.env: no such file or directory",
        "ENOENT",
    )


def test_an_env_file_that_cannot_be_read_is_refused(project):
    (project.path / ".env").mkdir()
    assert str(project.error()) == "can't read ./.env: is a directory"


# --- wrong values ---------------------------------------------------------------------------------

WRONG = [
    ("CHATDB_WAIT", "5", "has no unit"),
    ("CHATDB_WAIT", "-5s", "is not a duration"),
    ("CHATDB_LOCK_TIMEOUT", "5m", "is not a duration"),
    ("CHATDB_STATEMENT_TIMEOUT", "25d", "is too long"),
    ("CHATDB_RETRIES", "-1", "whole number"),
    ("CHATDB_RETRIES", "\u0661", "whole number"),
    ("CHATDB_POOL_SIZE", "0", "from 1"),
    ("CHATDB_CONNECT_RETRIES", "9" * 5000, "whole number"),
    ("CHATDB_SCHEMA", "pg_x", "pg_"),
    ("CHATDB_SCHEMA", "ä" * 32, "63 bytes"),
    ("CHATDB_SCHEMA", "a\0b", "NUL"),
    ("CHATDB_SCHEMA", "a\udcff", "UTF-8"),
    ("CHATDB_FORMAT", "yaml", "is none of text, json"),
    ("CHATDB_QUIET", "maybe", "neither true nor false"),
    ("CHATDB_EMBEDDED", "si", "neither true nor false"),
    ("CHATDB_HOME", "~nosuchuser/x", "home directory"),
    ("CHATDB_ENV", "Production", "is none of"),
    ("SSH_ENABLED", "maybe", "neither true nor false"),
    ("SSH_HOST", "a,b", "one host"),
    ("PGPORT", "x", "65535"),
]


@pytest.mark.parametrize(("variable", "value", "says"), WRONG)
def test_a_wrong_value_is_refused_with_its_name_and_its_origin(project, variable, value, says):
    error = project.error(**{variable: value})
    assert error.code is Code.SETTINGS
    assert str(error).startswith(f"{variable} from the environment: {value!r}"[:40])
    assert says in str(error)
    assert len(str(error)) < 220


def test_a_wrong_value_is_named_where_it_came_from(project):
    assert str(project.error({"wait": "5"})) == "--wait: '5' has no unit"
    assert str(project.error({"schema": ""})) == "--schema: is empty"
    error = project.write(".env", "\n\nCHATDB_WAIT=5").error()
    assert str(error) == "CHATDB_WAIT from ./.env line 3: '5' has no unit"
    assert error.hint == "write it like 500ms, 5s, 2min, 1h or 1d"
    assert error.place.line == 3


def test_a_wrong_port_of_the_family_is_refused(project):
    environ = {"POSTGRES_DB": "d", "POSTGRES_USER": "u"}
    assert "'5432x'" in str(project.error(POSTGRES_PORT="5432x", **environ))
    assert "hunter2" not in str(project.error(POSTGRES_HOST="u:hunter2@h", **environ))


@pytest.mark.parametrize(
    ("given", "meant"),
    [("prod", "production"), ("dev", "development"), ("PROD", "production"), ("stagin", "staging")],
)
def test_a_wrong_environment_is_refused_with_the_one_that_was_meant(project, given, meant):
    assert project.error(CHATDB_ENV=given).hint == f"did you mean {meant}?"


def test_an_unknown_variable_is_warned_about_with_the_nearest_name(project):
    project.write(".env", "\nCHATDB_SHCEMA=x\nCHATDB_ENV_FILE=y\nOTHER=z")
    assert project.load(CHATDB_STATEMENTTIMEOUT="x", CHATDB_EMPTY="").warnings == (
        "CHATDB_STATEMENTTIMEOUT from the environment is not a setting; "
        "did you mean CHATDB_STATEMENT_TIMEOUT?",
        "CHATDB_SHCEMA from ./.env line 2 is not a setting; did you mean CHATDB_SCHEMA?",
        "CHATDB_ENV_FILE from ./.env line 3 does nothing there; only the environment's is read",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", 0), ("500ms", 500), ("5s", 5000), ("1.5s", 1500), ("2min", 120_000),
        ("1h", 3_600_000), ("1d", 86_400_000), ("0.07s", 70), ("0.1ms", 1), ("1.0005s", 1001),
        ("24d", 2_073_600_000),
    ],
)  # fmt: skip
def test_a_duration_is_exact_and_only_zero_is_zero(text, expected):
    assert duration_ms(text) == expected


@pytest.mark.parametrize(
    "text", ["", "5", "5.", "s", "-1s", "5 s", "5S", "5m", "1e3s", "\u0663s", ".5s", "1s\n", "25d"]
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError):
        duration_ms(text)


# --- any text -------------------------------------------------------------------------------------

ANY_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
QUICK = hypothesis_settings(max_examples=40, deadline=None, database=None)
MARK = "SeCrEt"
SECRET = ANY_TEXT.map(lambda text: f"{MARK}{text}{MARK}")


@QUICK
@given(ANY_TEXT)
def test_any_password_survives_an_env_file(password):
    quoted = password.replace("\\", "\\\\").replace("'", "\\'")
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, ".env").write_bytes(f"{FULL}POSTGRES_PASSWORD='{quoted}'\n".encode())
        database = load(environ={}, cwd=Path(directory)).database
    assert database is not None
    assert database.params["password"] == password


@QUICK
@given(ANY_TEXT, ANY_TEXT)
def test_any_password_survives_a_url_and_a_keyword_string(user, password):
    expected = PLACE | {"host": "h", "dbname": "d", "user": user, "password": password}
    url = f"postgres://{quote(user, safe='')}:{quote(password, safe='')}@h/d"
    for text in (url, make_conninfo(host="h", dbname="d", user=user, password=password)):
        database = load({"database_url": text}, environ={}).database
        assert database is not None
        assert database.params == expected


def outcome(**given_to_load: Any) -> Settings | ChatdbError:
    """The settings, or the error, which must be one that exits with 2."""
    with tempfile.TemporaryDirectory() as directory:
        try:
            return load(**given_to_load, cwd=Path(directory))
        except ChatdbError as error:
            return error if error.exit == 2 else pytest.fail(f"exit {error.exit}")


@QUICK
@given(st.sampled_from(sorted(SETTINGS)), ANY_TEXT)
def test_no_value_raises_anything_but_exit_2(variable, value):
    outcome(environ={variable: value})
    if variable.startswith("CHATDB_"):
        outcome(flags={SETTINGS[variable].name: value}, environ={})


# A name or a path is any text, and is shown.
SHOWN = {"CHATDB_DIR", "CHATDB_ENV_FILE", "CHATDB_HOME", "CHATDB_POSTGRES_BIN", "CHATDB_SCHEMA"}


@QUICK
@given(
    st.sampled_from(sorted(SETTINGS.keys() - SHOWN)),
    st.sampled_from(["postgres://app:{}@db/chat", "host=db password={}", "mysql://{}:x@db"]),
    SECRET,
)
def test_no_value_shows_a_password_in_it(variable, form, secret):
    result = outcome(environ={variable: form.format(secret)})
    shown = [str(result), repr(result), str(getattr(result, "hint", ""))]
    if variable != "SSH_HOST" or isinstance(result, ChatdbError):
        assert MARK not in "".join(shown)


@QUICK
@given(st.binary(max_size=60))
def test_no_env_file_raises_anything_but_exit_2(data):
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        outcome(flags={"env_file": file.name}, environ={})


@QUICK
@given(SECRET, st.sampled_from(["", "could not connect to ", '{"url": "']))
def test_redact_hides_every_password(secret, before):
    url = f"postgres://app:{quote(secret, safe='')}@db:5432/chat"
    keywords = make_conninfo(host="h", password=secret, dbname="d")
    literal = "ALTER ROLE app PASSWORD '" + secret.replace("'", "''").replace("\\", "") + "'"
    for text in (url, keywords, literal):
        assert MARK not in redact(f"{before}{text} in vain")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://app:hunter2@db/chat", "postgres://app:***@db/chat"),
        ("a postgres://app:h@n/t?r2@db/chat b", "a postgres://app:***@db/chat b"),
        ("postgres://app:hunt er2@db/chat", "postgres://app:***@db/chat"),
        ("host=h password=hunter2 dbname=d", "host=h password=*** dbname=d"),
        ("password = 'hun \\' ter2' dbname=d", "password = *** dbname=d"),
        ("PGPASSWORD=hunter2 psql", "PGPASSWORD=*** psql"),
        ("postgres://db/chat?password=hunter2", "postgres://db/chat?password=***"),
        ("ALTER ROLE a PASSWORD 'hunter2';", "ALTER ROLE a PASSWORD ***;"),
    ],
)
def test_redact_leaves_the_rest_readable(text, shown):
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    ["postgres://db:5432/chat", "app@db:5432/chat", "https://x.example/a", "no password given",
     'password authentication failed for user "app"', "http://localhost:80, mail me@x"],
)  # fmt: skip
def test_redact_leaves_what_has_no_password(text):
    assert redact(text) == text


def test_psycopg_takes_the_params_as_they_are():
    params = pinned({"host": "127.0.0.1", "port": "1", "user": "u", "connect_timeout": "2"})
    with pytest.raises(psycopg.OperationalError, match=r"127\.0\.0\.1.*port 1"):
        psycopg.connect(**params)  # type: ignore[arg-type]
