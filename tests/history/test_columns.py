"""A column of chatdb_migration: an entry of COLUMNS, a value that is written, a field that is read."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from chatdb_cli.files.read import make_script
from chatdb_cli.history import read, write
from chatdb_cli.history.columns import COLUMNS
from chatdb_cli.postgres.quoting import Quoting


def test_every_inserted_column_has_a_value() -> None:
    unused = cast("Quoting", None)
    writer = write.HistoryWriter(unused, write.Author("user", "host", "1.0", "id"))
    script = make_script(Path("0001_a.sql"), "SELECT 1;", "up")
    inserted = {name for name, column in COLUMNS.items() if column.inserted is not None}
    assert writer._row("0001_a", script, None).keys() == inserted


@pytest.mark.parametrize("name", [n for n, column in COLUMNS.items() if column.read])
def test_every_column_that_is_read_is_a_field(name: str) -> None:
    assert name in read.HistoryRow._fields
