"""Promises of the chat schema's operations: what they do, refuse, and hold to when called at once.

The rules of the tables that came after the core stand here, too.  Who may do what is
test_schema_security's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tests.support.chat import (
    BCRYPT,
    CHECK,
    FORBIDDEN,
    FOREIGN_KEY,
    LATER,
    NO_DATA,
    NOBODY,
    NOT_NOW,
    NOT_NULL,
    TOO_LONG,
    UNIQUE,
    WRONG,
    Conn,
    Row,
    answer,
    call,
    denied,
    digest,
    filled,
    ids_of,
    insert,
    members,
    people,
    race,
    refused,
    related,
    rows,
    send,
    users,
    value,
    waits,
    world,
)
from tests.support.servers import Server

SERIALIZATION = psycopg.errors.SerializationFailure

# Few examples: each is several statements on a real server.
FEW = hypothesis_settings(max_examples=25, deadline=None, database=None)


@pytest.fixture(scope="module")
def shared(server: Server) -> Iterator[tuple[Conn, dict[str, str]]]:
    made = server.chat()
    with made.connect() as conn:
        yield conn, world(conn)
    made.drop()


@pytest.fixture
def chat(shared: tuple[Conn, dict[str, str]]) -> Iterator[Conn]:
    """The shared database, in a transaction that is rolled back."""
    with shared[0].transaction(force_rollback=True):
        yield shared[0]


@pytest.fixture
def ids(shared: tuple[Conn, dict[str, str]]) -> dict[str, str]:
    return shared[1]


# --- refusals, function by function ---------------------------------------------------------------

REFUSALS: list[tuple[str, list[Any], str, str | None]] = [
    ("create_user", ["x@example.org", "xenia"], CHECK, "users_credentials_present"),
    ("create_user", ["ADA@example.org", "xenia", "x"], UNIQUE, "users_email_live_key"),
    ("create_user", ["x@example.org", "ADA", "x"], UNIQUE, "users_username_live_key"),
    ("create_user", ["x@example.org", "xenia", None, "Passw0rd"], CHECK,
     "users_password_hash_format"),
    ("create_user", [None, "xenia", "x"], NOT_NULL, None),
    ("update_user", ["{nobody}", {}], NO_DATA, None),
    ("update_user", [None, {}], NO_DATA, None),
    ("update_user", ["{ada}", {"id": "1"}], WRONG, None),
    ("update_user", ["{ada}", {"deleted_at": None}], WRONG, None),
    ("update_user", ["{ada}", {"email": None}], NOT_NULL, None),
    ("update_user", ["{ada}", {"email": "BOB@example.org"}], UNIQUE, "users_email_live_key"),
    ("update_user", ["{ada}", {"is_active": "perhaps"}], "22P02", None),
    ("update_user", ["{ada}", {"password_hash": "Passw0rd"}], CHECK, "users_password_hash_format"),
    ("set_presence", ["{ada}", "gone"], CHECK, "user_status_status_valid"),
    ("set_presence", ["{nobody}", "online"], FOREIGN_KEY, "user_status_user_id_fkey"),
    ("create_channel", ["{ada}", "direct", "x"], WRONG, None),
    ("create_channel", ["{ada}", "room", "x"], CHECK, "channels_type_valid"),
    ("create_channel", ["{ada}", None, "x"], NOT_NULL, None),
    ("create_channel", ["{ada}", "public", " "], CHECK, "channels_name_present"),
    ("create_channel", ["{ada}", "public", None], CHECK, "channels_name_present"),
    ("create_channel", ["{nobody}", "public", "x"], FOREIGN_KEY, None),
    ("create_channel", [None, "public", "x"], NOT_NULL, None),
    ("create_channel", ["{ada}", "public", "x", ["0" * 26]], FOREIGN_KEY,
     "channel_members_user_id_fkey"),
    ("update_channel", ["{nobody}", {}], NO_DATA, None),
    ("update_channel", ["{gone}", {"name": "x"}], NO_DATA, None),
    ("update_channel", ["{room}", {"created_by": None}], WRONG, None),
    ("update_channel", ["{room}", {"name": None}], CHECK, "channels_name_present"),
    ("update_channel", ["{room}", {"type": "direct"}], CHECK, "channels_direct_users"),
    ("update_channel", ["{direct}", {"type": "public", "name": "x"}], CHECK,
     "channels_direct_users"),
    ("archive_channel", ["{nobody}"], NO_DATA, None),
    ("archive_channel", ["{gone}"], NO_DATA, None),
    ("open_direct_channel", ["{ada}", "{nobody}"], NO_DATA, None),
    ("open_direct_channel", ["{nobody}", "{ada}"], NO_DATA, None),
    ("open_direct_channel", ["{nobody}", "{nobody}"], NO_DATA, None),
    ("open_direct_channel", ["{ada}", None], NO_DATA, None),
    ("open_direct_channel", [None, "{ada}"], NO_DATA, None),
    ("open_direct_channel", [None, None], NO_DATA, None),
    ("add_member", ["{nobody}", "{ada}"], FOREIGN_KEY, "channel_members_channel_id_fkey"),
    ("add_member", ["{room}", "{nobody}"], FOREIGN_KEY, "channel_members_user_id_fkey"),
    ("add_member", ["{room}", "{eve}", "boss"], CHECK, "channel_members_role_valid"),
    ("add_member", ["{direct}", "{eve}"], NOT_NOW, None),
    ("set_role", ["{room}", "{eve}", "admin"], NO_DATA, None),
    ("set_role", ["{room}", "{bob}", "boss"], CHECK, "channel_members_role_valid"),
    ("send_message", ["{room}", "{eve}", "x"], FORBIDDEN, None),
    ("send_message", ["{nobody}", "{eve}", "x"], FORBIDDEN, None),
    ("send_message", ["{room}", None, "x"], FORBIDDEN, None),
    ("send_message", ["{archive}", "{bob}", "x"], NOT_NOW, None),
    ("send_message", ["{gone}", "{bob}", "x"], NOT_NOW, None),
    ("send_message", ["{room}", "{ada}", ""], CHECK, "messages_content_length"),
    ("send_message", ["{room}", "{ada}", "x" * 4001], CHECK, "messages_content_length"),
    ("send_message", ["{room}", "{ada}", None], NOT_NULL, None),
    ("send_message", ["{room}", "{ada}", "x", ""], CHECK, "messages_client_message_id_not_empty"),
    ("send_message", ["{room}", "{ada}", "x", "y" * 256], TOO_LONG, None),
    ("send_message", ["{group}", "{ada}", "x", "a1"], UNIQUE, "messages_client_message_id_key"),
    ("send_message", ["{room}", "{ada}", "x", None, "{elsewhere}"], FOREIGN_KEY,
     "messages_reply_to_id_fkey"),
    ("send_message", ["{room}", "{ada}", "x", None, "{nobody}"], FOREIGN_KEY,
     "messages_reply_to_id_fkey"),
    ("send_message", ["{room}", "{ada}", "x", None, None, "video"], CHECK,
     "messages_content_type_valid"),
    ("edit_message", ["{first}", "{bob}", "x"], FORBIDDEN, None),
    ("edit_message", ["{first}", "{ada}", ""], CHECK, "messages_content_length"),
    ("edit_message", ["{nobody}", "{ada}", "x"], NO_DATA, None),
    ("edit_message", ["{deleted}", "{ada}", "x"], NO_DATA, None),
    ("edit_message", ["{deleted}", "{bob}", "x"], NO_DATA, None),
    ("edit_message", ["{old}", "{bob}", "x"], NOT_NOW, None),
    ("delete_message", ["{first}", "{bob}"], FORBIDDEN, None),
    ("delete_message", ["{first}", "{eve}"], FORBIDDEN, None),
    ("delete_message", ["{first}", None], FORBIDDEN, None),
    ("list_messages", ["{room}", -1], "2201W", None),
    ("search_messages", ["{ada}", ""], WRONG, None),
    ("search_messages", ["{ada}", "  "], WRONG, None),
    ("search_messages", ["{ada}", None], WRONG, None),
    ("mark_read", ["{first}", "{eve}"], NO_DATA, None),
    ("mark_read", ["{nobody}", "{ada}"], NO_DATA, None),
    ("mark_read", [None, "{ada}"], NO_DATA, None),
    ("mark_delivered", ["{first}", "{eve}"], NO_DATA, None),
    ("mark_delivered", ["{nobody}", "{ada}"], NO_DATA, None),
    ("add_reaction", ["{first}", "{eve}", "👍"], NO_DATA, None),
    ("add_reaction", ["{deleted}", "{ada}", "👍"], NO_DATA, None),
    ("add_reaction", ["{first}", "{ada}", ""], CHECK, "reactions_emoji_not_empty"),
    ("add_reaction", ["{first}", "{ada}", None], NOT_NULL, None),
    ("add_reaction", ["{old}", "{bob}", "👍"], NOT_NOW, None),
    ("issue_token", ["{nobody}", digest("x"), LATER], FOREIGN_KEY,
     "refresh_tokens_user_id_fkey"),
    ("issue_token", ["{ada}", b"x" * 32, LATER], CHECK, "refresh_tokens_token_hash_digest"),
    ("request_friend", ["{ada}", "{ada}"], CHECK, "relationships_not_with_oneself"),
    ("request_friend", ["{ada}", "{nobody}"], NO_DATA, None),
    ("request_friend", ["{nobody}", "{ada}"], NO_DATA, None),
    ("request_friend", ["{nobody}", "0" * 25 + "1"], NO_DATA, None),
    ("request_friend", [None, "{ada}"], NO_DATA, None),
    ("answer_friend", ["{ada}", "{bob}", True], NO_DATA, None),
    ("answer_friend", ["{ada}", "{ada}", True], NO_DATA, None),
    ("block_user", ["{ada}", "{ada}"], CHECK, "relationships_not_with_oneself"),
    ("block_user", ["{ada}", "{nobody}"], NO_DATA, None),
    ("notify_user", ["{nobody}", "system"], NO_DATA, None),
    ("notify_user", ["{ada}", "Not a type"], CHECK, "notifications_type_format"),
    ("notify_user", ["{ada}", None], NOT_NULL, None),
    ("put_setting", ["{nobody}", "theme", Jsonb("dark")], FOREIGN_KEY,
     "user_settings_user_id_fkey"),
    ("put_setting", ["{ada}", "theme", Jsonb("blue")], CHECK, "user_settings_theme_valid"),
    ("put_setting", ["{ada}", "notifications_enabled", Jsonb("maybe")], WRONG, None),
    ("start_typing", ["{room}", "{eve}"], FORBIDDEN, None),
    ("start_typing", ["{nobody}", "{ada}"], FORBIDDEN, None),
    ("put_session", [b"x" * 32, {}, LATER], CHECK, "sessions_session_hash_digest"),
    ("put_session", [digest("x"), {}, LATER, "{nobody}"], FOREIGN_KEY,
     "sessions_user_id_fkey"),
    ("hit_rate_limit", ["", 1, "1 s"], CHECK, "rate_limits_key_length"),
    ("hit_rate_limit", ["x" * 501, 1, "1 s"], CHECK, "rate_limits_key_length"),
    ("hit_rate_limit", ["x", 1, "0"], CHECK, "rate_limits_window_not_empty"),
    ("hit_rate_limit", [None, 1, "1 s"], NOT_NULL, None),
]  # fmt: skip


@pytest.mark.parametrize(("function", "args", "state", "constraint"), REFUSALS)
def test_what_an_operation_refuses_it_says_by_sqlstate(
    chat: Conn,
    ids: dict[str, str],
    function: str,
    args: list[Any],
    state: str,
    constraint: str | None,
) -> None:
    named = denied(chat, state, function, *filled(ids, *args))
    assert constraint in (None, named)


# What finds nothing says so, and is no error.
NOTHING: list[tuple[str, list[Any], Any]] = [
    ("find_user", ["{nobody}"], []),
    ("find_user", [None], []),
    ("find_user_by_email", ["nobody@example.org"], []),
    ("find_user_by_username", ["nobody"], []),
    ("find_channel", ["{nobody}"], []),
    ("find_channel", ["{gone}"], []),
    ("find_message", ["{deleted}"], []),
    ("find_message", ["{nobody}"], []),
    ("find_message_by_client_id", ["{bob}", "a1"], []),
    ("list_messages", ["{nobody}"], []),
    ("list_messages", ["{room}", 0], []),
    ("list_channels", ["{nobody}"], []),
    ("unread_counts", ["{nobody}"], []),
    ("list_notifications", ["{ada}"], []),
    ("list_typing", ["{room}"], []),
    ("get_session", [digest("nobody")], []),
    ("touch_last_seen", ["{nobody}"], None),
    ("erase_user", ["{nobody}"], False),
    ("remove_member", ["{room}", "{eve}"], False),
    ("is_member", ["{room}", "{eve}"], False),
    ("is_member", ["{nobody}", "{ada}"], False),
    ("delete_message", ["{nobody}", "{ada}"], False),
    ("delete_message", ["{deleted}", "{ada}"], False),
    ("remove_reaction", ["{first}", "{ada}", "👍"], False),
    ("use_token", [digest("nobody")], None),
    ("revoke_tokens", ["{ada}"], 0),
    ("unblock_user", ["{ada}", "{bob}"], False),
    ("mark_notification_read", ["{nobody}", "{ada}"], False),
    ("hit_rate_limit", ["x", 0, "1 s"], False),
    ("hit_rate_limit", ["x", None, "1 s"], False),
    ("purge_expired", [], 0),
]


@pytest.mark.parametrize(("function", "args", "said"), NOTHING)
def test_what_finds_nothing_says_so_without_an_error(
    chat: Conn, ids: dict[str, str], function: str, args: list[Any], said: Any
) -> None:
    found = rows(chat, function, *filled(ids, *args))
    assert (found if said == [] else found[0][function]) == said


def test_every_function_of_the_schema_is_tried(chat: Conn) -> None:
    """A new operation needs its cases here."""
    tried = {case[0] for case in REFUSALS} | {case[0] for case in NOTHING}
    made = chat.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " AND prorettype <> 'trigger'::regtype AND NOT EXISTS"
        " (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')"
    )
    inner = {"ulid_encode", "generate_ulid", "ulid_timestamp", "pin_search_path", "acting_user",
             "must_act_as", "lock_pair"}  # fmt: skip
    log = {"events_origin", "events_epoch", "events_snapshot", "events_reset", "events_since",
           "purge_events", "set_notify_mode", "bell_is_due", "ring_doorbell", "xid_after",
           }  # fmt: skip  # test_schema_events has them
    policies = {name for (name,) in chat.execute(
        "SELECT p.proname FROM pg_depend d JOIN pg_proc p ON p.oid = d.refobjid"
        " WHERE d.classid = 'pg_policy'::regclass AND d.refclassid = 'pg_proc'::regclass"
    )}  # fmt: skip
    within = {"is_empty_channel"}
    assert {name for (name,) in made} - inner - log - policies - within == tried


# --- users ----------------------------------------------------------------------------------------


def test_a_user_is_found_by_id_email_and_name_without_case(chat: Conn, ids: dict[str, str]) -> None:
    for found in (
        call(chat, "find_user", ids["ada"]),
        call(chat, "find_user_by_email", "Ada@Example.ORG"),
        call(chat, "find_user_by_username", "ADA"),
    ):
        assert (found["id"], found["username"]) == (ids["ada"], "ada")


@pytest.mark.parametrize("path", ["public", "pg_catalog", "elsewhere, public", ""])
def test_operations_work_whatever_the_search_path(
    chat: Conn, ids: dict[str, str], path: str
) -> None:
    """Above all citext, which compares with case where its own schema is not in the path."""
    chat.execute(
        "CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.users (); SET LOCAL search_path = pg_temp"
    )
    chat.execute("SELECT set_config('search_path', %s, true)", [path])
    found = value(chat, "SELECT id FROM public.find_user_by_email('ADA@example.org')")
    assert found == ids["ada"]
    renamed = 'SELECT display_name FROM public.update_user(%s, \'{"display_name": "A"}\')'
    assert value(chat, renamed, ids["ada"]) == "A"
    sent = value(
        chat, "SELECT id FROM public.send_message(%s, %s, 'x', 'c1')", ids["room"], ids["ada"]
    )
    assert value(chat, "SELECT id FROM public.search_messages(%s, 'x', 1)", ids["ada"]) == sent
    assert value(chat, "SELECT public.mark_read(%s, %s)", sent, ids["bob"]) == sent


def test_a_change_of_a_user_leaves_alone_what_it_does_not_name(
    chat: Conn, ids: dict[str, str]
) -> None:
    before = call(chat, "find_user", ids["ada"])
    changed = call(
        chat, "update_user", ids["ada"],
        {"email": "New@example.org", "display_name": "Ada 🙂", "is_verified": True},
    )  # fmt: skip
    expected = {"email": "New@example.org", "display_name": "Ada 🙂", "is_verified": True}
    assert changed == {**before, **expected, "updated_at": changed["updated_at"]}
    emptied = call(chat, "update_user", ids["ada"], {"display_name": None})
    assert emptied["display_name"] is None
    assert emptied["email"] == "New@example.org"
    assert call(chat, "update_user", ids["ada"], {}) == emptied


def test_the_public_view_has_no_email_hash_or_flag_and_no_deleted_user(
    chat: Conn, ids: dict[str, str]
) -> None:
    chat.execute("UPDATE users SET deleted_at = now() WHERE id = %s", [ids["eve"]])
    view = chat.cursor(row_factory=dict_row).execute("SELECT * FROM public_users ORDER BY id")
    found = view.fetchall()
    assert ids_of(found) == [ids["ada"], ids["bob"]]
    assert set(found[0]) == {"id", "username", "display_name", "avatar_url", "created_at"}


def test_presence_and_last_seen_are_kept(chat: Conn, ids: dict[str, str]) -> None:
    assert call(chat, "set_presence", ids["ada"], "busy", "writing")["custom_status"] == "writing"
    later = call(chat, "set_presence", ids["ada"], "away")
    assert (later["status"], later["custom_status"]) == ("away", None)
    assert later["last_seen"] == value(chat, "SELECT now()")
    assert answer(chat, "touch_last_seen", ids["ada"]) == value(chat, "SELECT now()")


def test_who_is_erased_leaves_what_they_wrote_and_nothing_of_themselves(
    chat: Conn, ids: dict[str, str]
) -> None:
    bob = ids["bob"]
    call(chat, "add_reaction", ids["first"], bob, "👍")
    call(chat, "request_friend", ids["ada"], bob)
    call(chat, "block_user", ids["eve"], bob)
    call(chat, "set_presence", bob, "online")
    call(chat, "put_setting", bob, "theme", Jsonb("dark"))
    call(chat, "issue_token", bob, digest("t"), LATER)
    call(chat, "put_session", digest("s"), {}, LATER, bob)
    call(chat, "notify_user", bob, "system")
    call(chat, "start_typing", ids["room"], bob)
    call(chat, "mark_read", ids["first"], bob)
    call(chat, "mark_delivered", ids["first"], bob)
    for table in ("profiles", "notification_preferences"):
        insert(chat, table, user_id=bob)
    insert(chat, "sync_state", user_id=bob, sync_type="x")

    assert answer(chat, "erase_user", bob) is True
    keys = chat.execute(
        "SELECT conrelid::regclass::text, attname, confdeltype FROM pg_constraint"
        " JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]"
        " WHERE contype = 'f' AND confrelid = 'users'::regclass"
    ).fetchall()
    left = {
        table
        for table, column, _ in keys
        if value(chat, f"SELECT count(*) FROM {table} WHERE {column} = %s", bob)
    }
    assert left == {"messages", "reactions", "channels"}
    assert {table for table, _, action in keys if action == "r"} >= left
    row = chat.cursor(row_factory=dict_row).execute("SELECT * FROM users WHERE id = %s", [bob])
    erased = row.fetchone()
    assert erased is not None
    assert "bob" not in str(erased)
    assert BCRYPT not in str(erased)
    assert erased["deleted_at"] is not None
    assert rows(chat, "find_user", bob) == []
    assert call(chat, "find_message", ids["second"])["content"] == "Second"
    assert answer(chat, "erase_user", bob) is True  # a second time does no harm
    assert call(chat, "create_user", "bob@example.org", "bob", "bob")["id"] != bob


# --- channels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["public", "private", "group"])
def test_a_channel_is_made_with_its_members_and_roles(
    chat: Conn, ids: dict[str, str], kind: str
) -> None:
    ada, bob, eve = ids["ada"], ids["bob"], ids["eve"]
    made = call(
        chat, "create_channel", ada, kind, "New", [bob, eve, eve, ada, None], [eve, ada],
        description="d", avatar_url="u", metadata={"a": 1},
    )  # fmt: skip
    assert (made["type"], made["name"], made["created_by"]) == (kind, "New", ada)
    assert (made["description"], made["avatar_url"], made["metadata"]) == ("d", "u", {"a": 1})
    assert members(chat, made["id"]) == {ada: "owner", bob: "member", eve: "admin"}
    assert call(chat, "find_channel", made["id"]) == made


def test_a_channel_is_made_alone_or_not_at_all(chat: Conn, ids: dict[str, str]) -> None:
    made = call(chat, "create_channel", ids["ada"], "public", "Alone", None, None)
    assert members(chat, made["id"]) == {ids["ada"]: "owner"}
    before = value(chat, "SELECT count(*) FROM channels")
    denied(chat, FOREIGN_KEY, "create_channel", ids["ada"], "public", "x", [ids["bob"], NOBODY])
    assert value(chat, "SELECT count(*) FROM channels") == before


def test_a_group_is_not_made_with_101_members(chat: Conn, ids: dict[str, str]) -> None:
    many = users(chat, 100)
    named = denied(chat, CHECK, "create_channel", ids["ada"], "group", "x", many)
    assert named == "channel_members_limit"
    made = call(chat, "create_channel", ids["ada"], "group", "x", many[:99])
    assert denied(chat, CHECK, "add_member", made["id"], many[99]) == "channel_members_limit"


def test_a_channel_is_changed_archived_and_brought_back(chat: Conn, ids: dict[str, str]) -> None:
    room = ids["room"]
    before = call(chat, "find_channel", room)
    changed = call(chat, "update_channel", room, {"name": "N", "metadata": {"b": 2}})
    assert changed == {
        **before, "name": "N", "metadata": {"b": 2}, "updated_at": changed["updated_at"]
    }  # fmt: skip
    archived = call(chat, "archive_channel", room)["archived_at"]
    assert archived is not None
    assert call(chat, "archive_channel", room)["archived_at"] == archived
    denied(chat, NOT_NOW, "send_message", room, ids["ada"], "x")
    assert len(rows(chat, "list_messages", room)) == 2  # it can still be read,
    assert answer(chat, "delete_message", ids["second"], ids["ada"])  # and moderated
    assert call(chat, "archive_channel", room, archived=False)["archived_at"] is None
    send(chat, room, ids["ada"])


def test_a_direct_channel_is_the_same_however_it_is_opened(chat: Conn, ids: dict[str, str]) -> None:
    ada, bob, eve = ids["ada"], ids["bob"], ids["eve"]
    for one, other in ((ada, bob), (bob, ada), (ada, bob)):
        assert call(chat, "open_direct_channel", one, other)["id"] == ids["direct"]
    new = call(chat, "open_direct_channel", eve, ada)
    assert (new["type"], new["created_by"], new["name"]) == ("direct", eve, None)
    assert members(chat, new["id"]) == {ada: "member", eve: "member"}
    assert call(chat, "open_direct_channel", ada, eve) == new
    alone = call(chat, "open_direct_channel", ada, ada)["id"]
    assert members(chat, alone) == {ada: "member"}


@pytest.mark.parametrize(
    "end",
    ["UPDATE channels SET deleted_at = now() WHERE id = %s",
     "UPDATE channels SET archived_at = now() WHERE id = %s",
     "DELETE FROM channel_members WHERE channel_id = %s"],
)  # fmt: skip
def test_a_direct_channel_that_was_deleted_archived_or_left_comes_back(
    chat: Conn, ids: dict[str, str], end: str
) -> None:
    said = send(chat, ids["direct"], ids["ada"])
    chat.execute(end, [ids["direct"]])
    back = call(chat, "open_direct_channel", ids["bob"], ids["ada"])
    assert (back["id"], back["deleted_at"], back["archived_at"]) == (ids["direct"], None, None)
    assert set(members(chat, back["id"])) == {ids["ada"], ids["bob"]}
    assert ids_of(rows(chat, "list_messages", back["id"])) == [said]


def test_a_member_is_added_given_a_role_and_taken_out(chat: Conn, ids: dict[str, str]) -> None:
    room, eve = ids["room"], ids["eve"]
    assert answer(chat, "add_member", room, eve) is True
    assert answer(chat, "add_member", room, eve, "admin") is False
    assert answer(chat, "is_member", room, eve) is True
    assert members(chat, room)[eve] == "member"
    assert call(chat, "set_role", room, eve, "admin")["role"] == "admin"
    assert answer(chat, "remove_member", room, eve) is True
    assert answer(chat, "is_member", room, eve) is False


# --- messages -------------------------------------------------------------------------------------


def test_a_message_is_sent_found_and_answered(chat: Conn, ids: dict[str, str]) -> None:
    sent = call(
        chat, "send_message", ids["room"], ids["bob"], "Yes", "b1", ids["first"], "text", {"k": 1}
    )
    assert sent["reply_to_id"] == ids["first"]
    assert (sent["content"], sent["metadata"], sent["status"]) == ("Yes", {"k": 1}, "sending")
    assert call(chat, "find_message", sent["id"]) == sent
    assert call(chat, "find_message_by_client_id", ids["bob"], "b1") == sent
    picture = call(chat, "send_message", ids["room"], ids["bob"], "", content_type="image")
    assert picture["content"] == ""


def test_a_resend_gives_the_first_message_back_also_after_it_was_deleted(
    chat: Conn, ids: dict[str, str]
) -> None:
    again = call(chat, "send_message", ids["room"], ids["ada"], "Other words", "a1")
    assert (again["id"], again["content"]) == (ids["first"], "First")
    assert answer(chat, "delete_message", ids["first"], ids["ada"])
    assert send(chat, ids["room"], ids["ada"], client_message_id="a1") == ids["first"]
    call(chat, "archive_channel", ids["room"])
    assert send(chat, ids["room"], ids["ada"], client_message_id="a1") == ids["first"]
    assert send(chat, ids["group"], ids["bob"], client_message_id="a1") != ids["first"]


def test_what_a_message_said_before_is_kept(chat: Conn, ids: dict[str, str]) -> None:
    first, ada = ids["first"], ids["ada"]
    for content in ("Two", "Two", "Three"):
        edited = call(chat, "edit_message", first, ada, content)
        assert edited["content"] == content
        assert edited["edited_at"] == value(chat, "SELECT now()")
    chat.execute("UPDATE messages SET status = 'read' WHERE id = %s", [first])
    edits = chat.execute(
        "SELECT previous_content, edited_by FROM message_edits WHERE message_id = %s ORDER BY id",
        [first],
    )
    assert edits.fetchall() == [("First", ada), ("Two", ada)]


def test_a_deleted_message_is_gone_from_every_read(chat: Conn, ids: dict[str, str]) -> None:
    call(
        chat,
        "edit_message",
        ids["first"],
        ids["ada"],
        "Findable",
    )
    assert ids_of(rows(chat, "search_messages", ids["bob"], "findable")) == [ids["first"]]
    assert answer(chat, "delete_message", ids["first"], ids["ada"]) is True
    assert answer(chat, "delete_message", ids["first"], ids["ada"]) is False
    assert rows(chat, "find_message", ids["first"]) == []
    assert rows(chat, "find_message_by_client_id", ids["ada"], "a1") == []
    assert ids_of(rows(chat, "list_messages", ids["room"])) == [ids["second"]]
    assert rows(chat, "search_messages", ids["bob"], "findable") == []
    unread = {r["channel_id"]: r["unread"] for r in rows(chat, "unread_counts", ids["bob"])}
    assert unread[ids["room"]] == 0


def test_an_admin_of_the_channel_may_delete_what_another_wrote(
    chat: Conn, ids: dict[str, str]
) -> None:
    assert answer(chat, "delete_message", ids["second"], ids["ada"]) is True
    assert value(chat, "SELECT content FROM messages WHERE id = %s", ids["second"]) == "Second"


@pytest.mark.parametrize(("setting", "kept"), [("off", 0), ("false", 0), ("on", 1), ("", 1)])
def test_the_setting_decides_whether_a_delete_keeps_the_row(
    chat: Conn, ids: dict[str, str], setting: str, kept: int
) -> None:
    chat.execute("SELECT set_config('chat.soft_delete', %s, true)", [setting])
    call(chat, "add_reaction", ids["first"], ids["bob"], "👍")
    denied(chat, FORBIDDEN, "delete_message", ids["first"], ids["bob"])
    assert answer(chat, "delete_message", ids["first"], ids["ada"]) is True
    assert value(chat, "SELECT count(*) FROM messages WHERE id = %s", ids["first"]) == kept
    # without soft delete, what was marked before goes, too
    assert answer(chat, "delete_message", ids["deleted"], ids["ada"]) is (kept == 0)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("100%", {"100% sure"}),
        ("%", {"100% sure", r"%\_"}),
        ("_", {"snake_case", r"%\_"}),
        ("\\", {"C:\\temp", r"%\_"}),
        (r"%\_", {r"%\_"}),
        ("e_c", {"snake_case"}),
        ("it's", {'It\'s "quoted"'}),
        ('"QUOTED"', {'It\'s "quoted"'}),
        ("'; DROP TABLE messages; --", set()),
        ("straße", {"Lange STRAßE"}),
        ("🙂", {"smile 🙂"}),
        ("  sure ", {"100% sure", "1000 sures"}),
        ("C:\\temp", {"C:\\temp"}),
        (".", set()),
        ("*", set()),
        ("tw\no", {"tw\no lines"}),
    ],
)
def test_a_search_takes_every_character_for_itself(
    chat: Conn, ids: dict[str, str], query: str, found: set[str]
) -> None:
    texts = ["100% sure", "1000 sures", "snake_case", "snakexcase", "C:\\temp", r"%\_",
             'It\'s "quoted"', "Lange STRAßE", "smile 🙂", "tw\no lines"]  # fmt: skip
    for text in texts:
        send(chat, ids["group"], ids["bob"], text)
    hits = rows(chat, "search_messages", ids["ada"], query, channel_id=ids["group"])
    assert {hit["content"] for hit in hits} == found


def test_a_search_sees_the_live_channels_of_the_user_alone(chat: Conn, ids: dict[str, str]) -> None:
    seen = {}
    for name in ("room", "group", "hall"):
        who = ids["eve"] if name == "hall" else ids["ada"]
        seen[name] = send(chat, ids[name], who, "needle")
    chat.execute("UPDATE messages SET content = 'needle' WHERE id = %s", [ids["lost"]])
    assert ids_of(rows(chat, "search_messages", ids["bob"], "NEEDLE")) == [
        seen["group"], seen["room"]
    ]  # fmt: skip
    one = rows(chat, "search_messages", ids["bob"], "needle", channel_id=ids["room"])
    assert ids_of(one) == [seen["room"]]
    assert rows(chat, "search_messages", ids["bob"], "needle", channel_id=ids["hall"]) == []
    assert ids_of(rows(chat, "search_messages", ids["bob"], "needle", 1)) == [seen["group"]]
    before = rows(chat, "search_messages", ids["bob"], "needle", 5, before=seen["group"])
    assert ids_of(before) == [seen["room"]]


def test_a_search_for_a_frequent_word_reads_the_newest_messages_not_all(
    chat: Conn, ids: dict[str, str]
) -> None:
    chat.execute(
        "INSERT INTO channels (type, name, created_by) SELECT 'private', 'x', %s"
        " FROM generate_series(1, 200)",
        [ids["ada"]],
    )
    chat.execute(
        "INSERT INTO channel_members (channel_id, user_id) SELECT id, created_by FROM channels"
        " WHERE name = 'x'"
    )
    chat.execute(
        "INSERT INTO messages (channel_id, user_id, content)"
        " SELECT id, created_by, 'hello ' || n FROM channels, generate_series(1, 20) n"
        " WHERE name = 'x'"
    )
    chat.execute("ANALYZE channels; ANALYZE channel_members; ANALYZE messages")
    rows(chat, "search_messages", ids["ada"], "hello", 20)  # what is read once a session
    explain = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) SELECT * FROM "
    plan = value(chat, explain + "search_messages(%s, 'hello', 20)", ids["ada"])[0]["Plan"]
    assert plan["Actual Rows"] == 20
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 400


def test_the_read_marker_moves_forward_and_never_back(chat: Conn, ids: dict[str, str]) -> None:
    one, two, bob = ids["first"], ids["second"], ids["bob"]
    assert answer(chat, "mark_read", two, bob) == two
    assert answer(chat, "mark_read", one, bob) == two
    assert answer(chat, "mark_read", two, bob) == two
    receipts = chat.execute("SELECT message_id FROM message_reads WHERE user_id = %s", [bob])
    assert {r[0] for r in receipts} == {one, two}
    other = value(
        chat, "SELECT last_read_message_id FROM channel_members WHERE channel_id = %s"
        " AND user_id = %s", ids["room"], ids["ada"],
    )  # fmt: skip
    assert other is None


def test_a_delivery_is_written_once(chat: Conn, ids: dict[str, str]) -> None:
    assert answer(chat, "mark_delivered", ids["first"], ids["bob"]) is True
    assert answer(chat, "mark_delivered", ids["first"], ids["bob"]) is False


def test_an_emoji_is_put_on_a_message_once_and_taken_off(chat: Conn, ids: dict[str, str]) -> None:
    first, bob = ids["first"], ids["bob"]
    made = call(chat, "add_reaction", first, bob, "👍")
    assert call(chat, "add_reaction", first, bob, "👍") == made
    assert call(chat, "add_reaction", first, bob, "🎉")["id"] != made["id"]
    assert answer(chat, "remove_reaction", first, bob, "👍") is True
    assert answer(chat, "remove_reaction", first, bob, "👍") is False


# --- pages ----------------------------------------------------------------------------------------


def ulid(n: int) -> str:
    return f"{n:026}"


def put(conn: Conn, channel: str, user: str, messages: list[tuple[int, bool]]) -> None:
    """Messages by number, with whether they are deleted."""
    conn.cursor().executemany(
        "INSERT INTO messages (id, channel_id, user_id, content, deleted_at)"
        " VALUES (%s, %s, %s, 'x', CASE WHEN %s THEN now() END)",
        [(ulid(n), channel, user, deleted) for n, deleted in messages],
    )


NUMBERED = st.lists(
    st.tuples(st.integers(1, 99), st.booleans()), max_size=14, unique_by=lambda m: m[0]
)


@given(NUMBERED, st.integers(1, 5))
@FEW
def test_pages_of_messages_lose_none_and_double_none_while_others_write(
    shared: tuple[Conn, dict[str, str]], messages: list[tuple[int, bool]], size: int
) -> None:
    conn, ids = shared
    with conn.transaction(force_rollback=True):
        put(conn, ids["group"], ids["ada"], messages)
        seen: list[str] = []
        before, arrived = None, 100
        while page := rows(conn, "list_messages", ids["group"], size, before):
            assert len(page) <= size
            seen += ids_of(page)
            before = seen[-1]
            # Between two pages somebody writes, and deletes what was read already.
            put(conn, ids["group"], ids["bob"], [(arrived, False)])
            conn.execute("UPDATE messages SET deleted_at = now() WHERE id = %s", [seen[0]])
            arrived += 1
        assert seen == sorted((ulid(n) for n, deleted in messages if not deleted), reverse=True)


@given(st.lists(st.lists(st.tuples(st.integers(1, 999), st.booleans()), max_size=3), max_size=7),
       st.integers(1, 3))  # fmt: skip
@FEW
def test_pages_of_channels_come_by_last_activity_each_channel_once(
    shared: tuple[Conn, dict[str, str]],
    channels: list[list[tuple[int, bool]]],
    size: int,
) -> None:
    conn, ids = shared
    with conn.transaction(force_rollback=True):
        conn.execute("DELETE FROM channel_members WHERE user_id = %s", [ids["eve"]])
        expected = []
        for number, messages in enumerate(channels):
            channel = ulid(10**6 - 10**3 * number)  # older ones have newer messages, or none
            insert(conn, "channels", id=channel, type="group", name="x")
            conn.execute(
                "INSERT INTO channel_members (channel_id, user_id) VALUES (%s, %s)",
                [channel, ids["eve"]],
            )
            once = {(2 + number) * 10**6 + n: deleted for n, deleted in messages}
            put(conn, channel, ids["ada"], list(once.items()))
            live = [ulid(n) for n, deleted in once.items() if not deleted]
            expected.append((max(live, default=channel), channel, len(live)))
        expected.sort(reverse=True)

        seen: list[Row] = []
        before = None
        while page := rows(conn, "list_channels", ids["eve"], size, before):
            assert len(page) <= size
            seen += page
            before = page[-1]["last_activity"]
        assert [(r["last_activity"], r["id"], r["unread"]) for r in seen] == expected
        assert all(r["last_message_id"] in (None, r["last_activity"]) for r in seen)


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), max_size=25),
    st.one_of(st.none(), st.integers(0, 26)),
)
@FEW
def test_unread_counts_are_the_live_messages_of_others_after_the_marker(
    shared: tuple[Conn, dict[str, str]],
    messages: list[tuple[bool, bool]],
    marker: int | None,
) -> None:
    conn, ids = shared
    with conn.transaction(force_rollback=True):
        for number, (own, deleted) in enumerate(messages):
            put(conn, ids["group"], ids["ada" if own else "bob"], [(number, deleted)])
        conn.execute(
            "UPDATE channel_members SET last_read_message_id = %s"
            " WHERE channel_id = %s AND user_id = %s",
            [None if marker is None else ulid(marker), ids["group"], ids["ada"]],
        )
        plain = sum(
            not own and not deleted and number > (-1 if marker is None else marker)
            for number, (own, deleted) in enumerate(messages)
        )
        counts = {r["channel_id"]: r["unread"] for r in rows(conn, "unread_counts", ids["ada"])}
        assert counts[ids["group"]] == plain
        assert set(counts) == {ids[n] for n in ("room", "group", "archive", "direct")}
        listed = {r["id"]: r["unread"] for r in rows(conn, "list_channels", ids["ada"])}
        assert listed == counts


@pytest.mark.parametrize(("written", "counted"), [(99, 99), (100, 100), (101, 100), (300, 100)])
def test_unread_messages_are_counted_up_to_100(
    chat: Conn, ids: dict[str, str], written: int, counted: int
) -> None:
    put(chat, ids["group"], ids["bob"], [(n, False) for n in range(written)])
    counts = {r["channel_id"]: r["unread"] for r in rows(chat, "unread_counts", ids["ada"])}
    assert counts[ids["group"]] == counted


def test_a_channel_in_the_list_has_what_a_client_shows(chat: Conn, ids: dict[str, str]) -> None:
    said = send(chat, ids["direct"], ids["ada"], "é" * 150)
    listed = {r["id"]: r for r in rows(chat, "list_channels", ids["bob"])}
    assert set(listed) == {ids[n] for n in ("room", "group", "archive", "direct")}
    direct = listed[ids["direct"]]
    assert direct["direct_user_id"] == ids["ada"]
    assert direct["last_message_preview"] == "é" * 100
    assert (direct["last_message_id"], direct["last_message_user_id"]) == (said, ids["ada"])
    assert (direct["last_message_at"], direct["unread"]) == (value(chat, "SELECT now()"), 1)
    assert listed[ids["group"]]["last_message_id"] is None
    assert listed[ids["group"]]["last_activity"] == ids["group"]
    assert (listed[ids["room"]]["role"], listed[ids["archive"]]["archived_at"] is None) == (
        "member", False,
    )  # fmt: skip


READS = [
    ("find_user", "'x'"),
    ("find_user_by_email", "'x'"),
    ("find_user_by_username", "'x'"),
    ("find_channel", "'x'"),
    ("find_message", "'x'"),
    ("find_message_by_client_id", "'x', 'y'"),
    ("list_messages", "'x'"),
    ("list_messages", "'x', 10, 'y'"),
    ("unread_counts", "'x'"),
    ("list_channels", "'x'"),
    ("list_notifications", "'x', unread_only => true"),
    ("list_typing", "'x'"),
]


@pytest.mark.parametrize("role", [None, "chat_app"])
@pytest.mark.parametrize(("function", "args"), READS)
def test_reads_are_inlined_into_the_query_that_calls_them(
    chat: Conn, function: str, args: str, role: str | None
) -> None:
    if role:
        chat.execute(f"SET LOCAL ROLE {role}")
    chat.execute("SET LOCAL enable_seqscan = off")
    plan = "\n".join(r[0] for r in chat.execute(f"EXPLAIN SELECT * FROM {function}({args})"))
    assert "Function Scan" not in plan
    assert "Index" in plan


def test_the_newest_page_is_one_index_range_under_row_level_security(
    chat: Conn, ids: dict[str, str]
) -> None:
    """A policy must not come before the key: the newest page reads the page, not the channel."""
    put(chat, ids["room"], ids["bob"], [(n, False) for n in range(1000, 3000)])
    put(chat, ids["group"], ids["bob"], [(n, False) for n in range(100)])
    chat.execute("ANALYZE messages")
    chat.execute("SET LOCAL ROLE chat_app")
    chat.execute("SELECT set_config('chat.user_id', %s, true)", [ids["ada"]])
    explain = "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) SELECT * FROM "
    plan = value(chat, explain + "list_messages(%s, 20)", ids["group"])[0]["Plan"]
    scans = [node for node in nodes(plan) if node.get("Relation Name") == "messages"]
    assert [scan["Index Name"] for scan in scans] == ["messages_channel_newest_idx"]
    assert scans[0]["Actual Rows"] == 20
    assert scans[0].get("Rows Removed by Filter", 0) == 0


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(inner for child in plan.get("Plans", []) for inner in nodes(child))]


# --- accounts -------------------------------------------------------------------------------------


def test_a_token_is_used_once(chat: Conn, ids: dict[str, str]) -> None:
    issued = call(chat, "issue_token", ids["ada"], digest("t"), LATER)
    assert (issued["user_id"], issued["revoked_at"]) == (ids["ada"], None)
    assert denied(chat, UNIQUE, "issue_token", ids["bob"], digest("t"), LATER)
    assert answer(chat, "use_token", digest("t")) == ids["ada"]
    assert answer(chat, "use_token", digest("t")) is None


@pytest.mark.parametrize(
    "end",
    ["UPDATE refresh_tokens SET revoked_at = now()",
     "UPDATE refresh_tokens SET expires_at = clock_timestamp()",
     "UPDATE users SET is_active = false", "UPDATE users SET deleted_at = now()",
     "SELECT revoke_tokens(user_id) FROM refresh_tokens"],
)  # fmt: skip
def test_a_token_that_ended_is_of_no_use(chat: Conn, ids: dict[str, str], end: str) -> None:
    call(chat, "issue_token", ids["ada"], digest("t"), LATER)
    chat.execute(end)
    assert answer(chat, "use_token", digest("t")) is None


def test_all_live_tokens_of_a_user_are_revoked_and_counted(chat: Conn, ids: dict[str, str]) -> None:
    for name, who, until in (("1", "ada", LATER), ("2", "ada", LATER),
                             ("3", "ada", "yesterday"), ("4", "bob", LATER)):  # fmt: skip
        call(chat, "issue_token", ids[who], digest(name), until)
    answer(chat, "use_token", digest("1"))
    assert answer(chat, "revoke_tokens", ids["ada"]) == 1
    assert answer(chat, "use_token", digest("2")) is None
    assert answer(chat, "use_token", digest("4")) == ids["bob"]


def test_a_friend_is_asked_and_answers(chat: Conn, ids: dict[str, str]) -> None:
    ada, bob, eve = ids["ada"], ids["bob"], ids["eve"]
    asked = call(chat, "request_friend", ada, bob)
    assert call(chat, "request_friend", ada, bob) == asked
    assert call(chat, "answer_friend", bob, ada, True)["status"] == "accepted"
    denied(chat, NO_DATA, "answer_friend", bob, ada, False)  # answered already
    denied(chat, NO_DATA, "answer_friend", ada, bob, True)  # nobody asked Ada
    assert call(chat, "request_friend", bob, ada)["status"] == "accepted"
    call(chat, "request_friend", ada, eve)
    assert call(chat, "answer_friend", eve, ada, False)["status"] == "rejected"
    assert call(chat, "request_friend", ada, eve)["status"] == "rejected"
    # who rejected may change their mind, and ask
    assert call(chat, "request_friend", eve, ada)["status"] == "accepted"
    assert related(chat) == {(ada, bob, "friend", "accepted"), (ada, eve, "friend", "accepted")}


def test_a_block_ends_what_was_between_two_and_refuses_new(chat: Conn, ids: dict[str, str]) -> None:
    ada, bob = ids["ada"], ids["bob"]
    call(chat, "request_friend", bob, ada)
    for _ in range(2):
        blocked = call(chat, "block_user", ada, bob)
    assert related(chat) == {(ada, bob, "blocked", "accepted")}
    assert (blocked["type"], blocked["status"]) == ("blocked", "accepted")
    for one, other in ((ada, bob), (bob, ada)):
        denied(chat, FORBIDDEN, "request_friend", one, other)
        denied(chat, FORBIDDEN, "open_direct_channel", one, other)
    call(chat, "block_user", bob, ada)
    assert answer(chat, "unblock_user", ada, bob) is True
    assert related(chat) == {(bob, ada, "blocked", "accepted")}
    denied(chat, FORBIDDEN, "request_friend", ada, bob)
    assert answer(chat, "unblock_user", bob, ada) is True
    call(chat, "request_friend", ada, bob)


def test_a_friend_who_is_blocked_is_no_friend_any_more(chat: Conn, ids: dict[str, str]) -> None:
    ada, bob = ids["ada"], ids["bob"]
    for asks, answers in ((ada, bob), (bob, ada)):
        call(chat, "request_friend", asks, answers)
        call(chat, "answer_friend", answers, asks, True)
        call(chat, "block_user", ada, bob)
        assert related(chat) == {(ada, bob, "blocked", "accepted")}
        assert answer(chat, "unblock_user", ada, bob)
        assert related(chat) == set()


@pytest.mark.parametrize("gone", ["one", "both"])
def test_nobody_makes_friends_with_a_deleted_user(
    chat: Conn, ids: dict[str, str], gone: str
) -> None:
    chat.execute("UPDATE users SET deleted_at = now() WHERE id = %s", [ids["bob"]])
    if gone == "both":
        chat.execute("UPDATE users SET deleted_at = now() WHERE id = %s", [ids["ada"]])
    for function in ("request_friend", "block_user"):
        denied(chat, NO_DATA, function, ids["ada"], ids["bob"])
        denied(chat, NO_DATA, function, ids["bob"], ids["ada"])


@pytest.mark.parametrize(
    ("table", "wish", "type_", "told"),
    [
        (None, {}, "message", True),
        ("user_settings", {"notifications_enabled": False}, "message", False),
        ("notification_preferences", {"in_app": False}, "message", False),
        ("notification_preferences", {"email": False, "push": False}, "message", True),
        ("notification_preferences", {"on_message": False}, "message", False),
        ("notification_preferences", {"on_message": False}, "message.mention", False),
        ("notification_preferences", {"on_message": False}, "messages", True),
        ("notification_preferences", {"on_message": False}, "system", True),
        ("notification_preferences", {"on_friend_request": False}, "friend_request", False),
        ("notification_preferences", {"on_system": False}, "system.update", False),
        ("notification_preferences", {"other": '{"poll": false}'}, "poll.closed", False),
        ("notification_preferences", {"other": '{"poll": true}'}, "poll", True),
        ("notification_preferences", {"other": '{"poll": null}'}, "poll", True),
        ("notification_preferences", {"other": '{"message": false}'}, "message", True),
    ],
)  # fmt: skip
def test_who_does_not_want_to_be_told_is_not(
    chat: Conn, ids: dict[str, str], table: str | None, wish: Row, type_: str, told: bool
) -> None:
    if table:
        insert(chat, table, user_id=ids["ada"], **wish)
    made = answer(chat, "notify_user", ids["ada"], type_, {"k": 1}, "message", ids["first"])
    assert (made is not None) is told
    assert ids_of(rows(chat, "list_notifications", ids["ada"])) == ([made] if told else [])


def test_notifications_come_in_pages_and_are_read_once(chat: Conn, ids: dict[str, str]) -> None:
    ada = ids["ada"]
    made = [answer(chat, "notify_user", ada, "system", {"n": n}) for n in range(5)]
    made.reverse()
    assert ids_of(rows(chat, "list_notifications", ada, 2)) == made[:2]
    assert ids_of(rows(chat, "list_notifications", ada, 9, made[1])) == made[2:]
    assert answer(chat, "mark_notification_read", made[0], ids["bob"]) is False
    assert answer(chat, "mark_notification_read", made[0], ada) is True
    assert answer(chat, "mark_notification_read", made[0], ada) is False
    assert ids_of(rows(chat, "list_notifications", ada, unread_only=True)) == made[1:]
    assert ids_of(rows(chat, "list_notifications", ada)) == made
    assert ids_of(rows(chat, "list_notifications", ada, None, None, None)) == made


SETTINGS: list[tuple[str, Any, tuple[str, bool, Any]]] = [
    ("theme", Jsonb("dark"), ("dark", True, {"a": 1})),
    ("theme", Jsonb(None), ("light", True, {"a": 1})),
    ("theme", None, ("light", True, {"a": 1})),
    ("notifications_enabled", Jsonb(False), ("light", False, {"a": 1})),
    ("notifications_enabled", Jsonb(None), ("light", True, {"a": 1})),
    ("b", Jsonb({"x": [1]}), ("light", True, {"a": 1, "b": {"x": [1]}})),
    ("a", Jsonb(2), ("light", True, {"a": 2})),
    ("a", Jsonb(None), ("light", True, {})),
    ("a", None, ("light", True, {})),
    ("missing", Jsonb(None), ("light", True, {"a": 1})),
]


@pytest.mark.parametrize(("key", "to", "then"), SETTINGS)
def test_a_setting_is_put_where_it_belongs_and_null_takes_it_back(
    chat: Conn, ids: dict[str, str], key: str, to: Any, then: tuple[str, bool, Any]
) -> None:
    call(chat, "put_setting", ids["ada"], "a", Jsonb(1))
    call(chat, "put_setting", ids["ada"], key, to)
    row = call(chat, "put_setting", ids["ada"], "missing", Jsonb(None))
    assert (row["theme"], row["notifications_enabled"], row["preferences"]) == then


@pytest.mark.parametrize("key", ["theme", "notifications_enabled", "other"])
def test_a_setting_that_is_taken_back_first_leaves_the_defaults(
    chat: Conn, ids: dict[str, str], key: str
) -> None:
    row = call(chat, "put_setting", ids["ada"], key, Jsonb(None))
    assert (row["theme"], row["notifications_enabled"], row["preferences"]) == ("light", True, {})


# --- what expires ---------------------------------------------------------------------------------


def test_a_session_is_put_found_and_replaced(chat: Conn, ids: dict[str, str]) -> None:
    call(chat, "put_session", digest("s"), {"a": 1}, LATER)
    assert call(chat, "get_session", digest("s"))["user_id"] is None
    call(chat, "put_session", digest("s"), {"b": 2}, LATER, ids["ada"])
    found = call(chat, "get_session", digest("s"))
    assert (found["user_id"], found["data"]) == (ids["ada"], {"b": 2})


def test_who_is_typing_is_seen_for_a_while(chat: Conn, ids: dict[str, str]) -> None:
    until = answer(chat, "start_typing", ids["room"], ids["ada"], timedelta(hours=1))
    answer(chat, "start_typing", ids["room"], ids["bob"], timedelta(0))
    found = rows(chat, "list_typing", ids["room"])
    assert [(r["user_id"], r["expires_at"]) for r in found] == [(ids["ada"], until)]
    answer(chat, "start_typing", ids["room"], ids["ada"], timedelta(0))
    assert rows(chat, "list_typing", ids["room"]) == []


def expired_rows(conn: Conn, ids: dict[str, str], when: Any) -> None:
    """One row of each kind that expires, all at this time."""
    ada = ids["ada"]
    call(conn, "notify_user", ada, "system", expires_at=when)
    call(conn, "put_session", digest("s"), {}, when)
    call(conn, "issue_token", ada, digest("t"), when)
    insert(conn, "typing_indicators", channel_id=ids["room"], user_id=ada, expires_at=when)
    insert(conn, "rate_limits", key="k", window_start="2000-01-01", window_end=when, hits=9)


@pytest.mark.parametrize("when", ["yesterday", "a moment ago"])
def test_no_read_ever_returns_an_expired_row(chat: Conn, ids: dict[str, str], when: str) -> None:
    """Also in a transaction that began when it had not expired."""
    expired_rows(chat, ids, value(chat, "SELECT clock_timestamp()") if when[0] == "a" else when)
    assert rows(chat, "list_notifications", ids["ada"]) == []
    told = value(chat, "SELECT id FROM notifications")
    assert answer(chat, "mark_notification_read", told, ids["ada"]) is False
    assert rows(chat, "get_session", digest("s")) == []
    assert rows(chat, "list_typing", ids["room"]) == []
    assert answer(chat, "use_token", digest("t")) is None
    assert answer(chat, "revoke_tokens", ids["ada"]) == 0
    assert answer(chat, "hit_rate_limit", "k", 1, "1 h") is True


def test_what_expired_is_purged_and_nothing_else(chat: Conn, ids: dict[str, str]) -> None:
    expired_rows(chat, ids, "yesterday")
    call(chat, "notify_user", ids["ada"], "system")
    call(chat, "notify_user", ids["ada"], "system", expires_at="tomorrow")
    call(chat, "put_session", digest("s2"), {}, "tomorrow")
    call(chat, "issue_token", ids["ada"], digest("t2"), "tomorrow")
    call(chat, "start_typing", ids["room"], ids["bob"])
    answer(chat, "hit_rate_limit", "k2", 1, "1 h")
    assert answer(chat, "purge_expired") == 5
    assert answer(chat, "purge_expired") == 0
    left = ("notifications", "sessions", "refresh_tokens", "typing_indicators", "rate_limits")
    kept = [value(chat, f"SELECT count(*) FROM {table}") for table in left]
    assert kept == [2, 1, 1, 1, 1]


def test_a_purge_reads_no_table_that_may_be_large_as_a_whole(chat: Conn) -> None:
    indexes = chat.execute(
        "SELECT relname, attname FROM pg_index JOIN pg_class ON pg_class.oid = indrelid"
        " JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]"
        " WHERE attname IN ('expires_at', 'window_end')"
    )
    assert {table for table, _ in indexes} == {
        "notifications", "sessions", "refresh_tokens", "rate_limits"
    }  # fmt: skip


def test_a_rate_limit_counts_within_its_window(chat: Conn) -> None:
    assert [answer(chat, "hit_rate_limit", "k", 3, "1 h") for _ in range(5)] == [
        True, True, True, False, False
    ]  # fmt: skip
    assert value(chat, "SELECT hits FROM rate_limits") == 3
    assert answer(chat, "hit_rate_limit", "other", 1, "1 h") is True
    assert answer(chat, "hit_rate_limit", "k", 4, "1 h") is True
    chat.execute("UPDATE rate_limits SET window_end = clock_timestamp()")
    assert [answer(chat, "hit_rate_limit", "k", 1, "1 h") for _ in range(2)] == [True, False]
    assert value(chat, "SELECT window_end - window_start FROM rate_limits WHERE key = 'k'") == (
        timedelta(hours=1)
    )


# --- at once --------------------------------------------------------------------------------------


class Two:
    """Two sessions of one database, and users of the test's own."""

    def __init__(self, one: Conn, other: Conn) -> None:
        self.one = one
        self.other = other
        self.made = 0

    def people(self) -> tuple[str, str]:
        self.made += 2
        names = (f"user_{self.made - 1}", f"user_{self.made}")
        ada, bob = people(self.one, *names)
        return ada, bob

    def room(self) -> tuple[str, str, str, str]:
        """A private channel of two, and a message in it."""
        ada, bob = self.people()
        room = call(self.one, "create_channel", ada, "private", "room", [bob])["id"]
        return ada, bob, room, send(self.one, room, ada, "First")

    def race(self, one: tuple[Any, ...], other: tuple[Any, ...]) -> tuple[Row, Row]:
        """Both calls at once; the second waits until the first has committed."""
        answers: list[list[Row]] = [[], []]

        def run(place: int, conn: Conn, arguments: tuple[Any, ...]) -> None:
            answers[place] = rows(conn, *arguments)

        error = race(
            self.one,
            self.other,
            lambda: run(0, self.one, one),
            lambda: run(1, self.other, other),
        )
        if error:
            raise error
        return answers[0][0], answers[1][0]

    def late(self, one: tuple[Any, ...], other: tuple[Any, ...]) -> Callable[[], Row]:
        """`other`, in a REPEATABLE READ transaction that began before `one` was done."""
        self.other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        value(self.other, "SELECT count(*) FROM users")
        rows(self.one, *one)

        def retry() -> Row:
            self.other.execute("ROLLBACK")
            return rows(self.other, *other)[0]

        try:
            with pytest.raises(SERIALIZATION):
                rows(self.other, *other)
        finally:
            self.other.execute("ROLLBACK")
        return retry


