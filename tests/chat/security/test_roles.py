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


def test_security_definer_functions_are_not_granted_to_public(scene: Scene) -> None:
    """Except triggers, and functions of policies, which answer for the current user only."""
    everybody = "prosecdef AND prorettype <> 'trigger'::regtype AND has_function_privilege({}, oid, 'EXECUTE')"  # noqa: E501
    asked = {"sees_channel", "runs_channel", "is_empty_channel", "may_add_member",
             "may_change_member"}  # fmt: skip
    for role, more in (("chat_listener", {"events_since"}), ("chat_readonly", set())):
        assert functions(scene.conn, everybody.format(f"'{role}'")) == asked | more
    assert functions(scene.conn, everybody.format("'chat_app'")) > asked


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
