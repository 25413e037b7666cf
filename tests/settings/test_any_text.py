# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Any text is accepted or refused, and no secret is shown."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo

from chatdb_cli.errors import ChatdbError
from chatdb_cli.redaction import redact
from chatdb_cli.settings.libpq import pin_keywords
from chatdb_cli.settings.load import load_settings
from chatdb_cli.settings.model import Settings
from chatdb_cli.settings.table import SETTINGS
from tests.support.settings import FULL, PLACE

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
        database = load_settings(environ={}, cwd=Path(directory)).database
    assert database is not None
    assert database.params["password"] == password


@QUICK
@given(ANY_TEXT, ANY_TEXT)
def test_any_password_survives_a_url_and_a_keyword_string(user, password):
    expected = PLACE | {"host": "h", "dbname": "d", "user": user, "password": password}
    url = f"postgres://{quote(user, safe='')}:{quote(password, safe='')}@h/d"
    for text in (url, make_conninfo(host="h", dbname="d", user=user, password=password)):
        database = load_settings({"database_url": text}, environ={}).database
        assert database is not None
        assert database.params == expected


def outcome(**arguments: Any) -> Settings | ChatdbError:
    """The settings, or the error, which must be one that exits with 2."""
    with tempfile.TemporaryDirectory() as directory:
        try:
            return load_settings(**arguments, cwd=Path(directory))
        except ChatdbError as error:
            return error if error.exit == 2 else pytest.fail(f"exit {error.exit}")


@QUICK
@given(st.sampled_from(sorted(SETTINGS)), ANY_TEXT)
def test_any_value_is_accepted_or_exit_2(variable, value):
    outcome(environ={variable: value})
    if variable.startswith("CHATDB_"):
        outcome(flags={SETTINGS[variable].name: value}, environ={})


# A name or a path is any text, and is shown.
SHOWN = {
    "CHATDB_AGAINST_SCHEMA", "CHATDB_CURSOR", "CHATDB_DIR", "CHATDB_ENV_FILE", "CHATDB_HOME",
    "CHATDB_POSTGRES_BIN",
    "CHATDB_PRELUDE",
    "CHATDB_SCHEMA",
    "CHATDB_LOG_FILE",
}  # fmt: skip


@QUICK
@given(
    st.sampled_from(sorted(SETTINGS.keys() - SHOWN)),
    st.sampled_from(["postgres://app:{}@db/chat", "host=db password={}", "mysql://{}:x@db"]),
    SECRET,
)
def test_no_error_shows_a_password_of_a_value(variable, form, secret):
    result = outcome(environ={variable: form.format(secret)})
    shown = [str(result), repr(result), str(getattr(result, "hint", ""))]
    if variable != "SSH_HOST" or isinstance(result, ChatdbError):
        assert MARK not in "".join(shown)


@QUICK
@given(st.binary(max_size=60))
def test_any_env_file_is_accepted_or_exit_2(data):
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


def test_psycopg_accepts_the_params_unchanged():
    params = pin_keywords({"host": "127.0.0.1", "port": "1", "user": "u", "connect_timeout": "2"})
    with pytest.raises(psycopg.OperationalError, match=r"127\.0\.0\.1.*port 1"):
        psycopg.connect(**params)  # type: ignore[arg-type]