@pytest.fixture(scope="module")
def pair(server: Server) -> Iterator[Two]:
    made = server.chat()
    with made.connect() as one, made.connect() as other:
        yield Two(one, other)
    made.drop()


@pytest.fixture
def two(pair: Two) -> Iterator[Two]:
    yield pair
    for conn in (pair.one, pair.other):
        conn.rollback()


def test_a_direct_channel_that_both_open_at_once_is_one(two: Two) -> None:
    ada, bob = two.people()
    one, other = two.race(("open_direct_channel", ada, bob), ("open_direct_channel", bob, ada))
    assert one["id"] == other["id"]
    assert members(two.one, one["id"]) == {ada: "member", bob: "member"}


def test_the_same_message_sent_twice_at_once_is_one(two: Two) -> None:
    ada, _, room, first = two.room()
    again = ("send_message", room, ada, "Hi", "c1")
    one, other = two.race(again, again)
    assert one == other
    assert ids_of(rows(two.one, "list_messages", room)) == [one["id"], first]


def test_of_two_that_send_the_same_message_the_second_goes_on_when_the_first_fails(
    two: Two,
) -> None:
    ada, _, room, _ = two.room()
    again = ("send_message", room, ada, "Hi", "c1")
    waiting = threading.Thread(target=lambda: rows(two.other, *again))
    with two.one.transaction(force_rollback=True):
        lost = call(two.one, *again)["id"]
        waiting.start()
        assert waits(two.one, two.other.info.backend_pid)
    waiting.join(20)
    assert call(two.one, "find_message_by_client_id", ada, "c1")["id"] != lost


