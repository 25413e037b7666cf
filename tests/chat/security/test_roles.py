"""The rights of each role, and the creation of the roles."""

from __future__ import annotations

import threading

import psycopg
import pytest

from tests.support.chat import (
    FORBIDDEN,
    STEMS,
    Conn,
    call,
    create_world,
    rows,
    run,
    value,
)
from tests.support.chat_security import OPEN, ROLES, VISIBLE_ROWS, Scene
from tests.support.database import Database
from tests.support.servers import Server


def functions(conn: Conn, condition: str) -> set[str]:
    rows = conn.execute(
        f"SELECT proname FROM pg_proc p WHERE pronamespace = 'public'::regnamespace AND {condition}"
    )
    return {name for (name,) in rows}


OURS = "NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"
# They run with the rights of the caller, and read or write nothing that the caller may not.
FOR_EVERYBODY = {
    "acting_user", "add_member", "attach_files", "check_message_status", "count_unread",
    "delete_channel",
    "find_presence", "get_notification_preferences", "get_profile", "get_sync_state", "list_files",
    "list_members", "list_presence", "list_relationships", "list_replies", "must_act",
    "must_have_user", "no_user", "put_profile", "put_sync_state", "remove_relationship",
    "refuse_deleted_user", "refuse_nobody", "refuse_session_delete", "refuse_status", "mentions",
    "set_notification_preferences", "add_reaction", "answer_friend",
    "archive_channel", "bell_is_due",
    "block_user", "create_channel", "create_user", "delete_message", "edit_message", "events_epoch",
    "events_origin", "events_reset", "events_snapshot", "find_channel", "find_message",
    "find_message_by_client_id", "find_user", "find_user_by_email", "find_user_by_username",
    "generate_ulid", "hit_rate_limit", "is_member", "issue_token", "list_channels", "list_messages",
    "list_notifications", "list_typing", "lock_pair", "mark_delivered", "mark_notification_read",
    "mark_read", "must_act_as", "must_be_live",
    "pin_search_path", "purge_events", "put_setting", "remove_member",
    "remove_reaction", "request_friend", "revoke_tokens", "send_message", "set_edited_at",
    "set_notify_mode", "set_presence", "set_role", "set_updated_at", "start_typing",
    "touch_last_seen", "ulid_encode", "ulid_timestamp", "unblock_user", "unread_counts",
    "update_channel", "update_user", "xid_after",
}  # fmt: skip


def test_no_function_but_the_listed_ones_may_be_called_by_everybody(scene: Scene) -> None:
    public = "EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)"  # noqa: E501
    assert functions(scene.conn, f"{OURS} AND {public}") == FOR_EVERYBODY
    assert not FOR_EVERYBODY & functions(scene.conn, f"{OURS} AND prosecdef")


def test_each_role_may_call_only_the_security_definer_functions_meant_for_it(scene: Scene) -> None:
    """The application: all but triggers and the log; policies call some as the reader of a table."""
    may = "prosecdef AND has_function_privilege({}, oid, 'EXECUTE')"
    looked_up = {"sees_channel", "runs_channel", "is_empty_channel"}
    assert functions(scene.conn, may.format("'chat_listener'")) == {"events_since"}
    assert functions(scene.conn, may.format("'chat_readonly'")) == looked_up
    all_ = functions(scene.conn, "prosecdef AND prorettype <> 'trigger'::regtype")
    assert functions(scene.conn, may.format("'chat_app'")) == all_ - {
        "events_since", "ring_doorbell"
    }  # fmt: skip


def test_a_trigger_function_refuses_to_run_on_a_table_that_is_not_its_own(scene: Scene) -> None:
    """As the owner of the schema, who may attach it: on rows of another table it would act for them."""
    conn = scene.conn
    conn.execute(
        "CREATE TABLE mine (id text, channel_id text, user_id text, type text, content text)"
    )
    triggers = functions(conn, "prosecdef AND prorettype = 'trigger'::regtype")
    assert len(triggers) > 10
    for name in sorted(triggers):
        for level, more in (("ROW", ""), ("STATEMENT", "REFERENCING NEW TABLE AS added")):
            conn.execute(
                f"CREATE TRIGGER wrong AFTER INSERT ON mine {more}"
                f" FOR EACH {level} EXECUTE FUNCTION {name}()"
            )
            with pytest.raises(psycopg.Error) as caught, conn.transaction():
                conn.execute("INSERT INTO mine VALUES (%s)", [scene.ids["room"]])
            conn.execute("DROP TRIGGER wrong ON mine")
            assert caught.value.sqlstate == "39P01", name
            assert f"{name}() is a trigger of the table" in str(caught.value)


