"""No secret is stored in plain text."""

from __future__ import annotations

import pytest
from psycopg import sql

from tests.support.chat import (
    ARGON2,
    BCRYPT,
    CHECK,
    LATER,
    NO_DATA,
    assert_call_fails,
    call,
    digest,
    ids_of,
    rows,
    send,
    value,
)
from tests.support.chat_security import Scene

PASSWORDS = [
    "Passw0rd", "", " ", "correct horse battery staple", "$2b$12$", "$2b$12$short",
    BCRYPT.replace("$12$", "$09$"), BCRYPT + "x", "x" + BCRYPT, BCRYPT.replace("a", "!", 1),
    "$1$salt$3RQWXQ1nLtbVnZk6pYaBs.", "$argon2i" + ARGON2[9:], "5f4dcc3b5aa765d61d8327deb882cf99",
]  # fmt: skip


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_in_plain_text_is_refused(scene: Scene, password: str) -> None:
    named = assert_call_fails(
        scene.conn, CHECK, "create_user", "x@example.org", "xenia", password_hash=password
    )
    assert named == "users_password_hash_format"
    change = {"password_hash": password}
    named = assert_call_fails(scene.conn, CHECK, "update_user", scene.ids["ada"], change)
    assert named == "users_password_hash_format"


@pytest.mark.parametrize(
    "token",
    [b"", b"secret", b"x" * 32, b"0123456789abcdef0123456789abcdef", b" " * 32, b"\\" * 32,
     b"a\\b'c\"d e/f+g=h-i_j.k~l!m@n#o$p%", digest("x").hex().encode(), digest("x")[:31],
     digest("x") + b"\0", b"eyJhbGciOiJIUzI1NiJ9.e30.XmNK3GpH"],
)  # fmt: skip
def test_a_token_or_session_id_in_plain_text_is_refused(scene: Scene, token: bytes) -> None:
    named = assert_call_fails(scene.conn, CHECK, "issue_token", scene.ids["ada"], token, LATER)
    assert named == "refresh_tokens_token_hash_digest"
    named = assert_call_fails(scene.conn, CHECK, "put_session", token, {}, LATER)
    assert named == "sessions_session_hash_digest"


def test_digests_of_any_bytes_are_accepted(scene: Scene) -> None:
    scene.conn.execute(
        "INSERT INTO refresh_tokens (user_id, token_hash, expires_at)"
        " SELECT %s, sha256(n::text::bytea), now() FROM generate_series(1, 2000) n",
        [scene.ids["ada"]],
    )
    for odd in (
        b"\\" * 31 + b"\0",
        b"x" * 31 + b"\xff",
        b"\0" * 32,
        b"\xff" * 32,
        b"x" * 31 + b"\n",
    ):
        call(scene.conn, "issue_token", scene.ids["ada"], odd, LATER)


def test_password_hashes_of_both_kinds_are_accepted(scene: Scene) -> None:
    for good in (BCRYPT, ARGON2):
        call(scene.conn, "update_user", scene.ids["ada"], {"password_hash": good})


def test_an_identifier_of_sql_in_an_argument_is_only_text(scene: Scene) -> None:
    nasty = "'; DROP TABLE messages; --"
    with scene.act_as("ada") as conn:
        message = send(conn, scene.ids["room"], scene.ids["ada"], nasty, client_message_id=nasty)
        results = rows(conn, "search_messages", scene.ids["ada"], nasty)
        assert ids_of(results) == [message]
        assert_call_fails(conn, NO_DATA, "update_channel", nasty, {"name": "x"})
        assert_call_fails(conn, "22023", "update_channel", scene.ids["room"], {nasty: "x"})
        name = call(conn, "update_channel", scene.ids["room"], {"name": nasty})["name"]
        assert name == nasty
    literal = sql.Literal(nasty).as_string(scene.conn)
    assert value(scene.conn, f"SELECT count(*) FROM messages WHERE content = {literal}") == 1