@pytest.mark.parametrize(
    "case", ["direct", "message", "friend", "friend again", "token", "reaction", "edit", "limit"]
)
def test_under_repeatable_read_the_second_is_told_to_try_again_and_then_is_right(
    two: Two, case: str
) -> None:
    """A snapshot from before the other's commit must lead to 40001, never to two of one thing."""
    ada, bob, room, first = two.room()
    token = digest(ada)
    call(two.one, "issue_token", ada, token, LATER)
    key = f"key {ada}"
    answer(two.one, "hit_rate_limit", key, 2, "1 h")
    calls: dict[str, tuple[Any, Any]] = {
        "direct": (("open_direct_channel", ada, bob), ("open_direct_channel", bob, ada)),
        "message": (("send_message", room, ada, "Hi", "c1"),) * 2,
        "friend": (("request_friend", ada, bob), ("request_friend", bob, ada)),
        "friend again": (("request_friend", ada, bob),) * 2,
        "token": (("use_token", token),) * 2,
        "reaction": (("add_reaction", first, bob, "👍"),) * 2,
        "edit": (("delete_message", first, ada), ("delete_message", first, ada)),
        "limit": (("hit_rate_limit", key, 2, "1 h"),) * 2,
    }
    then = two.late(*calls[case])()
    if case == "friend":
        assert (then["user_id"], then["status"]) == (ada, "accepted")
    count = {
        "direct": "SELECT count(*) FROM channels WHERE direct_low = %s",
        "message": "SELECT count(*) FROM messages WHERE client_message_id = 'c1' AND user_id = %s",
        "friend": "SELECT count(*) FROM relationships WHERE %s IN (user_id, related_user_id)",
        "friend again": "SELECT count(*) FROM relationships WHERE user_id = %s",
        "reaction": "SELECT count(*) FROM reactions r JOIN messages m ON m.id = message_id"
        " WHERE m.user_id = %s",
    }
    if case in count:
        assert value(two.one, count[case], ada) == 1
    else:
        assert list(then.values()) in ([None], [False])


