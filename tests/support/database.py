"""A database for each test, and waiting for its sessions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from chatdb_cli.postgres.model import Target
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.load import load_settings
from chatdb_cli.settings.model import Settings

if TYPE_CHECKING:
    from tests.support.servers import Server

# Remove everything that a test can create in its database ...
CLEAR_DATABASE = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid();
ALTER DATABASE {0} RESET ALL;
SET lock_timeout = '5s';
SET client_min_messages = error;
DO $$ DECLARE object record; BEGIN
  FOR object IN SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' LOOP
    EXECUTE format('DROP EXTENSION IF EXISTS %I CASCADE', object.extname);
  END LOOP;
  FOR object IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$' LOOP
    EXECUTE format('DROP SCHEMA %I CASCADE', object.nspname);
  END LOOP;
END $$;
CREATE SCHEMA public;
GRANT USAGE ON SCHEMA public TO PUBLIC;
COMMENT ON SCHEMA public IS 'standard public schema';
DO $$ BEGIN
  IF current_setting('server_version_num')::int >= 150000 THEN
    ALTER SCHEMA public OWNER TO pg_database_owner;
  ELSE
    GRANT ALL ON SCHEMA public TO PUBLIC;
  END IF;
END $$"""


# ... and count what is left, to compare it with an empty one.
COUNT_CONTENTS = (
    """
SELECT d.datacl::text, d.datconnlimit, d.datallowconn, r.rolname,
       shobj_description(d.oid, 'pg_database'),
       (SELECT count(*) FROM pg_db_role_setting s WHERE s.setdatabase = d.oid),
       (SELECT count(*) FROM pg_prepared_xacts WHERE database = d.datname),
       """
    + ", ".join(
        f"(SELECT count(*) FROM {catalog})"
        for catalog in (
            "pg_class",
            "pg_proc",
            "pg_type",
            "pg_namespace",
            "pg_operator",
            "pg_opclass",
            "pg_cast",
            "pg_language",
            "pg_collation",
            "pg_conversion",
            "pg_ts_config",
            "pg_default_acl",
            "pg_event_trigger",
            "pg_publication",
            "pg_largeobject_metadata",
            "pg_foreign_server",
            "pg_foreign_data_wrapper",
            "pg_extension",
            "pg_description",
            "pg_init_privs",
            "pg_am",
        )
    )
    + """
  FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE d.datname = current_database()"""
)


@dataclass
class Database:
    """A database that one test uses."""

    server: Server
    name: str

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def connect(self, **more: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True, **more)

    def settings(self, **flags: str | bool) -> Settings:
        """Return settings for this database; a flag `database_url` can lead there through a proxy."""
        return load_settings({"database_url": self.url, **flags}, environ={}, cwd=Path("/"))

    def target(self, **flags: str | bool) -> Target:
        return open_target(self.settings(**flags))

    def execute(self, sql: str) -> None:
        with self.connect() as conn:
            conn.execute(sql)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self.connect() as conn:
            return conn.execute(sql).fetchall()

    def tables(self, schema: str = "public") -> set[str]:
        """Return the names of the tables, without those of the history."""
        rows = self.query(f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'")
        return {r[0] for r in rows if "yoyo" not in r[0] and r[0] != "chatdb_migration"}

    def applied(self, schema: str = "public") -> list[str]:
        """Return the applied migrations, after checking that both tables of the history agree."""
        yoyo = self.query(f'SELECT migration_id FROM "{schema}"._yoyo_migration ORDER BY 1')
        chatdb = self.query(f'SELECT migration_id FROM "{schema}".chatdb_migration ORDER BY 1')
        assert yoyo == chatdb
        return [r[0] for r in yoyo]

    def drop(self) -> None:
        self.server.execute(f"DROP DATABASE {self.name} WITH (FORCE)")


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    """An empty database."""
    database = server.empty()
    yield database
    server.release(database)


@pytest.fixture
def other_role(database: Database) -> Iterator[str]:
    """The role that owns everything in the database, and which each login there becomes by default."""
    server, name = database.server, "t_owner"
    server.execute(
        f"DO $$ BEGIN CREATE ROLE {name}; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    database.execute(
        f"ALTER SCHEMA public OWNER TO {name}; GRANT ALL ON DATABASE {database.name} TO {name}; "
        f"GRANT pg_monitor TO {name}; "
        f"ALTER ROLE postgres IN DATABASE {database.name} SET role = {name}"
    )
    yield name
    database.execute(
        f"SET ROLE NONE; ALTER ROLE postgres IN DATABASE {database.name} RESET role; "
        f"DROP OWNED BY {name} CASCADE"
    )


@pytest.fixture
def migrated(server: Server) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a database with the whole shipped schema."""
    database = server.chat()
    with database.connect() as conn:
        yield conn
    database.drop()


CHATDB_BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'chatdb %'"


COUNT_APPLIED = "SELECT count(*) FROM _yoyo_migration"


# COMMIT ends the snapshot of the wait, for which CREATE INDEX CONCURRENTLY in the session would wait.
_WAIT = """DO $$ BEGIN WHILE {} (
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND {}
) LOOP PERFORM pg_sleep(0.002); COMMIT; END LOOP; END $$"""


def wait_for_session(database: Database, condition: str) -> None:
    """Wait until another session in the database meets a condition on pg_stat_activity."""
    database.execute(_WAIT.format("NOT EXISTS", condition))


def wait_for_no_sessions(database: Database, condition: str = "true") -> None:
    """Wait until no other session in the database meets a condition on pg_stat_activity."""
    database.execute(_WAIT.format("EXISTS", condition))
