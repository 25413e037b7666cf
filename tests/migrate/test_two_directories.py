"""Two branches that have the same version, deployed at once: neither takes the other's for its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.migrate.model import Run
from chatdb_cli.postgres.quoting import Quoting
from tests.support.database import Database
from tests.support.project import Project, call_when_waiting, states

# What the other branch has in place of 0002_ours.
OTHERS = {
    "another name": ("0002_theirs", "CREATE TABLE theirs (id int);\n"),
    "another text": ("0002_ours", "CREATE TABLE theirs (id int);\n"),
}
OURS = ("0002_ours", "CREATE TABLE ours (id int);\n")
# Whether the run has a lock of its own to wait for, or finds out by the claim.
WAYS = {"straight": {}, "pooled": {"pooler": "transaction"}}


def write(project: Project, stem: str, up: str) -> None:
    project.write_tables(1)
    project.write(stem, up, "DROP TABLE IF EXISTS ours, theirs;\n")


def run_while_other(
    project: Project,
    database: Database,
    way: str,
    deploy: Callable[[], object],
    run: Callable[[Migrator], Run],
) -> Run:
    """Start a run, and deploy from another directory while it waits for a lock."""
    with database.connect() as holder:
        quoting = Quoting(holder, "public")
        lock = quoting.session_key if way == "straight" else quoting.lock_key
        holder.execute(f"SELECT pg_advisory_lock({lock})")

        def deploy_and_release(_: str) -> None:
            holder.close()
            deploy()

        progress = call_when_waiting(deploy_and_release, "another migrator")
        flags = {**WAYS[way], "lock_timeout": "100ms", "wait": "1min", "progress": progress}
        return run(project.migrator(database, **flags))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("other", OTHERS)
def test_a_version_that_another_file_has_taken_is_not_reported_as_done(
    tmp_path: Path, project: Project, database: Database, way: str, other: str
) -> None:
    theirs = Project(tmp_path / "theirs")
    write(project, *OURS)
    write(theirs, *OTHERS[other])
    project.migrator(database).up(to="1")
    deploy = theirs.migrator(database, pooler="transaction").up
    with pytest.raises(ChatdbError) as caught:
        run_while_other(project, database, way, deploy, Migrator.up)
    error = caught.value
    assert (error.code, error.exit) == (Code.HISTORY, 6)
    for name in {"0002_ours", OTHERS[other][0]}:
        assert name in error.message
    assert states(error) == ["not-run"]
    assert database.tables() == {"t1", "theirs"}


@pytest.mark.parametrize("way", WAYS)
def test_a_version_that_the_same_file_has_taken_is_reported_as_done_by_another(
    tmp_path: Path, project: Project, database: Database, way: str
) -> None:
    theirs = Project(tmp_path / "theirs")
    for branch in (project, theirs):
        write(branch, *OURS)
    project.migrator(database).up(to="1")
    deploy = theirs.migrator(database, pooler="transaction").up
    run = run_while_other(project, database, way, deploy, Migrator.up)
    assert (states(run), run.current) == (["by-another"], "0002")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("command", [Migrator.down, Migrator.redo])
def test_nothing_of_another_directory_is_rolled_back_in_place_of_what_was_shown(
    tmp_path: Path, project: Project, database: Database, way: str, command: Callable[..., Any]
) -> None:
    theirs = Project(tmp_path / "theirs")
    write(project, *OURS)
    write(theirs, *OTHERS["another name"])
    project.migrator(database).up()

    def deploy() -> None:
        project.migrator(database, pooler="transaction").down()
        theirs.migrator(database, pooler="transaction").up()

    with pytest.raises(ChatdbError) as caught:
        run_while_other(project, database, way, deploy, command)
    error = caught.value
    assert (error.code, error.exit) == (Code.HISTORY, 6)
    assert "0002_theirs" in error.message
    assert "0002_ours" in error.message
    assert database.tables() == {"t1", "theirs"}


def test_a_file_that_another_branch_left_part_way_is_not_continued_with_this_one(
    tmp_path: Path, project: Project, database: Database
) -> None:
    theirs = Project(tmp_path / "theirs")
    head = "-- chatdb: transactional: false\n"
    write(project, "0002_ours", f"{head}CREATE TABLE ours (id int);\n")
    write(theirs, "0002_theirs", f"{head}SELECT 1;\nSELECT 1/0;\n")
    with pytest.raises(ChatdbError):
        theirs.migrator(database).up()
    with pytest.raises(ChatdbError) as caught:
        project.migrator(database).up()
    assert (caught.value.code, caught.value.exit) == (Code.HISTORY, 6)
    assert "0002_theirs" in caught.value.message
    assert "0002_ours" in caught.value.message
    assert database.tables() == {"t1"}


@pytest.mark.parametrize("other", OTHERS)
def test_a_version_that_another_file_has_taken_is_not_reported_as_marked(
    tmp_path: Path, project: Project, database: Database, other: str
) -> None:
    theirs = Project(tmp_path / "theirs")
    write(project, *OURS)
    write(theirs, *OTHERS[other])
    theirs.migrator(database).baseline("2")
    ours = project.migrator(database)
    for call in (lambda: ours.marks("mark", "2"), lambda: ours.baseline("2")):
        with pytest.raises(ChatdbError) as caught:
            call()
        assert (caught.value.code, caught.value.exit) == (Code.HISTORY, 6)
        for name in {"0002_ours", OTHERS[other][0]}:
            assert name in caught.value.message
    if other == "another name":
        with pytest.raises(ChatdbError) as caught:
            ours.marks("unmark", "0002_ours")
        assert (caught.value.code, caught.value.exit) == (Code.USAGE, 2)
        assert "0002_theirs" in caught.value.message
    assert database.applied() == ["0001_t1", OTHERS[other][0]]
