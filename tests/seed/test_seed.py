"""`chatdb seed`: realistic rows, the same each time, and an unchanged schema."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.seed.chat_rows import ChatGenerator
from chatdb_cli.seed.files import seed_files
from chatdb_cli.seed.model import Seeded, SeedProgress
from chatdb_cli.seed.scale import seed_at_scale
from tests.support.database import Database
from tests.support.paths import SHIPPED
from tests.support.project import Project
from tests.support.servers import Server, on_first_server

Conn = psycopg.Connection[Any]
N = 400


@pytest.fixture
def chat(server: Server, migrated: Conn) -> Database:
    """A database with the whole shipped schema, and no rows."""
    return Database(server, migrated.info.dbname)


@pytest.fixture(scope="module")
def scaled(server: Server) -> Iterator[Conn]:
    """A database with generated chat rows, which no test changes."""
    database = server.create()
    Migrator(database.target(), SHIPPED).up()
    seed_scale(database)
    with database.connect() as conn:
        yield conn
    database.drop()


def seed_small(database: Database, **flags: str) -> Seeded:
    return seed_files(database.target(**flags), SHIPPED)


def seed_scale(database: Database, messages: int = N, random_seed: int = 1, **flags: str) -> Seeded:
    return seed_at_scale(
        database.target(**flags), messages, random_seed=random_seed, directory=SHIPPED
    )


def value(conn: Conn, query: str) -> Any:
    row = conn.execute(query).fetchone()
    assert row is not None
    return row[0]


def rows(conn: Conn, what: str = "t.*") -> dict[str, list[str]]:
    """Return every row of every table of the chat schema as text, except those of the change log."""
    tables = [
        name
        for (name,) in conn.execute(
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' "
            "AND tablename !~ 'yoyo|chatdb|events' ORDER BY 1"
        )
    ]
    return {
        table: [
            r[0]
            for r in conn.execute(f"SELECT ({what})::text FROM {table} t ORDER BY 1").fetchall()
        ]
        for table in tables
    }


DEFINITIONS = """
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid),
       obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conrelid <> 0
UNION ALL
SELECT 'index', indrelid::regclass::text, indexrelid::regclass::text,
       pg_get_indexdef(indexrelid) || concat(' ', indisvalid, indisclustered, indisreplident),
       obj_description(indexrelid, 'pg_class') FROM pg_index
UNION ALL
SELECT 'trigger', tgrelid::regclass::text, tgname, concat(pg_get_triggerdef(oid), tgenabled),
       obj_description(oid, 'pg_trigger') FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'key trigger', tgrelid::regclass::text, tgfoid::regproc::text, tgenabled::text, count(*)::text
