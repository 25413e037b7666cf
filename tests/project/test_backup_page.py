"""docs/backup.md and docs/rollback.md: their commands do what the pages say."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest

from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.paths import ROOT
from tests.support.project import Project

DRILL = re.findall(r"^\$ (.*)$", (ROOT / "docs/backup.md").read_text(), re.MULTILINE)
ROLLBACK = re.findall(r"^\$ (.*)$", (ROOT / "docs/rollback.md").read_text(), re.MULTILINE)


@pytest.fixture
def shop(project: Project, database: Database, chatdb: Chatdb) -> Database:
    project.write(
        "0041_orders",
        "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, total int);",
        "DROP TABLE orders;",
    )
    project.write("0042_notes", "CREATE TABLE notes (id int);", "DROP TABLE notes;")
    assert chatdb("migrate", "up").code == 0
    database.execute("INSERT INTO orders (total) SELECT g FROM generate_series(1, 100) g")
    return database


def test_the_restore_drill_of_the_page_proves_a_dump_and_finds_a_lost_row(
    shop: Database, project: Project, chatdb: Chatdb
) -> None:
    drill = shop.server.create()
    codes = []
    for line in DRILL[2:-1]:  # the tunnel has tests of its own
        line = line.replace('"$DATABASE_URL"', shop.url).replace("postgresql:///drill", drill.url)
        program, *arguments = shlex.split(line.replace("--dbname=drill", f"--dbname={drill.url}"))
        if program == "chatdb":
            codes.append(chatdb(*arguments).code)
        elif program != "createdb":
            program = str(shop.server.bin / program)
            codes.append(subprocess.run([program, *arguments], cwd=project.path).returncode)
    assert codes == [0] * 6
    drill.execute("DELETE FROM orders WHERE id = 7")
    lost = chatdb("counts", "-d", drill.url, "--compare", "shop.json")
    drill.drop()
    assert lost.code == 1
    assert "orders" in lost.out


def test_the_commands_of_the_rollback_page_take_a_release_back(
    shop: Database, chatdb: Chatdb
) -> None:
    results = [chatdb(*shlex.split(line)[1:]) for line in ROLLBACK if line.startswith("chatdb ")]
    assert [result.code for result in results] == [0, 0, 0, 1, 0]
    assert "notes" in results[3].out  # the table that the release had added
    assert "✓  orders" in results[3].out
    assert shop.applied() == ["0041_orders"]
    log = chatdb("migrate", "history").out  # both stay in the audit log
    assert "apply" in log
    assert "rollback" in log


def test_a_rollback_that_would_lose_rows_is_refused_as_the_page_says(
    shop: Database, chatdb: Chatdb
) -> None:
    shop.execute("INSERT INTO notes VALUES (1)")
    assert chatdb("migrate", "down", "--to", "0041").code == 8
    assert shop.query("SELECT * FROM notes") == [(1,)]
