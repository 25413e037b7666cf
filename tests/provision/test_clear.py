"""Promises about `clear_test_data`: every row of the test data, and none elsewhere."""

from __future__ import annotations

import pytest

import chatdb_cli
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.settings.load import load_settings
from tests.support.database import Database
from tests.support.project import Project
from tests.support.servers import on_first_server

FILES = """\
CREATE TABLE a (id serial PRIMARY KEY, b int);
CREATE TABLE b (id serial PRIMARY KEY, a int REFERENCES a);
ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b;
CREATE TABLE parent (id int);
CREATE TABLE part (id int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE log (what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO test.log VALUES ('truncated'); RETURN NULL; END $$;
CREATE TRIGGER t AFTER TRUNCATE ON a EXECUTE FUNCTION note();
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS rows FROM a;
CREATE TABLE empty (id int);
"""
ROWS = """
INSERT INTO test.a VALUES (DEFAULT, NULL); INSERT INTO test.b VALUES (DEFAULT, 1);
UPDATE test.a SET b = 1;
INSERT INTO test.parent VALUES (1); INSERT INTO test.part VALUES (1);
REFRESH MATERIALIZED VIEW test.counted;
"""


@on_first_server
def test_clearing_deletes_no_row_elsewhere_and_fires_no_trigger(
    project: Project, database: Database
) -> None:
    project.write("0001_tables", FILES)
    settings = database.settings()
    with chatdb_cli.setup(settings, project.sql, test=True) as pool:
        database.execute(
            "CREATE TABLE public.child () INHERITS (test.parent); INSERT INTO child VALUES (7);"
            "CREATE TABLE public.part_2 PARTITION OF test.part FOR VALUES FROM (10) TO (20);"
            "INSERT INTO part_2 VALUES (15)" + ";" + ROWS
        )
        assert chatdb_cli.clear_test_data(pool) == ("a", "b", "parent", "part_1")
        assert database.query("SELECT count(*) FROM test.log") == [(0,)]
        assert database.query("SELECT rows FROM test.counted") == [(0,)]
        assert database.query("SELECT id FROM child UNION ALL SELECT id FROM part_2") == [
            (7,),
            (15,),
        ]
        assert database.query("SELECT count(*) FROM ONLY test.parent") == [(0,)]
        assert database.query("INSERT INTO test.b VALUES (DEFAULT) RETURNING id") == [(1,)]
        assert database.applied("test") == ["0001_tables"]
        enabled = "SELECT tgenabled FROM pg_trigger WHERE tgname = 't'"
        assert database.query(enabled) == [("O",)]
        assert chatdb_cli.clear_test_data(pool) == ("b",)
        assert chatdb_cli.clear_test_data(pool) == ()
    database.execute("DROP TABLE child, part_2")
    assert "schema test" in chatdb_cli.drop_test_schema(settings)
    assert chatdb_cli.drop_test_schema(settings) == ()
    assert database.query("SELECT FROM pg_roles WHERE rolname ~ '^chatdb_test_test'") == []


@on_first_server
def test_a_table_that_something_elsewhere_refers_to_is_not_cleared(
    project: Project, database: Database
) -> None:
    project.write("0001_tables", "CREATE TABLE a (id int PRIMARY KEY);")
    settings = database.settings()
    with chatdb_cli.setup_test_schema(settings, project.sql) as pool:
        database.execute(
            "INSERT INTO test.a VALUES (1); CREATE TABLE public.r (id int REFERENCES test.a);"
            "INSERT INTO r VALUES (1)"
        )
        with pytest.raises(ChatdbError) as caught:
            chatdb_cli.clear_test_data(pool)
        assert caught.value.code is Code.REFUSED
        assert database.query("SELECT id FROM r") == [(1,)]
    database.execute("DROP TABLE r")
    chatdb_cli.drop_test_schema(settings)


@on_first_server
def test_what_is_not_marked_as_a_test_s_is_never_cleared(database: Database) -> None:
    database.execute("CREATE TABLE users (id int); INSERT INTO users VALUES (1)")
    settings = load_settings({"database_url": database.url}, environ={})
    with (
        chatdb_cli.open_target(settings) as target,
        chatdb_cli.open_pool(target) as pool,
        pytest.raises(ChatdbError) as caught,
    ):
        chatdb_cli.clear_test_data(pool)
    assert caught.value.exit == 8
    assert database.query("SELECT id FROM users") == [(1,)]