def test_the_application_has_rights_on_rows_alone(scene: Scene) -> None:
    granted = scene.conn.execute(
        "SELECT relname, string_agg(privilege_type, ' ' ORDER BY privilege_type)"
        "  FROM pg_class, aclexplode(relacl) a"
        " WHERE relnamespace = 'public'::regnamespace AND grantee = 'chat_app'::regrole GROUP BY 1"
    ).fetchall()
    rows_ = dict.fromkeys((*VISIBLE_ROWS, *OPEN), "DELETE INSERT SELECT UPDATE")
    others = {
        "message_edits": "SELECT",
        "public_users": "SELECT",
        "relationships": "DELETE INSERT SELECT",  # and UPDATE of single columns
    }
    assert dict(granted) == {**rows_, **others}


def test_nothing_is_granted_to_public(scene: Scene) -> None:
    public = scene.conn.execute(
        "SELECT relname FROM pg_class, aclexplode(relacl)"
        " WHERE relnamespace = 'public'::regnamespace AND grantee = 0"
    )
    assert public.fetchall() == []


def test_reports_read_all_rows_and_no_secret(scene: Scene) -> None:
    total = {t: value(scene.conn, f"SELECT count(*) FROM {t}") for t in VISIBLE_ROWS}
    secret = {"sessions", "refresh_tokens"}
    with scene.act_as(None, role="chat_readonly") as conn:
        for table in (*VISIBLE_ROWS, "profiles", "user_status", "public_users"):
            if table not in secret:
                count = value(conn, f"SELECT count(*) FROM {table}")
                assert count == total.get(table, count) > 0
        open_ = conn.execute(
            "SELECT attrelid::regclass, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
            " WHERE relnamespace = 'public'::regnamespace AND attnum > 0"
            " AND attname ~ 'hash|auth0|token|secret'"
            " AND relkind IN ('r', 'v') AND has_column_privilege(attrelid, attnum, 'SELECT')"
        )
        assert open_.fetchall() == []
        assert value(conn, "SELECT count(email) FROM users") > 3
        for statement in (
            "SELECT * FROM users", "SELECT password_hash FROM users", "SELECT auth0_id FROM users",
            "SELECT count(*) FROM users WHERE password_hash LIKE '%'",
            "SELECT users FROM users", "SELECT token_hash FROM refresh_tokens",
            "SELECT FROM sessions", "SELECT FROM rate_limits", "SELECT FROM chatdb_migration",
            "SELECT * FROM find_user('x')", "SELECT use_token('x')",
            "SELECT * FROM get_session('x')", "SELECT purge_expired()",
            "SELECT * FROM search_messages('x', 'x')", "SELECT erase_user('x')",
            *[f"DELETE FROM {t}" for t in (*VISIBLE_ROWS, *OPEN)],
            "UPDATE messages SET content = 'x'", "INSERT INTO profiles (user_id) VALUES ('x')",
            "TRUNCATE messages", "CREATE TABLE mine ()",
        ):  # fmt: skip
            with pytest.raises(psycopg.Error) as caught, conn.transaction():
                conn.execute(statement)
            assert caught.value.sqlstate == FORBIDDEN, statement


def test_a_listener_reads_no_table(scene: Scene) -> None:
    readable = scene.conn.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'v') AND has_any_column_privilege('chat_listener', oid, 'SELECT')"
        " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = pg_class.oid AND deptype = 'e')"
    )
    assert readable.fetchall() == []
    with scene.act_as(None, role="chat_listener") as conn:
        assert call(conn, "events_since")["cursor"]


