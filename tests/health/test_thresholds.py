"""Thresholds: by name and unit, from the option, the environment and the library."""

from __future__ import annotations

import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.health.find import definitions
from chatdb_cli.health.thresholds import parse_pairs, read_thresholds
from tests.support.paths import ROOT

VALUES = {
    ("connections", "90%"): 90,
    ("connections", "90"): 90,
    ("connections.error", "99.5%"): 99.5,
    ("longest-transaction", "2min"): 120_000,
    ("longest-transaction.error", "1h"): 3_600_000,
    ("unused-indexes", "1GB"): 1024**3,
    ("replication-slots.error", "10 MB"): 10 * 1024**2,
    ("xid-age", "500000000"): 500_000_000,
    ("pending-migrations", "3"): 3,
    ("server-version.error", "16"): 16,
}
WRONG = {
    ("conections", "90%"): "threshold 'conections' does not exist; did you mean connections?",
    ("longest_transaction", "1h"): "threshold 'longest_transaction' does not exist; did you mean "
    "longest-transaction?",
    (
        "pending-migrations.error",
        "1",
    ): "threshold 'pending-migrations.error' does not exist; did you mean pending-migrations?",
    ("longest-transaction", "5"): "threshold longest-transaction: '5' has no unit",
    ("connections", "many"): "threshold connections: 'many' is not a number",
    ("connections", "-1"): "threshold connections: '-1' is not a number",
    ("unused-indexes", "5 apples"): "threshold unused-indexes: '5 apples' is not a size",
}


@pytest.mark.parametrize(("given", "value"), VALUES.items(), ids=lambda v: str(v))
def test_a_threshold_is_read_in_the_unit_of_its_check(given: tuple[str, str], value: float) -> None:
    name, _, level = given[0].partition(".")
    degraded, error = read_thresholds(definitions(), dict([given]))[name]
    assert (error if level else degraded) == value


@pytest.mark.parametrize(("given", "message"), WRONG.items(), ids=lambda v: str(v))
def test_a_wrong_threshold_is_refused_with_the_nearest_name(
    given: tuple[str, str], message: str
) -> None:
    with pytest.raises(ChatdbError) as caught:
        read_thresholds(definitions(), dict([given]))
    assert caught.value.code is Code.SETTINGS
    assert caught.value.message == message
    assert caught.value.hint


def test_a_number_of_the_library_is_in_the_unit_of_the_check() -> None:
    limits = read_thresholds(definitions(), {"longest-transaction": 1500})
    assert limits["longest-transaction"] == (1500, 3_600_000)


def test_pairs_can_be_repeated_and_listed_and_the_last_one_counts() -> None:
    assert parse_pairs(["a=1,b=2", " c = 3 ", "a=4"]) == {"a": "4", "b": "2", "c": "3"}
    for text in ("a", "=1", "a=", "a=1,b"):
        with pytest.raises(ChatdbError, match="is not NAME=VALUE"):
            parse_pairs([text])


def test_the_names_of_the_checks_are_unique_and_the_error_is_the_worse_limit() -> None:
    names = [d.name for d in definitions()]
    assert len(set(names)) == len(names)
    for check in definitions():
        assert check.degraded is not None or check.error is not None
        if check.degraded is not None and check.error is not None:
            assert (check.error < check.degraded) == check.lowest


@pytest.mark.parametrize("check", definitions(), ids=lambda d: d.name)
def test_every_check_is_explained_with_its_thresholds(check: object) -> None:
    from chatdb_cli.health.definition import Definition

    assert isinstance(check, Definition)
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith(f"| `{check.name}` |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(cells) == 5
    for limit, cell in ((check.degraded, cells[2]), (check.error, cells[3])):
        if limit is None:
            assert cell == ""
        else:
            name = check.name if limit == check.degraded else f"{check.name}.error"
            read = read_thresholds(definitions(), {name: cell})[check.name]
            assert limit in read
