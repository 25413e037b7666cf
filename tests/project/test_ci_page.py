"""docs/ci.md and action.yml: valid, and each of their commands does what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.database import Database
from tests.support.paths import ROOT
from tests.support.project import Project

PAGE = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
GITHUB, ACTION_STEP, GITLAB = (yaml.safe_load(block) for block in BLOCKS)
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
(SHELL,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)

Shell = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def shell(project: Project, database: Database) -> Shell:
    """Return a function that runs a script as a CI job does, in a clone with a branch."""
    programs = project.path / "bin"
    programs.mkdir()
    (programs / "chatdb").write_text(f'#!/bin/sh\nexec {sys.executable} -m chatdb_cli "$@"\n')
    (programs / "chatdb").chmod(0o755)

    def git(*arguments: str) -> str:
        command = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments)
        return subprocess.run(
            command, cwd=project.path, check=True, capture_output=True, text=True
        ).stdout.strip()

    project.write("0001_t", "CREATE TABLE t (id int PRIMARY KEY);\n", "DROP TABLE IF EXISTS t;\n")
    git("init", "-q")
    git("add", "sql")
    git("commit", "-qm", "base")
    git("update-ref", "refs/remotes/origin/main", "HEAD")
    base = git("rev-parse", "HEAD")
    project.write("0002_u", "CREATE TABLE u (id int PRIMARY KEY);\n", "DROP TABLE IF EXISTS u;\n")
    git("add", "sql")
    git("commit", "-qm", "branch")

    def run(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = project.environment(
            PYTHONPATH=str(ROOT),
            DATABASE_URL=database.url,
            GITHUB_BASE_REF="main",
            GITHUB_STEP_SUMMARY=str(project.path / "summary.md"),
            CI_MERGE_REQUEST_DIFF_BASE_SHA=base,
        )
        environment |= {"PATH": f"{programs}:{environment['PATH']}", **variables}
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script], cwd=project.path, env=environment,
            capture_output=True, text=True,
        )  # fmt: skip

    return run


def commands(steps: list[Any]) -> list[str]:
    """Return the scripts of a job that do not install anything."""
    scripts = [step if isinstance(step, str) else step.get("run", "") for step in steps]
    return [script for script in scripts if script and not script.startswith("pip install")]


def test_the_job_of_github_verifies_and_writes_its_reports(shell: Shell, project: Project) -> None:
    job = GITHUB["jobs"]["verify"]
    # YAML reads the key `on` as true.
    assert GITHUB[True] == "pull_request"
    setup, verify = commands(job["steps"])
    assert shell(setup).returncode == 0
    result = shell(verify)
    assert result.returncode == 0, result.stdout
    assert "1 rehearsed" in result.stdout
    uploaded = next(s for s in job["steps"] if "upload-sarif" in s.get("uses", ""))
    assert (project.path / uploaded["with"]["sarif_file"]).exists()
    assert "`0002`" in (project.path / "summary.md").read_text()
    # ... and a mistake makes it fail.
    project.write("0003_bad", "TRUNCATE t;\n", "SELECT 1;\n")
    result = shell(verify)
    assert result.returncode == 1
    assert "::error file=sql/up/0003_bad.sql,line=1" in result.stdout


def test_the_job_of_gitlab_verifies_and_writes_its_report(
    shell: Shell, project: Project, database: Database
) -> None:
    job = GITLAB["verify"]
    names = {service["alias"] for service in job["services"]}
    variables = {key: value for key, value in job["variables"].items() if key != "DATABASE_URL"}
    for url in (job["variables"]["DATABASE_URL"], variables["CHATDB_SCRATCH_URL"]):
        assert re.search(r"@(\w+):5432/", url)[1] in names  # type: ignore[index]
    variables["CHATDB_SCRATCH_URL"] = database.url
    for script in commands(job["script"]):
        result = shell(script, **variables)
        assert result.returncode == 0, result.stdout + result.stderr
    assert (project.path / job["artifacts"]["reports"]["junit"]).exists()


def test_the_commands_for_other_places_work(shell: Shell) -> None:
    assert shell("chatdb setup").returncode == 0
    result = shell(SHELL)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("verified:") == SHELL.count("chatdb verify")


def test_the_action_is_a_composite_whose_steps_run(shell: Shell, project: Project) -> None:
    assert ACTION["runs"]["using"] == "composite"
    install, setup, verify = ACTION["runs"]["steps"]
    assert install["env"]["ACTION_PATH"] == "${{ github.action_path }}"
    assert "$ACTION_PATH" in install["run"]
    assert (ROOT / "pyproject.toml").exists()
    (step,) = ACTION_STEP
    assert set(step["with"]) <= set(ACTION["inputs"])
    assert all(run["shell"] == "bash" for run in (install, setup, verify))
    assert shell(setup["run"]).returncode == 0
    result = shell(verify["run"], ARGUMENTS="--since origin/main --skip schema")
    assert result.returncode == 0, result.stdout
    assert "schema      skipped" in result.stdout


def test_no_expression_of_the_action_is_part_of_a_script() -> None:
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"]
    scripts = commands(GITHUB["jobs"]["verify"]["steps"])
    assert not [script for script in scripts if "${{" in script]


def test_every_file_that_the_page_links_to_exists() -> None:
    for name in re.findall(r"\]\(([\w./]+)\)", PAGE):
        assert (ROOT / "docs" / name).exists()
        assert Path(name).suffix == ".md"
