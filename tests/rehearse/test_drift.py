"""Drift: the live schema is what its applied files build, or the difference is shown."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from chatdb_cli.catalog.snapshot import read_snapshot
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.postgres.target import open_target
from chatdb_cli.rehearse.drift import check_drift
from chatdb_cli.rehearse.model import Drift
from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.paths import SHIPPED
from tests.support.project import Project
from tests.support.servers import Server, allow_logins

BASE = "CREATE TABLE t (id int PRIMARY KEY, name text);\nCREATE VIEW v AS SELECT id FROM t;\n"


def applied(project: Project, database: Database, to: str | None = None) -> Project:
    """Write some migrations, and apply them."""
    project.write("0001_base", BASE, "DROP VIEW v; DROP TABLE t;")
    project.write("0002_more", "CREATE INDEX t_name_idx ON t (name);", "DROP INDEX t_name_idx;")
    project.write("0003_newest", "ALTER TABLE t ADD c int;", "ALTER TABLE t DROP c;")
    project.migrator(database).up(to=to)
    return project


def changed(drift: Drift) -> list[tuple[str, str | None]]:
    return [(d.object, d.attribute) for d in drift.comparison.differences]


@pytest.mark.quick
@pytest.mark.parametrize("to", [None, "2", "1"])
def test_a_schema_that_only_migrations_have_changed_has_no_drift(
    project: Project, database: Database, to: str | None
) -> None:
    applied(project, database, to)
    drift = check_drift(database.target(), project.sql)
    assert drift.ok
    assert drift.current == (f"000{to}" if to else "0003")


CHANGES = {
    "ALTER TABLE t ADD extra int": ("public.t.extra", None),
    "ALTER TABLE t ALTER name SET NOT NULL": ("public.t.name", "not null"),
    "DROP INDEX t_name_idx": ("t_name_idx on public.t", None),
    "CREATE TABLE forgotten ()": ("public.forgotten", None),
    "DROP VIEW v": ("public.v", None),
    "GRANT SELECT ON t TO PUBLIC": ("public.t", "grants"),
    "COMMENT ON TABLE t IS 'by hand'": ("public.t", "comment"),
}


def test_every_change_by_hand_is_drift(project: Project, database: Database) -> None:
    applied(project, database)
    for sql in CHANGES:
        database.execute(sql)
    drift = check_drift(database.target(), project.sql)
    assert sorted(changed(drift)) == sorted(CHANGES.values())


def test_the_command_exits_with_1_and_shows_what_is_expected_and_what_is_there(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    applied(project, database, "2")
    assert chatdb("migrate", "drift").code == 0
    database.execute("ALTER TABLE t ALTER name TYPE varchar(9)")
    result = chatdb("migrate", "drift")
    assert result.code == 1
    assert "-     type: text" in result.out.splitlines()
    assert "+     type: character varying(9)" in result.out.splitlines()
    assert result.out.splitlines()[-1] == "1 difference from its files at version 0002"
    document = chatdb("migrate", "drift", "--format", "json").document
    assert document["ok"] is False
    assert document["differences"] == [
        {"kind": "column", "object": "public.t.name", "attribute": "type", "before": "text",
         "after": "character varying(9)"}
    ]  # fmt: skip


def test_a_snapshot_file_takes_the_place_of_building(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    applied(project, database)
    assert chatdb("migrate", "snapshot", "--output", "schema.txt").code == 0
    against = ("migrate", "drift", "--against", "schema.txt")
    same = chatdb(*against)
    assert (same.code, same.out) == (0, "no drift: the schema matches the snapshot schema.txt\n")
    database.execute("ALTER TABLE t ADD extra int")
    result = chatdb(*against)
    assert result.code == 1
    assert "extra" in result.out
    assert "PostgreSQL" not in result.out
    schema = project.path / "schema.txt"
    schema.write_text(re.sub("server: .*", "server: 9", schema.read_text()))
    assert "expected is from PostgreSQL 9, live from " in chatdb(*against).out
    database.execute("DROP SCHEMA public CASCADE")
    gone = chatdb(*against)
    assert gone.code == 1
    assert "- schema public" in gone.out


def test_a_file_that_was_changed_or_is_missing_is_built_as_it_was_applied(
    project: Project, database: Database
) -> None:
    applied(project, database)
    project.write("0001_base", "CREATE TABLE t ();")
    (project.sql / "up/0002_more.sql").unlink()
    assert check_drift(database.target(), project.sql).ok


def test_a_migration_whose_text_is_not_known_any_more_can_not_be_built(
    project: Project, database: Database
) -> None:
    applied(project, database)
    database.execute("UPDATE chatdb_migration SET up_text = NULL")
    assert check_drift(database.target(), project.sql).ok, "the files are unchanged"
    project.write("0002_more", "SELECT 1;")
    with pytest.raises(ChatdbError) as caught:
        check_drift(database.target(), project.sql)
    assert caught.value.code is Code.HISTORY
    assert "0002_more was changed since it was applied" in caught.value.message
    assert "check_drift(against=...)" in (caught.value.hint or "")


def test_a_database_without_migrations_is_compared_with_an_empty_schema(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    assert check_drift(database.target(), project.sql).ok
    database.execute("CREATE TABLE by_hand ()")
    assert changed(check_drift(database.target(), project.sql)) == [("public.by_hand", None)]


def test_a_schema_that_a_file_creates_is_compared_too(project: Project, database: Database) -> None:
    project.write("0001_two", "CREATE SCHEMA other CREATE TABLE x (id int);", "DROP SCHEMA other;")
    project.migrator(database).up()
    assert check_drift(database.target(), project.sql).ok
    database.execute("ALTER TABLE other.x ADD n int")
    assert changed(check_drift(database.target(), project.sql)) == [("other.x.n", None)]
    database.execute("DROP SCHEMA other CASCADE")
    drift = check_drift(database.target(), project.sql)
    assert ("other", None) in changed(drift)


def test_the_order_of_columns_is_a_note_unless_it_is_asked_for(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    applied(project, database)
    database.execute("ALTER TABLE t DROP name CASCADE; ALTER TABLE t ADD name text")
    database.execute("CREATE INDEX t_name_idx ON t (name)")
    result = chatdb("migrate", "drift")
    assert result.code == 0
    assert "columns in another order" in result.out
    assert chatdb("migrate", "drift", "--column-order").code == 1


@contextmanager
def role(server: Server, options: str = "") -> Iterator[str]:
    name = f"r_{secrets.token_hex(4)}"
    server.execute(f"CREATE ROLE {name} LOGIN {options}")
    try:
        with allow_logins(server, f"local all {name} trust"):
            yield name
    finally:
        server.execute(f"DROP OWNED BY {name}")
        server.execute(f"DROP ROLE {name}")


def url_of(database: Database, name: str) -> str:
    return f"{database.url}&user={name}"


def test_a_role_that_can_only_read_the_history_is_enough_with_a_scratch_server(
    project: Project, database: Database
) -> None:
    applied(project, database)
    database.execute("ALTER TABLE t ADD extra int")
    with role(database.server) as name:
        database.execute(f"GRANT SELECT ON _yoyo_migration, chatdb_migration TO {name}")
        settings = database.settings(
            database_url=url_of(database, name), scratch_url=database.server.url("postgres")
        )
        drift = check_drift(open_target(settings), project.sql)
        database.execute(f"DROP OWNED BY {name}")
    assert changed(drift) == [("public.t.extra", None)]


def test_a_role_without_privileges_is_enough_for_a_snapshot_file(
    project: Project, database: Database
) -> None:
    applied(project, database)
    with database.connect() as conn:
        expected = read_snapshot(conn, ["public"])
    with role(database.server) as name:
        target = open_target(database.settings(database_url=url_of(database, name)))
        drift = check_drift(target, project.sql, against=expected)
    assert drift.ok
    assert drift.current is None


def test_nothing_is_written_to_the_target(project: Project, database: Database) -> None:
    applied(project, database)
    # Every row of the catalogs and of the history, with the transaction that wrote it.
    written = " UNION ALL ".join(
        f"SELECT md5(string_agg(concat(c.ctid, c.xmin, c), ',' ORDER BY c.ctid)) FROM {table} c"
        for table in ("pg_class", "pg_attribute", "pg_namespace", "chatdb_migration", "_yoyo_log")
    )
    database.execute(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    before = database.query(written)
    assert check_drift(database.target(), project.sql).ok
    assert database.query(written) == before


def test_the_owner_of_the_history_stands_for_the_role_that_builds(
    project: Project, database: Database
) -> None:
    with role(database.server, "CREATEDB") as name:
        database.execute(f"CREATE SCHEMA app AUTHORIZATION {name}")
        target = open_target(database.settings(database_url=url_of(database, name), schema="app"))
        project.write("0001_t", "CREATE TABLE t (); GRANT SELECT ON t TO PUBLIC;", "DROP TABLE t;")
        Migrator(target, project.sql).up()
        superuser = database.target(schema="app")
        assert changed(check_drift(superuser, project.sql)) == []
        database.execute("ALTER TABLE app.t OWNER TO postgres")
        assert ("app.t", "owner") in changed(check_drift(superuser, project.sql))
        database.execute(f"DROP SCHEMA app CASCADE; DROP OWNED BY {name}")


def test_what_a_platform_brings_comes_from_the_prelude(
    project: Project, database: Database, tmp_path: Path
) -> None:
    brought = "CREATE SCHEMA auth; CREATE FUNCTION auth.uid() RETURNS int RETURN 1;"
    project.write("0001_t", "CREATE TABLE t (id int DEFAULT auth.uid());", "DROP TABLE t;")
    database.execute(brought)
    project.migrator(database).up()
    with pytest.raises(ChatdbError) as caught:
        check_drift(database.target(), project.sql)
    assert caught.value.place is not None
    assert caught.value.place.file == project.sql / "up/0001_t.sql"
    assert "in the scratch database, not in the target" in (caught.value.hint or "")
    assert "the setting prelude" in (caught.value.hint or "")
    prelude = tmp_path / "prelude.sql"
    prelude.write_text(brought)
    assert check_drift(database.target(prelude=str(prelude)), project.sql).ok


def test_the_chat_schema_has_no_drift(migrated: psycopg.Connection, server: Server) -> None:
    database = Database(server, migrated.info.dbname)
    assert changed(check_drift(database.target(), SHIPPED)) == []
    expected = read_snapshot(migrated, ["public"])
    migrated.execute("ALTER TABLE messages DISABLE TRIGGER ALL")
    assert not check_drift(database.target(), SHIPPED, against=expected).ok