def test_a_delete_that_comes_during_an_edit_deletes_what_was_edited(two: Two) -> None:
    ada, _, room, first = two.room()
    edited, deleted = two.race(("edit_message", first, ada, "New"), ("delete_message", first, ada))
    assert (edited["content"], deleted["delete_message"]) == ("New", True)
    assert rows(two.one, "list_messages", room) == []


@pytest.mark.parametrize("soft", ["on", "off"])
def test_an_edit_that_comes_during_a_delete_finds_no_message(two: Two, soft: str) -> None:
    ada, _, _, first = two.room()
    two.one.execute("SELECT set_config('chat.soft_delete', %s, false)", [soft])
    with pytest.raises(psycopg.errors.NoDataFound):
        two.race(("delete_message", first, ada), ("edit_message", first, ada, "New"))
    two.one.execute("RESET chat.soft_delete")
    said = two.one.execute("SELECT content FROM messages WHERE id = %s", [first]).fetchall()
    assert said == ([("First",)] if soft == "on" else [])
    edits = "SELECT count(*) FROM message_edits WHERE message_id = %s"
    assert value(two.one, edits, first) == 0


def test_of_two_that_delete_a_message_at_once_one_did(two: Two) -> None:
    ada, _, _, first = two.room()
    both = two.race(("delete_message", first, ada), ("delete_message", first, ada))
    assert [row["delete_message"] for row in both] == [True, False]


