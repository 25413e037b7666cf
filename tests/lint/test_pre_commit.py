"""The hook for pre-commit, tried with pre-commit from PyPI (`--long`)."""

from __future__ import annotations

import subprocess
import sys
import venv
from typing import TYPE_CHECKING

import pytest

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{folder / 'venv' / 'bin'}:{sys.exec_prefix}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    return subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_pre_commit_refuses_a_commit_with_an_error(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if not request.config.getoption("--long"):
        pytest.skip("installs packages; --long runs it")
    venv.create(tmp_path / "venv", with_pip=True)
    pip = (tmp_path / "venv" / "bin" / "pip", "install", "-q", "pre-commit")
    subprocess.run([*map(str, pip)], check=True)
    revision = run(ROOT, "git", "rev-parse", "HEAD").stdout.strip()
    assert revision, "the hook is installed from a git repository, as its users do"
    (tmp_path / ".pre-commit-config.yaml").write_text(
        f"repos:\n- repo: {ROOT}\n  rev: {revision}\n  hooks:\n  - id: chatdb-lint\n"
    )
    (tmp_path / ".gitignore").write_text("venv\n.cache\n")
    for folder in ("up", "down"):
        (tmp_path / "sql" / folder).mkdir(parents=True)
    (tmp_path / "sql/up/0001_users.sql").write_text("CREATE TABLE users (id bigint PRIMARY KEY);\n")
    (tmp_path / "sql/down/0001_users.sql").write_text("DROP TABLE users;\n")
    assert run(tmp_path, "git", "init", "-q").returncode == 0
    installed = run(tmp_path, "pre-commit", "install")
    assert installed.returncode == 0, installed.stderr
    run(tmp_path, "git", "add", ".")
    first = run(tmp_path, "git", "commit", "-m", "users")
    assert first.returncode == 0, first.stdout + first.stderr
    (tmp_path / "sql/up/0002_i.sql").write_text("CREATE INDEX users_idx ON users (id, id);\n")
    (tmp_path / "sql/down/0002_i.sql").write_text("DROP INDEX users_idx;\n")
    run(tmp_path, "git", "add", ".")
    second = run(tmp_path, "git", "commit", "-m", "index")
    assert second.returncode == 1
    assert "index-without-concurrently" in second.stdout + second.stderr
