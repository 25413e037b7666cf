"""What every test stands on: real servers, a database for each test, a project folder.

Each PostgreSQL of the machine is tried: the embedded one, and whatever is installed.  A database is
cloned from a template, so that no test sees another's.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from itertools import count

import pytest

pytest.register_assert_rewrite("tests.support")

pytest_plugins = [
    "tests.support.servers",
    "tests.support.database",
    "tests.support.project",
    "tests.support.chatdb",
    "tests.support.errors",
]

# A shell that runs the tests in the background has SIGINT ignored, and so would every child have it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="every test on every server, and every fault"
    )
    parser.addoption("--seed", type=int, help="of the random faults, to try again what failed")


@pytest.fixture
def places(request: pytest.FixtureRequest) -> Iterator[int]:
    """The places where a fault is tried: each with --long, else every fifth from a random one on."""
    step = 1 if request.config.getoption("--long") else 5
    start = random.randint(1, step)
    request.node.add_report_section("setup", "places", f"from {start} on in steps of {step}")
    return count(start, step)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test hears of the databases of whoever runs it."""
    for name in os.environ:
        if name.startswith(("CHATDB_", "DATABASE_URL", "POSTGRES_", "PG", "SSH_", "TEST_DATABASE")):
            monkeypatch.delenv(name)