def test_who_ask_each_other_at_once_are_friends(two: Two) -> None:
    ada, bob = two.people()
    one, other = two.race(("request_friend", ada, bob), ("request_friend", bob, ada))
    assert (one["status"], other["status"], one["id"]) == ("pending", "accepted", other["id"])
    assert related(two.one) >= {(ada, bob, "friend", "accepted")}
    assert rows(two.one, "unblock_user", bob, ada)[0]["unblock_user"] is False


def test_who_asks_twice_at_once_has_asked_once(two: Two) -> None:
    ada, bob = two.people()
    one, other = two.race(("request_friend", ada, bob), ("request_friend", ada, bob))
    assert one == other


def test_of_a_block_and_a_request_at_once_the_block_stays(two: Two) -> None:
    ada, bob = two.people()
    two.race(("request_friend", ada, bob), ("block_user", bob, ada))
    mine = {r for r in related(two.one) if ada in r}
    assert mine == {(bob, ada, "blocked", "accepted")}
    cay, dan = two.people()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        two.race(("block_user", cay, dan), ("request_friend", dan, cay))


def test_two_who_block_each_other_at_once_both_do(two: Two) -> None:
    ada, bob = two.people()
    two.race(("block_user", ada, bob), ("block_user", bob, ada))
    mine = {r[:3] for r in related(two.one) if ada in r}
    assert mine == {(ada, bob, "blocked"), (bob, ada, "blocked")}


