# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Which source of a setting wins."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.settings.database import require_database
from chatdb_cli.settings.table import SETTINGS
from tests.support.paths import ROOT
from tests.support.settings import FULL, ONE, PLACE, URL, source

pytestmark = pytest.mark.quick


# --- the defaults -------------------------------------------------------------------------------


def test_without_sources_every_setting_has_its_documented_default(project):
    s = project.load()
    assert (s.database, s.schema, s.directory, s.environment) == (
        None,
        "public",
        None,
        "development",
    )
    assert (s.connect_timeout_ms, s.connect_retries, s.connect_retry_delay_ms) == (2000, 3, 1000)
    assert (s.pool_size, s.pool_idle_ms, s.pool_wait_ms) == (20, 30_000, None)
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
    assert "setup()" in str(caught.value.hint)


def test_every_setting_has_its_line_in_the_example_file_and_the_other_way_round():
    shown = dict(
        re.findall(r"^# ([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    )
    in_files = [setting for setting in SETTINGS.values() if not setting.environment_only]
    assert shown.keys() == {setting.variable for setting in in_files}
    for setting in in_files:
        setting.parse(shown[setting.variable])
        assert setting.default in (None, shown[setting.variable])


def test_a_copied_example_file_changes_nothing(project):
    bare = project.load()
    assert project.write(".env", (ROOT / ".env.example").read_bytes()).load() == bare


def test_reading_settings_without_env_files_imports_neither_psycopg_nor_dotenv(tmp_path):
    code = (
        "import sys; from chatdb_cli.settings.load import load_settings; load_settings(environ={}); "
        "print([m for m in ('psycopg', 'dotenv', 'difflib', 'json') if m in sys.modules])"
    )
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    out = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=environment)
    assert out.strip() == b"[]"


# --- which source wins ----------------------------------------------------------------------------

SOURCES = ("flag", "environment", ".env.local", ".env")


@pytest.mark.parametrize("highest", range(4))
def test_the_highest_source_wins(project, highest):
    flags, environ = {}, {}
    for name in SOURCES[highest:]:
        value = f"s{SOURCES.index(name)}"
        if name == "flag":
            flags["schema"] = value
        elif name == "environment":
            environ["CHATDB_SCHEMA"] = value
        else:
            project.write(name, f"CHATDB_SCHEMA={value}\n")
    assert project.load(flags, **environ).schema == f"s{highest}"


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
def test_the_database_is_that_of_the_highest_source(project, environ, local, env, expected):
    project.write(".env.local", local).write(".env", env)
    assert source(project.load(**environ)) == expected


def test_the_database_of_a_flag_wins(project):
    project.write(".env", f"CHATDB_EMBEDDED=true\nDATABASE_URL={URL}")
    s = project.load({"database_url": "host=a dbname=b"}, DATABASE_URL=URL)
    assert s.database.source == "--database-url"
    assert s.database.params == PLACE | {"host": "a", "dbname": "b"}


def test_a_false_switch_and_an_option_of_none_count_as_absent(project):
    s = project.load({"quiet": False, "wait": None, "embedded": False}, CHATDB_QUIET="yes")
    assert (s.quiet, s.wait_ms) == (True, 60_000)


def test_a_number_is_accepted_as_a_flag_and_zero_is_not_absent(project):
    assert project.load({"retries": 0}, CHATDB_RETRIES="3").retries == 0


def test_only_the_flag_makes_a_command_insecure(project):
    assert project.load({"insecure": True}).insecure
    s = project.load({"insecure": False}, CHATDB_INSECURE="true")
    assert not s.insecure
    assert "CHATDB_INSECURE from the environment is not a setting" in s.warnings[0]


def test_an_unknown_flag_is_an_error_of_the_caller(project):
    with pytest.raises(TypeError, match="databse"):
        project.load({"databse": "x"})


@pytest.mark.parametrize("value", ["/opt/pg/bin", "./bin", "bin"])
@pytest.mark.parametrize(
    ("file", "line"),
    [
        (".env", "CHATDB_POSTGRES_BIN={}"),
        (".env.local", "CHATDB_POSTGRES_BIN={}"),
        ("other.env", "CHATDB_POSTGRES_BIN={}"),
        ("chatdb.toml", 'postgres_bin = "{}"'),
        ("pyproject.toml", '[tool.chatdb]\npostgres_bin = "{}"'),
    ],
)
def test_a_file_of_a_project_never_names_the_programs_of_the_embedded_server(
    project, file, line, value
):
    project.write(file, line.format(value))
    flags = {"env_file": file} if file == "other.env" else {}
    error = project.error(flags)
    assert (error.code, error.exit) == (Code.SETTINGS, 2)
    assert file in str(error)
    assert error.hint == "set CHATDB_POSTGRES_BIN in the environment"
    # Nor if the environment names them, too.
    assert project.error(flags, CHATDB_POSTGRES_BIN="/opt/pg/bin").exit == 2


def test_the_environment_names_the_programs_of_the_embedded_server_by_an_absolute_path(project):
    assert project.load(CHATDB_POSTGRES_BIN="/opt/pg/bin").postgres_programs == Path("/opt/pg/bin")
    for value in ("bin", "./bin", "../bin", "~/bin"):
        error = project.error(CHATDB_POSTGRES_BIN=value)
        assert (error.exit, str(error)) == (
            2,
            f"CHATDB_POSTGRES_BIN from the environment: {value!r} is not an absolute path",
        )
