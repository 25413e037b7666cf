"""The make targets in a fresh checkout, and the contents of the wheel."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".chatdb", "__pycache__", ".*_cache", "dist")


class Trap:
    """A port that records whether anyone ever connects to it."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.touched = False
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self) -> None:
        try:
            self.listener.accept()[0].close()
            self.touched = True
        except OSError:
            pass  # closed before any connection

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)


@pytest.fixture
def trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    trap.close()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this tree with a virtual environment in which everything is installed."""
    copy = tmp_path / "a clone"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    venv = copy / ".venv"
    (venv / "bin").mkdir(parents=True)
    for name in (".chatdb", ".dev"):
        (venv / name).touch()
    python = venv / "bin" / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{copy}" exec "{sys.executable}" "$@"\n')
    chatdb = venv / "bin" / "chatdb"
    chatdb.write_text(
        f'#!/bin/sh\nPYTHONPATH="{copy}" exec "{sys.executable}" -m chatdb_cli "$@"\n'
    )
    for script in (python, chatdb):
        script.chmod(0o755)
    return copy


def make(checkout: Path, *targets: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *targets],
        cwd=checkout,
        env={"PATH": os.environ["PATH"], "HOME": str(checkout.parent), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_make_up_uses_its_own_server_whatever_the_settings(checkout: Path, trap: Trap) -> None:
    url = f"postgresql://app:hunter2@127.0.0.1:{trap.port}/production"
    (checkout / ".env").write_text(
        f"DATABASE_URL={url}\nSSH_HOST=127.0.0.1\nSSH_PORT={trap.port}\n"
    )
    (checkout / ".env.local").write_text("this is no assignment\n")
    settings = {
        "DATABASE_URL": url,
        "CHATDB_DATABASE_URL": url,
        "POSTGRES_HOST": "127.0.0.1",
        "POSTGRES_PORT": str(trap.port),
        "PGHOST": "127.0.0.1",
        "PGHOSTADDR": "127.0.0.1",
        "PGPORT": str(trap.port),
        "PGSERVICE": "nowhere",
        "PGSSLMODE": "verify-full",
        "SSH_HOST": "127.0.0.1",
        "CHATDB_ENV": "production",
        "CHATDB_SCHEMA": "elsewhere",
    }
    try:
        for _ in range(2):
            result = make(checkout, "up", **settings)
            assert result.returncode == 0, result.stderr
            assert "0 pending" in result.stdout
            assert "hunter2" not in result.stdout + result.stderr
        assert "embedded server in ./.chatdb" in result.stderr
        assert not trap.touched
        assert make(checkout, "down", **settings).returncode == 0
        # The server is stopped and keeps its data, which `make clean` does not remove.
        assert make(checkout, "clean", **settings).returncode == 0
        assert (checkout / ".chatdb" / "server.json").is_file()
    finally:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "chatdb_cli",
                "server",
                "destroy",
                "--yes",
                "--env-file",
                "/dev/null",
            ],
            cwd=checkout,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
        )
    assert not trap.touched


def test_plain_make_lists_the_targets(checkout: Path) -> None:
    result = make(checkout).stdout
    for target in ("up", "down", "demo", "test", "test-quick", "lint", "docs", "clean"):
        assert f"make {target} " in result


def test_make_docs_regenerates_the_pages(checkout: Path) -> None:
    errors, schema = (checkout / "docs" / name for name in ("errors.md", "schema.md"))
    before = errors.read_bytes(), schema.read_bytes()
    errors.write_text("old")
    schema.write_bytes(before[1] + b"old")
    assert make(checkout, "docs").returncode == 0
    assert (errors.read_bytes(), schema.read_bytes()) == before


def test_the_wheel_holds_the_chat_schema(tmp_path: Path) -> None:
    import zipfile

    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = zipfile.ZipFile(wheel).namelist()
    for kind in ("up", "down"):
        shipped = {p.name for p in (ROOT / "sql" / kind).glob("*.sql")}
        assert shipped == {Path(n).name for n in names if n.startswith(f"chatdb_cli/sql/{kind}/")}
    assert "chatdb_cli/py.typed" in names