def test_a_request_is_answered_once(two: Two) -> None:
    ada, bob = two.people()
    call(two.one, "request_friend", ada, bob)
    with pytest.raises(psycopg.errors.NoDataFound):
        two.race(("answer_friend", bob, ada, True), ("answer_friend", bob, ada, False))
    assert (ada, bob, "friend", "accepted") in related(two.one)


def test_of_two_that_use_a_token_at_once_one_gets_the_user(two: Two) -> None:
    ada, _ = two.people()
    call(two.one, "issue_token", ada, digest(ada), LATER)
    both = two.race(("use_token", digest(ada)), ("use_token", digest(ada)))
    assert [row["use_token"] for row in both] == [ada, None]


def test_of_two_that_put_the_same_emoji_at_once_both_get_the_one(two: Two) -> None:
    _, bob, _, first = two.room()
    one, other = two.race(("add_reaction", first, bob, "👍"), ("add_reaction", first, bob, "👍"))
    assert one == other


def test_the_marker_of_two_that_read_at_once_is_the_newer_one(two: Two) -> None:
    ada, bob, room, first = two.room()
    newer = send(two.one, room, ada)
    both = two.race(("mark_read", newer, bob), ("mark_read", first, bob))
    assert [row["mark_read"] for row in both] == [newer, newer]


