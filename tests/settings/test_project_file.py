# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""chatdb.toml, and [tool.chatdb] of pyproject.toml."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("chatdb.toml", 'schema = "s"\nlock_timeout = "2s"\nretries = 3\nquiet = true\n'),
        (
            "chatdb.toml",
            '\ufeff# why\r\nschema = "s"\r\nlock_timeout="2s"\nretries="3"\nquiet=true',
        ),
        (
            "pyproject.toml",
            '[project]\nname = "x"\n[tool.chatdb]\nschema = "s"\nlock_timeout = "2s"\n'
            "retries = 3\nquiet = true\n",
        ),
    ],
)
def test_settings_are_keys_in_lower_case(project, name, text):
    settings = project.write(name, text).load()
    assert (settings.schema, settings.lock_timeout_ms) == ("s", 2000)
    assert (settings.retries, settings.quiet) == (3, True)


def test_the_project_file_is_the_lowest_source(project):
    project.write("chatdb.toml", 'schema = "toml"\nwait = "1s"\ndir = "db"\n')
    project.write(".env", "CHATDB_SCHEMA=env\n")
    settings = project.load(CHATDB_WAIT="2s")
    assert (settings.schema, settings.wait_ms, settings.directory) == ("env", 2000, "db")


def test_it_can_name_a_database_without_its_password(project):
    project.write("chatdb.toml", 'postgres_db = "chat"\npostgres_user = "app"\nssh_host = "b"\n')
    settings = project.load(POSTGRES_PASSWORD="hunter2")
    assert settings.database.params["dbname"] == "chat"
    assert settings.database.params["password"] == "hunter2"
    assert settings.database.source == "POSTGRES_* from ./chatdb.toml"
    assert settings.ssh_host == "b"


def test_the_tables_of_the_checks_are_read(project):
    project.write(
        "chatdb.toml",
        '[lint]\noff = ["rename"]\non = ["missing-comment"]\nserver_version = 17\nafter = "0042"\n'
        'strict = true\n[lint.severity]\ncascade = "note"\n'
        '[health]\nconnections = "90%"\n"longest-transaction.error" = "10min"\n'
        '[counts]\nexclude_tables = ["audit"]\nexclude_columns = ["users.seen_at"]\n',
    )
    settings = project.load()
    lint = settings.lint
    assert (lint.off, lint.on, lint.after) == (("rename",), ("missing-comment",), "0042")
    assert (lint.server_version, lint.strict) == (17, True)
    assert lint.severities == {"cascade": "note"}
    assert settings.health_thresholds == {
        "connections": "90%",
        "longest-transaction.error": "10min",
    }
    assert settings.counts.exclude_tables == ("audit",)
    assert settings.counts.exclude_columns == ("users.seen_at",)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('\nschma = "s"', 2, "schma is not a setting"),
        ('lock_timeout = "5"', 1, "has no unit"),
        ("[lint]\n\nof = []", 3, "[lint] has no key of"),
        ('[lint]\noff = "rename"', 2, "off is not a list"),
        ("[lint]\noff = [1]", 2, "off is not a list"),
        ('[lint.severity]\nrename = "fatal"', 2, "'fatal' is not one of"),
        ("[lint]\nserver_version = true", 2, "not a major version"),
        ("[lint]\nafter = 'x'", 2, "is not a version"),
        ("[lint]\nstrict = 1", 2, "neither true nor false"),
        ("lint = 3", 1, "lint is not a table"),
        ("[counts]\nexclude = ['a']", 2, "[counts] has no key exclude"),
        ("schema = ['a']", 1, "is not a text"),
        ("schema = \n", 1, "is not TOML"),
        ("schema = 'a'\nschema = 'b'", 2, "is not TOML"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(project, text, line, words):
    error = project.write("chatdb.toml", text).error()
    assert words in str(error)
    assert f"./chatdb.toml line {line}" in str(error) or f"line {line}" in str(error)
    assert error.exit == 2


@pytest.mark.parametrize(
    ("text", "nearest"),
    [("schma = 's'", "schema"), ("locktimeout = '5s'", "lock_timeout"), ("[lnt]", "lint")],
)
def test_an_unknown_key_names_the_nearest(project, text, nearest):
    assert f"did you mean {nearest}?" in project.write("chatdb.toml", text).error().hint


@pytest.mark.parametrize(
    "text",
    [
        'database_url = "postgresql://app@host/db"',
        'postgres_password = "hunter2"',
        'password = "hunter2"',
        'pgpassword = "hunter2"',
        'ssh_key_passphrase = "hunter2"',
        'postgres_host = "postgresql://app:hunter2@host/db"',
        'dir = "host=db password=hunter2"',
        '[lint]\nafter = "postgres://a:hunter2@h"',
        '[health]\nx = "postgres://a:hunter2@h"',
        "[tool]\n[unknown]\npassword = 'hunter2'",
    ],
)
def test_a_secret_is_refused_and_not_shown(project, text):
    error = project.write("chatdb.toml", text).error()
    assert error.exit == 2
    assert "hunter2" not in f"{error} {error.hint} {error.place}"


def test_chatdb_toml_wins_over_pyproject(project):
    project.write("pyproject.toml", "[tool.chatdb]\nschema = 'b'\n")
    project.write("chatdb.toml", "schema = 'a'\n")
    settings = project.load()
    assert settings.schema == "a"
    assert any("pyproject.toml is not used" in warning for warning in settings.warnings)


@pytest.mark.parametrize("text", ["", "[project]\nname = 'x'\n", "not TOML ["])
def test_the_pyproject_of_others_does_not_matter(project, text):
    assert project.write("pyproject.toml", text).load().schema == "public"
