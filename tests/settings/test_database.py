# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""POSTGRES_* variables and URLs."""

from __future__ import annotations

import re

import pytest

from tests.support.settings import FULL, PLACE, URL

pytestmark = pytest.mark.quick


# --- POSTGRES_* variables --------------------------------------------------------------------------


def test_postgres_variables_default_to_localhost_and_5432(project):
    database = project.write(".env", FULL).load().database
    expected = PLACE | {"host": "localhost", "dbname": "chat", "user": "app"}
    assert database.params == expected


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        ({"POSTGRES_HOST": "h"}, "POSTGRES_DB and POSTGRES_USER"),
        ({"POSTGRES_PORT": "1"}, "POSTGRES_DB and POSTGRES_USER"),
        ({"POSTGRES_DB": "d"}, "POSTGRES_USER"),
        ({"POSTGRES_USER": "u", "POSTGRES_DB": ""}, "POSTGRES_DB"),
        ({"POSTGRES_PASSWORD": "hunter2"}, "POSTGRES_DB and POSTGRES_USER"),
    ],
)
def test_incomplete_postgres_variables_are_refused_and_names_what_is_missing(
    project, variables, missing
):
    error = project.error(**variables)
    assert f"POSTGRES_* from the environment is incomplete: {missing} not set" in str(error)


def test_a_password_of_a_higher_source_completes_the_variables_of_a_lower_one(project):
    project.write(".env", FULL + "POSTGRES_PASSWORD=checked-in")
    assert project.load(POSTGRES_PASSWORD="exported").database.params["password"] == "exported"


def test_a_password_of_a_lower_source_never_goes_to_the_host_of_a_higher_one(project):
    project.write(".env", FULL + "POSTGRES_PASSWORD=checked-in")
    environ = {"POSTGRES_HOST": "prod", "POSTGRES_DB": "d", "POSTGRES_USER": "u"}
    assert "password" not in project.load(**environ).database.params


def test_one_exported_variable_is_never_combined_with_the_host_of_a_checked_in_file(project):
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
def test_a_url_gives_its_keywords_and_fixes_the_server(project, url, params):
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
        ("postgres://h/d?schema=x", "CHATDB_SCHEMA"),
        ("postgres://h/d?search_path=x", "parameter search_path"),
        ("postgres://h/d?pgbouncer=true&connection_limit=1", "pgbouncer, connection_limit"),
        ("postgres://h/d?statement_timeout=5", "the setting statement_timeout"),
        ("postgres://h/d?sslmode=no-verify", "sslmode=require"),
        ("postgres://h/d?sslmode=hunter2-", "one of disable, allow"),
        ("host=h target_session_attrs=master", "primary"),
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


def test_the_repr_of_settings_shows_no_params(project):
    assert "hunter2" not in repr(project.load(DATABASE_URL="postgres://u:hunter2@h/d"))
