"""The name of the embedded server's database is that of the project's folder."""

from __future__ import annotations

import pytest

from chatdb_cli.embedded.home import database_name


@pytest.mark.quick
@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("shop", "shop"),
        ("My Shop", "my_shop"),
        ("gym-2026.old", "gym_2026_old"),
        ("Größe", "gr_e"),
        ("漢字", "project"),
        ("", "project"),
        ("postgres", "postgres_db"),
        ("Template1", "template1_db"),
        ("a" * 100, "a" * 63),
    ],
)
def test_the_database_has_a_name_that_needs_no_quotes_and_says_which_project_it_is(
    folder: str, name: str
) -> None:
    assert database_name(folder) == name