def test_group_roles_can_not_log_in_and_owners_may_create(scene: Scene) -> None:
    rows = scene.conn.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s) AND NOT rolcanlogin"
        " AND NOT rolsuper AND NOT rolbypassrls AND NOT rolcreaterole",
        [ROLES],
    )
    assert {name for (name,) in rows} == set(ROLES)
    with scene.act_as(None, role="chat_owner") as conn:
        conn.execute("CREATE TABLE mine ()")


def test_without_the_right_to_create_roles_the_schema_is_complete_and_a_notice_is_raised(
    scene: Scene,
) -> None:
    """The server has the roles already, so they are renamed until the rollback."""
    conn = scene.conn
    notices: list[str | None] = []
    for role in ROLES:
        conn.execute(f"ALTER ROLE {role} RENAME TO hidden_{role}")
    conn.execute("CREATE ROLE lonely; CREATE SCHEMA lone AUTHORIZATION lonely")
    conn.execute("SET LOCAL ROLE lonely")
    conn.add_notice_handler(handler := lambda notice: notices.append(notice.message_primary))
    try:
        for stem in STEMS:
            run(conn, "up", stem, "lone, public")
    finally:
        conn.remove_notice_handler(handler)
    for role in ROLES:
        assert (
            f'the role "{role}" is missing, and "lonely" may not create it: continuing without it'
            in notices
        )
    conn.execute("SET LOCAL search_path = lone, public")
    ids = create_world(conn)
    assert len(rows(conn, "search_messages", ids["ada"], "first")) == 1
    on = (
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'lone'::regnamespace AND relrowsecurity"
    )
    assert value(conn, on) == len(VISIBLE_ROWS)
    for stem in reversed(STEMS):
        run(conn, "down", stem, "lone, public")
    left = "SELECT count(*) FROM {} WHERE {} = 'lone'::regnamespace"
    assert value(conn, left.format("pg_class", "relnamespace")) == 0
    assert value(conn, left.format("pg_proc", "pronamespace")) == 0


@pytest.mark.parametrize("open_", [True, False])
def test_a_notice_names_a_schema_where_public_may_create(server: Server, open_: bool) -> None:
    database = server.chat()
    notices: list[str | None] = []
    with database.connect() as conn:
        for stem in reversed(STEMS[STEMS.index("0033_roles") :]):
            run(conn, "down", stem)
        conn.execute(f"{'GRANT' if open_ else 'REVOKE'} CREATE ON SCHEMA public "
                     f"{'TO' if open_ else 'FROM'} PUBLIC")  # fmt: skip
        conn.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        run(conn, "up", "0033_roles")
    database.drop()
    assert ('every role may create objects in schema "public"' in notices) is open_


def test_several_databases_create_the_roles_at_the_same_time(server: Server) -> None:
    """Roles belong to the whole cluster: no database may fail because another creates them."""
    steps = STEMS[STEMS.index("0033_roles") :]
    databases = [server.chat() for _ in range(3)]
    failed: list[psycopg.Error] = []
    together = threading.Barrier(len(databases))

    def build(database: Database) -> None:
        with database.connect() as conn:
            together.wait(20)
            try:
                for stem in steps:
                    run(conn, "up", stem)
            except psycopg.Error as error:
                failed.append(error)

    for database in databases:
        with database.connect() as conn:
            for stem in reversed(steps):
                run(conn, "down", stem)
    for role in ROLES:  # hide the roles, with their grants in other databases
        server.execute(f"ALTER ROLE {role} RENAME TO hidden_{role}")
    try:
        builders = [threading.Thread(target=build, args=[database]) for database in databases]
        for builder in builders:
            builder.start()
        for builder in builders:
            builder.join(60)
        assert failed == []
        for database in databases:
            granted = "SELECT has_table_privilege('chat_app', 'messages', 'SELECT')"
            assert database.query(granted) == [(True,)]
    finally:
        for database in databases:
            database.drop()
        for role in ROLES:
            server.execute(f"DROP ROLE IF EXISTS {role}")
            server.execute(f"ALTER ROLE hidden_{role} RENAME TO {role}")
