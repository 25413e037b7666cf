"""Two servers of different versions: no false match, no false difference."""

from __future__ import annotations

import pytest

from tests.support.sides import Sides, keys

# Values that are the same, and are stored or hashed in different ways; the last column varies.
TABLE = """
CREATE TYPE mood AS ENUM ({enum}); CREATE DOMAIN code AS varchar(9);
CREATE TYPE pair AS (a numeric, b text);
CREATE TABLE t (id {id} PRIMARY KEY, m mood, ms mood[], c code, p pair, n numeric, f float8, i interval,
    j jsonb, js json, x bit(3), ch char(5), by bytea, d date, tz timestamptz, tm time, u uuid,
    r int4range, a text[], ip inet, mon money, v int);
INSERT INTO t SELECT g, (ARRAY['a', 'b'])[1 + g % 2]::mood, ARRAY['a', NULL]::mood[], 'c' || g,
    ROW(g / 2.0, 'b')::pair, g * 1.10,
    CASE g % 4 WHEN 0 THEN '-0' WHEN 1 THEN 'NaN' ELSE g::text END::float8,
    g * interval '1 day 25 h', jsonb_build_object('k', g % 5, 'l', '[]'::jsonb), '{{"a" : 1}}', B'101',
    'x', '\\xff00', '2024-02-29'::date + g, '2024-01-01Z'::timestamptz + g * interval '1 h', '10:00',
    ('00000000-0000-0000-0000-' || lpad(g::text, 12, '0'))::uuid, int4range(g, g + 3),
    ARRAY['a', NULL, g::text], '10.0.0.1', '$1.50', g
FROM generate_series(1, 1500) g"""


@pytest.mark.parametrize("id_", ["int", "bigint"], ids=["same type", "other type"])
def test_the_same_rows_match_between_versions_and_a_changed_one_is_named(
    versions: Sides, id_: str
) -> None:
    # The labels of the enum have other OIDs in another order of creation.
    versions.this.execute(TABLE.format(enum="'a', 'b'", id="int"))
    versions.other.execute(
        "CREATE TYPE first AS ENUM ('z'); " + TABLE.format(enum="'b', 'a'", id=id_)
    )
    comparison = versions.compare(find=10)
    assert comparison.ok, comparison.tables
    versions.other.execute(
        "UPDATE t SET f = 0 WHERE id = 4; UPDATE t SET j = jsonb_set(j, '{l}', '{}') WHERE id = 5;"
        "UPDATE t SET n = n::numeric(9,1) WHERE id = 10; UPDATE t SET m = NULL WHERE id = 11;"
        "UPDATE t SET a = ARRAY['a', 'NULL', '12'] WHERE id = 12; DELETE FROM t WHERE id = 1500"
    )
    table = versions.table("t")
    assert keys(table) == [
        ("differs", "4", ("f",)),
        ("differs", "5", ("j",)),
        ("differs", "10", ("n",)),
        ("differs", "11", ("m",)),
        ("differs", "12", ("a",)),
        ("missing", "1500", ()),
    ]
    assert table.complete