def test_of_two_that_change_different_things_at_once_neither_is_lost(two: Two) -> None:
    ada, _, room, _ = two.room()
    two.race(("update_user", ada, {"full_name": "A"}), ("update_user", ada, {"avatar_url": "u"}))
    changed = call(two.one, "find_user", ada)
    assert (changed["full_name"], changed["avatar_url"]) == ("A", "u")
    two.race(("update_channel", room, {"name": "N"}), ("update_channel", room, {"avatar_url": "u"}))
    channel = call(two.one, "find_channel", room)
    assert (channel["name"], channel["avatar_url"]) == ("N", "u")
    put = ("put_setting", ada)
    two.race((*put, "a", Jsonb(1)), (*put, "b", Jsonb(2)))
    _, last = two.race((*put, "theme", Jsonb("dark")), (*put, "a", Jsonb(3)))
    assert (last["theme"], last["preferences"]) == ("dark", {"a": 3, "b": 2})


def test_a_purge_waits_for_nobody(two: Two) -> None:
    ada, _ = two.people()
    call(two.one, "put_session", digest(ada), {}, "yesterday")
    two.other.execute("SET lock_timeout = '2s'")
    with two.one.transaction():
        call(two.one, "put_session", digest(ada), {}, LATER, ada)
        assert answer(two.other, "purge_expired") == 0
    assert call(two.one, "get_session", digest(ada))["user_id"] == ada


def test_a_rate_limit_counts_exactly_however_many_hit_it_at_once(two: Two) -> None:
    ada, _ = two.people()
    said: list[bool] = []
    together = threading.Barrier(4)

    def hit() -> None:
        with psycopg.connect(two.one.info.dsn, autocommit=True) as conn:
            together.wait(20)
            said.extend(answer(conn, "hit_rate_limit", ada, 25, "1 h") for _ in range(10))

    hitters = [threading.Thread(target=hit) for _ in range(4)]
    for hitter in hitters:
        hitter.start()
    for hitter in hitters:
        hitter.join(60)
    assert (said.count(True), said.count(False)) == (25, 15)


# --- the rules of the tables after the core -------------------------------------------------------

