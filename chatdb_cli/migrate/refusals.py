"""Why a command of the migrator does not run, as one error.

What does not belong here: finding the problems (`compare.py`, `file_checks.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate import compare
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.files.model import Files
    from chatdb_cli.findings import Finding
    from chatdb_cli.history.model import History
    from chatdb_cli.migrate.model import Plan


def plan_refusals(first: Plan, past: History) -> tuple[str, ...]:
    """Return why files of a plan can't run, so that it is said together with the plan's problems."""
    from chatdb_cli.migrate.file_checks import find_refusals

    ups = [s.migration for s in first.steps if s.direction == "up" and s.migration]
    return tuple(map(compare.describe, find_refusals(ups, ups, past.server_version)))


def refuse_problems(problems: Sequence[Finding], files: Files, more: tuple[str, ...] = ()) -> None:
    """Raise the first problem as an error, with the others as notes.

    Args:
        problems: what stops a run; nothing is raised if there are none.
        files: the files on disk.
        more: further notes.
    """
    if not problems:
        return
    problem = problems[0]
    others = (*(p.message for p in problems[1:]), *more)
    if problem.code == "refused":  # its own error has all the facts
        error = next(e for e in files.refused if compare.describe(e) == problem.message)
        raise error.with_(notes=error.notes + others)
    raise ChatdbError(Code.HISTORY, problem.message, hint=problem.hint, notes=others)


def refuse_contradiction(**arguments: object) -> None:
    """Raise an error if more than one of some arguments is given."""
    names = [f"{{{name}}}" for name, value in arguments.items() if value is not None]
    if len(names) > 1:
        message = Advice(f"{' and '.join(names)} contradict each other")
        raise ChatdbError(Code.USAGE, message, hint="give one of them")
