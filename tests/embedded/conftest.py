"""Embedded servers of a test's own: `initdb` costs a second, so most are copies of one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatdb_cli.embedded import home, programs
from chatdb_cli.embedded.server import EmbeddedServer
from tests.support.embedded import Make, make_server_folder


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A project whose server was started once and stopped."""
    ground = make_server_folder(tmp_path_factory.mktemp("template"))
    server = EmbeddedServer(ground / ".chatdb")
    assert server.start()
    assert server.stop()
    yield server
    server.destroy()
    shutil.rmtree(ground)


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = make_server_folder(tmp_path)
    for module in (programs, home):
        monkeypatch.setattr(module, "SHARED_FOLDER", folder / "shared")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fresh(ground: Path) -> Iterator[Make]:
    """A function that returns the server of a new project; all are removed at the end."""
    servers: list[EmbeddedServer] = []

    def give(name: str = "project", **options: Any) -> EmbeddedServer:
        (ground / name).mkdir(parents=True, exist_ok=True)
        servers.append(EmbeddedServer(ground / name / ".chatdb", **options))
        return servers[-1]

    yield give
    for server in servers:
        if (server.home / "server.json").exists():
            server.destroy()


@pytest.fixture
def stopped(template: EmbeddedServer, fresh: Make) -> Make:
    """Give servers that have data and are stopped."""

    def give(name: str = "project", **options: Any) -> EmbeddedServer:
        server: EmbeddedServer = fresh(name, **options)
        subprocess.run(["cp", "-a", template.home, server.home], check=True)
        return server

    return give


@pytest.fixture
def hollow(fresh: Make) -> EmbeddedServer:
    """What looks like a stopped server, for tests that never come to start it."""
    server = fresh()
    (server.home / "data").mkdir(parents=True)
    (server.home / "data" / "PG_VERSION").write_text("18\n")
    (server.home / "server.json").write_text("{}")
    return server


@pytest.fixture(scope="module")
def running(
    template: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedServer]:
    """A server that runs, for tests that leave it as it is, in a project with a nasty name."""
    ground = make_server_folder(tmp_path_factory.mktemp("running"))
    server = EmbeddedServer(ground / 'it\'s a "pro%ject" ü' / ".chatdb")
    server.home.parent.mkdir()
    subprocess.run(["cp", "-a", template.home, server.home], check=True)
    server.start()
    yield server
    server.destroy()
    shutil.rmtree(ground)
