# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Env files."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.quick


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
    settings = project.load(HOME="/h", X="x")
    assert settings.directory == "${HOME}/$X"
    assert settings.warnings == (
        "CHATDB_DIR from ./.env line 1: ${...} is taken as it is: nothing is interpolated in ./.env; "
        "write the value",
    )


def test_a_wrong_value_that_holds_a_variable_is_explained_and_its_name_is_not_shown(project):
    project.write(".env", "CHATDB_DATABASE_URL=${hunter2}\n")
    error = project.error()
    assert "nothing is interpolated in ./.env" in error.hint
    assert "hunter2" not in error.message + error.hint


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
def test_a_line_that_is_not_an_assignment_is_refused_with_its_number(project, text, line):
    error = project.write(".env", text).error()
    assert str(error).startswith(f"./.env line {line} ")
    assert (str(error.place.file), error.place.line) == (".env", line)
    assert "hunter2" not in f"{error} {error.hint} {error.place}"


def test_a_named_env_file_replaces_both(project):
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
