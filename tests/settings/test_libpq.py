# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""libpq's own variables."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from chatdb_cli.settings.libpq import pin_keywords
from tests.support.settings import PLACE, URL

pytestmark = pytest.mark.quick


def libpq_sees(params: Mapping[str, str]) -> dict[str, str]:
    """What libpq makes of the params in this environment, as it would connect."""
    connection = pq.PGconn.connect_start(make_conninfo(**params, connect_timeout="1").encode())
    values = {option.keyword.decode(): option.val for option in connection.info}
    connection.finish()
    return {key: (values[key] or b"").decode() for key in ("host", "hostaddr", "port", "dbname")}


@pytest.mark.parametrize("url", ["postgres://u@127.0.0.1/chat", "postgres://u@127.0.0.1", "user=u"])
def test_libpq_variables_do_not_redirect_a_url(project, monkeypatch, url):
    params = project.load(DATABASE_URL=url).database.params
    straight = libpq_sees(params)
    monkeypatch.setenv("PGHOST", "192.0.2.1")
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATABASE", "elsewhere")
    assert libpq_sees(params) == straight
    assert straight["port"] == "5432"
    assert straight["dbname"] == conninfo_to_dict(url).get("dbname", "u")


def test_libpq_would_redirect_a_url_that_is_not_pinned(monkeypatch):
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    assert libpq_sees({"host": "127.0.0.1"})["hostaddr"] == "192.0.2.1"


def test_a_service_of_the_environment_does_not_redirect_a_url(monkeypatch, tmp_path):
    (tmp_path / "services").write_text("[s]\nhostaddr=192.0.2.1\nport=1\ndbname=elsewhere\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    monkeypatch.setenv("PGSERVICE", "s")
    seen = libpq_sees(pin_keywords({"host": "127.0.0.1", "user": "u"}))
    assert seen == {"host": "127.0.0.1", "hostaddr": "", "port": "5432", "dbname": "u"}


def test_libpq_variables_of_the_environment_are_left_to_libpq(project):
    s = project.load(PGHOST="h", PGPASSWORD="hunter2")
    assert (s.database.params, s.database.embedded) == ({}, False)


def test_libpq_variables_of_a_file_never_mix_with_the_server_of_another_file(project):
    project.write(".env.local", "PGHOST=a\nPGUSER=u\n")
    project.write(".env", "PGHOST=b\nPGDATABASE=d\nPGSSLMODE=disable\nPGPASSWORD=hunter2\n")
    s = project.load()
    assert s.database.params == PLACE | {"host": "a", "user": "u"}
    assert s.warnings == (
        "PGHOST from ./.env is not used: PGHOST from ./.env.local names the database",
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
def test_libpq_variables_of_a_file_complete_a_url_of_the_same_or_a_lower_file(
    project, environ, local, env, login
):
    project.write(".env.local", local).write(".env", f"{env}\nDATABASE_URL={URL}")
    expected = PLACE | {"host": "db.example", "user": "app", "dbname": "chat"} | login
    assert project.load(**environ).database.params == expected


def test_libpq_variables_of_a_file_never_reach_the_database_of_a_higher_source(project):
    project.write(".env", "PGPASSWORD=hunter2\nPGSSLMODE=disable")
    assert project.load(DATABASE_URL=URL).database.params.keys() == PLACE.keys() | {"user"}
