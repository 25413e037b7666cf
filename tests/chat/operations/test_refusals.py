"""The SQLSTATE of each refusal of each function, and the result of each that finds nothing."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.support.chat import (
    CHECK,
    FORBIDDEN,
    FOREIGN_KEY,
    INVALID_VALUE,
    LATER,
    NO_DATA,
    NOT_NULL,
    TOO_LONG,
    UNIQUE,
    WRONG_STATE,
    Conn,
    assert_call_fails,
    digest,
    fill_ids,
    rows,
)

REFUSALS: list[tuple[str, list[Any], str, str | None]] = [
    ("create_user", ["x@example.org", "xenia"], CHECK, "users_credentials_present"),
    ("create_user", ["ADA@example.org", "xenia", "x"], UNIQUE, "users_email_live_key"),
    ("create_user", ["x@example.org", "ADA", "x"], UNIQUE, "users_username_live_key"),
    ("create_user", ["x@example.org", "xenia", None, "Passw0rd"], CHECK,
     "users_password_hash_format"),
    ("create_user", [None, "xenia", "x"], NOT_NULL, None),
    ("update_user", ["{nobody}", {}], NO_DATA, None),
    ("update_user", [None, {}], NO_DATA, None),
    ("update_user", ["{ada}", {"id": "1"}], INVALID_VALUE, None),
    ("update_user", ["{ada}", {"deleted_at": None}], INVALID_VALUE, None),
    ("update_user", ["{ada}", {"email": None}], NOT_NULL, None),
    ("update_user", ["{ada}", {"email": "BOB@example.org"}], UNIQUE, "users_email_live_key"),
    ("update_user", ["{ada}", {"is_active": "perhaps"}], "22P02", None),
    ("update_user", ["{ada}", {"password_hash": "Passw0rd"}], CHECK, "users_password_hash_format"),
    ("set_presence", ["{ada}", "gone"], CHECK, "user_status_status_valid"),
    ("set_presence", ["{nobody}", "online"], FOREIGN_KEY, "user_status_user_id_fkey"),
    ("create_channel", ["{ada}", "direct", "x"], INVALID_VALUE, None),
    ("create_channel", ["{ada}", "room", "x"], CHECK, "channels_type_valid"),
    ("create_channel", ["{ada}", None, "x"], NOT_NULL, None),
    ("create_channel", ["{ada}", "public", " "], CHECK, "channels_name_present"),
    ("create_channel", ["{ada}", "public", None], CHECK, "channels_name_present"),
    ("create_channel", ["{nobody}", "public", "x"], FOREIGN_KEY, None),
    ("create_channel", [None, "public", "x"], NOT_NULL, None),
    ("create_channel", ["{ada}", "public", "x", ["0" * 26]], FOREIGN_KEY,
     "channel_members_user_id_fkey"),
    ("create_channel", ["{ada}", "group", "x"], CHECK, "channels_group_not_alone"),
    ("create_channel", ["{ada}", "group", "x", ["{ada}"], ["{ada}"]], CHECK,
     "channels_group_not_alone"),
    ("create_channel", ["{ada}", "group", "x", None, None], CHECK, "channels_group_not_alone"),
    ("delete_channel", ["{nobody}"], NO_DATA, None),
    ("delete_channel", ["{gone}"], NO_DATA, None),
    ("update_channel", ["{nobody}", {}], NO_DATA, None),
    ("update_channel", ["{gone}", {"name": "x"}], NO_DATA, None),
    ("update_channel", ["{room}", {"created_by": None}], INVALID_VALUE, None),
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
    ("add_member", ["{direct}", "{eve}"], WRONG_STATE, None),
    ("set_role", ["{room}", "{eve}", "admin"], NO_DATA, None),
    ("set_role", ["{room}", "{bob}", "boss"], CHECK, "channel_members_role_valid"),
    ("send_message", ["{room}", "{eve}", "x"], FORBIDDEN, None),
    ("send_message", ["{nobody}", "{eve}", "x"], FORBIDDEN, None),
    ("send_message", ["{room}", None, "x"], FORBIDDEN, None),
    ("send_message", ["{archive}", "{bob}", "x"], WRONG_STATE, None),
    ("send_message", ["{gone}", "{bob}", "x"], WRONG_STATE, None),
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
    ("edit_message", ["{old}", "{bob}", "x"], WRONG_STATE, None),
    ("set_message_status", ["{first}", "{bob}", "error"], FORBIDDEN, None),
    ("set_message_status", ["{nobody}", "{ada}", "error"], NO_DATA, None),
    ("set_message_status", ["{deleted}", "{ada}", "error"], NO_DATA, None),
    ("set_message_status", ["{first}", "{ada}", "sent"], CHECK, "messages_status_valid"),
    ("set_message_status", ["{first}", "{ada}", None], NOT_NULL, None),
    ("attach_files", ["{nobody}", []], NO_DATA, None),
    ("attach_files", ["{deleted}", []], NO_DATA, None),
    ("attach_files", ["{first}", ["{nobody}"]], NO_DATA, None),
    ("put_profile", ["{nobody}", "x"], FOREIGN_KEY, "profiles_user_id_fkey"),
    ("put_profile", ["{ada}", "x" * 501], CHECK, "profiles_bio_length"),
    ("put_sync_state", ["{nobody}", "x"], FOREIGN_KEY, "sync_state_user_id_fkey"),
    ("put_sync_state", ["{ada}", ""], CHECK, "sync_state_sync_type_not_empty"),
    ("put_sync_state", ["{ada}", "x" * 51], TOO_LONG, None),
    ("set_notification_preferences", ["{nobody}"], FOREIGN_KEY,
     "notification_preferences_user_id_fkey"),
    ("put_setting", ["{ada}", "k" * 51, Jsonb(1)], CHECK, "user_settings_key_length"),
    ("put_setting", ["{ada}", "", Jsonb(1)], CHECK, "user_settings_key_length"),
    ("notify_user", ["{ada}", "system", {}, "x", "y" * 256], TOO_LONG, None),
    ("delete_message", ["{first}", "{bob}"], FORBIDDEN, None),
    ("delete_message", ["{first}", "{eve}"], FORBIDDEN, None),
    ("delete_message", ["{first}", None], FORBIDDEN, None),
    ("list_messages", ["{room}", -1], "2201W", None),
    ("search_messages", ["{ada}", ""], INVALID_VALUE, None),
    ("search_messages", ["{ada}", "  "], INVALID_VALUE, None),
    ("search_messages", ["{ada}", None], INVALID_VALUE, None),
    ("mark_read", ["{first}", "{eve}"], NO_DATA, None),
    ("mark_read", ["{nobody}", "{ada}"], NO_DATA, None),
    ("mark_read", [None, "{ada}"], NO_DATA, None),
    ("mark_delivered", ["{first}", "{eve}"], NO_DATA, None),
    ("mark_delivered", ["{nobody}", "{ada}"], NO_DATA, None),
    ("add_reaction", ["{first}", "{eve}", "👍"], NO_DATA, None),
    ("add_reaction", ["{deleted}", "{ada}", "👍"], NO_DATA, None),
    ("add_reaction", ["{first}", "{ada}", ""], CHECK, "reactions_emoji_not_empty"),
    ("add_reaction", ["{first}", "{ada}", None], NOT_NULL, None),
    ("add_reaction", ["{old}", "{bob}", "👍"], WRONG_STATE, None),
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
    ("put_setting", ["{ada}", "notifications_enabled", Jsonb("maybe")], INVALID_VALUE, None),
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
def test_an_operation_refuses_bad_arguments_with_the_documented_sqlstate(
    chat: Conn,
    ids: dict[str, str],
    function: str,
    args: list[Any],
    state: str,
    constraint: str | None,
) -> None:
    named = assert_call_fails(chat, state, function, *fill_ids(ids, *args))
    assert constraint in (None, named)


# Calls that find nothing, with their results; none is an error.
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
    ("delete_user", ["{nobody}"], False),
    ("find_presence", ["{nobody}"], []),
    ("list_presence", [["{nobody}"]], []),
    ("list_presence", ["{nobody}"], []),
    ("get_profile", ["{nobody}"], []),
    ("get_sync_state", ["{ada}", "x"], []),
    ("get_notification_preferences", ["{nobody}"], []),
    ("list_relationships", ["{ada}"], []),
    ("remove_relationship", ["{ada}", "{bob}"], False),
    ("list_members", ["{nobody}"], []),
    ("list_replies", ["{first}"], []),
    ("list_files", ["{first}"], []),
    ("count_unread", ["{nobody}"], 0),
    ("settle_message_status", ["{nobody}"], False),
    ("settle_message_status", ["{first}"], False),
    ("end_session", [digest("nobody")], False),
    ("end_sessions", ["{ada}"], 0),
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


@pytest.mark.parametrize(("function", "args", "expected"), NOTHING)
def test_an_operation_that_finds_nothing_returns_the_documented_value(
    chat: Conn, ids: dict[str, str], function: str, args: list[Any], expected: Any
) -> None:
    results = rows(chat, function, *fill_ids(ids, *args))
    assert (results if expected == [] else results[0][function]) == expected


def test_every_function_of_the_schema_has_a_test(chat: Conn) -> None:
    """A new operation needs its cases here."""
    tried = {case[0] for case in REFUSALS} | {case[0] for case in NOTHING}
    functions = chat.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " AND prorettype <> 'trigger'::regtype AND NOT EXISTS"
        " (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')"
    )
    inner = {"ulid_encode", "generate_ulid", "ulid_timestamp", "pin_search_path", "acting_user",
             "must_act_as", "must_have_user", "no_user", "lock_pair"}  # fmt: skip
    log = {"events_origin", "events_epoch", "events_snapshot", "events_reset", "events_since",
           "purge_events", "set_notify_mode", "bell_is_due", "ring_doorbell", "xid_after",
           }  # fmt: skip  # tests/chat/events has them
    policies = {name for (name,) in chat.execute(
        "SELECT p.proname FROM pg_depend d JOIN pg_proc p ON p.oid = d.refobjid"
        " WHERE d.classid = 'pg_policy'::regclass AND d.refclassid = 'pg_proc'::regclass"
    )}  # fmt: skip
    within = {"is_empty_channel"}
    assert {name for (name,) in functions} - inner - log - policies - within == tried
