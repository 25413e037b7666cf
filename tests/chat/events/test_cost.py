"""The cost of a page of events, in buffers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.chat_events import SEND_MESSAGE, Conn, cursor_now, read_page, use_up_xids, value
from tests.support.database import Database
from tests.support.servers import Server


def buffers(conn: Conn, query: str, *parameters: Any) -> int:
    """Return the number of shared buffers that a query and its functions access."""
    plan = value(conn, f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {query}", *parameters)
    top = plan[0]["Plan"]
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


PAGE = "SELECT * FROM events_since(%s, %s)"


def fill(conn: Conn, events: int) -> None:
    """Insert a number of events, ten per transaction, as if written one after the other."""
    use_up_xids(conn, events // 10)
    conn.execute(
        "INSERT INTO events (xid, table_name, op, row_id)"
        " SELECT ((pg_current_xact_id()::text::bigint - 1 - (%(n)s - i) / 10)::text)::xid8,"
        " 'messages', 'insert', i"
        " FROM generate_series(1, %(n)s) i",
        {"n": events},
    )


def cost(conn: Conn, long: Conn, events: int, plans: str) -> dict[str, int]:
    """Return the buffers of a poll, a first page and a later one, after a number of read events."""
    long.execute("BEGIN")
    long.execute("SELECT pg_current_xact_id()")
    conn.execute(SEND_MESSAGE)
    begin = cursor_now(conn)
    fill(conn, events)
    conn.execute("ANALYZE events")
    conn.execute(f"SET plan_cache_mode = '{plans}'")
    cursor = cursor_now(conn)
    for _ in range(60):
        conn.execute(SEND_MESSAGE)
    later = read_page(conn, cursor, 10)[-1][1]
    end = cursor_now(conn)
    for _ in range(7):  # until the session caches its plans
        read_page(conn, later, 10)
        read_page(conn, end)
    costs = {
        "poll": buffers(conn, PAGE, end, 500),
        "from now": buffers(conn, PAGE, "", 500),
        "first page": buffers(conn, PAGE, cursor, 10),
        "next page": buffers(conn, PAGE, later, 10),
    }
    costs["page in the middle of all"] = buffers(conn, PAGE, read_page(conn, begin, 50)[-1][1], 50)
    long.execute("ROLLBACK")
    return costs


@pytest.mark.parametrize("plans", ["auto", "force_generic_plan"])
def test_a_page_costs_the_same_however_long_the_log_and_a_transaction_are(
    server: Server, world: str, plans: str
) -> None:
    seen = []
    for events in (1_000, 200_000):
        database = server.create(world)
        with database.connect() as conn, database.connect() as long:
            seen.append(cost(conn, long, events, plans))
        database.drop()
    few, many = seen
    for what, touched in many.items():
        assert touched < 2 * few[what] + 30, (what, few, many)


def test_a_page_of_a_transaction_of_many_events_costs_the_same_however_many(
    database: Database,
) -> None:
    seen = []
    with database.connect() as conn, database.connect() as bulk:
        fill(conn, 50_000)
        for events in (1_000, 50_000):
            bulk.execute("BEGIN")
            bulk.execute(
                "INSERT INTO events (table_name, op, row_id)"
                f" SELECT 'messages', 'insert', i FROM generate_series(1, {events}) i"
            )
            conn.execute(SEND_MESSAGE)
            cursor = cursor_now(conn)  # while the transaction is running
            while_open = buffers(conn, PAGE, cursor, 100)
            bulk.execute("COMMIT")
            page = read_page(conn, cursor, 100)
            next_page = buffers(conn, PAGE, page[-1][1], 100)
            seen.append((while_open, buffers(conn, PAGE, cursor, 100), next_page))
    for few, many in zip(*seen, strict=True):
        assert many < 2 * few + 30, seen
