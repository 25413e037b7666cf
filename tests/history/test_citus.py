"""Where Citus is installed, every COMMIT waits for the disk, and the history can be a distributed table.

Citus itself is not among the packages of this project: a row in pg_extension takes its place.
"""

from __future__ import annotations

import re

import pytest

from chatdb_cli.errors import ChatdbError
from chatdb_cli.history import queries
from chatdb_cli.postgres.target import open_target
from chatdb_cli.provision.test_schema import make_test_schema, settings_for_tests
from tests.support.database import Database
from tests.support.project import Project

INSTALL = """
INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
SELECT 4000000000, 'citus', 10, 'pg_catalog'::regnamespace, false, '13.2'"""
# Note how each transaction that writes the history will commit.
WATCH = """
CREATE TABLE commits (how text);
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.commits VALUES (pg_catalog.current_setting('synchronous_commit'));
    RETURN NULL;
END $$;
CREATE TRIGGER watch AFTER INSERT OR UPDATE OR DELETE ON _yoyo_log FOR EACH ROW EXECUTE FUNCTION watch();
CREATE TRIGGER watch AFTER UPDATE ON chatdb_migration FOR EACH ROW EXECUTE FUNCTION watch();
CREATE TRIGGER watch AFTER UPDATE ON _yoyo_version FOR EACH ROW EXECUTE FUNCTION watch()"""


@pytest.mark.parametrize("installed", [True, False])
@pytest.mark.parametrize("pooler", [None, "transaction"])
def test_every_commit_waits_for_the_disk_where_citus_is_installed(
    project: Project, database: Database, installed: bool, pooler: str | None
) -> None:
    project.write_tables(1, 2, 3)
    head = "-- chatdb: transactional: false\n"
    statements = "CREATE INDEX CONCURRENTLY i ON t1 (id);\nVACUUM t1;\n"
    if pooler is None:
        project.write("0004_i", f"{head}{statements}", f"{head}DROP INDEX CONCURRENTLY i;")
    project.write("0005_bad", "SELECT 1 / 0;")
    database.execute(f"ALTER DATABASE {database.name} SET synchronous_commit = off")
    if installed:
        database.execute(INSTALL)
    flags = {"pooler": pooler} if pooler else {}
    try:
        migrator = project.migrator(database, **flags)
        dry = migrator.up(to="3", dry_run=True)
        frames = [dry.prepare_sql or "", *(step.sql or "" for step in dry.steps)]
        assert any("'synchronous_commit', 'off'" in frame for frame in frames) != installed
        migrator.up(to="1")
        database.execute(WATCH)
        with pytest.raises(ChatdbError):
            migrator.up()
        migrator.down(steps=2, allow_data_loss=True)
        with pytest.raises(ChatdbError):
            migrator.up()
        commits = {how for (how,) in database.query("SELECT how FROM commits")}
        assert commits == ({"on"} if installed else {"on", "off"})
    finally:
        database.execute("DELETE FROM pg_extension WHERE extname = 'citus'")


def test_each_statement_of_a_file_without_a_transaction_waits_in_a_test_schema_too(
    project: Project, database: Database
) -> None:
    # The guard of a file runs deferred triggers twice before COMMIT, so this one defers itself twice.
    watch = (
        "CREATE TABLE t1 (left_over int);\n"
        "CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.left_over > 0 THEN SET CONSTRAINTS test.watch DEFERRED;"
        " INSERT INTO test.t1 VALUES (NEW.left_over - 1); RETURN NULL; END IF;"
        " ASSERT current_setting('synchronous_commit') = 'on', 'not on the disk'; RETURN NULL; END $$;\n"
        "CREATE CONSTRAINT TRIGGER watch AFTER INSERT ON t1 DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION watch();"
    )
    project.write("0001_watch", watch)
    inserts = "INSERT INTO t1 VALUES (2);\n" * 3
    project.write("0002_rows", f"-- chatdb: transactional: false\n{inserts}")
    database.execute(f"ALTER DATABASE {database.name} SET synchronous_commit = off")
    database.execute(INSTALL)
    try:
        target = open_target(settings_for_tests(database.settings(), "test"))
        run = make_test_schema(target, project.sql).run
        assert [step.state for step in run.steps] == ["applied"] * 2
    finally:
        database.execute("DELETE FROM pg_extension WHERE extname = 'citus'")


def test_no_update_of_the_history_calls_what_citus_refuses() -> None:
    """Citus refuses clock_timestamp() where a distributed table is updated, and a SELECT of nothing."""
    texts: list[str] = []
    for value in vars(queries).values():
        texts += value if isinstance(value, tuple) else [value] if isinstance(value, str) else []
    updates = [
        u for text in texts for u in re.findall(r"UPDATE .*?(?=RETURNING|\Z)", text, re.DOTALL)
    ]
    assert len(updates) > 5
    assert not [update for update in updates if "clock_timestamp" in update]
    assert not [text for text in texts if re.search(r"SELECT\s+FROM \{+schema", text)]