FROM pg_trigger WHERE tgisinternal GROUP BY 1, 2, 3, 4
UNION ALL
SELECT 'statistics', attrelid::regclass::text, attname, attstattarget::text, NULL
FROM pg_attribute WHERE attstattarget > 0
UNION ALL
SELECT 'table', oid::text, relname, concat(relowner, relacl, relrowsecurity, reloptions), NULL
FROM pg_class WHERE relkind = 'r'
ORDER BY 1, 2, 3, 4"""


def schema(conn: Conn) -> list[tuple[Any, ...]]:
    conn.execute("SET search_path = ''")  # so that every name is qualified
    return conn.execute(DEFINITIONS).fetchall()


# --- seed files -----------------------------------------------------------------------------------


def test_the_small_seed_is_a_realistic_workspace(chat: Database, migrated: Conn) -> None:
    seeded = seed_small(chat)
    assert dict(seeded.tables).items() >= {"users": 8, "channels": 6, "messages": 32}.items()
    for what in (
        "count(*) >= 6 FROM users",
        "count(DISTINCT type) = 4 FROM channels",
        "count(*) >= 5 FROM messages WHERE reply_to_id IS NOT NULL",
        "count(*) >= 1 FROM messages m JOIN message_edits e ON e.message_id = m.id "
        "WHERE m.edited_at = e.edited_at AND m.content <> e.previous_content",
        "count(*) >= 1 FROM messages WHERE deleted_at IS NOT NULL",
        "count(*) >= 5 FROM reactions",
        "count(*) >= 2 FROM files f JOIN messages m ON m.id = message_id AND content_type <> 'text'",
        "count(DISTINCT unread) >= 4 FROM users u, LATERAL unread_counts(u.id) c (channel, unread)",
        "bool_and(created_at = ulid_timestamp(id)) FROM messages",
        "bool_and(m.user_id IN (SELECT user_id FROM channel_members c "
        "WHERE c.channel_id = m.channel_id)) FROM messages m",
    ):
        assert value(migrated, f"SELECT {what}"), what


def test_a_second_small_seed_writes_nothing_at_all(chat: Database, migrated: Conn) -> None:
    seed_small(chat)
    before = rows(migrated, "t.xmin || ' ' || t.*::text")
    assert seed_small(chat).tables == ()
    assert rows(migrated, "t.xmin || ' ' || t.*::text") == before


@on_first_server
def test_the_small_seed_keeps_rows_that_were_changed(chat: Database, migrated: Conn) -> None:
    seed_small(chat)
    migrated.execute("UPDATE users SET display_name = 'Queen' WHERE username = 'ada'")
    migrated.execute("UPDATE messages SET content = 'mine' WHERE content = 'Morning ☀️'")
    before = rows(migrated)
    assert seed_small(chat).tables == ()
    assert rows(migrated) == before


@on_first_server
def test_a_project_can_have_its_own_seed_files(project: Project, database: Database) -> None:
    project.write_tables(1)
    (project.sql / "seed").mkdir()
    (project.sql / "seed" / "1_one.sql").write_text("INSERT INTO t1 VALUES (1), (2);")
    (project.sql / "seed" / "2_two.sql").write_text("INSERT INTO t1 SELECT 3;\n")
    project.migrator(database).up()
    assert seed_files(database.target(), project.sql).tables == (("t1", 3),)


@on_first_server
def test_a_seed_that_fails_leaves_no_rows_and_names_the_line(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    (project.sql / "seed").mkdir()
    (project.sql / "seed" / "1.sql").write_text(
        "INSERT INTO t1 VALUES (1);\nINSERT INTO t2 VALUES (1)"
    )
    project.migrator(database).up()
    with pytest.raises(ChatdbError) as caught:
        seed_files(database.target(), project.sql)
    place = caught.value.place
    assert (caught.value.code, caught.value.sqlstate) == (Code.STATEMENT, "42P01")
    assert place is not None
    assert (place.file.name, place.line, place.column) == ("1.sql", 2, 13)
    assert database.query("SELECT * FROM t1") == []


@on_first_server
def test_a_down_that_ends_while_the_seed_waits_is_noticed(
    project: Project, database: Database
) -> None:
    project.write("0001_t1", "CREATE TABLE t1 (id int);", "DROP TABLE t1; SELECT pg_sleep(0.5);")
    (project.sql / "seed").mkdir()
    (project.sql / "seed" / "1.sql").write_text("CREATE TABLE t1 (id int)")
    project.migrator(database).up()

    def down() -> None:
        project.migrator(database).down(
            allow_data_loss=True
        )  # without this the data-loss check runs it first

    thread = threading.Thread(target=down)
    thread.start()
    while not database.query("SELECT FROM pg_stat_activity WHERE query ~ '^ *SELECT pg_sleep' "
                             "AND state = 'active'"):  # fmt: skip
        assert thread.is_alive()
    with pytest.raises(ChatdbError) as caught:
        seed_files(database.target(), project.sql)
    thread.join()
    assert caught.value.exit == 6
    assert database.tables() == set()


@on_first_server
@pytest.mark.parametrize("text", ["COMMIT;", "SELECT 1;\n\\dt"])
def test_a_seed_with_transaction_control_or_psql_commands_is_refused(
    project: Project, database: Database, text: str
) -> None:
    project.write_tables(1)
    (project.sql / "seed").mkdir()
    (project.sql / "seed" / "1.sql").write_text(text)
    with pytest.raises(ChatdbError) as caught:
        seed_files(database.target(), project.sql)
    assert caught.value.code is Code.BAD_FILE


# --- at scale -------------------------------------------------------------------------------------

# Each of these conditions is true of all generated rows.
REALISTIC = {
    "as many messages as asked for": f"count(*) = {N} FROM messages",
    "ids hold the time of creation": "bool_and(created_at = ulid_timestamp(id)) FROM messages",
    "all types of channels": "count(DISTINCT type) = 4 FROM channels",
    "a few channels hold most": (
        "max(n) > 5 * avg(n) FROM (SELECT count(*) n FROM messages GROUP BY channel_id) c"
    ),
    "a few people write most": (
        "max(n) > 3 * avg(n) FROM (SELECT count(*) n FROM messages GROUP BY user_id) c"
    ),
    "messages of all lengths": (
        "min(length(content)) < 5 AND max(length(content)) > 200 FROM messages WHERE content_type "
        "= 'text'"
    ),
    "authors are members": (
        "count(*) = 0 FROM messages m WHERE NOT is_member(channel_id, user_id)"
    ),
    "readers are members": (
        "bool_and(is_member(channel_id, r.user_id)) FROM message_reads r JOIN messages m ON m.id "
        "= message_id"
    ),
    "no author has a receipt for an own message": (
        "bool_and(m.user_id <> r.user_id) FROM message_reads r JOIN messages m ON m.id = message_id"
    ),
    "no receipt is newer than the read marker": (
        "bool_and(r.message_id <= c.last_read_message_id) FROM message_reads r JOIN messages m ON "
        "m.id = message_id JOIN channel_members c ON c.channel_id = m.channel_id AND c.user_id = "
        "r.user_id"
    ),
    "what is read was delivered": (
        "count(*) = 0 FROM message_reads r WHERE NOT EXISTS (SELECT FROM message_deliveries d "
        "WHERE d.message_id = r.message_id AND d.user_id = r.user_id)"
    ),
    "the status agrees with the receipts": (
        "bool_and((status = 'read') = EXISTS (SELECT FROM message_reads r WHERE r.message_id = "
        "m.id)) FROM messages m"
    ),
    "replies": (
        "count(*) > 10 AND bool_and(p.channel_id = m.channel_id AND p.id < m.id) FROM messages m "
        "JOIN messages p ON p.id = m.reply_to_id"
    ),
    "markers are messages of the channel": (
        "count(*) > 10 AND bool_and(m.channel_id = c.channel_id) FROM channel_members c JOIN "
        "messages m ON m.id = c.last_read_message_id"
    ),
    "members have read everything, a little or nothing": (
        "count(DISTINCT unread) > 5 AND min(unread) = 0 FROM (SELECT (SELECT count(*) FROM "
        "messages m WHERE m.channel_id = c.channel_id AND m.id > coalesce(c.last_read_message_id, "
        "'')) unread FROM channel_members c) u"
    ),
    "groups are small": (
        "max(n) <= 100 FROM (SELECT count(*) n FROM channel_members c JOIN channels h ON h.id = "
        "c.channel_id AND h.type = 'group' GROUP BY h.id) g"
    ),
    "both users of a direct channel are members": (
        "bool_and(is_member(id, direct_low) AND is_member(id, direct_high)) FROM channels WHERE "
        "type = 'direct'"
    ),
    "each channel has one owner": (
        "bool_and(n = 1) FROM (SELECT count(*) FILTER (WHERE role = 'owner') n FROM "
        "channel_members GROUP BY channel_id) c"
    ),
    "edits": (
        "count(*) > 0 AND bool_and(m.edited_at = e.edited_at) FROM message_edits e JOIN messages "
        "m ON m.id = message_id"
    ),
    "some are deleted": "count(*) > 0 FROM messages WHERE deleted_at IS NOT NULL",
    "files": (
        "count(*) > 0 AND bool_and(content_type <> 'text') FROM files f JOIN messages m ON m.id = "
        "message_id"
    ),
    "no message is from the future": "max(created_at) < now() FROM messages",
    "the table statistics are up to date": (
        "reltuples > 0 FROM pg_class WHERE relname = 'messages'"
    ),
}


@pytest.mark.parametrize("promise", REALISTIC)
def test_generated_rows_are_realistic(scaled: Conn, promise: str) -> None:
    assert value(scaled, f"SELECT {REALISTIC[promise]}")


def test_every_table_but_those_of_sessions_gets_rows(scaled: Conn) -> None:
    empty = {table for table, table_rows in rows(scaled).items() if not table_rows}
    assert empty <= {"rate_limits", "refresh_tokens", "sessions", "typing_indicators"}


@on_first_server
def test_the_same_random_seed_gives_the_same_rows_in_any_database(
    server: Server, chat: Database, migrated: Conn
) -> None:
    other = server.create(server.templates["chat"])
    seed_scale(chat, 50)
    seed_scale(other, 50)
    with other.connect() as conn:
        assert rows(conn) == rows(migrated)
        seed_scale(other, 50, random_seed=2)
        both = rows(conn)
    other.drop()
    assert all(set(table_rows) <= set(both[table]) for table, table_rows in rows(migrated).items())
    assert len(both["messages"]) == 100


def test_the_rows_depend_only_on_the_number_of_messages_and_the_random_seed() -> None:
    code = (
        "import hashlib; from chatdb_cli.seed.chat_rows import ChatGenerator; "
        "print(hashlib.sha256(b''.join(b.data for b in ChatGenerator(3000, 5).blocks())).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": str(SHIPPED.parent)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }
    data = b"".join(block.data for block in ChatGenerator(3000, 5).blocks())
    assert digests == {hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize("messages", [1, 2, 63, 1000, 20_001])
@pytest.mark.parametrize("random_seed", [0, 7])
def test_the_number_of_messages_is_the_requested_one(messages: int, random_seed: int) -> None:
    blocks = list(ChatGenerator(messages, random_seed).blocks())
    assert sum(b.rows for b in blocks if b.table == "messages") == messages


def add_odd_objects(conn: Conn) -> None:
    """Create objects with properties that are not in their definition, or not the default ones."""
    for statement in (
        "ALTER TABLE messages DISABLE TRIGGER messages_set_updated_at",
        "ALTER TABLE users ENABLE ALWAYS TRIGGER users_set_updated_at",
        "ALTER TABLE files ENABLE REPLICA TRIGGER files_set_updated_at",
        "COMMENT ON INDEX messages_channel_newest_idx IS 'it''s \"mine\"'",
        "COMMENT ON CONSTRAINT messages_user_id_fkey ON messages IS 'who'",
        "COMMENT ON CONSTRAINT messages_client_message_id_key ON messages IS 'once'",
        "ALTER TABLE reactions CLUSTER ON reactions_user_idx",
        "ALTER TABLE message_reads REPLICA IDENTITY USING INDEX message_reads_pkey",
        "CREATE INDEX files_odd ON files (lower(name) DESC NULLS LAST, size) "
        "INCLUDE (url) WITH (fillfactor = 42) WHERE size > 3",
        "ALTER INDEX files_odd ALTER COLUMN 1 SET STATISTICS 7",
        "CREATE TABLE mine (m varchar(26) REFERENCES messages, "
        "u varchar(26), c varchar(255), FOREIGN KEY (u, c) REFERENCES messages (user_id, "
        "client_message_id) DEFERRABLE INITIALLY DEFERRED)",
        "ALTER TABLE files ADD CONSTRAINT odd FOREIGN KEY (message_id) REFERENCES messages NOT VALID",
        "CREATE VIEW grouped AS SELECT id, content FROM messages GROUP BY id",
    ):
        conn.execute(statement)


def test_seeding_leaves_the_schema_unchanged(chat: Database, migrated: Conn) -> None:
    add_odd_objects(migrated)
    before = schema(migrated)
    seed_scale(chat)
    seed_scale(chat, random_seed=2)
    assert schema(migrated) == before


@on_first_server
def test_a_schema_of_any_name_is_seeded(database: Database) -> None:
    database.execute('CREATE SCHEMA "my ""chat"""')
    Migrator(database.target(schema='my "chat"'), SHIPPED).up()
    assert dict(seed_small(database, schema='my "chat"').tables)["users"] == 8
    assert dict(seed_scale(database, 20, schema='my "chat"').tables)["messages"] == 20
    assert database.tables() == set()


