"""The values of a verification: the checks, the result of each, the verdict.

What does not belong here: running the checks (`verify.py`), the codes of their findings (`codes.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from chatdb_cli.errors import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from chatdb_cli.errors import ChatdbError
    from chatdb_cli.files.model import Migration
    from chatdb_cli.findings import Finding
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.rehearse.model import Rehearsal
    from chatdb_cli.settings.model import Settings

CheckName = Literal["files", "history", "schema", "rollback", "invariants", "counts"]
# In the order in which they run.
CHECKS: tuple[CheckName, ...] = get_args(CheckName)


class Request(NamedTuple):
    """What is verified.

    Attributes:
        settings: they name the target.
        directory: the folder with `up/` and `down/`, as `choose_folder` takes it.
        since: a commit, branch or tag: only files that differ from it are linted and rehearsed.
        allow_pending: a pending migration is expected.
        counts: the file of saved counts, or None.
        locks: trace which locks the statements of the rehearsed files took.
        report: called with a line for what takes time.
    """

    settings: Settings
    directory: str | None
    since: str | None
    allow_pending: bool
    counts: Path | None
    locks: bool
    report: Callable[[str], None]


def has_other_side(request: Request) -> bool:
    """Return whether there is something to compare the rows with."""
    return request.counts is not None or request.settings.against is not None


class Outcome(NamedTuple):
    """What a check returns.

    Attributes:
        summary: what was checked, for people.
        findings: what is wrong.
        rehearsal: what was rehearsed, or None.
    """

    summary: str
    findings: tuple[Finding, ...]
    rehearsal: Rehearsal | None = None


class CheckResult(NamedTuple):
    """The result of a check.

    Attributes:
        name: the check.
        summary: what was checked, for people.
        findings: what is wrong; a check without any has passed, or was skipped.
        skipped: why it was not made, because nobody asked for it; None if it was made or tried.
        error: why it could not be made, or None; then it has failed, with one finding about that.
        duration_ms: the time that it took, in milliseconds.
    """

    name: CheckName
    summary: str = ""
    findings: tuple[Finding, ...] = ()
    skipped: str | None = None
    error: ChatdbError | None = None
    duration_ms: int = 0

    @property
    def ok(self) -> bool:
        """Nothing is wrong, or the check was skipped."""
        return not self.findings

    @property
    def only_disagrees(self) -> bool:
        """It has failed, and the reason is that files and history disagree."""
        if self.error is not None:
            return self.error.exit is Exit.DISAGREE
        codes = {finding.code for finding in self.findings}
        return self.name == "history" and bool(codes - {"pending"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a project.

    Attributes:
        target: the database and schema, or None if no check needed one, or if it could not be opened.
        checks: the result of each check, in the order of `CHECKS`.
        since: the commit since which files were checked, or None.
        migrations: the migrations that differ from that commit; empty without one.
        rehearsal: what the check of rollbacks has rehearsed, or None.
        newest: the up file of the newest migration, or None if there is none.
    """

    target: Target | None
    checks: tuple[CheckResult, ...]
    since: str | None = None
    migrations: tuple[Migration, ...] = ()
    rehearsal: Rehearsal | None = None
    newest: Path | None = None

    @property
    def ok(self) -> bool:
        """Every check that was asked for was made, and found nothing."""
        return not self.failed

    @property
    def failed(self) -> Sequence[CheckResult]:
        """The checks that have failed."""
        return [check for check in self.checks if not check.ok]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What all checks have found."""
        return tuple(finding for check in self.checks for finding in check.findings)

    @property
    def exit(self) -> Exit:
        """The exit code.

        6 if the only reason is that files and history disagree; that of the error if no check at all
        could be made; 1 for everything else that is wrong.
        """
        if self.ok:
            return Exit.DONE
        if all(check.only_disagrees for check in self.failed):
            return Exit.DISAGREE
        errors = [check.error for check in self.checks if check.skipped is None]
        exits = {error.exit for error in errors if error is not None}
        return exits.pop() if None not in errors and len(exits) == 1 else Exit.FOUND
