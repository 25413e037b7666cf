"""`chatdb counts --against`: what it prints, its exit codes, what it refuses."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.chatdb import Chatdb
from tests.support.servers import on_first_server
from tests.support.sides import Sides

TABLES = """
CREATE TABLE users (id serial PRIMARY KEY, mail text);
INSERT INTO users (mail) SELECT 'm' || i FROM generate_series(1, 1200) i;
CREATE TABLE notes (n int); INSERT INTO notes VALUES (1), (1)"""
DAMAGE = """
UPDATE users SET mail = 'hunter2' WHERE id = 7; DELETE FROM users WHERE id = 8;
INSERT INTO users VALUES (5000, 'x'); INSERT INTO notes VALUES (1); CREATE TABLE more (id int)"""


@on_first_server
@pytest.mark.quick
def test_two_databases_with_the_same_rows_are_exit_0(sides: Sides, offline: Chatdb) -> None:
    sides.execute(TABLES)
    result = sides.run(offline, "--checksum")
    assert result.code == 0
    assert re.sub(r"\(\d+ ms\)|@[^,]+", "...", result.out) == (
        "   table  this side  other side  state\n"
        "✓  users      1,200       1,200  same content\n"
        "✓  notes          2           2  same content\n"
        "\n"
        "✓ 2 of 2 tables and 1 of 1 sequences match ...\n"
        "this side: postgres..., schema public (--database-url)\n"
        "other side: postgres..., schema public (--against)\n"
    )


@on_first_server
@pytest.mark.quick
def test_a_difference_is_exit_1_and_clear_without_color(sides: Sides, offline: Chatdb) -> None:
    sides.execute(TABLES)
    sides.other.execute(DAMAGE)
    result = sides.run(offline, "--find")
    assert result.code == 1
    shown, _, _ = result.out.partition("\n✗ 0 of 3")
    assert re.sub(r"\(0,\d+\)", "(0,n)", shown) == (
        "   table  this side  other side  state\n"
        "✗  users      1,200       1,200  other content\n"
        "✗  notes          2           3  1 more on the other side\n"
        "✗  more           -           0  not on this side\n"
        "\n"
        "   sequence      next here  next there  state\n"
        "✗  users_id_seq      1,201       1,201  there behind users.id, which has 5,000\n"
        "\n"
        "users: 3 rows differ\n"
        "  id=7  differs: mail\n"
        "  id=8  only on this side\n"
        "  id=5000  only on the other side\n"
        "notes: 1 row differs\n"
        "  the row at ctid (0,n)  2 times here, 3 times there\n"
    )
    assert "hunter2" not in result.out


@on_first_server
def test_the_values_are_printed_if_they_are_wanted(sides: Sides, offline: Chatdb) -> None:
    sides.execute(TABLES)
    sides.other.execute(DAMAGE)
    out = sides.run(offline, "users", "--find", "--show-values").out
    assert "  id=7  differs: mail: m7 here, hunter2 there\n" in out
    assert "  id=8  only on this side: id=8, mail=m8\n" in out


@on_first_server
@pytest.mark.quick
def test_the_document_has_the_keys_of_the_contract(sides: Sides, offline: Chatdb) -> None:
    sides.execute(TABLES)
    sides.other.execute(DAMAGE)
    result = sides.run(offline, "--find", "--limit", "2", "--format", "json")
    assert result.code == 1
    document = result.document
    assert (document["ok"], document["against"]["database"]) == (False, sides.other.name)
    users = document["tables"][0]
    assert {key: users[key] for key in ("table", "rows", "other_rows", "match", "complete")} == {
        "table": "users", "rows": 1200, "other_rows": 1200, "match": False, "complete": False,
    }  # fmt: skip
    assert re.fullmatch("[0-9a-f]{16}", users["checksum"])
    assert users["checksum"] != users["other_checksum"]
    assert len(users["differences"]) == 2
    assert users["differences"][0].keys() >= {"key", "kind", "columns"}
    (sequence,) = document["sequences"]
    expected = {
        "sequence": "users_id_seq", "value": 1201, "other_value": 1201, "match": False,
        "state": "behind", "highest": 1200, "other_highest": 5000,
    }  # fmt: skip
    assert {key: sequence[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--find"], "--find is for --against"),
        (["--map", "a=b"], "--map is for --against or --compare"),
        (["--map-column", "t.a=b"], "--map-column is for --against or --compare"),
        (["--against", "{}", "--show-values"], "--show-values is for --find"),
        (["--against", "{}", "--limit", "3"], "--limit is for --find"),
        (["--against", "{}", "--estimate"], "--estimate and --against contradict each other"),
        (["--against", "{}", "--save", "f"], "--against and --save contradict each other"),
        (["--against", "{}", "--compare", "f"], "--against and --compare contradict each other"),
        (["--save", "f", "--compare", "f"], "--save and --compare contradict each other"),
        (["--compare", "f", "--columns", "a"], "--columns is for the count that is saved"),
        (["--compare", "f", "--find"], "--find is for --against"),
        (["--against", "{}", "--map", "a"], "--map 'a' is not OLD=NEW"),
        (["--against", "{}", "--map", "a="], "--map 'a=' is not OLD=NEW"),
        (["--against", "{}", "--map", "a=b", "--map", "a=c"], "is given twice"),
        (["--against-schema", "x"], "--against-schema is for the other side"),
        (["--against-ssh-host", "b"], "--against-ssh-host is for the other side"),
    ],
)
def test_options_that_mean_nothing_together_are_refused(
    offline: Chatdb, arguments: list[str], says: str
) -> None:
    filled = [argument.format("postgresql://other.invalid/d") for argument in arguments]
    this = "postgresql://this.invalid/d"
    result = offline("counts", "-d", this, *filled, "--format", "json")
    assert (result.code, result.document["error"]["code"]) in [(2, "usage"), (2, "settings")]
    assert says in result.document["error"]["message"]


@on_first_server
def test_the_other_side_can_be_a_setting(
    sides: Sides, offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides.this.execute("CREATE TABLE t (id int)")
    sides.other.execute("CREATE SCHEMA new; CREATE TABLE new.t (id int)")
    monkeypatch.setenv("DATABASE_URL", sides.this.url)
    monkeypatch.setenv("CHATDB_AGAINST_URL", sides.other.url)
    monkeypatch.setenv("CHATDB_AGAINST_SCHEMA", "new")
    result = offline("counts", "--format", "json")
    document: dict[str, Any] = result.document
    assert (result.code, document["against"]["schema"]) == (0, "new")
    assert document["against"]["source"] == "CHATDB_AGAINST_URL from the environment"
    # A file is asked for now; the variable is for other calls.
    assert offline("counts", "--save", "f").code == 0
