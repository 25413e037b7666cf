"""Rights on the change log."""

from __future__ import annotations

import pytest

from tests.support.chat_events import ADA, FORBIDDEN, HALL, TABLES, Conn, assert_fails, value


def as_role(conn: Conn, role: str, user: str = ADA) -> None:
    conn.execute(f"SET LOCAL ROLE {role}")
    conn.execute("SELECT set_config('chat.user_id', %s, true)", [user])


def test_a_role_that_writes_messages_needs_no_right_on_the_log(chat: Conn) -> None:
    with chat.transaction(force_rollback=True):
        before = value(chat, "SELECT count(*) FROM events")
        as_role(chat, "chat_app")
        sent = value(chat, f"SELECT id FROM send_message('{HALL}', '{ADA}', 'x')")
        chat.execute(f"SELECT start_typing('{HALL}', '{ADA}')")
        chat.execute(f"SELECT mark_read('{sent}', '{ADA}')")
        chat.execute(f"SELECT set_presence('{ADA}', 'busy')")
        chat.execute("RESET ROLE")
        assert value(chat, "SELECT count(*) FROM events") == before + 3


LOG = {
    "read": "SELECT * FROM events",
    "read the state": "SELECT * FROM events_state",
    "write": "INSERT INTO events (table_name, op, row_id) VALUES ('messages', 'insert', 'forged')",
    "change": "UPDATE events SET op = 'delete'",
    "delete": "DELETE FROM events",
    "truncate": "TRUNCATE events",
    "count": "SELECT nextval('events_bell')",
    "ring": "SELECT ring_doorbell('messages', 'insert', '{}', '{}')",
    "be silent": "SELECT set_notify_mode('off')",
    "reset": "SELECT events_reset()",
    "purge": "SELECT purge_events('0s')",
    "follow": "SELECT * FROM events_since()",
}


@pytest.mark.parametrize("role", ["chat_app", "chat_readonly", "chat_listener"])
@pytest.mark.parametrize("what", LOG)
def test_only_the_listener_reads_the_log_and_no_role_writes_it(
    chat: Conn, role: str, what: str
) -> None:
    with chat.transaction(force_rollback=True):
        as_role(chat, role)
        if (role, what) == ("chat_listener", "follow"):
            assert value(chat, LOG[what]) is None
        else:
            assert_fails(chat, FORBIDDEN, LOG[what])


def test_the_listener_may_do_nothing_else(chat: Conn) -> None:
    rights = chat.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND CASE"
        " WHEN relkind = 'S' THEN has_sequence_privilege('chat_listener', oid, 'USAGE, SELECT, UPDATE')"
        " WHEN relkind IN ('r', 'v') THEN has_any_column_privilege('chat_listener', oid,"
        " 'SELECT, INSERT, UPDATE, REFERENCES')"
        " OR has_table_privilege('chat_listener', oid, 'DELETE, TRUNCATE, TRIGGER') END"
    ).fetchall()
    assert rights == []
    with chat.transaction(force_rollback=True):
        as_role(chat, "chat_listener")
        assert_fails(chat, FORBIDDEN, f"SELECT send_message('{HALL}', '{ADA}', 'x')")
        assert_fails(chat, FORBIDDEN, f"SELECT list_messages('{HALL}')")


@pytest.mark.parametrize(
    "name", [*(f"log_{name}" for name in TABLES), "ring_typing", "keep_message_edit"]
)
def test_a_trigger_on_a_table_of_ones_own_can_not_forge_events(chat: Conn, name: str) -> None:
    with chat.transaction(force_rollback=True):
        as_role(chat, "chat_app")
        chat.execute("CREATE TEMPORARY TABLE mine (id text, channel_id text, user_id text)")
        assert_fails(
            chat, FORBIDDEN,
            "CREATE TRIGGER forged AFTER INSERT ON mine REFERENCING NEW TABLE AS added"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
        )  # fmt: skip
