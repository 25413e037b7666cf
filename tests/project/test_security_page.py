"""The example of docs/security.md encrypts a column as the page describes."""

from __future__ import annotations

import os
import re
from typing import Any

import psycopg
import pytest

from tests.support.database import Database
from tests.support.paths import ROOT
from tests.support.servers import on_first_server

TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
CODE = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
TABLE = next(sql for sql in re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL) if "contacts" in sql)

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
