"""Which user may call which operation on which rows."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.chat import (
    FORBIDDEN,
    FOREIGN_KEY,
    LATER,
    NO_DATA,
    WRONG_STATE,
    assert_call_fails,
    call,
    call_value,
    create_people,
    digest,
    ids_of,
    insert,
    members,
    race,
    relationships,
    rows,
    send,
    value,
)
from tests.support.chat_security import OWN, VISIBLE_ROWS, Scene

# User, operation, arguments, and whether the result is other than False and empty.
RIGHTFUL: list[tuple[str | None, str, list[Any], bool]] = [
    (None, "create_user", ["new@example.org", "new_user", "n"], True),
    (None, "find_user_by_email", ["ADA@example.org"], True),
    (None, "use_token", [digest("ada")], True),
    (None, "put_session", [digest("new"), {}, LATER], False),
    (None, "get_session", [digest("ada")], True),
    (None, "get_session", [digest("guest")], True),
    (None, "hit_rate_limit", ["new", 1, "1 s"], True),
    (None, "notify_user", ["{ada}", "system"], True),
    (None, "purge_expired", [], False),
    ("ada", "find_user", ["{ada}"], True),
    ("ada", "update_user", ["{ada}", {"full_name": "A"}], True),
    ("ada", "touch_last_seen", ["{ada}"], True),
    ("ada", "set_presence", ["{ada}", "away"], True),
    ("ada", "erase_user", ["{ada}"], True),
    ("ada", "delete_user", ["{ada}"], True),
    ("ada", "find_presence", ["{bob}"], True),
    ("bob", "list_presence", ["{room}"], True),
    ("eve", "list_presence", ["{room}"], False),
    ("ada", "put_profile", ["{ada}", "x"], True),
    ("ada", "get_profile", ["{bob}"], True),
    ("ada", "delete_channel", ["{room}"], True),
    ("bob", "list_members", ["{room}"], True),
    ("eve", "list_members", ["{room}"], False),
    ("bob", "list_files", ["{first}"], True),
    ("eve", "list_files", ["{first}"], False),
    ("bob", "list_replies", ["{second}"], False),
    ("ada", "count_unread", ["{ada}"], True),
    ("eve", "count_unread", ["{bob}"], False),
    ("ada", "set_message_status", ["{first}", "{ada}", "read"], True),
    (None, "settle_message_status", ["{first}"], False),
    ("ada", "get_sync_state", ["{ada}", "x"], True),
    ("bob", "get_sync_state", ["{ada}", "x"], False),
    ("ada", "put_sync_state", ["{ada}", "y"], True),
    ("ada", "get_notification_preferences", ["{ada}"], True),
    ("ousted", "get_notification_preferences", ["{ousted}"], True),
    ("bob", "get_notification_preferences", ["{ada}"], False),
    (None, "get_notification_preferences", ["{ada}"], False),
    ("ada", "set_notification_preferences", ["{ada}", False], True),
    ("ada", "list_relationships", ["{ada}"], True),
    ("eve", "list_relationships", ["{eve}"], False),
    ("bob", "list_relationships", ["{ada}"], True),
    ("bob", "remove_relationship", ["{bob}", "{ada}"], True),
    ("ada", "remove_relationship", ["{ada}", "{eve}"], True),
    ("eve", "remove_relationship", ["{eve}", "{ada}"], False),
    (None, "end_session", [digest("ada")], True),
    (None, "end_session", [digest("guest")], True),
    ("ada", "end_sessions", ["{ada}"], True),
    ("ada", "find_channel", ["{room}"], True),
    ("ada", "update_channel", ["{room}", {"name": "N"}], True),
    ("ada", "update_channel", ["{room}", {"type": "private"}], True),
    ("ada", "archive_channel", ["{room}"], True),
    ("ada", "archive_channel", ["{archive}", False], True),
    ("bob", "open_direct_channel", ["{bob}", "{ada}"], True),
    ("bob", "open_direct_channel", ["{bob}", "{eve}"], True),
    ("bob", "open_direct_channel", ["{bob}", "{bob}"], True),
    ("ada", "add_member", ["{room}", "{eve}", "admin"], True),
    ("ada", "add_member", ["{room}", "{bob}"], False),
    ("ousted", "add_member", ["{hall}", "{ousted}"], True),
    ("ada", "remove_member", ["{room}", "{bob}"], True),
    ("bob", "remove_member", ["{room}", "{bob}"], True),
    ("bob", "remove_member", ["{room}", "{ada}"], False),
    ("eve", "remove_member", ["{room}", "{bob}"], False),
    ("ada", "set_role", ["{room}", "{bob}", "admin"], True),
    ("ada", "set_role", ["{room}", "{ada}", "member"], True),
    ("bob", "is_member", ["{room}", "{ada}"], True),
    ("eve", "is_member", ["{room}", "{ada}"], False),
    ("bob", "list_channels", ["{bob}"], True),
    ("bob", "unread_counts", ["{bob}"], True),
    ("bob", "send_message", ["{room}", "{bob}", "x", "c1", "{first}"], True),
    ("ada", "send_message", ["{room}", "{ada}", "x", "a1"], True),
    ("bob", "edit_message", ["{second}", "{bob}", "x"], True),
    ("bob", "delete_message", ["{second}", "{bob}"], True),
    ("ada", "delete_message", ["{second}", "{ada}"], True),
    ("eve", "delete_message", ["{first}", "{eve}"], False),
    ("bob", "find_message", ["{first}"], True),
    ("eve", "find_message", ["{first}"], False),
    ("ada", "find_message_by_client_id", ["{ada}", "a1"], True),
    ("eve", "find_message_by_client_id", ["{ada}", "a1"], False),
    ("bob", "list_messages", ["{room}"], True),
    ("eve", "list_messages", ["{room}"], False),
    ("bob", "search_messages", ["{bob}", "first"], True),
    ("eve", "search_messages", ["{eve}", "first"], False),
    ("bob", "mark_read", ["{second}", "{bob}"], True),
    ("bob", "mark_delivered", ["{second}", "{bob}"], True),
    ("bob", "mark_delivered", ["{first}", "{bob}"], False),
    ("bob", "add_reaction", ["{first}", "{bob}", "👍"], True),
    ("ada", "add_reaction", ["{first}", "{ada}", "👍"], True),
    ("bob", "remove_reaction", ["{first}", "{bob}", "👍"], True),
    ("ada", "remove_reaction", ["{first}", "{bob}", "👍"], False),
    ("ada", "issue_token", ["{ada}", digest("new"), LATER], True),
    ("ada", "revoke_tokens", ["{ada}"], True),
    ("bob", "revoke_tokens", ["{ada}"], False),
    ("bob", "request_friend", ["{bob}", "{eve}"], True),
    ("ada", "request_friend", ["{ada}", "{bob}"], True),
    ("ada", "answer_friend", ["{ada}", "{bob}", True], True),
    ("ada", "answer_friend", ["{ada}", "{bob}", False], True),
    ("ada", "block_user", ["{ada}", "{bob}"], True),
    ("bob", "block_user", ["{bob}", "{ada}"], True),
    ("eve", "block_user", ["{eve}", "{ada}"], True),
    ("ada", "unblock_user", ["{ada}", "{eve}"], True),
    ("eve", "unblock_user", ["{ada}", "{eve}"], False),
    ("ada", "list_notifications", ["{ada}"], True),
    ("bob", "list_notifications", ["{ada}"], False),
    ("ada", "mark_notification_read", ["{told ada}", "{ada}"], True),
    ("bob", "mark_notification_read", ["{told ada}", "{ada}"], False),
    ("ada", "put_setting", ["{ada}", "theme", Jsonb("light")], True),
    ("ousted", "put_setting", ["{ousted}", "k", Jsonb(1)], True),
    ("bob", "start_typing", ["{room}", "{bob}"], True),
    ("bob", "start_typing", ["{group}", "{bob}"], True),
    ("bob", "list_typing", ["{room}"], True),
    ("eve", "list_typing", ["{room}"], False),
]  # fmt: skip


@pytest.mark.parametrize(("who", "function", "args", "something"), RIGHTFUL)
def test_operations_that_the_user_may_call_succeed(
    scene: Scene, who: str | None, function: str, args: list[Any], something: bool
) -> None:
    with scene.act_as(who) as conn:
        results = rows(conn, function, *scene.fill(args))
    told = results[0][function] if results and list(results[0]) == [function] else results
    assert bool(told) is something


# User, operation, arguments, and the SQLSTATE of the refusal.
WRONGFUL: list[tuple[str | None, str, list[Any], str]] = [
    (None, "send_message", ["{room}", "{ada}", "x"], FORBIDDEN),
    (None, "create_channel", ["{ada}", "public", "x"], FORBIDDEN),
    (None, "search_messages", ["{ada}", "first"], FORBIDDEN),
    (None, "search_messages", [None, "first"], FORBIDDEN),
    (None, "open_direct_channel", ["{ada}", "{bob}"], FORBIDDEN),
    (None, "open_direct_channel", [None, "{bob}"], FORBIDDEN),
    (None, "erase_user", ["{ada}"], FORBIDDEN),
    (None, "erase_user", [None], FORBIDDEN),
    (None, "delete_user", [None], FORBIDDEN),
    ("bob", "delete_user", ["{ada}"], FORBIDDEN),
    ("bob", "delete_user", [None], FORBIDDEN),
    ("bob", "delete_user", ["{nobody}"], FORBIDDEN),
    ("bob", "delete_channel", ["{room}"], NO_DATA),
    ("eve", "delete_channel", ["{room}"], NO_DATA),
    ("bob", "delete_channel", ["{direct}"], NO_DATA),
    ("bob", "set_message_status", ["{first}", "{bob}", "error"], FORBIDDEN),
    ("ada", "set_message_status", ["{second}", "{bob}", "error"], FORBIDDEN),
    ("eve", "set_message_status", ["{first}", "{ada}", "error"], FORBIDDEN),
    ("eve", "set_message_status", ["{first}", "{eve}", "error"], NO_DATA),
    ("eve", "attach_files", ["{first}", []], NO_DATA),
    ("ada", "attach_files", ["{second}", ["{upload of bob}"]], NO_DATA),
    ("ada", "attach_files", ["{first}", ["{upload of bob}"]], NO_DATA),
    ("bob", "put_sync_state", ["{ada}", "x"], FORBIDDEN),
    ("bob", "set_notification_preferences", ["{ada}", False], FORBIDDEN),
    ("bob", "end_sessions", ["{ada}"], FORBIDDEN),
    ("bob", "end_sessions", [None], FORBIDDEN),
    ("eve", "search_messages", ["{ada}", "first"], FORBIDDEN),
    ("eve", "search_messages", [None, "first"], FORBIDDEN),
    ("eve", "open_direct_channel", ["{ada}", "{bob}"], FORBIDDEN),
    ("eve", "open_direct_channel", [None, "{bob}"], FORBIDDEN),
    ("eve", "open_direct_channel", ["{eve}", "{ada}"], FORBIDDEN),
    ("eve", "erase_user", ["{ada}"], FORBIDDEN),
    ("bob", "create_channel", ["{ada}", "public", "x"], FORBIDDEN),
    ("bob", "update_channel", ["{room}", {"name": "x"}], NO_DATA),
    ("eve", "update_channel", ["{room}", {"name": "x"}], NO_DATA),
    ("eve", "update_channel", ["{archive}", {"name": "x"}], NO_DATA),
    ("ada", "update_channel", ["{room}", {"type": "public"}], FORBIDDEN),
    ("ada", "update_channel", ["{room}", {"type": "direct"}], FORBIDDEN),
    ("bob", "archive_channel", ["{room}"], NO_DATA),
    ("bob", "archive_channel", ["{direct}"], NO_DATA),
    ("bob", "add_member", ["{room}", "{eve}"], FORBIDDEN),
    ("eve", "add_member", ["{room}", "{eve}"], FORBIDDEN),
    ("eve", "add_member", ["{gone}", "{eve}"], FORBIDDEN),
    ("eve", "add_member", ["{archive}", "{eve}", "admin"], FORBIDDEN),
    ("eve", "add_member", ["{archive}", "{ousted}"], FORBIDDEN),
    ("eve", "add_member", ["{direct}", "{eve}"], FORBIDDEN),
    ("bob", "add_member", ["{direct}", "{eve}"], WRONG_STATE),
    ("ousted", "add_member", ["{lair}", "{ousted}", "owner"], FORBIDDEN),
    ("bob", "set_role", ["{room}", "{bob}", "owner"], FORBIDDEN),
    ("bob", "set_role", ["{room}", "{ada}", "member"], NO_DATA),
    ("eve", "set_role", ["{room}", "{bob}", "admin"], NO_DATA),
    ("eve", "send_message", ["{room}", "{eve}", "x"], FORBIDDEN),
    ("eve", "send_message", ["{room}", "{ada}", "x"], FORBIDDEN),
    ("bob", "send_message", ["{room}", "{ada}", "x"], FORBIDDEN),
    ("bob", "send_message", ["{archive}", "{bob}", "x"], WRONG_STATE),
    ("bob", "edit_message", ["{first}", "{bob}", "x"], FORBIDDEN),
    ("bob", "edit_message", ["{first}", "{ada}", "x"], FORBIDDEN),
    ("ada", "edit_message", ["{second}", "{ada}", "x"], FORBIDDEN),
    ("ada", "edit_message", ["{second}", "{bob}", "x"], FORBIDDEN),
    ("eve", "edit_message", ["{first}", "{ada}", "x"], NO_DATA),
    ("bob", "edit_message", ["{old}", "{bob}", "x"], WRONG_STATE),
    ("bob", "delete_message", ["{first}", "{bob}"], FORBIDDEN),
    ("bob", "delete_message", ["{first}", "{ada}"], FORBIDDEN),
    ("bob", "mark_read", ["{first}", "{ada}"], FORBIDDEN),
    ("eve", "mark_read", ["{first}", "{bob}"], NO_DATA),
    ("bob", "mark_delivered", ["{first}", "{ada}"], FORBIDDEN),
    ("bob", "add_reaction", ["{first}", "{ada}", "x"], FORBIDDEN),
    ("eve", "add_reaction", ["{first}", "{eve}", "x"], NO_DATA),
    ("bob", "issue_token", ["{ada}", digest("new"), LATER], FORBIDDEN),
    ("bob", "request_friend", ["{ada}", "{eve}"], FORBIDDEN),
    ("bob", "answer_friend", ["{ada}", "{bob}", True], FORBIDDEN),
    ("eve", "answer_friend", ["{ada}", "{bob}", True], NO_DATA),
    ("eve", "request_friend", ["{eve}", "{ada}"], FORBIDDEN),
    ("bob", "block_user", ["{ada}", "{ousted}"], FORBIDDEN),
    ("bob", "put_setting", ["{ada}", "theme", Jsonb("light")], FORBIDDEN),
    ("bob", "start_typing", ["{room}", "{ada}"], FORBIDDEN),
    ("eve", "start_typing", ["{room}", "{eve}"], FORBIDDEN),
]  # fmt: skip


@pytest.mark.parametrize(("who", "function", "args", "state"), WRONGFUL)
def test_operations_that_the_user_may_not_call_are_refused(
    scene: Scene, who: str | None, function: str, args: list[Any], state: str
) -> None:
    with scene.act_as(who) as conn:
        assert_call_fails(conn, state, function, *scene.fill(args))


# Calls in the name of a user who was deleted a moment ago, and whose client does not know it yet.
DELETED_ACTOR: list[tuple[str, list[Any]]] = [
    ("create_channel", ["{ada}", "public", "x"]),
    ("open_direct_channel", ["{ada}", "{bob}"]),
    ("add_member", ["{hall}", "{ada}"]),
    ("send_message", ["{room}", "{ada}", "x"]),
    ("edit_message", ["{first}", "{ada}", "x"]),
    ("delete_message", ["{first}", "{ada}"]),
    ("set_message_status", ["{first}", "{ada}", "error"]),
    ("mark_read", ["{second}", "{ada}"]),
    ("mark_delivered", ["{second}", "{ada}"]),
    ("add_reaction", ["{first}", "{ada}", "x"]),
    ("put_profile", ["{ada}", "x"]),
    ("put_setting", ["{ada}", "theme", Jsonb("light")]),
    ("put_sync_state", ["{ada}", "x"]),
    ("set_presence", ["{ada}", "online"]),
    ("set_notification_preferences", ["{ada}", False]),
    ("answer_friend", ["{ada}", "{bob}", True]),
    ("start_typing", ["{room}", "{ada}"]),
]

# Calls that write or refuse, with arguments that would do for their user.
WITHOUT_USER: list[tuple[str, list[Any]]] = [
    ("create_channel", ["{ada}", "public", "x"]),
    ("update_channel", ["{room}", {"name": "x"}]),
    ("archive_channel", ["{room}"]),
    ("delete_channel", ["{room}"]),
    ("open_direct_channel", ["{ada}", "{bob}"]),
    ("add_member", ["{room}", "{eve}"]),
    ("remove_member", ["{room}", "{bob}"]),
    ("set_role", ["{room}", "{bob}", "admin"]),
    ("send_message", ["{room}", "{ada}", "x"]),
    ("send_message", ["{room}", "{ada}", "x", "a1"]),
    ("edit_message", ["{first}", "{ada}", "x"]),
    ("delete_message", ["{first}", "{ada}"]),
    ("set_message_status", ["{first}", "{ada}", "error"]),
    ("search_messages", ["{ada}", "first"]),
    ("mark_read", ["{second}", "{ada}"]),
    ("mark_delivered", ["{second}", "{ada}"]),
    ("add_reaction", ["{first}", "{ada}", "x"]),
    ("remove_reaction", ["{first}", "{bob}", "👍"]),
    ("attach_files", ["{second}", ["{upload of bob}"]]),
    ("issue_token", ["{ada}", digest("new"), LATER]),
    ("revoke_tokens", ["{ada}"]),
    ("request_friend", ["{bob}", "{eve}"]),
    ("answer_friend", ["{ada}", "{bob}", True]),
    ("block_user", ["{ada}", "{bob}"]),
    ("unblock_user", ["{ada}", "{eve}"]),
    ("remove_relationship", ["{ada}", "{bob}"]),
    ("set_notification_preferences", ["{ada}", False]),
    ("mark_notification_read", ["{told ada}", "{ada}"]),
    ("put_setting", ["{ada}", "k", Jsonb(1)]),
    ("put_sync_state", ["{ada}", "y"]),
    ("start_typing", ["{room}", "{ada}"]),
    ("end_sessions", ["{ada}"]),
    ("erase_user", ["{ada}"]),
    ("delete_user", ["{ada}"]),
]


@pytest.mark.parametrize(("function", "args"), WITHOUT_USER)
def test_a_call_without_a_user_says_just_that_and_how_to_set_one(
    scene: Scene, function: str, args: list[Any]
) -> None:
    with (
        scene.act_as(None) as conn,
        pytest.raises(psycopg.Error) as caught,
        conn.transaction(),
    ):
        rows(conn, function, *scene.fill(args))
    diag = caught.value.diag
    assert (diag.sqlstate, diag.message_primary) == (FORBIDDEN, "chat.user_id is not set")
    assert "set_config('chat.user_id'" in str(diag.message_hint)


@pytest.mark.parametrize("function", ["send_message", "start_typing"])
def test_nobody_is_told_that_a_member_is_none(scene: Scene, function: str) -> None:
    args = [scene.ids["room"], scene.ids["ada"], *(["x"] if function == "send_message" else [])]
    with (
        scene.act_as("eve") as conn,
        pytest.raises(psycopg.Error, match="only the user themselves") as caught,
        conn.transaction(),
    ):
        rows(conn, function, *args)
    assert caught.value.sqlstate == FORBIDDEN


def test_a_receipt_moves_the_status_of_a_message_that_the_reader_may_not_change(
    scene: Scene,
) -> None:
    ada, bob, room = (scene.ids[name] for name in ("ada", "bob", "room"))
    with scene.act_as("ada") as conn:
        message = send(conn, room, ada)
        state = "SELECT status FROM messages WHERE id = %s"
        assert value(conn, state, message) == "sending"
    for function, status in (("mark_delivered", "delivered"), ("mark_read", "read")):
        with scene.act_as("bob") as conn:
            call_value(conn, function, message, bob)
            assert value(conn, state, message) == status


def test_an_upload_is_its_owners_alone_until_it_is_sent(scene: Scene) -> None:
    bob, upload = scene.ids["bob"], scene.ids["upload of bob"]
    for who, count in (("bob", 1), ("ada", 0)):
        with scene.act_as(who) as conn:
            assert value(conn, "SELECT count(*) FROM files WHERE id = %s", upload) == count
    with scene.act_as("bob") as conn:
        attached = call(conn, "attach_files", scene.ids["second"], [upload])
        assert attached["message_id"] == scene.ids["second"]
        assert_call_fails(conn, NO_DATA, "attach_files", scene.ids["old"], [upload])
        new = insert(conn, "files", user_id=bob, name="a", type="b", size=1, url="c")
        assert value(conn, "SELECT user_id FROM files WHERE id = %s", new) == bob
    with scene.act_as("ada") as conn:
        assert upload in ids_of(rows(conn, "list_files", scene.ids["second"]))
        assert conn.execute("DELETE FROM files WHERE id = %s", [upload]).rowcount == 0


def test_a_notification_by_e_mail_alone_is_kept_and_not_shown(scene: Scene) -> None:
    ada = scene.ids["ada"]
    with scene.act_as("ada") as conn:
        call(conn, "set_notification_preferences", ada, in_app=False, push=False)
        before = rows(conn, "list_notifications", ada)
    with scene.act_as("bob") as conn:
        answer = call(conn, "notify_user", ada, "message.mention")
        assert (answer["in_app"], answer["email"], answer["push"]) == (False, True, False)
    with scene.act_as("ada") as conn:
        assert rows(conn, "list_notifications", ada) == before
        assert value(conn, "SELECT in_app FROM notifications WHERE id = %s", answer["id"]) is False


@pytest.mark.parametrize("kind", ["public", "private", "group"])
def test_a_user_creates_a_channel_with_others_and_owns_it(scene: Scene, kind: str) -> None:
    bob, eve, ousted = (scene.ids[n] for n in ("bob", "eve", "ousted"))
    with scene.act_as("bob") as conn:
        channel_id = call(conn, "create_channel", bob, kind, "New", [eve], [ousted])["id"]
        assert members(conn, channel_id) == {bob: "owner", eve: "member", ousted: "admin"}
        message = send(conn, channel_id, bob)
        assert call(conn, "archive_channel", channel_id)["archived_at"] is not None
        call(conn, "archive_channel", channel_id, False)
    with scene.act_as("ousted") as conn:
        assert call_value(conn, "delete_message", message, ousted) is True
        assert call_value(conn, "remove_member", channel_id, eve) is True
    with scene.act_as("eve") as conn:
        assert len(rows(conn, "find_channel", channel_id)) == (kind == "public")


def test_a_user_who_joins_a_public_channel_reads_and_writes_there(scene: Scene) -> None:
    ousted, hall = scene.ids["ousted"], scene.ids["hall"]
    with scene.act_as("ousted") as conn:
        assert rows(conn, "list_messages", hall) == []
        assert call_value(conn, "add_member", hall, ousted) is True
        assert len(rows(conn, "list_messages", hall)) == 1
        send(conn, hall, ousted)
        assert_call_fails(conn, FORBIDDEN, "set_role", hall, ousted, "owner")
        assert call_value(conn, "remove_member", hall, ousted) is True
        assert rows(conn, "list_messages", hall) == []
        assert_call_fails(conn, FORBIDDEN, "send_message", hall, ousted, "x")


def test_a_direct_channel_that_both_left_is_restored_for_both(scene: Scene) -> None:
    ada, bob, direct = (scene.ids[n] for n in ("ada", "bob", "direct"))
    for who in ("ada", "bob"):
        with scene.act_as(who) as conn:
            assert call_value(conn, "remove_member", direct, scene.ids[who]) is True
            assert rows(conn, "find_channel", direct) == []
    with scene.act_as("bob") as conn:
        assert call(conn, "open_direct_channel", bob, ada)["id"] == direct
        assert set(members(conn, direct)) == {ada, bob}


def test_a_row_may_be_deleted_for_good_by_its_author_and_the_admins_of_the_channel(
    scene: Scene,
) -> None:
    scene.conn.execute("SET LOCAL chat.soft_delete = off")
    with scene.act_as("bob") as conn:
        assert_call_fails(conn, FORBIDDEN, "delete_message", scene.ids["first"], scene.ids["bob"])
    with scene.act_as("ada") as conn:
        for message in ("first", "second"):  # with the receipts, reactions and files of others
            assert call_value(conn, "delete_message", scene.ids[message], scene.ids["ada"]) is True
    gone = "SELECT count(*) FROM messages WHERE id IN (%s, %s)"
    assert value(scene.conn, gone, scene.ids["first"], scene.ids["second"]) == 0


def test_a_user_who_erases_themselves_is_erased_as_by_the_owner(scene: Scene) -> None:
    """Including rows of others about them, such as a block, which they could not delete themselves."""
    eve = scene.ids["eve"]
    with scene.act_as("eve") as conn:
        assert call_value(conn, "erase_user", eve) is True
    assert not {r for r in relationships(scene.conn) if eve in r}
    own = [table for table, condition in VISIBLE_ROWS.items() if condition == OWN]
    for table in (*own, "channel_members", "profiles", "user_status"):
        left = f"SELECT count(*) FROM {table} WHERE user_id = %s"
        assert value(scene.conn, left, eve) == 0, table
    assert "eve" not in value(scene.conn, "SELECT u::text FROM users u WHERE id = %s", eve)


def test_a_user_who_deletes_themselves_has_no_session_and_no_token_left(scene: Scene) -> None:
    ada = scene.ids["ada"]
    with scene.act_as("ada") as conn:
        assert call_value(conn, "delete_user", ada) is True
        assert_call_fails(conn, FOREIGN_KEY, "issue_token", ada, digest("new"), LATER)
        assert_call_fails(conn, FORBIDDEN, "send_message", scene.ids["room"], ada, "x")
    live = "SELECT count(*) FROM refresh_tokens WHERE user_id = %s AND revoked_at IS NULL"
    assert value(scene.conn, live, ada) == 0
    assert value(scene.conn, "SELECT count(*) FROM sessions WHERE user_id = %s", ada) == 0


@pytest.mark.parametrize(("function", "args"), DELETED_ACTOR)
def test_a_deleted_user_may_not_act(scene: Scene, function: str, args: list[Any]) -> None:
    with scene.act_as("ada") as conn:
        call_value(conn, "delete_user", scene.ids["ada"])
        with pytest.raises(psycopg.Error) as caught, conn.transaction():
            rows(conn, function, *scene.fill(args))
    assert caught.value.sqlstate in (FORBIDDEN, FOREIGN_KEY, NO_DATA)


def test_an_edit_by_the_application_is_kept_in_the_name_of_the_user(scene: Scene) -> None:
    with scene.act_as("bob") as conn:
        call(conn, "edit_message", scene.ids["second"], scene.ids["bob"], "New")
        edits = conn.execute("SELECT previous_content, edited_by FROM message_edits ORDER BY id")
        assert edits.fetchall() == [("First", scene.ids["ada"]), ("Second", scene.ids["bob"])]


def test_a_read_marker_that_waits_for_a_change_of_role_is_moved(built: Scene) -> None:
    """The policy must not check the new row of the member against the old role."""
    conn = built.conn
    ada, bob = create_people(conn, "marker_ada", "marker_bob")
    room = call(conn, "create_channel", ada, "private", "room", [bob])["id"]
    with built.database.connect() as other:
        other.execute(f"SET ROLE {built.login}")
        built.set_user(other, bob)
        for role in ("admin", "member"):
            message = send(conn, room, ada)
            promotion, mark = ("set_role", room, bob, role), ("mark_read", message, bob)
            error = race(
                conn,
                other,
                lambda args=promotion: rows(conn, *args),
                lambda args=mark: rows(other, *args),
            )
            assert error is None
            marker = "SELECT last_read_message_id FROM channel_members WHERE user_id = %s"
            assert value(conn, marker, bob) == message
    conn.execute("DELETE FROM channels WHERE id = %s", [room])
