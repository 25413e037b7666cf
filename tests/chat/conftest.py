"""What the tests of the chat schema share: a connection to the small world, changes rolled back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.chat import Conn


@pytest.fixture
def chat(shared: tuple[Conn, dict[str, str]]) -> Iterator[Conn]:
    """The shared database, in a transaction that is rolled back."""
    with shared[0].transaction(force_rollback=True):
        yield shared[0]
