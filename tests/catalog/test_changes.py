"""Every change of a schema is reported with its object, and nothing else is ever reported."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from chatdb_cli.catalog.diff import compare_snapshots
from chatdb_cli.catalog.model import Comparison
from chatdb_cli.catalog.snapshot_text import format_snapshot, parse_snapshot
from tests.support.schema_changes import CHANGES, Change, World
from tests.support.servers import NAMES

OLDEST = min(int(name.split("-")[0]) for name in NAMES.values())
NEWEST = [programs for programs, name in NAMES.items() if int(name.split("-")[0]) >= 18]


@contextmanager
def undone(world: World) -> Iterator[None]:
    """Take every change in the block back."""
    with world.connection.transaction(force_rollback=True):
        yield


def reported(comparison: Comparison) -> set[str]:
    return {f"{d.kind} {d.object}" for d in comparison.differences}


def test_there_are_changes_of_every_kind_of_object(world: World) -> None:
    assert len(CHANGES) > 150
    kinds = {re.sub(" .*", "", item.kind) for item in world.snapshot.objects}
    changed = {change.object.split(" ")[0] for change in CHANGES}
    assert kinds - changed == set()


# After so many changes, each of which was undone, nothing may be left of them.
GROUP = 8


def test_a_change_is_reported_and_a_change_back_is_not(
    world: World, subtests: pytest.Subtests
) -> None:
    check(world, [c for c in CHANGES if c.since <= OLDEST], subtests)


@pytest.mark.parametrize("server", NEWEST, ids=NAMES.__getitem__, indirect=True)
def test_a_change_that_only_newer_versions_have_is_reported(
    world: World, subtests: pytest.Subtests
) -> None:
    check(world, [c for c in CHANGES if c.since > OLDEST], subtests)


def check(world: World, changes: list[Change], subtests: pytest.Subtests) -> None:
    """Apply each change, look at what is reported, and undo it."""
    for group in (changes[n : n + GROUP] for n in range(0, len(changes), GROUP)):
        with undone(world):
            for change in group:
                # A change that fails is taken back, and does not disturb the next one.
                with subtests.test(change.kind), world.connection.transaction():
                    world.connection.execute(change.change)
                    after = world.read()
                    there = compare_snapshots(world.snapshot, after)
                    assert change.object in reported(there)
                    back = compare_snapshots(after, world.snapshot)
                    assert reported(back) == reported(there)
                    assert parse_snapshot(format_snapshot(after)) == after
                    world.connection.execute(change.undo)
            with subtests.test("undone", changes=[change.kind for change in group]):
                assert compare_snapshots(world.snapshot, world.read()).differences == ()


def rounds(request: pytest.FixtureRequest, ordinary: int, long: int) -> Iterator[int]:
    """Yield a seed for each round."""
    seed = request.config.getoption("--seed")
    count = long if request.config.getoption("--long") else ordinary
    yield from [seed] if seed else (random.randrange(10**9) for _ in range(count))


def apply_some(world: World, rng: random.Random, most: int) -> list[Change]:
    """Apply a few random changes, without those that do not go together."""
    applied = []
    for change in rng.sample(possible(world), rng.randint(0, most)):
        try:
            with world.connection.transaction():
                world.connection.execute(change.change)
        except psycopg.Error:
            continue
        applied.append(change)
    return applied


def possible(world: World) -> list[Change]:
    return [c for c in CHANGES if c.since <= world.snapshot.server_version]


def change_once(world: World, rng: random.Random, *, not_these: list[Change]) -> Change:
    """Apply one more random change that goes together with those that were applied."""
    changes = [c for c in possible(world) if c not in not_these]
    while True:
        change = rng.choice(changes)
        try:
            with world.connection.transaction():
                world.connection.execute(change.change)
        except psycopg.Error:
            changes.remove(change)
        else:
            return change


@pytest.mark.timeout(7200)  # 1,000 rounds with --long
def test_one_random_change_to_a_changed_schema_is_reported(
    world: World, request: pytest.FixtureRequest
) -> None:
    for seed in rounds(request, ordinary=8, long=1000):
        rng = random.Random(seed)
        with undone(world):
            applied = apply_some(world, rng, most=5)
            before = world.read()
            change = change_once(world, rng, not_these=applied)
            after = world.read()
            difference = reported(compare_snapshots(before, after))
            assert difference, f"--seed {seed}: {change} after {applied}"
            # An earlier change may have given the object another name.
            if change.object in {f"{o.kind} {o.identity}" for o in before.objects + after.objects}:
                assert change.object in difference, f"--seed {seed}: {change} after {applied}"


@pytest.mark.timeout(7200)
def test_no_change_or_a_change_that_was_undone_is_never_reported(
    world: World, request: pytest.FixtureRequest
) -> None:
    for seed in rounds(request, ordinary=3, long=200):
        rng = random.Random(seed)
        with undone(world):
            changes = rng.sample(possible(world), rng.randint(0, 3))
            for change in changes:
                world.connection.execute(change.change)
                world.connection.execute(change.undo)
            differences = compare_snapshots(world.snapshot, world.read()).differences
            assert differences == (), f"--seed {seed}: {changes}"
