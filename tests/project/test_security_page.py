"""The lines of docs/security.md work as typed there, and its example encrypts as it describes."""

from __future__ import annotations

import os
import re
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.support.database import Database
from tests.support.paths import ROOT
from tests.support.servers import Server, on_first_server

TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
CODE = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
TABLE = next(sql for sql in re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL) if "contacts" in sql)

SQL = re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL)

pytestmark = on_first_server


def example(monkeypatch: pytest.MonkeyPatch, keys: int) -> dict[str, Any]:
    """Run the code of the page, and return its names; `keys` is how many of its keys it has."""
    for name in ("PHONE_KEY_1", "PHONE_KEY_2", "PHONE_HASH_KEY"):
        monkeypatch.setenv(name, os.environ.get(name) or os.urandom(32).hex())
    names: dict[str, Any] = {}
    exec(CODE, names)
    names["KEYS"] = {number: key for number, key in names["KEYS"].items() if number <= keys}
    return names


def test_an_encrypted_column_can_be_searched_but_not_read_and_its_key_can_be_replaced(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cryptography.exceptions import InvalidTag

    database.execute(TABLE)
    old = example(monkeypatch, 1)
    with database.connect() as conn:
        old["save"](conn, "ada", "+49 30 1")
        old["save"](conn, "bob", "+49 30 2")
        old["save"](conn, "bob", "+49 30 3")
        with pytest.raises(psycopg.errors.UniqueViolation):
            old["save"](conn, "eve", "+49 30 1")
        assert old["find"](conn, "+49 30 1") == "ada"
        assert old["find"](conn, "+49 30 2") is None
        (stored,) = conn.execute("SELECT phone FROM contacts WHERE user_id = 'ada'").fetchall()
        assert b"+49" not in stored[0]
        assert old["decrypt"]("ada", stored[0]) == "+49 30 1"
        with pytest.raises(InvalidTag):
            old["decrypt"]("bob", stored[0])  # copied into another row
        new = example(monkeypatch, 2)
        assert (new["rotate"](conn), new["rotate"](conn)) == (2, 0)
        del new["KEYS"][1]
        (stored,) = conn.execute("SELECT phone FROM contacts WHERE user_id = 'bob'").fetchall()
        assert new["decrypt"]("bob", stored[0]) == "+49 30 3"
        assert new["find"](conn, "+49 30 3") == "bob"


def test_the_roles_of_the_page_can_be_created_as_typed(migrated: psycopg.Connection[Any]) -> None:
    (roles,) = (sql for sql in SQL if "CREATE ROLE" in sql)
    with migrated.transaction(force_rollback=True):
        migrated.execute(roles)
        migrated.execute("SET LOCAL ROLE chat_backend")
        assert migrated.execute("SELECT count(*) FROM users").fetchone() == (0,)


def test_a_transaction_and_a_session_act_as_the_application_as_typed(
    server: Server, migrated: psycopg.Connection[Any]
) -> None:
    migrated.execute(
        "WITH person AS (INSERT INTO users (email, username, auth0_id)"
        " VALUES ('a@b', 'ada', 'a'), ('b@b', 'bob', 'b') RETURNING id, username)"
        " INSERT INTO channels (type, name, created_by)"
        " SELECT kind, username || kind, id FROM person, unnest('{public,private}'::text[]) kind"
    )
    url = server.url(migrated.info.dbname)
    keywords, parameter, variable = (
        re.search(pattern, TEXT)
        for pattern in (
            r"`options='(-c role=chat_app)'`",
            r"`\?(options=-c%20role%3Dchat_app)`",
            r"`PGOPTIONS='(-c role=chat_app)'`",
        )
    )
    assert keywords
    assert parameter
    assert variable
    assert keywords[1] == variable[1]
    for conninfo in (make_conninfo(url, options=keywords[1]), f"{url}&{parameter[1]}"):
        with psycopg.connect(conninfo, autocommit=True) as conn:
            assert conn.execute("SELECT current_user").fetchone() == ("chat_app",)
            assert conn.execute("SELECT name FROM channels").fetchall() == []
    (as_application,) = (sql for sql in SQL if "SET LOCAL ROLE" in sql)
    (plain,) = (sql for sql in SQL if "list_messages" in sql)
    cursor = migrated.execute(as_application)
    while "name" not in [c.name for c in cursor.description or ()]:
        assert cursor.nextset()
    assert sorted(row[1] for row in cursor.fetchall()) == ["private", "public", "public"]
    migrated.execute(plain)
    assert migrated.execute("SELECT current_user").fetchone() == ("postgres",)
