"""The options, plugins and environment of all tests.

The fixtures are in tests/support, one module a theme, and are loaded as plugins.  The tests run on every
PostgreSQL of this machine: the embedded one and each that is installed (tests/support/servers.py).
"""

from __future__ import annotations

import gc
import os
import random
import signal
from collections.abc import Generator, Iterator
from itertools import count
from pathlib import Path

import hypothesis
import pytest

pytest.register_assert_rewrite("tests.support")

pytest_plugins = [
    "tests.support.servers",
    "tests.support.database",
    "tests.support.project",
    "tests.support.chatdb",
    "tests.support.errors",
    "tests.support.health",
]

# A shell that runs the tests in the background ignores SIGINT, and child processes inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="run each test on every server, and with every fault"
    )
    parser.addoption(
        "--seed", type=int, help="the seed of the random faults, to repeat those of a failure"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let no generated example fail because the machine is busy; try fewer in a quick run."""
    hypothesis.settings.register_profile(
        "suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.register_profile(
        "quick", hypothesis.settings.get_profile("suite"), max_examples=15
    )
    quick = config.getoption("markexpr") == "quick"
    hypothesis.settings.load_profile("quick" if quick else "suite")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no module that has no quick test, in a quick run: that takes longer than the tests."""
    if config.getoption("markexpr") != "quick" or not collection_path.match("test_*.py"):
        return None
    return "mark.quick" not in collection_path.read_text(encoding="utf-8") or None


def pytest_collection_finish() -> None:
    """Let the garbage collector ignore modules and tests, which it would visit again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, object, object]:
    """Let a failure with a text that is not Unicode be reported: otherwise it ends the whole run."""
    return _encodable((yield))


def _encodable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_encodable, value))
    return value


@pytest.fixture
def places(request: pytest.FixtureRequest) -> Iterator[int]:
    """The places where a fault is tried: all with --long, otherwise every fifth after a random first."""
    step = 1 if request.config.getoption("--long") else 5
    start = random.randint(1, step)
    request.node.add_report_section("setup", "places", f"from {start} in steps of {step}")
    return count(start, step)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove every variable that names a database from the environment of a test."""
    for name in os.environ:
        if name.startswith(("CHATDB_", "DATABASE_URL", "POSTGRES_", "PG", "SSH_", "TEST_DATABASE")):
            monkeypatch.delenv(name)
