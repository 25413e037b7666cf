"""The values of the linter: files, problems, options, what a database says.

What does not belong here: rules (`rule.py`), what the files build (`schema.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatdb_cli.files.model import Direction, Directives
    from chatdb_cli.findings import Finding, Severity
    from chatdb_cli.syntax.tree.model import Body, Name, Span, Statement
    from chatdb_cli.syntax.tree.parse import Unreadable


class SqlFile(NamedTuple):
    """A file of a migration, parsed.

    Attributes:
        path: as it is shown to the user.
        text: its text.
        direction: up or down.
        version: the version of the migration; empty for a file outside of a folder.
        directives: those of its leading comment.
        statements: its statements; none if it can't be read.
        unreadable: why the grammar can't read it, or None.
        batch: the number of the batch that it belongs to; files of one batch are applied together.
        checked: whether its findings are asked for.
    """

    path: str
    text: str
    direction: Direction
    version: str
    directives: Directives
    statements: tuple[Statement[Body], ...]
    unreadable: Unreadable | None
    batch: int
    checked: bool


class Pair(NamedTuple):
    """The two files of a migration.

    Attributes:
        up: the file that applies it.
        down: the file that rolls it back, or None.
    """

    up: SqlFile
    down: SqlFile | None


class Edit(NamedTuple):
    """A correction that a program can make.

    Attributes:
        replacements: texts in place of parts of the file.
        nontransactional: the file has to have `-- chatdb: transactional: false`.
        next_up: statements for the up file of the next migration; empty for none.
        next_down: the statements that roll them back.
    """

    replacements: tuple[tuple[Span, str], ...] = ()
    nontransactional: bool = False
    next_up: str = ""
    next_down: str = ""


class Problem(NamedTuple):
    """What a rule found.

    Attributes:
        message: one sentence in lower case, without a full stop.
        span: the part of the file; None for the first word of the statement.
        safe: the safe way as SQL, with the names of the statement.
        table: the table whose size matters: a database adds it to the message.
        edit: a correction that a program can make, or None.
        severity: in place of the severity of the rule.
        file: the file, if it is another one than the file that is checked.
    """

    message: str
    span: Span | None = None
    safe: str = ""
    table: Name | None = None
    edit: Edit | None = None
    severity: Severity | None = None
    file: SqlFile | None = None


class LiveDatabase(NamedTuple):
    """What a database says to the linter.

    Attributes:
        server_version: its major version.
        rows: the estimated number of rows of each table, by schema and name; None if it is not known.
        pending: the versions that are not applied.
    """

    server_version: int
    rows: Mapping[tuple[str, str], int | None]
    pending: frozenset[str]


@dataclass(frozen=True, slots=True)
class LintOptions:
    """How to lint.

    Attributes:
        schema: the schema of a name without one.
        off: rules that are not checked.
        on: rules that are off by default, and are checked.
        severities: a severity in place of the rule's own, by rule.
        server_version: the major version of the server; None for any supported one.
        after: files up to this version are not checked; None checks them all.
        live: what a database says, or None without a connection.
    """

    schema: str = "public"
    off: frozenset[str] = frozenset()
    on: frozenset[str] = frozenset()
    severities: Mapping[str, Severity] = field(default_factory=dict)
    server_version: int | None = None
    after: str | None = None
    live: LiveDatabase | None = None


class FileChange(NamedTuple):
    """A file with another text.

    Attributes:
        path: the file.
        before: its text; None for a new file.
        after: its text after the change.
    """

    path: str
    before: str | None
    after: str


class LintResult(NamedTuple):
    """The result of a lint.

    Attributes:
        findings: in the order of the files, and in a file by place.
        files: the files that were checked, as they are shown to the user.
        changes: what corrects every finding that a program can correct; `write_fixes` writes it.
    """

    findings: tuple[Finding, ...]
    files: tuple[str, ...]
    changes: tuple[FileChange, ...] = ()

    def failed(self, *, strict: bool = False) -> bool:
        """Return whether there is an error, or with `strict` a warning."""
        bad = ("error", "warning") if strict else ("error",)
        return any(finding.severity in bad for finding in self.findings)
