"""Run an example of docs/library.md as a reader would."""

from __future__ import annotations

import subprocess
import sys

from tests.support.paths import ROOT
from tests.support.project import Project


def run_example(name: str, project: Project, **variables: str) -> subprocess.CompletedProcess[str]:
    example = ROOT / "docs/examples" / f"{name}.py"
    command = [sys.executable, "-W", "error", str(example)]
    if name == "test_schema":
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(example)]
    return subprocess.run(
        command,
        cwd=project.path,
        env=project.environment(
            PYTHONPATH=str(ROOT), PYTHONSAFEPATH="1", PYTHONDONTWRITEBYTECODE="1", **variables
        ),
        capture_output=True,
        text=True,
    )
