"""Commands that destroy data ask for confirmation first."""

from __future__ import annotations

import pytest

from chatdb_cli.embedded.home import database_name
from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.project import Project
from tests.support.servers import on_first_server
from tests.support.terminal import Terminal


@on_first_server
@pytest.mark.parametrize("what", ["down", "redo"])
def test_production_needs_yes_off_a_terminal(
    what: str, project: Project, chatdb: Chatdb, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(1)
    monkeypatch.setenv("CHATDB_ENV", "production")
    assert chatdb("migrate", "up").code == 0
    result = chatdb("migrate", what)
    assert (result.code, result.out) == (8, "")
    assert "production" in result.err
    assert "--yes" in result.err
    assert chatdb("migrate", what, "--format", "json").document["error"]["code"] == "refused"
    assert database.tables() == {"t1"}
    assert chatdb("migrate", what, "--dry-run").code == 0
    assert chatdb("migrate", what, "--yes").code == 0


@on_first_server
@pytest.mark.parametrize(
    ("keys", "code"),
    [("{name}\n", 0), ("y\n", 8), ("\x04", 8), ("\x03", 130)],
    ids=["name", "y", "ctrl-d", "ctrl-c"],
)
def test_production_asks_on_a_terminal(
    keys: str, code: int, project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1)
    chatdb("migrate", "up")
    env = {"CHATDB_ENV": "production", "DATABASE_URL": database.url}
    terminal = Terminal(project, "migrate", "down", env=env)
    terminal.expect("to continue: ")
    assert f"this would roll migrations back in production, on database '{database.name}'" in (
        terminal.text.replace("will", "would")
    )
    terminal.type(keys.format(name=database.name))
    # A Ctrl-C can get lost while the command sets up the terminal for the answer.
    assert terminal.end(again=keys if keys == "\x03" else "") == code
    assert database.tables() == (set() if code == 0 else {"t1"})


def test_server_destroy_asks_for_confirmation(
    project: Project, offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = offline("server", "destroy", "--format", "json")
    assert result.code == 0
    assert result.document == {"format": 1, "target": None, "destroyed": None}
    assert offline("server", "start").code == 0
    home = project.path / ".chatdb"
    try:
        refused = offline("server", "destroy")
        assert (refused.code, refused.out) == (8, "")
        assert "--yes" in refused.err
        terminal = Terminal(project, "server", "destroy", env={})
        terminal.expect(f"type '{database_name(project.path.name)}' to continue: ")
        terminal.type("n\n")
        assert terminal.end() == 8
        assert offline("server", "status", "--format", "json").document["server"]["running"]
    finally:
        assert offline("server", "destroy", "--yes").out == f"removed {home}\n"
    assert not home.exists()
