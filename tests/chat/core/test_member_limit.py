"""A group has 100 members at most, even if many join at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from tests.support.chat import (
    Conn,
    counts,
    insert_users,
    race,
    value,
)


def add(conn: Conn, channel: str, people: list[str]) -> None:
    conn.execute(
        "INSERT INTO channel_members (channel_id, user_id) SELECT %s, unnest(%s::text[])",
        [channel, people],
    )


LIMIT = "channel_members_limit"


@pytest.fixture
def second(migrated: Conn) -> Iterator[Conn]:
    with psycopg.connect(migrated.info.dsn, autocommit=True) as conn:
        yield conn


def refusal(action: Any, *arguments: Any) -> str | None:
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        action(*arguments)
    return caught.value.diag.constraint_name


def test_a_group_has_100_members_at_most(migrated: Conn, ids: dict[str, str]) -> None:
    people = insert_users(migrated, 101)
    add(migrated, ids["group"], people[:100])
    assert refusal(add, migrated, ids["group"], people[100:]) == LIMIT
    migrated.execute("DELETE FROM channel_members WHERE user_id = %s", [people[0]])
    add(migrated, ids["group"], people[100:])


def test_101_members_at_once_are_refused(migrated: Conn, ids: dict[str, str]) -> None:
    assert refusal(add, migrated, ids["group"], insert_users(migrated, 101)) == LIMIT


@pytest.mark.parametrize("kind", ["public", "private"])
def test_a_public_or_private_channel_has_any_number_of_members(
    migrated: Conn, ids: dict[str, str], kind: str
) -> None:
    add(migrated, ids[kind], insert_users(migrated, 150))
    move = "UPDATE channel_members SET channel_id = %s WHERE channel_id = %s"
    assert refusal(migrated.execute, move, [ids["group"], ids[kind]]) == LIMIT
    turn = "UPDATE channels SET type = 'group' WHERE id = %s"
    assert refusal(migrated.execute, turn, [ids[kind]]) == LIMIT


def test_a_channel_with_100_members_may_become_a_group(migrated: Conn, ids: dict[str, str]) -> None:
    add(migrated, ids["public"], insert_users(migrated, 100))
    migrated.execute("UPDATE channels SET type = 'group' WHERE id = %s", [ids["public"]])


def test_only_one_of_two_concurrent_inserts_gets_the_100th_place(
    migrated: Conn, second: Conn, ids: dict[str, str]
) -> None:
    people = insert_users(migrated, 101)
    group = ids["group"]
    add(migrated, group, people[:99])
    error = race(
        migrated,
        second,
        lambda: add(migrated, group, people[99:100]),
        lambda: add(second, group, people[100:]),
    )
    assert isinstance(error, psycopg.errors.CheckViolation)
    assert error.diag.constraint_name == LIMIT
    assert counts(migrated, "channel_members") == [100]


def test_the_100th_place_is_safe_under_repeatable_read(
    migrated: Conn, second: Conn, ids: dict[str, str]
) -> None:
    """A snapshot from before the other commit can't count it: the insert must fail."""
    people = insert_users(migrated, 101)
    group = ids["group"]
    add(migrated, group, people[:99])
    second.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    assert value(second, "SELECT count(*) FROM channel_members") == 99
    add(migrated, group, people[99:100])
    with pytest.raises(psycopg.errors.SerializationFailure):
        add(second, group, people[100:])
    second.rollback()
    assert counts(migrated, "channel_members") == [100]


def test_a_member_who_joins_while_the_channel_becomes_a_group_is_counted(
    migrated: Conn, second: Conn, ids: dict[str, str]
) -> None:
    people = insert_users(migrated, 101)
    room = ids["public"]
    add(migrated, room, people[:100])
    turn = "UPDATE channels SET type = 'group' WHERE id = %s"
    error = race(
        migrated,
        second,
        lambda: add(migrated, room, people[100:]),
        lambda: second.execute(turn, [room]),
    )
    assert isinstance(error, psycopg.errors.CheckViolation)
    migrated.execute("DELETE FROM channel_members WHERE user_id = %s", [people[100]])
    error = race(
        migrated,
        second,
        lambda: migrated.execute(turn, [room]),
        lambda: add(second, room, people[100:]),
    )
    assert isinstance(error, psycopg.errors.CheckViolation)
    assert counts(migrated, "channel_members") == [100]


def test_joining_a_public_channel_waits_for_no_lock(
    migrated: Conn, second: Conn, ids: dict[str, str]
) -> None:
    people = insert_users(migrated, 2)
    second.execute("SET lock_timeout = '2s'")
    with migrated.transaction():
        add(migrated, ids["public"], people[:1])
        add(second, ids["public"], people[1:])
    assert second.info.transaction_status == TransactionStatus.IDLE


def test_the_limit_holds_whatever_the_callers_search_path(
    migrated: Conn, ids: dict[str, str]
) -> None:
    people = insert_users(migrated, 101)
    migrated.execute("SET search_path = pg_catalog")
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        migrated.execute(
            "INSERT INTO public.channel_members (channel_id, user_id)"
            " SELECT %s, unnest(%s::text[])",
            [ids["group"], people],
        )
    assert caught.value.diag.constraint_name == LIMIT
