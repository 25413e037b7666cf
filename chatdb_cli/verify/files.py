"""The check of the files: names, pairs, syntax, and what the linter calls an error.  No database.

What does not belong here: the rules (`lint/`), files against history (`history.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Location
from chatdb_cli.files.entries import list_entries
from chatdb_cli.files.folder import choose_folder
from chatdb_cli.files.names import parse_file_name
from chatdb_cli.files.read import read_migrations
from chatdb_cli.lint.linter import lint_files
from chatdb_cli.lint.options import lint_options
from chatdb_cli.plural import plural
from chatdb_cli.verify.codes import found
from chatdb_cli.verify.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.files.model import Files
    from chatdb_cli.findings import Finding
    from chatdb_cli.verify.model import Request

# What the linter says about these files is said for the whole folder, whatever `since` leaves out.
_BAD_FILE = "bad-file"
# A warning of the linter that is a failure here: half of a pair is missing.
_PAIRS = ("no-down-file",)


def check_files(request: Request) -> Outcome:
    """Check the names and pairs of all files, and lint them, or those that are newer than a commit.

    Raises:
        ChatdbError: a folder or a commit does not exist, a file can't be read, dependencies form a
            circle.
    """
    files = read_migrations(choose_folder(request.directory))
    settings = request.settings
    result = lint_files(
        request.directory, since=request.since, options=lint_options(settings, None)
    )
    bad = ("error", "warning") if settings.lint.strict else ("error",)
    lint = tuple(
        finding._replace(severity="error")
        for finding in result.findings
        if (finding.severity in bad or finding.code in _PAIRS) and finding.code != _BAD_FILE
    )
    count = len(result.files)
    newer = f" newer than {request.since}" if request.since is not None else ""
    summary = f"{plural(count, 'file')}{newer}"
    return Outcome(summary, (*_names_and_pairs(files), *lint))


def _names_and_pairs(files: Files) -> Iterator[Finding]:
    for error in files.refused:
        yield found(_BAD_FILE, error.message, error.hint or "", error.place)
    for version, names in files.duplicates.items():
        yield found(
            "duplicate",
            f"version {version} is used by {' and '.join(names)}",
            "a version is the leading digits: give each migration, up and down, its own",
            Location(files.folder.path / "up" / names[-1]),
            version,
        )
    versions = {migration.number for migration in files.migrations}
    for entry in list_entries(files.folder.path / "down").files:
        try:
            _, version, _ = parse_file_name(entry.name, entry.path)
        except ChatdbError:
            continue  # it is in `files.refused`
        if int(version) not in versions:
            message = f"{entry.path} has no up file"
            hint = "restore it, or remove the down file"
            yield found("down-without-up", message, hint, Location(Path(entry.path)), version)
