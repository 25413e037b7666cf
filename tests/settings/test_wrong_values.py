# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Wrong values are refused and named."""

from __future__ import annotations

import pytest

from chatdb_cli.errors import Code
from chatdb_cli.settings.parse import duration_ms

pytestmark = pytest.mark.quick


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
    ("CHATDB_FORMAT", "yaml", "is not one of text, json"),
    ("CHATDB_QUIET", "maybe", "neither true nor false"),
    ("CHATDB_EMBEDDED", "si", "neither true nor false"),
    ("CHATDB_HOME", "~nosuchuser/x", "home directory"),
    ("CHATDB_ENV", "Production", "is not one of"),
    ("SSH_ENABLED", "maybe", "neither true nor false"),
    ("SSH_HOST", "a,b", "one host"),
    ("PGPORT", "x", "65535"),
]


@pytest.mark.parametrize(("variable", "value", "says"), WRONG)
def test_a_wrong_value_is_refused_with_its_name_and_its_source(project, variable, value, says):
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


def test_a_wrong_port_or_host_is_refused(project):
    environ = {"POSTGRES_DB": "d", "POSTGRES_USER": "u"}
    assert "'5432x'" in str(project.error(POSTGRES_PORT="5432x", **environ))
    assert "hunter2" not in str(project.error(POSTGRES_HOST="u:hunter2@h", **environ))


@pytest.mark.parametrize(
    ("text", "meant"),
    [("prod", "production"), ("dev", "development"), ("PROD", "production"), ("stagin", "staging")],
)
def test_a_wrong_environment_is_refused_with_the_most_similar_one(project, text, meant):
    assert project.error(CHATDB_ENV=text).hint == f"did you mean {meant}?"


def test_an_unknown_variable_is_warned_about_with_the_nearest_name(project):
    project.write(".env", "\nCHATDB_SHCEMA=x\nCHATDB_ENV_FILE=y\nOTHER=z")
    assert project.load(CHATDB_STATEMENTTIMEOUT="x", CHATDB_EMPTY="").warnings == (
        "CHATDB_STATEMENTTIMEOUT from the environment is not a setting; "
        "did you mean CHATDB_STATEMENT_TIMEOUT?",
        "CHATDB_SHCEMA from ./.env line 2 is not a setting; did you mean CHATDB_SCHEMA?",
        "CHATDB_ENV_FILE from ./.env line 3 has no effect there; set it in the environment",
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
def test_an_invalid_duration_is_refused(text):
    with pytest.raises(ValueError):
        duration_ms(text)
