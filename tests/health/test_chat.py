"""The chat schema: its change log, its rows that expire, and who logs in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.database import Database
from tests.support.health import as_nobody, check_of, health_of
from tests.support.paths import ROOT
from tests.support.psql import run_psql
from tests.support.servers import Server

SESSION = """INSERT INTO sessions (session_hash, data, expires_at, created_at)
VALUES (sha256('x'), '{}', now() - interval '2 days', now() - interval '3 days')"""
EVENT = """INSERT INTO events (table_name, op, row_id, at)
VALUES ('messages', 'insert', 'x', now() - interval '9 days')"""


@pytest.fixture
def chat(server: Server) -> Iterator[Database]:
    database = server.chat()
    yield database
    database.drop()


def test_a_new_chat_schema_is_healthy(chat: Database) -> None:
    health = health_of(chat)
    assert (health.status, health.database, health.ok) == ("ok", "connected", True)
    assert {check.status for check in health.checks} == {"ok"}, health.checks
    chat_only = {"event-log", "expired-rows", "row-level-security"}
    assert chat_only <= {check.name for check in health.checks}


def test_a_schema_that_is_not_the_chat_schema_has_no_checks_of_it(database: Database) -> None:
    names = {check.name for check in health_of(database).checks}
    assert names.isdisjoint({"event-log", "expired-rows", "row-level-security"})


def test_a_change_log_that_is_not_purged_is_found(chat: Database) -> None:
    assert check_of(chat, "event-log").message == "the change log is empty"
    chat.execute(EVENT)
    check = check_of(chat, "event-log")
    assert check.status == "degraded"
    assert check.message == "the oldest event of the change log is 9 d old"
    assert check_of(chat, "event-log", event_log="10d").status == "ok"
    chat.execute(check.hint.partition(": ")[2])  # the hint is the remedy
    assert check_of(chat, "event-log").value == 0


def test_expired_rows_that_are_not_deleted_are_found(chat: Database) -> None:
    assert check_of(chat, "expired-rows").value == 0
    chat.execute(SESSION)
    check = check_of(chat, "expired-rows")
    assert check.status == "degraded"
    assert check.message == "a row of sessions expired 2 d ago and is not deleted"
    chat.execute(check.hint.partition(": ")[2])
    assert check_of(chat, "expired-rows").value == 0


def test_a_role_that_may_not_read_these_tables_gets_the_grant(chat: Database) -> None:
    chat.execute(EVENT)
    chat.execute(SESSION)
    with as_nobody(chat) as url:
        for name, table in (("event-log", "events"), ("expired-rows", "sessions")):
            check = check_of(chat, name, url=url)
            assert (check.status, check.value) == ("unknown", None)
            assert f"GRANT SELECT ON public.{table}, public." in check.hint
        chat.execute(check.hint.partition(": ")[2])
        # Row-level security would hide the rows, and so the answer would be wrong.
        hidden = check_of(chat, "expired-rows", url=url)
        assert hidden.status == "unknown"
        assert "row-level security" in hidden.message


def test_an_application_that_row_level_security_does_not_restrict_is_found(chat: Database) -> None:
    with chat.connect(application_name="psql"), chat.connect(application_name="chatdb 0123"):
        assert check_of(chat, "row-level-security").status == "ok"
    with chat.connect(application_name="web"):
        check = check_of(chat, "row-level-security")
        with as_nobody(chat) as url:
            assert check_of(chat, "row-level-security", url=url) == check
    assert (check.status, check.value) == ("degraded", 1)
    assert "1 session: role 'postgres' is a superuser; application 'web'" in check.message
    assert "chat_app" in check.hint


def test_the_owner_of_the_tables_is_not_restricted_and_a_member_of_chat_app_is(
    chat: Database, server: Server
) -> None:
    from tests.support.servers import allow_logins

    server.execute("CREATE ROLE health_owner LOGIN; CREATE ROLE health_app LOGIN IN ROLE chat_app")
    try:
        with allow_logins(server, "local all health_owner,health_app trust"):
            for owner in ("health_owner", "postgres"):
                chat.execute(f"ALTER TABLE messages OWNER TO {owner}")
                url = chat.url.replace("postgres@", "health_app@")
                with connect_when_allowed(url):
                    assert check_of(chat, "row-level-security").status == "ok"
                url = chat.url.replace("postgres@", "health_owner@")
                with connect_when_allowed(url):
                    check = check_of(chat, "row-level-security")
                assert (check.status == "degraded") == (owner == "health_owner"), check
                if check.status != "ok":
                    assert "role 'health_owner' owns the tables" in check.message
    finally:
        chat.execute("REASSIGN OWNED BY health_owner TO postgres; DROP OWNED BY health_app")
        server.execute("DROP ROLE health_owner, health_app")


def connect_when_allowed(url: str):  # type: ignore[no-untyped-def]
    """Connect after the server has read its hba file again."""
    import time

    import psycopg

    deadline = time.monotonic() + 30
    while True:
        try:
            return psycopg.connect(url, application_name="web")
        except psycopg.OperationalError:
            assert time.monotonic() < deadline


def test_the_regular_job_of_the_documentation_leaves_nothing_to_purge(chat: Database) -> None:
    """With more events than one batch."""
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    script = (
        page.partition("`/etc/chatdb/purge.sql`")[2].partition("```sql\n")[2].partition("```")[0]
    )
    old = (
        "SELECT 'messages', 'insert', 'x', now() - interval '9 days' FROM generate_series(1, 10010)"
    )
    chat.execute(f"INSERT INTO events (table_name, op, row_id, at) {old}")
    chat.execute(SESSION)
    run_psql(chat, script)
    assert check_of(chat, "event-log").value == 0
    assert check_of(chat, "expired-rows").value == 0
