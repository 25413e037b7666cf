"""ULIDs: unique, and sorted by the time of their creation."""

from __future__ import annotations

import re
from datetime import timedelta

import psycopg
import pytest

from tests.support.chat import (
    Conn,
    value,
)
from tests.support.servers import on_first_server

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def test_a_generated_id_is_a_ulid_of_now(migrated: Conn) -> None:
    before = value(migrated, "SELECT clock_timestamp()")
    generated = value(migrated, "SELECT generate_ulid()")
    after = value(migrated, "SELECT clock_timestamp()")
    assert re.fullmatch(f"[0-7][{ALPHABET}]{{25}}", generated)
    when = value(migrated, "SELECT ulid_timestamp(%s)", generated)
    assert before - timedelta(milliseconds=1) < when <= after


def test_ids_sort_by_time_also_within_a_millisecond(migrated: Conn) -> None:
    generated = value(
        migrated,
        "SELECT array_agg(ulid_encode(n, gen_random_uuid()) ORDER BY random())"
        " FROM generate_series(1::bigint << 50, (1::bigint << 50) + 2000) n",
    )
    ticks = [
        sum(ALPHABET.index(c) << 5 * (11 - i) for i, c in enumerate(u[:12])) for u in generated
    ]
    by_id = [tick for _, tick in sorted(zip(generated, ticks, strict=True))]
    assert by_id == sorted(ticks)


def test_ids_generated_in_sequence_sort_by_the_microsecond(migrated: Conn) -> None:
    generated = [value(migrated, "SELECT generate_ulid()") for _ in range(200)]
    assert generated == sorted(generated)  # a round trip takes more than a microsecond


@pytest.mark.parametrize(
    "tick", [0, 1, 31, 32, 1023, 1024, 1_700_000_000_000 << 10, (1 << 53) - 1, (10 << 50) - 1]
)
def test_each_five_bits_of_the_time_are_one_character(chat: Conn, tick: int) -> None:
    generated = value(chat, "SELECT ulid_encode(%s, gen_random_uuid())", tick)
    assert generated[:12] == "".join(ALPHABET[tick >> 5 * i & 31] for i in range(11, -1, -1))


def test_every_position_of_the_alphabet_is_encoded(chat: Conn) -> None:
    """All 32 values occur in each of the eight bytes that are encoded together."""
    rows = chat.execute(
        "SELECT n, ulid_encode((SELECT sum(n << 5 * i) FROM generate_series(0, 9) i)::bigint,"
        " gen_random_uuid()) FROM generate_series(0::bigint, 31) n"
    ).fetchall()
    assert [ulid[2:12] for _, ulid in rows] == [letter * 10 for letter in ALPHABET]


def test_the_random_part_uses_the_whole_alphabet_evenly(chat: Conn) -> None:
    counts = chat.execute(
        "SELECT i, substr(u, i, 1), count(*)"
        " FROM (SELECT generate_ulid() u FROM generate_series(1, 32000)) x,"
        " generate_series(13, 26) i GROUP BY 1, 2"
    ).fetchall()
    assert len(counts) == 14 * 32
    assert all(800 < n < 1200 for _, _, n in counts)  # 1000 expected, six deviations either way


@on_first_server
def test_many_ids_are_all_different(migrated: Conn, request: pytest.FixtureRequest) -> None:
    many = 1_000_000 if request.config.getoption("--long") else 100_000
    count = 'SELECT count(DISTINCT generate_ulid() COLLATE "C") FROM generate_series(1, %s)'
    assert value(migrated, count, many) == many


def test_the_column_default_costs_a_single_function_call(chat: Conn) -> None:
    plan = value(chat, "EXPLAIN (VERBOSE, FORMAT JSON) SELECT generate_ulid()")
    output = str(plan[0]["Plan"]["Output"])
    assert "ulid_encode" in output  # inlined
    assert "generate_ulid" not in output


@pytest.mark.parametrize(
    ("ulid", "milliseconds"),
    [("0" * 26, 0), ("0000000001" + "Z" * 16, 1), ("7" + "Z" * 25, (1 << 48) - 1),
     ("01ARZ3NDEKTSV4RRFFQ69G5FAV", 1469922850259)],
)  # fmt: skip
def test_a_ulid_tells_its_time(chat: Conn, ulid: str, milliseconds: int) -> None:
    told = value(chat, "SELECT (extract(epoch FROM ulid_timestamp(%s)) * 1000)::bigint", ulid)
    assert told == milliseconds


@pytest.mark.parametrize(
    "ulid",
    ["", "0" * 25, "0" * 27, "8" + "0" * 25, "0" * 25 + "U", "0" * 25 + "I", "0" * 25 + "a",
     "0" * 25 + "\n", "0" * 26 + "\n", "é" * 26],
)  # fmt: skip
def test_a_malformed_ulid_is_refused_clearly(chat: Conn, ulid: str) -> None:
    with pytest.raises(psycopg.errors.InvalidTextRepresentation, match="malformed ULID"):
        value(chat, "SELECT ulid_timestamp(%s)", ulid)


def test_no_ulid_has_no_time(chat: Conn) -> None:
    assert value(chat, "SELECT ulid_timestamp(NULL)") is None
