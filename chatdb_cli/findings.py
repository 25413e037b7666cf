"""Findings: what a check returns.

    Finding    one thing that a check found, and what to do about it

Every check returns these, whatever it looks at, so that one report can show all of them.  What does not
belong here: a check, a report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from chatdb_cli.errors import Location

Severity = Literal["error", "warning", "note"]


class Finding(NamedTuple):
    """One thing that a check found.

    Attributes:
        code: the kind, a stable name for programs.
        severity: an error stops what was asked for, a warning and a note do not.
        message: one sentence in lower case, without a full stop.
        hint: what to do about it; empty if there is nothing to do.
        location: where in which file, or None.
        version: the version of the migration that it is about, or None.
        end: the line and the column after its last character, both counted from 1, or None.
        why: what happens otherwise, in a few sentences; empty if the message says it all.
        fix: the correction that a program can make, as a unified diff, or None.
    """

    code: str
    severity: Severity
    message: str
    hint: str = ""
    location: Location | None = None
    version: str | None = None
    end: tuple[int, int] | None = None
    why: str = ""
    fix: str | None = None
