"""docs/backup.md and docs/rollback.md: their commands do what the pages say."""

from __future__ import annotations

import re
import shlex
import subprocess

import psycopg
import pytest

from tests.support.chat import LATER, call_value, create_world, digest
from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.paths import ROOT
from tests.support.project import Project
from tests.support.servers import Server

PAGE = (ROOT / "docs/backup.md").read_text()
DRILL = re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)
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


@pytest.mark.parametrize("who", ["superuser", "owner"])
def test_rows_alone_are_restored_as_the_page_says_with_deleted_and_erased_users(
    server: Server, project: Project, who: str
) -> None:
    """By a superuser, and by an owner who is none; each row arrives as it was, and no event more."""
    source, copy = server.chat(), server.chat()
    with source.connect() as conn:
        ids = create_world(conn)
        for end, person in (("delete_user", ids["bob"]), ("erase_user", ids["eve"])):
            call_value(conn, end, person)
    dump, restore = re.findall(r"^(?:pg_dump|pg_restore) .*", PAGE.split("## Rows alone")[1], re.M)
    off = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)[0]
    as_owner = []
    if who == "owner":
        restore = re.findall(r"`(pg_restore --data-only --exit.*?)`", PAGE)[0]
        copy.execute("CREATE ROLE page_owner")
        copy.execute("ALTER SCHEMA public OWNER TO page_owner")
        named = copy.query(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND (relkind IN ('r', 'v') OR relname = 'events_bell')"
        )
        for (name,) in named:
            copy.execute(f"ALTER TABLE {name} OWNER TO page_owner")
        as_owner = ["--role=page_owner"]
        copy.execute(f"SET ROLE page_owner; {off}")
    for line in (dump, restore):
        line = line.replace('"$DATABASE_URL"', source.url).replace("=copy", f"={copy.url}")
        program, *arguments = shlex.split(line)
        more = as_owner if program == "pg_restore" else []
        subprocess.run([server.bin / program, *more, *arguments], cwd=project.path, check=True)
    if who == "owner":
        copy.execute(off.replace("DISABLE", "ENABLE"))
    with source.connect() as one, copy.connect() as other:
        for table in ("users", "channel_members", "messages", "events", "user_status"):
            rows = f"SELECT t::text FROM {table} t ORDER BY 1"
            assert one.execute(rows).fetchall() == other.execute(rows).fetchall()
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            call_value(other, "issue_token", ids["bob"], digest("t"), LATER)
    copy.drop()
    if who == "owner":
        source.execute("DROP ROLE page_owner")
    source.drop()


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
