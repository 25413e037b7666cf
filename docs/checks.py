"""Write checks.md from the codes of `chatdb verify`; `make docs` runs this script.

What belongs here: the order and the form of that document.  What does not belong here: the text about a
code, which is in `chatdb_cli/verify/codes.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.verify.codes import CODES, NOT_CHECKED
from chatdb_cli.verify.model import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.verify.model import CheckName

PATH = Path(__file__).with_name("checks.md")

HEAD = """\
<!-- Made by docs/checks.py: correct the texts in chatdb_cli/verify/codes.py, and run "make docs". -->

# The checks of `chatdb verify`

    chatdb verify                               every check, on the database of the settings
    chatdb verify --offline                     only the files: no database at all
    chatdb verify --since origin/main           lint and rehearse only what a branch adds
    chatdb verify --allow-pending               before a deployment: the new migrations are pending
    chatdb verify --only history,schema         some of the checks; `--skip` leaves some out

Nothing is written to the database; `schema` and `rollback` run the files in a scratch database, which is
dropped at the end ([proof.md](proof.md)). **A check that could not be made has failed**, with the finding
`not-checked`, and the other checks are still made. [ci.md](ci.md) shows whole jobs.

## Exit codes

| exit | means |
| --- | --- |
| 0 | every check that was asked for was made, and found nothing |
| 1 | a check has failed |
| 6 | a check has failed, and only because files and history disagree; a pending migration alone is 1 |
| 2, 3, 4, 8 | not one of the checks could be made, all for the same reason: settings, database, tunnel, no scratch database; or wrong usage |

## The document

`--format json` prints `ok` and `checks`, each with `name`, `ok`, `skipped`, `reason` (why it was skipped),
`summary`, `duration_ms`, `error` (why it could not be made, as in [errors.md](errors.md), or null) and
`findings`: `code`, `message`, `hint`, `file`, `line`, `column`, `version`, `why`. A check that was skipped has
`"ok": true` and `"skipped": true`. The codes are stable, and those below are all that there are; keys, checks
and codes are only added.

## Reports

`--report` can be repeated, beside any format.

| report | for |
| --- | --- |
| `--report github` | annotations of GitHub Actions, beside the lines of the diff |
| `--report sarif=FILE` | SARIF 2.1.0, for code scanning; a finding about no file is at the newest migration |
| `--report junit=FILE` | JUnit XML, which GitLab, Jenkins and others show as tests: a check is a suite, a finding a failed test |
| `--report markdown=FILE` | a summary for a pull request: its migrations, the locks that they take, their rehearsal, the findings |
"""
TEXTS: dict[CheckName, str] = {
    "files": "Names, pairs of up and down, PostgreSQL's grammar, and what [the linter](lint.md) calls an error (with "
    "`[lint] strict = true`, also a warning). A migration without a down file that is not declared "
    "`irreversible` fails. Each finding of the linter has the name of its rule as code: [rules](rules/README.md). "
    "With `--since`, only newer files are linted; names and pairs are always those of the whole folder.",
    "history": "What `chatdb migrate status` calls a problem, and migrations that are not applied.",
    "schema": "The live schema against what its applied files build, as `chatdb migrate drift` compares them: one "
    "finding for each object or attribute that differs.",
    "rollback": "Each down is the exact inverse of its up, as `chatdb migrate rehearse` proves; with `--since`, of the "
    "migrations that are newer. One that is declared irreversible is passed over.",
    "invariants": "What is true of every healthy schema. It looks at the tables of the target's schema, and at those of "
    "every other schema that belongs to the role which created the history, unless that schema has a history of "
    "its own. Tables of extensions do not count. It needs SELECT on sequences and their columns.",
    "counts": "The rows against those of a file that `chatdb counts --save` wrote (`--counts FILE`), or those of another "
    "database (`--against URL`): exact numbers, and the checksums if the file has them. Skipped without either.",
}


def document() -> str:
    """Return the whole of checks.md."""
    parts = [HEAD, "## Every check\n", _table(_codes(None))]
    for name in CHECKS:
        parts += [f"## {name}\n", f"{TEXTS[name]}\n", _table(_codes(name))]
    return "\n".join(parts)


def _codes(name: CheckName | None) -> Iterator[tuple[str, ...]]:
    for code, text in CODES.items():
        if (code == NOT_CHECKED) if name is None else (name in text.checks):
            yield f"`{code}`", text.cause, text.remedy


def _table(rows: Iterator[tuple[str, ...]]) -> str:
    lines = [("code", "cause", "remedy"), ("---",) * 3, *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    PATH.write_text(document(), encoding="utf-8")
