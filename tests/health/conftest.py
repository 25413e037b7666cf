"""No test depends on a fast machine, except those that ask for the time limits of an operator."""

from __future__ import annotations

import pytest

from chatdb_cli.health import ask


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "TIMEOUT_MS", 60_000)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, _patient: None) -> None:
    """Wait no longer for the server than chatdb does."""
    monkeypatch.setattr(ask, "TIMEOUT_MS", 2000)
