"""Sequences and identity columns: a next value behind the highest one is found on both sides."""

from __future__ import annotations

import pytest

from tests.support.sides import Sides

ROWS = "INSERT INTO t (v) SELECT 'v' FROM generate_series(1, 5); "
SERIAL = "CREATE TABLE t (id serial PRIMARY KEY, v text); "
IDENTITY = "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY, v text); "
OWN = "CREATE SEQUENCE s; CREATE TABLE t (id int DEFAULT nextval('s'), v text); "
DOWN = "CREATE SEQUENCE s INCREMENT -1; CREATE TABLE t (id int DEFAULT nextval('s'), v text); "
CASES = [
    (SERIAL + ROWS, "", "same", (6, 6)),
    (SERIAL + ROWS, "SELECT setval('t_id_seq', 1)", "behind", (6, 2)),
    (SERIAL + ROWS, "SELECT setval('t_id_seq', 5, false)", "behind", (6, 5)),
    (SERIAL + ROWS, "SELECT setval('t_id_seq', 6, false)", "same", (6, 6)),
    (SERIAL + ROWS, "SELECT setval('t_id_seq', 1000)", "ahead", (6, 1001)),
    (SERIAL, "SELECT setval('t_id_seq', 1000)", "ahead", (1, 1001)),
    (IDENTITY + ROWS, "ALTER TABLE t ALTER id RESTART", "behind", (6, 1)),
    (IDENTITY + ROWS, "INSERT INTO t OVERRIDING SYSTEM VALUE VALUES (9)", "behind", (6, 6)),
    (OWN + ROWS, "ALTER SEQUENCE s RESTART 2", "behind", (6, 2)),
    (DOWN + ROWS, "ALTER SEQUENCE s RESTART -5", "behind", (-6, -5)),
    (DOWN + ROWS, "ALTER SEQUENCE s RESTART -9", "ahead", (-6, -9)),
    ("CREATE SEQUENCE s", "SELECT nextval('s')", "differs", (1, 2)),
    ("CREATE SEQUENCE s", "", "same", (1, 1)),
    ("CREATE SEQUENCE s", "DROP SEQUENCE s", "missing", (1, None)),
    (
        "CREATE SEQUENCE s CYCLE MAXVALUE 9; CREATE TABLE t (id int DEFAULT nextval('s'));"
        "INSERT INTO t VALUES (7)",
        "", "same", (1, 1),
    ),
    # What an expression makes of the value can't be compared with it.
    (
        "CREATE SEQUENCE s; CREATE TABLE t (id int DEFAULT nextval('s') * 1000);"
        "INSERT INTO t VALUES (DEFAULT)",
        "", "same", (2, 2),
    ),
    (
        "CREATE TABLE t (id bigserial, k int) PARTITION BY LIST (k);"
        "CREATE TABLE t1 PARTITION OF t DEFAULT; INSERT INTO t (k) VALUES (1), (2)",
        "SELECT setval('t_id_seq', 1)", "behind", (3, 2),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("both", "other", "state", "values"), CASES, ids=range(len(CASES)))
def test_the_next_value_is_compared_with_the_highest_one(
    sides: Sides, both: str, other: str, state: str, values: tuple[int | None, int | None]
) -> None:
    sides.execute(both)
    if other:
        sides.other.execute(other)
    (sequence,) = sides.compare().sequences
    this, that = sequence.this, sequence.other
    assert (sequence.state, this and this.value, that and that.value) == (state, *values)
    assert sequence.match == (state in ("same", "ahead"))


def test_the_fault_is_found_on_both_sides_and_a_prediction(sides: Sides) -> None:
    sides.execute(f"{SERIAL}{ROWS} SELECT setval('t_id_seq', 3)")
    (sequence,) = sides.compare().sequences
    assert (sequence.state, sequence.match) == ("behind", False)
    assert sequence.this is not None
    assert (sequence.this.highest, sequence.this.columns) == (5, (("t", "id"),))
    with sides.this.connect() as conn, pytest.raises(Exception, match="duplicate key"):
        conn.execute("INSERT INTO t (v) VALUES ('x')")


def test_only_the_sequences_of_the_named_tables_are_compared(sides: Sides) -> None:
    sides.execute(f"{SERIAL} CREATE TABLE u (id serial); CREATE SEQUENCE alone")
    assert [s.sequence for s in sides.compare("u").sequences] == ["u_id_seq"]
    assert len(sides.compare().sequences) == 3


def test_a_sequence_that_the_role_may_not_read_is_unknown(sides: Sides) -> None:
    sides.execute("CREATE SEQUENCE s; CREATE TABLE t (id int)")
    name = f"reader_{sides.other.name}"
    sides.other.execute(f"CREATE ROLE {name}; GRANT SELECT ON t TO {name}; ALTER ROLE {name} LOGIN")
    try:
        url = f"{sides.other.url}&options=-crole%3D{name}"
        from chatdb_cli.counts.compare import compare_counts

        with sides.this.target() as this, sides.other.target(database_url=url) as other:
            (sequence,) = compare_counts(this, other).sequences
        assert (sequence.state, sequence.match) == ("unknown", False)
    finally:
        sides.other.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