@on_first_server
def test_only_the_owner_may_seed(
    chat: Database, migrated: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = f"owner_{chat.name}"
    migrated.execute(f"CREATE ROLE {role}")
    migrated.execute(f"GRANT USAGE, CREATE ON SCHEMA public TO {role}")
    migrated.execute(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {role}")
    with monkeypatch.context() as environment:
        environment.setenv("PGOPTIONS", f"-c role={role}")
        with pytest.raises(ChatdbError) as caught:
            seed_scale(chat)
        assert (caught.value.code, caught.value.sqlstate) == (Code.LOGIN, "42501")
        for table in rows(migrated):
            migrated.execute(f"ALTER TABLE {table} OWNER TO {role}")
        before = schema(migrated)
        assert dict(seed_small(chat).tables)["users"] == 8
        assert dict(seed_scale(chat).tables)["messages"] == N
        assert schema(migrated) == before
    migrated.execute(f"DROP OWNED BY {role} CASCADE")
    migrated.execute(f"DROP ROLE {role}")


@on_first_server
def test_a_failed_seed_leaves_no_row_and_the_schema_unchanged(
    chat: Database, migrated: Conn
) -> None:
    migrated.execute("ALTER TABLE files ADD CONSTRAINT no CHECK (size < 0)")
    before = schema(migrated)
    with pytest.raises(ChatdbError) as caught:
        seed_scale(chat)
    assert (caught.value.code, caught.value.sqlstate) == (Code.STATEMENT, "23514")
    assert schema(migrated) == before
    migrated.execute("RESET search_path")
    assert not any(rows(migrated).values())


@on_first_server
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_seed_leaves_no_row_and_the_schema_unchanged(
    project: Project, chat: Database, migrated: Conn, number: signal.Signals
) -> None:
    migrated.execute("SELECT pg_advisory_lock(42)")
    migrated.execute(
        "CREATE FUNCTION wait() RETURNS bool LANGUAGE plpgsql AS "
        "$$BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN true; END$$"
    )
    migrated.execute("ALTER TABLE files ADD CONSTRAINT no CHECK (wait())")
    before = schema(migrated)
    running = subprocess.Popen(
        project.command("seed", "--scale", str(N), "--dir", SHIPPED),
        env=project.environment(
            DATABASE_URL=chat.url, PYTHONPATH=str(SHIPPED.parent), CHATDB_LOCK_TIMEOUT="0s"
        ),
        cwd=project.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    others = (
        "FROM pg_catalog.pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    while not value(migrated, f"SELECT count(*) {others} AND wait_event = 'advisory'"):
        assert running.poll() is None
    running.send_signal(number)
    _, stderr = running.communicate()
    migrated.execute("SELECT pg_advisory_unlock(42)")
    while value(migrated, f"SELECT count(*) {others}"):
        pass
    assert running.returncode == (-9 if number is signal.SIGKILL else 128 + number)
    if number is not signal.SIGKILL:
        assert "nothing was written" in stderr
        assert "Traceback" not in stderr
    assert schema(migrated) == before
    migrated.execute("RESET search_path")
    assert not any(rows(migrated).values())


@on_first_server
def test_a_lost_connection_is_reported_in_one_line(
    chat: Database, migrated: Conn, capfd: pytest.CaptureFixture[str]
) -> None:
    def cut(progress: SeedProgress) -> None:
        if progress.done:
            migrated.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    with pytest.raises(ChatdbError) as caught:
        seed_at_scale(chat.target(), N, directory=SHIPPED, progress=cut)
    assert caught.value.code is Code.LOST
    assert capfd.readouterr().err == ""
    assert not any(rows(migrated).values())


@on_first_server
def test_progress_rises_to_the_number_of_messages(chat: Database) -> None:
    events: list[SeedProgress] = []
    seed_at_scale(chat.target(), 3000, directory=SHIPPED, progress=events.append)
    sent = [p.done for p in events if p.what == "messages"]
    assert sent == sorted(sent)
    assert sent[-1] == 3000
    assert len(set(sent)) > 2


# --- refusals -------------------------------------------------------------------------------------


def remove_newest_from_history(database: Database) -> None:
    for table in ("chatdb_migration", "_yoyo_migration"):
        newest = f"(SELECT max(migration_id) FROM {table})"
        database.execute(f"DELETE FROM {table} WHERE migration_id = {newest}")


def create_other_tables(database: Database) -> None:
    database.execute("DROP SCHEMA public CASCADE")
    database.execute("CREATE SCHEMA public")
    database.execute("CREATE TABLE orders (id int)")


def drop_a_table(database: Database) -> None:
    database.execute("DROP TABLE files CASCADE")


def rename_a_column(database: Database) -> None:
    database.execute("ALTER TABLE notifications RENAME related_type TO about")


def seed_the_same_rows(database: Database) -> None:
    seed_scale(database, 1)


def drop_the_schema(database: Database) -> None:
    database.execute("DROP SCHEMA public CASCADE")


@on_first_server
@pytest.mark.parametrize(
    ("prepare", "code", "says"),
    [
        (remove_newest_from_history, Code.HISTORY, "1 migration is pending, starting with 00"),
        (
            create_other_tables,
            Code.REFUSED,
            "schema 'public' holds tables that no migration has created",
        ),
        (drop_a_table, Code.REFUSED, "no table 'files'"),
        (rename_a_column, Code.REFUSED, "table 'notifications' has no column 'related_type'"),
        (seed_the_same_rows, Code.REFUSED, "the rows of random seed 1 exist already"),
        (drop_the_schema, Code.MISSING_SCHEMA, "there is no schema 'public'"),
    ],
)
def test_seeding_refuses_and_says_what_to_do(
    chat: Database, prepare: Callable[[Database], None], code: Code, says: str
) -> None:
    prepare(chat)
    with pytest.raises(ChatdbError, match=says) as caught:
        seed_scale(chat)
    assert (caught.value.code, bool(caught.value.hint)) == (code, True)


@on_first_server
def test_a_session_that_is_read_only_by_default_is_seeded_only_if_that_is_confirmed(
    server: Server, chat: Database
) -> None:
    chat.execute(
        f"ALTER DATABASE {chat.name} SET default_transaction_read_only = on; "
        f"ALTER DATABASE {chat.name} SET idle_session_timeout = '300ms'; "
        f"ALTER DATABASE {chat.name} SET statement_timeout = '1ms'"
    )
    try:
        with pytest.raises(ChatdbError, match="are read-only") as caught:
            seed_small(chat)
        assert (caught.value.exit, caught.value.sqlstate) == (8, "25006")
        assert seed_files(chat.target(allow_read_only_override=True), SHIPPED).tables
    finally:
        server.execute(f"ALTER DATABASE {chat.name} RESET ALL")


@on_first_server
@pytest.mark.parametrize("run", [seed_small, seed_scale])
def test_seeding_waits_no_longer_than_the_lock_timeout(
    chat: Database, migrated: Conn, run: Callable[..., Seeded]
) -> None:
    with migrated.transaction():
        migrated.execute("LOCK TABLE users")
        with pytest.raises(ChatdbError) as caught:
            run(chat, lock_timeout="50ms")
    assert caught.value.code is Code.LOCKED


# --- the command ----------------------------------------------------------------------------------


@on_first_server
def test_the_command_prints_its_target_and_what_it_wrote(project: Project, chat: Database) -> None:
    env = {"DATABASE_URL": chat.url, "CHATDB_DIR": "@chat"}
    result = project.chatdb("seed", "--scale", "30", "--format", "json", env=env)
    assert result.returncode == 0, result.stderr
    target, *progress = result.stderr.splitlines()
    assert target.startswith("target: ")
    assert [line.split(":")[0] for line in progress] == ["seeding", "seeding"]
    document = json.loads(result.stdout)
    assert document.keys() == {"format", "target", "schema", "tables", "duration_ms"}
    assert {"table": "messages", "rows": 30} in document["tables"]
    again = project.chatdb("seed", "--scale", "30", env=env)
    assert (again.returncode, again.stdout) == (8, "")
    assert "--random-seed 2" in again.stderr
    more = project.chatdb("seed", "--scale", "30", "--random-seed", "2", "-q", env=env)
    assert (more.returncode, more.stderr) == (0, "")
    assert "messages" in more.stdout


@on_first_server
def test_setup_with_seed_can_be_repeated(project: Project, database: Database) -> None:
    env = {"DATABASE_URL": database.url}
    result = project.chatdb("setup", "--dir", "@chat", "--seed", "--format", "json", env=env)
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert {"table": "users", "rows": 8} in document["seed"]["tables"]
    again = project.chatdb("setup", "--dir", "@chat", "--seed", env=env)
    assert again.returncode == 0
    assert again.stdout.splitlines()[-1] == "nothing to seed: the rows are there already"


@on_first_server
@pytest.mark.parametrize(
    ("arguments", "env", "code"),
    [
        (["seed"], {"CHATDB_ENV": "production"}, 8),
        (["seed", "--scale", "5"], {"CHATDB_ENV": "production"}, 8),
        (["setup", "--seed"], {"CHATDB_ENV": "production"}, 8),
        (["seed", "--yes"], {"CHATDB_ENV": "production"}, 0),
        (["seed", "--random-seed", "5"], {}, 2),
        (["seed", "--scale", "0"], {}, 2),
        (["seed", "--scale", "many"], {}, 2),
        (["seed", "--dir", "here"], {}, 2),
        (["setup", "--seed", "--dir", "here"], {}, 2),
    ],
)
def test_each_refusal_of_the_command_has_its_exit_code(
    project: Project, chat: Database, arguments: list[str], env: dict[str, str], code: int
) -> None:
    (project.path / "here" / "up").mkdir(parents=True)
    env = {"DATABASE_URL": chat.url, **env}
    if "--dir" not in arguments:
        env["CHATDB_DIR"] = "@chat"
    result = project.chatdb(*arguments, env=env)
    assert result.returncode == code, result.stderr
    if code:
        assert result.stdout == ""
        assert "error: " in result.stderr
        assert "hint: " in result.stderr
        assert chat.query("SELECT count(*) FROM users") == [(0,)]


def test_the_chat_schema_has_seed_files() -> None:
    assert [path.name for path in sorted((SHIPPED / "seed").iterdir())] == [
        "01_people.sql", "02_channels.sql", "03_messages.sql", "04_activity.sql"
    ]  # fmt: skip
    assert Path(SHIPPED / "up").is_dir()
