"""[counts] of chatdb.toml leaves out tables and columns."""

from __future__ import annotations

from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.project import Project

TABLES = """\
CREATE TABLE a (id int PRIMARY KEY, seen timestamptz DEFAULT clock_timestamp());
CREATE TABLE b (id int PRIMARY KEY);
CREATE TABLE p (id int) PARTITION BY LIST (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
INSERT INTO a VALUES (1);
"""


def test_tables_and_columns_that_the_project_file_names_are_left_out(
    chatdb: Chatdb, database: Database, project: Project
) -> None:
    database.execute(TABLES)
    (project.path / "chatdb.toml").write_text(
        '[counts]\nexclude_tables = ["b", "p", "missing"]\nexclude_columns = ["a.seen"]\n'
    )

    def count(*arguments: str) -> dict[str, str | None]:
        result = chatdb("counts", "--format", "json", *arguments)
        assert result.code == 0, result.err
        return {table["table"]: table["checksum"] for table in result.document["tables"]}

    first = count("--checksum")
    assert list(first) == ["a"]
    database.execute("UPDATE a SET seen = now() - interval '1 day'")
    assert count("--checksum") == first
    assert count("--checksum", "--exclude-columns", "id") != first
    assert list(count("b", "p")) == ["b", "p", "p1"]
