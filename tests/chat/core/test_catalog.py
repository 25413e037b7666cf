"""Rules for the whole schema, checked in the catalog."""

from __future__ import annotations

import re
from typing import Any

from tests.support.chat import (
    Conn,
    insert,
    value,
)

TABLES = {
    "users", "user_settings", "user_status", "channels", "channel_members",
    "messages", "message_reads", "reactions", "files", "sync_state", "profiles", "relationships",
    "refresh_tokens", "sessions", "rate_limits", "message_edits", "message_deliveries",
    "typing_indicators", "notifications", "notification_preferences",
}  # fmt: skip


OURS = "n.nspname = 'public' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = {}.oid AND d.deptype = 'e')"  # noqa: E501
HISTORY = "c.relname NOT LIKE '%yoyo%' AND c.relname NOT LIKE 'chatdb%'"


def listed(conn: Conn, query: str) -> list[Any]:
    return [row[0] for row in conn.execute(query)]


def test_all_tables_exist(migrated: Conn) -> None:
    there = listed(
        migrated,
        "SELECT relname FROM pg_class c WHERE relkind = 'r'"
        f" AND relnamespace = 'public'::regnamespace AND {HISTORY}",
    )
    assert set(there) == TABLES | {"events", "events_state"}


def test_every_foreign_key_has_a_leading_index_and_an_on_delete(migrated: Conn) -> None:
    bare = """
        SELECT k.conname FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
         WHERE k.contype = 'f' AND n.nspname = 'public'
           AND NOT EXISTS (
             SELECT FROM pg_index i
              WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indexprs IS NULL
                AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
                AND (i.indpred IS NULL
                     OR pg_get_expr(i.indpred, i.indrelid) ~ '^[(]\\w+ IS NOT NULL[)]$'))"""
    assert listed(migrated, bare) == []
    no_action = """
        SELECT k.conname FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
         WHERE k.contype = 'f' AND n.nspname = 'public' AND k.confdeltype = 'a'"""
    assert listed(migrated, no_action) == []


def test_every_table_and_function_has_a_comment(migrated: Conn) -> None:
    tables = f"""
        SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'v') AND {OURS.format("c")} AND {HISTORY}
           AND coalesce(obj_description(c.oid, 'pg_class'), '') = ''"""
    functions = f"""
        SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE {OURS.format("p")} AND coalesce(obj_description(p.oid, 'pg_proc'), '') = ''"""
    assert listed(migrated, tables) == []
    assert listed(migrated, functions) == []


def test_ids_are_ulids_in_collation_c_with_the_format_on_the_id_alone(migrated: Conn) -> None:
    columns = migrated.execute(
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), o.collname,"
        "       pg_get_expr(d.adbin, d.adrelid)"
        "  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        "  JOIN pg_collation o ON o.oid = a.attcollation"
        "  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum"
        " WHERE c.relkind = 'r' AND c.relname = ANY (%s)"
        "   AND (a.attname ~ '(^|_)id$' OR a.attname IN ('created_by', 'edited_by', 'direct_low',"
        "   'direct_high'))"
        "   AND a.attname NOT IN ('auth0_id', 'client_message_id', 'related_id')",
        [sorted(TABLES)],
    ).fetchall()
    assert len(columns) > 40
    for table, column, kind, collation, default in columns:
        assert (kind, collation) == ("character varying(26)", "C"), (table, column)
        assert default == ("generate_ulid()" if column == "id" else None), (table, column)


def test_only_ids_have_a_limit_that_has_no_name(migrated: Conn) -> None:
    """A limit of varchar(n) raises 22001 without a constraint, which no client can translate."""
    limited = listed(
        migrated,
        "SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        f" JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {OURS.format('c')} AND {HISTORY}"
        " AND c.relkind = 'r' AND a.attnum > 0 AND a.atttypmod > 0"
        " AND format_type(a.atttypid, a.atttypmod) <> 'character varying(26)'",
    )
    assert limited == []


def test_functions_that_name_tables_pin_their_search_path(migrated: Conn) -> None:
    pinned = listed(
        migrated,
        f"SELECT coalesce(p.proconfig::text, '') FROM pg_proc p"
        f" JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {OURS.format('p')} AND p.prosecdef",
    )
    assert pinned
    assert all(re.search(r"search_path=public.*pg_temp", setting) for setting in pinned)


def test_the_newest_page_of_a_channel_is_one_index_range(
    migrated: Conn, ids: dict[str, str]
) -> None:
    migrated.execute(
        "INSERT INTO messages (channel_id, user_id, content)"
        " SELECT %s, %s, 'message ' || n FROM generate_series(1, 2000) n",
        [ids["group"], ids["ada"]],
    )
    migrated.execute("ANALYZE messages")
    plan = "\n".join(
        row[0]
        for row in migrated.execute(
            "EXPLAIN SELECT * FROM messages WHERE channel_id = %s AND id < 'Z'"
            " ORDER BY id DESC LIMIT 50",
            [ids["public"]],
        )
    )
    assert "messages_channel_newest_idx" in plan
    assert "Sort" not in plan


def test_search_finds_parts_of_words_by_index(migrated: Conn, ids: dict[str, str]) -> None:
    insert(migrated, "messages", channel_id=ids["public"], user_id=ids["ada"],
           content="Der Donaudampfer legt ab")  # fmt: skip
    migrated.execute("SET enable_seqscan = off")
    search = "SELECT count(*) FROM messages WHERE content ILIKE '%DAMPF%' AND deleted_at IS NULL"
    assert value(migrated, search) == 1
    plan = "\n".join(row[0] for row in migrated.execute("EXPLAIN " + search))
    assert "messages_content_search_idx" in plan


def test_no_trigger_is_called_for_each_row_of_a_load(migrated: Conn) -> None:
    """Typing alone, which nobody loads: 100,000 calls would take as long as the rows themselves."""
    each_row = """
        SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
         WHERE c.relnamespace = 'public'::regnamespace AND NOT t.tgisinternal
           AND t.tgtype & 1 = 1 AND t.tgtype & 4 = 4"""
    assert listed(migrated, each_row) == ["typing_indicators_notify"]
