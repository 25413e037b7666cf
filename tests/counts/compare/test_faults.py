"""Tunnels, poolers, and faults of one side: the error says which side it is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatdb_cli.counts.compare import compare_counts
from chatdb_cli.errors import ChatdbError, Code
from tests.support.chatdb import Chatdb
from tests.support.database import wait_for_no_sessions, wait_for_session
from tests.support.pooler import PGBOUNCER, allow_owner_login, pooled
from tests.support.project import Project
from tests.support.proxy import Proxy
from tests.support.servers import on_first_server, socket_of
from tests.support.sides import Sides, keys
from tests.support.ssh import make_tunnel_setup, needs_sshd, start_command
from tests.support.sshd import Sshd, make_key

pytestmark = on_first_server

TABLE = """CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 1000) i"""


@pytest.fixture
def bastion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    with Sshd() as running:
        running.authorize(make_key(tmp_path / "ed25519"))
        yield running


@needs_sshd
def test_the_other_side_is_reached_through_its_own_tunnel(
    sides: Sides, bastion: Sshd, offline: Chatdb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides.execute(TABLE)
    sides.other.execute("UPDATE t SET v = 'x' WHERE id = 500")
    with Proxy(socket_of(sides.other.server)) as proxy:
        tunnel = make_tunnel_setup(bastion, proxy, sides.other, tmp_path, tmp_path)
        for name, value in tunnel.variables.items():
            if name.startswith("SSH_"):
                monkeypatch.setenv(f"CHATDB_AGAINST_{name}", value)
        arguments = ("counts", "-d", sides.this.url, "--find", "--format", "json")
        result = offline(*arguments, "--against", proxy.url(sides.other.name))
        assert result.code == 1, result
        assert result.document["against"]["via"].startswith(tunnel.variables["SSH_USER"])
        assert result.document["target"]["via"] is None
        (table,) = result.document["tables"]
        assert [(d["key"], d["columns"]) for d in table["differences"]] == [({"id": "500"}, ["v"])]
        bastion.stop()
        result = offline(*arguments, "--against", proxy.url(sides.other.name))
        assert (result.code, result.document["error"]["code"]) == (4, "tunnel-refused")
        assert result.document["error"]["message"].startswith("other side: ")
        assert result.document["target"]["database"] == sides.this.name
        bastion.start()


@pytest.mark.parametrize(
    ("url", "code", "slug"),
    [
        ("postgresql://postgres@127.0.0.1:1/x", 3, "unreachable"),
        ("{}x", 3, "missing-database"),
    ],
)
def test_an_error_of_the_other_side_says_so(
    sides: Sides, offline: Chatdb, monkeypatch: pytest.MonkeyPatch, url: str, code: int, slug: str
) -> None:
    monkeypatch.setenv("CHATDB_CONNECT_RETRIES", "0")
    sides.execute(TABLE)
    missing = sides.other.url.replace(sides.other.name, f"{sides.other.name}x")
    other = url.replace("{}x", missing).format(sides.other.url)
    environment = ("--format", "json", "-d", sides.this.url)
    result = offline("counts", *environment, "--against", other)
    assert result.code == code, result
    assert result.document["error"]["message"].startswith("other side: ")
    assert result.document["error"]["code"] == slug


def test_a_missing_schema_and_a_missing_privilege_are_of_the_side_that_lacks_them(
    sides: Sides,
) -> None:
    sides.execute(f"CREATE SCHEMA s; SET search_path = s; {TABLE}")
    sides.other.execute("DROP SCHEMA s CASCADE")
    with sides.this.target(schema="s") as this, sides.other.target(schema="s") as other:
        for pair, says in (
            ((this, other), "other side: schema 's'"),
            ((other, this), "schema 's'"),
        ):
            with pytest.raises(ChatdbError) as caught:
                compare_counts(*pair)
            assert str(caught.value).startswith(f"{says} does not exist")
            assert caught.value.code is Code.MISSING_SCHEMA


def test_a_lost_connection_is_that_of_its_side_and_the_other_count_ends(sides: Sides) -> None:
    sides.execute(TABLE)
    # A view that waits: the count of this side would take an hour, that of the other side is cut.
    sides.this.execute("CREATE VIEW v AS SELECT pg_sleep(3600) IS NULL AS x")
    sides.other.execute("CREATE VIEW v AS SELECT pg_sleep(3600) IS NULL AS x")

    def kill() -> None:
        for database in (sides.this, sides.other):
            wait_for_session(
                database, "wait_event = 'PgSleep' AND application_name LIKE 'chatdb %'"
            )
        sides.other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event = 'PgSleep'"
        )

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(ChatdbError) as caught:
        sides.compare("v", checksum=True)
    thread.join()
    assert caught.value.exit == 3
    assert str(caught.value).startswith("other side: ")
    for database in (sides.this, sides.other):
        wait_for_no_sessions(database, "application_name LIKE 'chatdb %'")


def test_an_interrupted_comparison_ends_on_both_sides(sides: Sides, project: Project) -> None:
    sides.execute("CREATE VIEW v AS SELECT pg_sleep(3600) IS NULL AS x")
    variables = {"DATABASE_URL": sides.this.url, "CHATDB_AGAINST_URL": sides.other.url}
    process = start_command(project, variables, "counts", "v")
    for database in (sides.this, sides.other):
        wait_for_session(database, "wait_event = 'PgSleep' AND application_name LIKE 'chatdb %'")
    process.send_signal(2)
    assert process.wait(60) == 130
    for database in (sides.this, sides.other):
        wait_for_no_sessions(database, "application_name LIKE 'chatdb %'")
    process.communicate()


@pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")
def test_a_side_can_be_behind_a_pooler(sides: Sides) -> None:
    sides.execute(TABLE)
    sides.other.execute("DELETE FROM t WHERE id = 3")
    allow_owner_login(sides.other.server)
    with pooled(sides.other) as pooler:
        other = sides.other.target(database_url=pooler.url(sides.other.name))
        with sides.this.target() as this, other:
            (table,) = compare_counts(this, other, find=5).tables
    assert keys(table) == [("missing", "3", ())]


def test_rows_that_are_written_meanwhile_do_not_show(sides: Sides) -> None:
    """Each side has one snapshot: the rows are those of its beginning, also in the search."""
    sides.execute(TABLE)
    written = threading.Event()

    def write(_: object) -> None:
        if not written.is_set():
            written.set()
            sides.this.execute("UPDATE t SET v = 'changed'; INSERT INTO t VALUES (0, 'new')")

    sides.other.execute("DELETE FROM t WHERE id = 7")
    (table,) = sides.compare(find=5, progress=write).tables
    assert written.is_set()
    assert keys(table) == [("missing", "7", ())]
