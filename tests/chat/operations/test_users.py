"""Users: found, changed, seen by others, erased."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tests.support.chat import (
    BCRYPT,
    LATER,
    Conn,
    call,
    call_value,
    digest,
    ids_of,
    insert,
    rows,
    send,
    value,
)


def test_a_user_is_found_by_id_email_and_name_without_case(chat: Conn, ids: dict[str, str]) -> None:
    for user in (
        call(chat, "find_user", ids["ada"]),
        call(chat, "find_user_by_email", "Ada@Example.ORG"),
        call(chat, "find_user_by_username", "ADA"),
    ):
        assert (user["id"], user["username"]) == (ids["ada"], "ada")


@pytest.mark.parametrize("path", ["public", "pg_catalog", "elsewhere, public", ""])
def test_operations_work_whatever_the_search_path(
    chat: Conn, ids: dict[str, str], path: str
) -> None:
    """Especially citext, which is case-sensitive if its schema is not in the search path."""
    chat.execute(
        "CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.users (); SET LOCAL search_path = pg_temp"
    )
    chat.execute("SELECT set_config('search_path', %s, true)", [path])
    user = value(chat, "SELECT id FROM public.find_user_by_email('ADA@example.org')")
    assert user == ids["ada"]
    renamed = 'SELECT display_name FROM public.update_user(%s, \'{"display_name": "A"}\')'
    assert value(chat, renamed, ids["ada"]) == "A"
    sent = value(
        chat, "SELECT id FROM public.send_message(%s, %s, 'x', 'c1')", ids["room"], ids["ada"]
    )
    assert value(chat, "SELECT id FROM public.search_messages(%s, 'x', 1)", ids["ada"]) == sent
    assert value(chat, "SELECT public.mark_read(%s, %s)", sent, ids["bob"]) == sent


def test_a_change_of_a_user_leaves_other_columns_alone(chat: Conn, ids: dict[str, str]) -> None:
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
    rows = view.fetchall()
    assert ids_of(rows) == [ids["ada"], ids["bob"]]
    assert set(rows[0]) == {
        "id", "username", "full_name", "display_name", "avatar_url", "last_seen_at"
    }  # fmt: skip


MARKS = {
    "email": "Bobby.Tables@example.org", "username": "bobby_tables", "auth0_id": "auth0|bobbymark",
    "full_name": "Robert (Bobbymark) Tables", "display_name": "Bobbymark!",
    "avatar_url": "https://bobbymark/a?b=1",
    "password_hash": BCRYPT.replace("a", "b"),
}  # fmt: skip
# What stays, as docs/security.md says: what people wrote to each other, and others of themselves.
KEPT = {
    "messages.content", "messages.metadata", "message_edits.previous_content", "files.name",
    "files.url",
    "channels.name", "channels.description", "channels.avatar_url", "channels.metadata", "profiles.bio",
    "user_settings.preferences", "user_status.custom_status", "sync_state.metadata", "sessions.data",
}  # fmt: skip
# Contents of notifications of other people that name Bob.
NAMING: list[dict[str, Any]] = [
    {"from": {"name": "Bobbymark!"}},
    {"from": {"name": "BOBBYMARK!"}},
    {"text": "bobbymark! mentioned you"},
    {"text": "(Bobbymark!)"},
    {"text": "New:\nBobbymark!\tjoined"},
    {"text": "You and @BOBBY_TABLES, are friends"},
    {"text": "_bobby_tables_ wrote"},
    {"bobby_tables": "👍"},
    {"text": "robert  (bobbymark)\ntables has joined"},
    {"Robert (Bobbymark) Tables": 1},
    {"list": [["x", {"y": "by bobby_tables"}]]},
    {"text": "write to BOBBY.tables@Example.ORG."},
    {"mailto:bobby.tables@example.org": True},
    {"link": "https://x/?to=bobby.tables%40example.org&y"},
    {"text": "seen at HTTPS://bobbymark/a?b=1&size=2"},
    {"sub": "id:auth0|bobbymark/7"},
]
# And some that name other people, or nobody.
HARMLESS: list[dict[str, Any]] = [
    {},
    {"text": "bobby_tables2 and xbobby_tables are others"},
    {"text": "xbobby.tables@example.org and bobby.tables@example.org.uk, too"},
    {"text": "Robert and Tables, https://bobby/a?b=1, auth0|bobby"},
    {"username": "tables", "full_name": None, "n": [1, True]},
]


def mark_every_table(chat: Conn, ids: dict[str, str], bob: str) -> None:
    """Write what Bob has, and what names him, into every table; each text has a mark of him."""
    ada = ids["ada"]
    call(chat, "update_user", bob, MARKS)
    call(chat, "add_reaction", ids["first"], bob, "👍")
    call(chat, "request_friend", ada, bob)
    call(chat, "block_user", ids["eve"], bob)
    call(chat, "set_presence", bob, "online", "bobbymark is here")
    call(chat, "put_profile", bob, "I am bobbymark")
    call(chat, "put_setting", bob, "nick", Jsonb("bobbymark"))
    call(chat, "set_notification_preferences", bob, other=Jsonb({"bobbymark": True}))
    call(chat, "put_sync_state", bob, "bobbymark", metadata=Jsonb({"phone": "bobbymark"}))
    call(chat, "issue_token", bob, digest("t"), LATER)
    call(chat, "put_session", digest("s"), {"name": "bobbymark"}, LATER, bob)
    call(chat, "put_session", digest("login"), {"tried": ["Bobby.Tables@example.org"]}, LATER)
    call(chat, "notify_user", bob, "system", {"to": "bobbymark"})
    for content in NAMING:
        call(chat, "notify_user", ids["eve"], "friend_request", content)
    for related in (
        bob,
        MARKS["email"].upper(),
        "Bobby_Tables",
        "profile/bobby_tables",
        MARKS["auth0_id"],
    ):
        call(chat, "notify_user", ada, "friend_request", {}, "user", related)
    call(chat, "start_typing", ids["room"], bob)
    call(chat, "mark_read", ids["first"], bob)
    call(chat, "mark_delivered", ids["first"], bob)
    own = send(chat, ids["room"], bob, "Hello", client_message_id="bobbymark-phone-1",
               metadata={"as": "Bobbymark!"})  # fmt: skip
    insert(chat, "files", user_id=bob, name="bobbymark.png", type="b", size=1, url="bobbymark")
    for key in (
        "login:bobby.tables@example.org", "post:bobby_tables:1", "post:BOBBY_TABLES",
        "post/bobby_tables", "Bobby_tables",
        "call:Robert (Bobbymark) Tables:1", f"x:{bob}", "callback:auth0|bobbymark",
    ):  # fmt: skip
        call_value(chat, "hit_rate_limit", key, 1, "1 h")
    # what stays on purpose
    told = send(chat, ids["room"], ada, "Hi bobby_tables", metadata={"mentions": ["bobby_tables"]})
    call(chat, "edit_message", told, ada, "Hi Bobbymark!")
    insert(
        chat,
        "files",
        user_id=bob,
        message_id=own,
        name="bobbymark.png",
        type="b",
        size=1,
        url="s3://bobbymark",
    )
    call(chat, "update_channel", ids["room"], {
        "name": "Bobbymark!", "description": "of bobby_tables", "avatar_url": "https://bobbymark/a?b=1",
        "metadata": {"for": "Bobbymark!"}})  # fmt: skip
    call(chat, "put_profile", ada, "A friend of Bobbymark!")
    call(chat, "put_setting", ada, "friend", Jsonb("Bobbymark!"))
    call(chat, "set_presence", ada, "online", "with Bobbymark!")
    call(chat, "put_sync_state", ada, "contacts", metadata=Jsonb({"last": "Bobbymark!"}))
    call(chat, "put_session", digest("ada"), {"talks to": "Bobbymark!"}, LATER, ada)


def marked_columns(chat: Conn, marks: list[str]) -> set[str]:
    """Return the columns of any table in which a mark is written, in any case."""
    columns = chat.execute(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0"
        " AND NOT attisdropped AND c.relname !~ 'yoyo|^chatdb'"
    ).fetchall()
    assert len(columns) > 120
    return {
        f"{table}.{column}"
        for table, column in columns
        for (text,) in chat.execute(f"SELECT lower({column}::text) FROM {table}")
        if text and any(mark in text for mark in marks)
    }


def test_an_erased_user_leaves_their_messages_and_no_personal_data(
    chat: Conn, ids: dict[str, str]
) -> None:
    bob = ids["bob"]
    mark_every_table(chat, ids, bob)
    call_value(chat, "hit_rate_limit", "login:eve@example.org", 1, "1 h")
    told = [call(chat, "notify_user", ids["ada"], "system", content)["id"] for content in HARMLESS]
    marks = [*map(str.lower, MARKS.values()), "bobby", digest("t").hex(), digest("s").hex()]
    before = marked_columns(chat, marks)
    assert before >= KEPT | {
        "users.email", "users.username", "users.full_name", "users.display_name", "users.auth0_id",
        "users.avatar_url", "users.password_hash", "sync_state.sync_type", "refresh_tokens.token_hash",
        "sessions.session_hash", "messages.client_message_id", "notifications.content",
        "notifications.related_id", "notification_preferences.other", "rate_limits.key",
    }  # fmt: skip
    assert call_value(chat, "erase_user", bob) is True
    left = chat.execute("SELECT id FROM notifications ORDER BY id").fetchall()
    assert [id_ for (id_,) in left] == told
    chat.execute("DELETE FROM notifications")  # of other people: one has "bobby" in it
    assert marked_columns(chat, marks) == KEPT
    for table, owner in (("messages", "user_id"), ("sessions", "user_id")):
        column = "metadata" if table == "messages" else "data"
        own = f"SELECT {column} FROM {table} WHERE {owner} = %s AND {column}::text ~* 'bobby'"
        assert chat.execute(own, [bob]).fetchall() == []
    keys = chat.execute(
        "SELECT conrelid::regclass::text, attname, confdeltype FROM pg_constraint"
        " JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]"
        " WHERE contype = 'f' AND confrelid = 'users'::regclass"
    ).fetchall()
    still = {
        table
        for table, column, _ in keys
        if value(chat, f"SELECT count(*) FROM {table} WHERE {column} = %s", bob)
    }
    assert still == {"messages", "reactions", "channels", "files"}
    assert {table for table, _, action in keys if action == "r"} >= still
    erased = value(chat, "SELECT deleted_at FROM users WHERE id = %s", bob)
    assert erased is not None
    assert rows(chat, "find_user", bob) == []
    assert call(chat, "find_message", ids["second"])["content"] == "Second"
    assert value(chat, "SELECT key FROM rate_limits") == "login:eve@example.org"
    assert call_value(chat, "erase_user", bob) is True  # a second time does no harm
    assert call(chat, "create_user", "bob@example.org", "bob", "bob")["id"] != bob


@pytest.mark.parametrize(
    ("name", "gone", "kept"),
    [
        ("login", ["login", "post:login", "Post:LOGIN:1", "post:1:login"],
         ["login:9.9.9.9", "login:eve@example.org", "login:eve:1", "post:login2",
          "relogin:1", "x:my_login"]),
        ("ada_2", ["x:ada_2", "x:{id}", "{id}:x", "x:ada_2@example.org", "x|ada_2@EXAMPLE.org|y"],
         ["x:ada", "x:2", "ada_2:9.9.9.9", "x:nada_2@example.org", "x:ada_2@example.org.uk"]),
        ("org", ["x:org"], ["x:eve@example.org", "x:example.org", "org:1"]),
        ("123", ["x:123"], ["x:1.2.3.123", "x:1234", "123:9"]),
    ],
)  # fmt: skip
def test_erasing_a_user_ends_no_rate_limit_of_another_client(
    chat: Conn, ids: dict[str, str], name: str, gone: list[str], kept: list[str]
) -> None:
    user = call(chat, "create_user", f"{name}@example.org", name, f"auth0|{name}")["id"]
    for key in (*gone, *kept):
        call_value(chat, "hit_rate_limit", key.format(id=user), 5, "1 h")
    call_value(chat, "erase_user", user)
    left = chat.execute("SELECT key FROM rate_limits").fetchall()
    assert sorted(key for (key,) in left) == sorted(kept)


@pytest.mark.parametrize(
    ("who", "gone", "kept"),
    [
        # a short name, and one that is a word of the application: as a word, not as a key
        ({"username": "ali", "display_name": "Al"}, [{"t": "Al said"}, {"t": "ALI"}, {"t": "l'al"}],
         [{"al": "x"}, {"t": "also, alias, real"}, {"ali": {"al": [1]}}]),
        ({"username": "text"}, [{"text": "a Text by her"}], [{"text": "hello"}, {"from": {"text": 1}}]),
        # signs that are special in a pattern
        ({"full_name": ".*"}, [{"t": ".*"}], [{"t": "any"}, {"t": "a .* b"}]),
        ({"full_name": "A|B \\ (C"}, [{"t": "by a|b \\ (c!"}], [{"t": "a"}, {"t": "B"}, {"t": "A|B"}]),
        ({"display_name": 'Jo "the" Fox'}, [{"t": 'jo "the" fox'}], [{"t": "the fox"}]),
        # a name without a letter: only as the whole text
        ({"display_name": "🙂"}, [{"t": "🙂"}], [{"t": "well done 🙂"}]),
        ({"display_name": "Zoë Müller"}, [{"t": "Zoë  Müller was here"}], [{"t": "Zoë Müllerin"}]),
        # empty, and short
        ({"avatar_url": "", "full_name": "", "auth0_id": "7"}, [{"t": "no. 7."}, {"sub": 7}],
         [{"t": "1.75"}, {"t": ""}]),
        # the picture of everybody who has none
        ({"avatar_url": "https://cdn/default.png"}, [], [{"img": "https://cdn/default.png"}]),
    ],
)  # fmt: skip
def test_erasing_a_user_deletes_the_notifications_that_name_them_and_no_others(
    chat: Conn, ids: dict[str, str], who: dict[str, str], gone: list[Any], kept: list[Any]
) -> None:
    user = call(chat, "create_user", "person@example.org", "somebody", "auth0|somebody")["id"]
    call(chat, "update_user", user, who)
    call(chat, "update_user", ids["bob"], {"avatar_url": "https://cdn/default.png"})
    for content in (*gone, *kept):
        call(chat, "notify_user", ids["eve"], "system", content)
    call_value(chat, "erase_user", user)
    left = chat.execute("SELECT content FROM notifications ORDER BY id").fetchall()
    assert [content for (content,) in left] == kept


def test_a_deleted_user_can_not_log_in_and_their_name_is_free(
    chat: Conn, ids: dict[str, str]
) -> None:
    bob = ids["bob"]
    call(chat, "issue_token", bob, digest("t"), LATER)
    call(chat, "put_session", digest("s"), {}, LATER, bob)
    call(chat, "set_presence", bob, "online")
    assert call_value(chat, "delete_user", bob) is True
    assert call_value(chat, "delete_user", bob) is False
    assert rows(chat, "find_user", bob) == rows(chat, "find_presence", bob) == []
    assert call_value(chat, "use_token", digest("t")) is None
    assert rows(chat, "get_session", digest("s")) == []
    assert value(chat, "SELECT status FROM user_status") == "offline"
    assert call(chat, "find_message", ids["second"])["user_id"] == bob
    assert call(chat, "create_user", "bob@example.org", "bob", "bob")["id"] != bob


def test_a_profile_is_written_and_read(chat: Conn, ids: dict[str, str]) -> None:
    call(chat, "put_profile", ids["ada"], "Asks why.")
    assert call(chat, "put_profile", ids["ada"], "Asks how.")["bio"] == "Asks how."
    assert call(chat, "get_profile", ids["ada"])["bio"] == "Asks how."
    assert call(chat, "put_profile", ids["ada"], None)["bio"] is None
    call_value(chat, "delete_user", ids["ada"])
    assert rows(chat, "get_profile", ids["ada"]) == []
