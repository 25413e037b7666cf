"""The codes of findings: a stable name for each thing that can be wrong, with cause and remedy.

    CODES    every code but those of the linter, which docs/rules lists
    found    a finding with one of these codes

`make docs` writes docs/checks.md from these texts, for users of the command line.  What does not belong
here: looking for it (the module of the check).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.findings import Finding

if TYPE_CHECKING:
    from chatdb_cli.errors import ChatdbError, Location
    from chatdb_cli.verify.model import CheckName


class FindingCode(NamedTuple):
    """The meaning of a code.

    Attributes:
        checks: the checks that find it; empty for all of them.
        cause: what is wrong.
        remedy: what to do about it.
    """

    checks: tuple[CheckName, ...]
    cause: str
    remedy: str


NOT_CHECKED = "not-checked"
CODES = {
    NOT_CHECKED: FindingCode(
        (),
        "The check could not be made: there is no connection, no scratch database, a privilege lacks, "
        "or a file can't be read. The message says which, and `error` in the JSON has the code of the "
        "error (errors.md).",
        "Do what the hint says, or leave the check out with `--skip`.",
    ),
    # --- files
    "bad-file": FindingCode(
        ("files",),
        "A file can't be a migration: its name, its bytes, a directive, or a down file of another name.",
        "Correct it; until then chatdb refuses the folder.",
    ),
    "duplicate": FindingCode(
        ("files", "history"),
        "Several files have the same version.",
        "Give each migration a version of its own, up and down.",
    ),
    "down-without-up": FindingCode(
        ("files",),
        "A down file has no up file, so it will never run.",
        "Restore the up file, or remove the down file.",
    ),
    # --- history
    "pending": FindingCode(
        ("history",),
        "A migration is not applied.",
        "Apply it with `chatdb migrate up`; `--allow-pending` expects it, before a deployment.",
    ),
    "changed": FindingCode(
        ("history",),
        "A file was changed after it was applied.",
        "Restore it, and put the change into a new migration; `chatdb migrate repair` accepts it.",
    ),
    "missing": FindingCode(
        ("history",),
        "An applied migration has no file: it was removed, or it is of a branch that is not merged.",
        "Restore the file; `chatdb migrate repair` removes it from the history.",
    ),
    "out-of-order": FindingCode(
        ("history",),
        "A pending migration is older than the newest applied one.",
        "Rename it to a newer version, or apply it with `--allow-out-of-order`.",
    ),
    "unfinished": FindingCode(
        ("history",),
        "A migration without a transaction stopped part-way.",
        "`chatdb migrate up` continues there, `chatdb migrate down` rolls back what is done.",
    ),
    "refused": FindingCode(
        ("history",),
        "The file of a pending migration can't be one.",
        "Correct it at the location that is shown.",
    ),
    "invalid-history": FindingCode(
        ("history",),
        "The history holds another version for a migration than its name begins with.",
        "`chatdb migrate repair` restores the version.",
    ),
    "history-owner": FindingCode(
        ("history",),
        "Tables of the history belong to a role that is neither the owner of the schema or of the "
        "database, nor a superuser, nor this role or one that it is a member of.",
        "Drop what another role has planted; or grant that role to the one that migrates, or change the "
        "owner of the tables.",
    ),
    "yoyo-lock": FindingCode(
        ("history",),
        "A yoyo client has left its lock.",
        "If its process has ended, `chatdb migrate repair` removes the row.",
    ),
    # --- schema
    "drift": FindingCode(
        ("schema",),
        "The live schema is not what its applied files build: it was changed by hand.",
        "Put the change into a migration, or undo it; `chatdb migrate drift` shows all of it.",
    ),
    "schema-unreadable": FindingCode(
        ("schema",),
        "A part of the schema could not be compared, because the role may not read it.",
        "Grant the role what it lacks, or verify with the role that owns the schema.",
    ),
    # --- rollback
    "up-failed": FindingCode(
        ("rollback",),
        "An up file fails: at first, or again after its down.",
        "Correct it; a down that leaves something often is the cause.",
    ),
    "down-failed": FindingCode(
        ("rollback",),
        "A down file fails.",
        "Correct it, or declare the migration `irreversible` in the head of its up file.",
    ),
    "down-differs": FindingCode(
        ("rollback",),
        "A down does not undo its up: the schema after it is not what it was before.",
        "Correct the down file; `chatdb migrate rehearse` shows what differs.",
    ),
    "up-differs": FindingCode(
        ("rollback",),
        "An up that runs again after its down builds something else than at first.",
        "Correct the down file, which leaves something; `chatdb migrate rehearse` shows what differs.",
    ),
    # --- invariants
    "unindexed-foreign-key": FindingCode(
        ("invariants",),
        "A foreign key has no index that starts with its columns: deleting a referenced row reads the "
        "whole table.",
        "Create the index, with CONCURRENTLY if the table is in use.",
    ),
    "invalid-index": FindingCode(
        ("invariants",),
        "An index is invalid: a CREATE INDEX CONCURRENTLY has failed. Only writes still use it.",
        "`REINDEX INDEX CONCURRENTLY`, or drop it and create it again.",
    ),
    "not-validated": FindingCode(
        ("invariants",),
        "A constraint was added NOT VALID, and older rows may violate it.",
        "`ALTER TABLE ... VALIDATE CONSTRAINT` in a migration.",
    ),
    "disabled-trigger": FindingCode(
        ("invariants",),
        "A trigger is disabled; if it is one of a foreign key, that is not checked.",
        "`ALTER TABLE ... ENABLE TRIGGER`; rows that were written meanwhile are not checked.",
    ),
    "no-primary-key": FindingCode(
        ("invariants",),
        "A table has no primary key: no row can be named, and logical replication can't update it.",
        "Add one, from a unique index that was built with CONCURRENTLY if the table is in use.",
    ),
    "sequence-behind": FindingCode(
        ("invariants",),
        "A sequence gives out a value that its column already has: the next INSERT fails.",
        "Set it with `setval` to the highest value of the column.",
    ),
    "sequence-unreadable": FindingCode(
        ("invariants",),
        "A sequence could not be compared with its column, because the role may not read one of them.",
        "Grant SELECT on both.",
    ),
    "missing-extension": FindingCode(
        ("invariants",),
        "An applied file creates an extension that the database does not have.",
        "`CREATE EXTENSION`; somebody has dropped it.",
    ),
    # --- counts
    "rows-differ": FindingCode(
        ("counts",),
        "A table has not the same rows on both sides, or only one side has it.",
        "`chatdb counts --against URL --find` names the rows.",
    ),
    "sequence-differs": FindingCode(
        ("counts",),
        "A sequence may give out a value twice, on one of the sides.",
        "Set it with `setval`; `chatdb counts` shows both sides.",
    ),
}


def found(
    code: str,
    message: str,
    hint: str = "",
    location: Location | None = None,
    version: str | None = None,
) -> Finding:
    """Return a finding of severity error, with the cause of its code.

    Raises:
        KeyError: CODES does not list the code.
    """
    return Finding(
        code, "error", message, hint, location=location, version=version, why=CODES[code].cause
    )


def not_checked(error: ChatdbError) -> Finding:
    """Return the finding of a check that could not be made."""
    message = f"could not be checked: {error.message}"
    return found(NOT_CHECKED, message, error.hint or "", error.place)
