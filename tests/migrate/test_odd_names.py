"""Promises about names with characters that templates and formats use."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatdb_cli.errors import ChatdbError
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.migrate.model import MigrationError
from tests.support.database import Database
from tests.support.project import Project, states
from tests.support.servers import on_first_server

# A remedy, an unknown field, an empty one, and an unbalanced brace; psycopg's and Python's placeholders.
ODD = "{status}{0}{}{x!r} %s %(a)s {"


@on_first_server
def test_braces_and_percent_signs_in_names_are_only_characters(
    project: Project, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / ODD
    odd = Project(folder)
    schema = 'CREATE SCHEMA "' + ODD + '"'
    database.execute(schema)
    table = f'"{ODD}t"'
    odd.write("0001_{down}", f'CREATE TABLE {table} ("{ODD}" int);', f"DROP TABLE {table};")
    odd.write(
        "0002_{}",
        f'-- chatdb: transactional: false\nCREATE INDEX CONCURRENTLY "{ODD}i" ON {table} ("{ODD}");',
        f'-- chatdb: transactional: false\nDROP INDEX CONCURRENTLY "{ODD}i";',
    )
    odd.write(
        "0003_%s", f'ALTER TABLE {table} ADD "{ODD}c" int;', f'ALTER TABLE {table} DROP "{ODD}c";'
    )

    def migrator(**more: str) -> Migrator:
        return odd.migrator(database, schema=ODD, **more)

    assert states(migrator().up(dry_run=True)) == ["planned"] * 3
    assert states(migrator().up()) == ["applied"] * 3
    assert migrator().status().is_whole
    assert states(migrator().redo()) == ["reverted", "applied"]
    database.execute(f'INSERT INTO "{ODD}".{table} VALUES (1, 2)')
    with pytest.raises(MigrationError) as caught:
        migrator().down()
    assert str(caught.value)
    (folder / "sql/up/0001_{down}.sql").write_text("SELECT 1;")
    (folder / "sql/up/0003_%s.sql").rename(folder / "sql/up/0003_{y}.sql")
    (folder / "sql/down/0003_%s.sql").rename(folder / "sql/down/0003_{y}.sql")
    status = migrator().status()
    assert [(p.code, p.version) for p in status.problems] == [
        ("changed", "0001"),
        ("changed", "0003"),
    ]
    assert "0003_%s.sql" in status.problems[1].hint
    assert migrator().repair(migrator().repairs()).done
    odd.write("0004_{z", f'SELECT 1;\nSELECT "{ODD}nope" FROM {table};')
    with pytest.raises(MigrationError) as caught:
        migrator().up()
    assert caught.value.sqlstate == "42703"
    with pytest.raises(ChatdbError):
        migrator().up(to="{status}")
    for file in folder.rglob("0002*"):
        file.unlink()
    assert [p.code for p in migrator().status().problems] == ["missing"]
    result = odd.chatdb("migrate", "status", "--schema", ODD, env={"DATABASE_URL": database.url})
    assert result.returncode in (0, 4), result.stderr
    (folder / "sql/up/0004_{z.sql").unlink()
    (folder / "sql/down/0004_{z.sql").unlink()
    database.execute(f'DELETE FROM "{ODD}".{table}')
    assert states(migrator().down(everything=True, allow_data_loss=True)) == ["reverted"] * 3
