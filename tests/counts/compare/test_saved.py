"""Counts in a file: before and after a migration, a restore, a failover."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatdb_cli.counts.compare import compare_with_saved
from chatdb_cli.counts.count import count_rows
from chatdb_cli.counts.differences import CountsComparison
from chatdb_cli.counts.saved import read_counts, save_counts
from chatdb_cli.errors import ChatdbError
from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.servers import on_first_server

TABLES = """CREATE TABLE t (id serial PRIMARY KEY, v numeric(9,2), at timestamptz DEFAULT now());
INSERT INTO t (v) SELECT i / 3.0 FROM generate_series(1, 50) i;
CREATE TABLE old (n int); INSERT INTO old VALUES (1), (NULL)"""


def save(database: Database, path: Path, **options: Any) -> None:
    with database.target() as target:
        save_counts(path, count_rows(target, sequences=True, as_text=True, **options))


def compare(database: Database, path: Path, **options: Any) -> CountsComparison:
    with database.target() as target:
        return compare_with_saved(target, read_counts(path), **options)


def test_a_database_matches_what_was_saved_until_a_row_changes(
    database: Database, tmp_path: Path
) -> None:
    database.execute(TABLES)
    save(database, tmp_path / "f", checksum=True)
    comparison = compare(database, tmp_path / "f")
    assert comparison.ok
    assert [s.state for s in comparison.sequences] == ["same"]
    database.execute("UPDATE t SET v = 9 WHERE id = 3; SELECT setval('t_id_seq', 1)")
    comparison = compare(database, tmp_path / "f")
    assert [(t.table, t.match) for t in comparison.tables] == [("t", False), ("old", True)]
    assert [s.state for s in comparison.sequences] == ["behind"]


def test_a_migration_that_changes_names_and_types_keeps_the_rows(
    database: Database, tmp_path: Path
) -> None:
    database.execute(TABLES)
    save(database, tmp_path / "f", checksum=True)
    database.execute(
        "ALTER TABLE t RENAME TO prices; ALTER TABLE prices RENAME v TO price;"
        "ALTER TABLE prices ALTER id TYPE bigint; ALTER TABLE prices ADD note text DEFAULT 'x';"
        "CREATE TABLE more (id int)"
    )
    names = {"renamed_tables": {"t": "prices"}, "renamed_columns": {"t.v": "price"}}
    comparison = compare(database, tmp_path / "f", tables=["prices", "old"], **names)
    assert comparison.ok
    assert [s.state for s in comparison.sequences] == ["same"]
    comparison = compare(database, tmp_path / "f", **names)
    assert [t.table for t in comparison.tables if not t.match] == ["more"]
    database.execute("ALTER TABLE prices DROP price")
    with pytest.raises(ChatdbError, match="no side has a column of 'prices' 'price'"):
        compare(database, tmp_path / "f", tables=["t"], **names)
    (table,) = compare(
        database, tmp_path / "f", tables=["t"], renamed_tables={"t": "prices"}
    ).tables
    assert table.reasons[0] == "the table has no column v any more"
    assert not table.match


def test_a_native_checksum_can_be_saved_and_is_compared_where_that_is_possible(
    database: Database, tmp_path: Path
) -> None:
    database.execute(TABLES)
    with database.target() as target:
        save_counts(tmp_path / "f", count_rows(target, checksum=True))
    assert all(t.match for t in compare(database, tmp_path / "f").tables)
    text = (tmp_path / "f").read_text()
    hashes = json.loads(text)["snapshot"]["hashes"]
    (tmp_path / "f").write_text(text.replace(hashes, "of another processor"))
    table = compare(database, tmp_path / "f").tables[0]
    assert not table.match
    assert "the servers hash differently" in table.reasons[0]


def test_the_file_holds_no_secret_and_no_value(database: Database, tmp_path: Path) -> None:
    database.execute("CREATE TABLE t (v text); INSERT INTO t VALUES ('hunter2')")
    url = f"{database.url}&password=hunter2"
    with database.target(database_url=url) as target:
        save_counts(tmp_path / "f", count_rows(target, checksum=True, sequences=True))
    text = (tmp_path / "f").read_text()
    assert "hunter2" not in text
    assert json.loads(text)["target"]["database"] == database.name


# --- files that can't be read -------------------------------------------------------------------------


def saved_document() -> dict[str, Any]:
    column = {"name": "id", "type": "integer", "base": "int4", "output": "int4out", "cast": True}
    return {
        "chatdb_counts": 1,
        "chatdb": "0",
        "target": {
            "host": None, "port": None, "database": "d", "user": "u", "schema": "public",
            "via": None, "source": "s",
        },
        "snapshot": {
            "at": "2026-01-02T03:04:05+00:00", "server_version": 180000, "encoding": "UTF8",
            "hashes": "x", "standby": False, "connections": 1,
        },
        "tables": [
            {
                "table": "t", "rows": 1, "estimated": False, "kind": "table", "parent": None,
                "columns": [column], "key": ["id"], "duration_ms": 1,
                "checksum": {"value": "00", "form": "text", "columns": [["id", "integer"]]},
            }
        ],
        "sequences": [
            {
                "sequence": "s", "value": 1, "highest": None, "columns": [["t", "id"]],
                "increment": 1, "cycles": False,
            }
        ],
    }  # fmt: skip


BROKEN = [
    (b"", "is not JSON"),
    (b"{", "is not JSON"),
    (b'{"chatdb_counts": 1,\n', "is not JSON"),
    ('{"chatdb_counts": "\u2028", }'.encode(), "is not JSON"),
    (b'{"chatdb_counts": 1,\n "x": }', "is not JSON"),
    (b"\xff\xfe", "is not UTF-8"),
    (b"[]", "has something else than an object in its outermost value"),
    (b"{}", "has no chatdb_counts"),
    (b'{"chatdb_counts": true}', "something else than a whole number in chatdb_counts"),
    (b'{"chatdb_counts": 1}', "has no target"),
    (b'{"chatdb_counts": %s}' % (b"9" * 9999), "a number that is too long"),
    (b"[" * 100_000, "is nested too deeply"),
    (b'{"chatdb_counts": 2}', "has version 2 of the form"),
]


@pytest.mark.parametrize(("data", "says"), BROKEN, ids=range(len(BROKEN)))
def test_a_broken_file_or_one_of_another_version_is_refused_with_its_place(
    tmp_path: Path, data: bytes, says: str
) -> None:
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(ChatdbError) as caught:
        read_counts(tmp_path / "f")
    assert says in str(caught.value)
    assert caught.value.exit == 2
    assert caught.value.place is not None
    assert caught.value.place.file == tmp_path / "f"


def test_the_place_of_an_error_has_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b'{"chatdb_counts": 1,\n "x": }')
    with pytest.raises(ChatdbError) as caught:
        read_counts(tmp_path / "f")
    place = caught.value.place
    assert place is not None
    assert (place.line, place.column, place.excerpt) == (2, 7, ((2, ' "x": }'),))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.text(), inner, max_size=2)
    ),
    max_leaves=3,
)


@settings(deadline=None)
@given(st.data())
def test_any_change_of_a_file_is_read_or_refused(
    tmp_path_factory: Any, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    document = saved_document()
    place: Any = document
    while True:
        steps = list(place) if isinstance(place, dict) else list(range(len(place)))
        step = data.draw(st.sampled_from(steps))
        inner = place[step]
        if not (isinstance(inner, dict | list) and inner and data.draw(st.booleans())):
            break
        place = inner
    if data.draw(st.booleans()) and isinstance(place, dict):
        del place[step]
    else:
        place[step] = data.draw(JSON)
    path.write_text(json.dumps(document))
    with suppress(ChatdbError):  # no other exception
        read_counts(path)


def test_the_document_of_the_tests_is_a_whole_one(tmp_path: Path) -> None:
    (tmp_path / "f").write_text(json.dumps(saved_document()))
    assert read_counts(tmp_path / "f").tables[0].table == "t"


def test_a_file_that_can_not_be_read_or_written_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(ChatdbError, match="can't be read") as caught:
            read_counts(path)
        assert caught.value.exit == 2


@on_first_server
def test_the_command_saves_and_compares(chatdb: Chatdb, database: Database, tmp_path: Path) -> None:
    database.execute(TABLES)
    result = chatdb("counts", "--checksum", "--save", "before.json", "--format", "json")
    assert (result.code, result.document["ok"]) == (0, True)
    assert "saved in before.json" in result.err
    assert chatdb("counts", "--compare", "before.json").code == 0
    database.execute("DELETE FROM old")
    result = chatdb("counts", "--compare", "before.json", "--format", "json")
    assert result.code == 1
    tables = {t["table"]: t for t in result.document["tables"]}
    assert (tables["old"]["rows"], tables["old"]["other_rows"], tables["old"]["match"]) == (
        0,
        2,
        False,
    )
    assert result.document["against"]["source"].startswith("before.json, 20")


@on_first_server
def test_a_file_that_can_not_be_written_is_refused_before_anything_is_counted(
    chatdb: Chatdb,
) -> None:
    for path in ("no/such/folder/f", "."):
        result = chatdb("counts", "--save", path, "--format", "json", "-d", "host=nowhere.invalid")
        assert (result.code, result.document["error"]["file"]) == (2, path)