TABLE_RULES: list[tuple[str, Row, str, str | None]] = [
    ("profiles", {"user_id": "{nobody}"}, FOREIGN_KEY, "profiles_user_id_fkey"),
    ("profiles", {"bio": "🙂" * 501}, CHECK, "profiles_bio_length"),
    ("relationships", {"id": "x"}, CHECK, "relationships_id_format"),
    ("relationships", {"user_id": "{nobody}"}, FOREIGN_KEY, "relationships_user_id_fkey"),
    ("relationships", {"related_user_id": "{nobody}"}, FOREIGN_KEY,
     "relationships_related_user_id_fkey"),
    ("relationships", {"related_user_id": "{ada}"}, CHECK, "relationships_not_with_oneself"),
    ("relationships", {"type": "foe"}, CHECK, "relationships_type_valid"),
    ("relationships", {"type": None}, NOT_NULL, "type"),
    ("relationships", {"status": "done"}, CHECK, "relationships_status_valid"),
    ("relationships", {"status": None}, NOT_NULL, "status"),
    ("refresh_tokens", {"id": "x"}, CHECK, "refresh_tokens_id_format"),
    ("refresh_tokens", {"user_id": "{nobody}"}, FOREIGN_KEY, "refresh_tokens_user_id_fkey"),
    ("refresh_tokens", {"user_id": None}, NOT_NULL, "user_id"),
    ("refresh_tokens", {"expires_at": None}, NOT_NULL, "expires_at"),
    ("refresh_tokens", {"token_hash": None}, NOT_NULL, "token_hash"),
    ("refresh_tokens", {"token_hash": digest("x")[:31]}, CHECK, "refresh_tokens_token_hash_digest"),
    ("sessions", {"user_id": "{nobody}"}, FOREIGN_KEY, "sessions_user_id_fkey"),
    ("sessions", {"session_hash": None}, NOT_NULL, "session_hash"),
    ("sessions", {"session_hash": digest("x") + b"x"}, CHECK, "sessions_session_hash_digest"),
    ("sessions", {"data": "[]"}, CHECK, "sessions_data_object"),
    ("sessions", {"expires_at": None}, NOT_NULL, "expires_at"),
    ("rate_limits", {"key": ""}, CHECK, "rate_limits_key_length"),
    ("rate_limits", {"key": "x" * 501}, CHECK, "rate_limits_key_length"),
    ("rate_limits", {"window_end": "yesterday"}, CHECK, "rate_limits_window_not_empty"),
    ("rate_limits", {"hits": -1}, CHECK, "rate_limits_hits_not_negative"),
    ("message_edits", {"id": "x"}, CHECK, "message_edits_id_format"),
    ("message_edits", {"message_id": "{nobody}"}, FOREIGN_KEY, "message_edits_message_id_fkey"),
    ("message_edits", {"edited_by": "{nobody}"}, FOREIGN_KEY, "message_edits_edited_by_fkey"),
    ("message_edits", {"previous_content": None}, NOT_NULL, "previous_content"),
    ("message_deliveries", {"message_id": "{nobody}"}, FOREIGN_KEY,
     "message_deliveries_message_id_fkey"),
    ("message_deliveries", {"user_id": "{nobody}"}, FOREIGN_KEY, "message_deliveries_user_id_fkey"),
    ("typing_indicators", {"channel_id": "{nobody}"}, FOREIGN_KEY,
     "typing_indicators_channel_id_fkey"),
    ("typing_indicators", {"user_id": "{nobody}"}, FOREIGN_KEY, "typing_indicators_user_id_fkey"),
    ("typing_indicators", {"expires_at": None}, NOT_NULL, "expires_at"),
    ("notifications", {"id": "x"}, CHECK, "notifications_id_format"),
    ("notifications", {"user_id": "{nobody}"}, FOREIGN_KEY, "notifications_user_id_fkey"),
    ("notifications", {"content": "[]"}, CHECK, "notifications_content_object"),
    ("notifications", {"related_type": "x" * 51}, TOO_LONG, None),
    *[("notifications", {"type": wrong}, CHECK, "notifications_type_format")
      for wrong in ("", "System", "a b", "1a", "x" * 51, "a\n", "ä", "a-b")],
    ("notification_preferences", {"user_id": "{nobody}"}, FOREIGN_KEY,
     "notification_preferences_user_id_fkey"),
    ("notification_preferences", {"email": None}, NOT_NULL, "email"),
    ("notification_preferences", {"other": "1"}, CHECK, "notification_preferences_other_object"),
]  # fmt: skip

# What makes a row of these tables complete; a case changes it.
WHOLE: dict[str, Row] = {
    "profiles": {"user_id": "{ada}"},
    "relationships": {"user_id": "{ada}", "related_user_id": "{bob}", "type": "friend"},
    "refresh_tokens": {"user_id": "{ada}", "token_hash": digest("t"), "expires_at": LATER},
    "sessions": {"session_hash": digest("s"), "user_id": "{ada}", "expires_at": LATER},
    "rate_limits": {"key": "k", "window_end": LATER},
    "message_edits": {"message_id": "{first}", "previous_content": ""},
    "message_deliveries": {"message_id": "{first}", "user_id": "{bob}"},
    "typing_indicators": {"channel_id": "{room}", "user_id": "{ada}", "expires_at": LATER},
    "notifications": {"user_id": "{ada}", "type": "system"},
    "notification_preferences": {"user_id": "{ada}"},
}


def whole(table: str, ids: dict[str, str], **change: Any) -> Row:
    row = {**WHOLE[table], **change}
    return dict(zip(row, filled(ids, *row.values()), strict=True))


@pytest.mark.parametrize(("table", "change", "state", "constraint"), TABLE_RULES)
def test_a_row_that_breaks_a_rule_is_refused(
    chat: Conn, ids: dict[str, str], table: str, change: Row, state: str, constraint: str | None
) -> None:
    refused(chat, state, constraint, table, **whole(table, ids, **change))


@pytest.mark.parametrize(
    ("table", "change"),
    [
        *[(table, {}) for table in WHOLE],
        ("profiles", {"bio": "🙂" * 500}),
        ("sessions", {"user_id": None}),
        ("rate_limits", {"key": "x" * 500}),
        ("notifications", {"type": "a" + "_.9" * 16 + "z"}),
        ("message_edits", {"edited_by": "{ada}"}),
    ],
)
def test_a_row_at_the_edge_of_the_rules_is_taken(
    chat: Conn, ids: dict[str, str], table: str, change: Row
) -> None:
    insert(chat, table, **whole(table, ids, **change))


@pytest.mark.parametrize(
    ("table", "constraint"),
    [
        ("profiles", "profiles_pkey"),
        ("relationships", "relationships_pair_key"),
        ("refresh_tokens", "refresh_tokens_token_hash_key"),
        ("sessions", "sessions_pkey"),
        ("rate_limits", "rate_limits_pkey"),
        ("message_deliveries", "message_deliveries_pkey"),
        ("typing_indicators", "typing_indicators_pkey"),
        ("notification_preferences", "notification_preferences_pkey"),
    ],
)
def test_what_is_unique_is_refused_a_second_time(
    chat: Conn, ids: dict[str, str], table: str, constraint: str
) -> None:
    insert(chat, table, **whole(table, ids))
    refused(chat, UNIQUE, constraint, table, **whole(table, ids))


DEFAULTS: list[tuple[str, Row]] = [
    ("relationships", {"status": "pending"}),
    ("refresh_tokens", {"revoked_at": None}),
    ("sessions", {"data": {}}),
    ("rate_limits", {"hits": 1}),
    ("notifications", {"content": {}, "read_at": None, "expires_at": None}),
    ("notification_preferences", {
        "in_app": True, "email": True, "push": True, "on_message": True,
        "on_friend_request": True, "on_system": True, "other": {}}),
]  # fmt: skip


@pytest.mark.parametrize(("table", "defaults"), DEFAULTS)
def test_states_have_the_promised_defaults(
    chat: Conn, ids: dict[str, str], table: str, defaults: Row
) -> None:
    insert(chat, table, **whole(table, ids))
    row = chat.cursor(row_factory=dict_row).execute(f"SELECT * FROM {table}").fetchone()
    assert row is not None
    assert {key: row[key] for key in defaults} == defaults


def test_what_need_not_survive_a_crash_is_unlogged_and_nothing_else(chat: Conn) -> None:
    unlogged = chat.execute(
        "SELECT relname FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r'"
    )
    assert {r[0] for r in unlogged} == {"sessions", "rate_limits", "typing_indicators"}


@pytest.mark.parametrize("of", ["user", "message", "channel"])
def test_what_belongs_to_a_row_goes_with_it(chat: Conn, ids: dict[str, str], of: str) -> None:
    chat.execute("DELETE FROM channels WHERE type = 'direct'")
    for table in WHOLE:
        insert(chat, table, **whole(table, ids))
    chat.execute("UPDATE message_edits SET edited_by = %s", [ids["eve"]])
    gone = {
        "user": "profiles refresh_tokens sessions notifications typing_indicators"
        " notification_preferences",
        "message": "message_edits message_deliveries",
        "channel": "message_edits message_deliveries typing_indicators",
    }[of].split()
    ends = {
        # Ada has written: what she had goes with her only when that is Eve's.
        "user": "UPDATE messages SET user_id = %(eve)s; UPDATE reactions SET user_id = %(eve)s;"
        " DELETE FROM users WHERE id = %(ada)s",
        "message": "DELETE FROM messages WHERE id = %(first)s",
        "channel": "DELETE FROM channels WHERE id = %(room)s",
    }
    for end in ends[of].split(";"):
        chat.execute(end, ids)
    assert {t: value(chat, f"SELECT count(*) FROM {t}") for t in gone} == dict.fromkeys(gone, 0)
    assert value(chat, "SELECT count(*) FROM relationships") == (of != "user")
    if of == "user":
        chat.execute("DELETE FROM messages WHERE user_id = %s AND id <> %s",
                     [ids["eve"], ids["first"]])  # fmt: skip
        assert value(chat, "SELECT edited_by FROM message_edits") == ids["eve"]


def test_an_edit_outlives_its_editor(chat: Conn, ids: dict[str, str]) -> None:
    gone = people(chat, "gone_editor")[0]
    insert(chat, "message_edits", **whole("message_edits", ids, edited_by=gone))
    chat.execute("DELETE FROM users WHERE id = %s", [gone])
    assert value(chat, "SELECT edited_by FROM message_edits") is None


@pytest.mark.parametrize(
    ("table", "same", "other"),
    [
        ("profiles", "bio = bio", "bio = 'x'"),
        ("relationships", "type = type", "status = 'accepted'"),
        ("refresh_tokens", "user_id = user_id", "revoked_at = now()"),
        ("sessions", "data = '{}'", "data = '{\"a\": 1}'"),
        ("notifications", "type = type", "read_at = now()"),
        ("notification_preferences", "email = true", "email = false"),
    ],
)
def test_updated_at_moves_when_and_only_when_the_row_changes(
    chat: Conn, ids: dict[str, str], table: str, same: str, other: str
) -> None:
    old = value(chat, "SELECT 'yesterday'::timestamptz")
    insert(chat, table, **whole(table, ids, updated_at=old))
    for change, moved in ((same, False), (other, True)):
        chat.execute(f"UPDATE {table} SET {change}")
        assert (value(chat, f"SELECT updated_at FROM {table}") > old) is moved
