"""The check of the history: what is applied is what the files are, and nothing is pending.

What does not belong here: comparing files and history (`migrate/compare.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.errors import Location
from chatdb_cli.files.read import read_migrations
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.remedy import Advice
from chatdb_cli.verify.codes import found
from chatdb_cli.verify.model import Outcome

if TYPE_CHECKING:
    from chatdb_cli.verify.database import SharedDatabase
    from chatdb_cli.verify.model import Request


def check_history(request: Request, database: SharedDatabase) -> Outcome:
    """Compare files and history; writes nothing.

    Raises:
        ChatdbError: no connection, no such schema, or the history can't be read.
    """
    target = database.target()
    status = Migrator(target, request.directory).status()
    places = {
        migration.version: Location(migration.up.path)
        for migration in read_migrations(status.folder, downs=False).migrations
    }
    findings = [
        found(p.code, p.message, p.hint, p.location or places.get(p.version or ""), p.version)
        for p in status.problems
    ]
    named = {finding.version for finding in findings}
    if not request.allow_pending:
        findings += (
            found(
                "pending",
                f"{migration.id} is pending",
                Advice("apply it with {up}, or expect it with {allow_pending}"),
                places.get(migration.version),
                migration.version,
            )
            for migration in status.pending
            if migration.version not in named  # out of order, refused: that says it, too
        )
    applied, pending = len(status.applied), len(status.pending)
    summary = f"{applied} applied, {pending} pending; current {status.current or 'none'}"
    return Outcome(summary, tuple(findings))
