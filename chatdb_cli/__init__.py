"""chatdb: PostgreSQL migrations in hand-written SQL.

    import chatdb_cli

    settings = chatdb_cli.load_settings()
    with chatdb_cli.setup(settings) as pool, pool.connection() as conn:
        conn.execute("SELECT 1")

The public API: everything that the command line does can be done from Python (docs/library.md).  The
functions take values and return values, raise `ChatdbError`, and never print or exit; only
`load_settings` reads the environment.  A name is imported when it is first used, so that the command
line starts quickly.

The packages; each imports only those below it (CONTRIBUTING.md says how to add to them):

    cli                                 the command line: parse, call, render
    verify                              every check that a CI job needs, in one verdict
    rehearse                            is each down the inverse of its up; drift
    provision, seed, health             databases and test schemas; rows for development; the health of
                                        a running database
    scratch                             a database for one purpose, dropped at the end
    migrate, docs                       the engine; the documentation of a schema
    history, catalog, events, counts    what a database says: its migrations, its schema, its changes,
                                        its rows
    postgres, lint                      targets, connections, the pipeline, what errors mean; rules over
                                        SQL files
    ssh, embedded, files                the tunnel; the project's own server; the SQL files
    settings, syntax                    flags, environment and .env files; SQL as text
    findings                            the one value that every check returns
    log                                 structured logs: one record for each event
    errors, remedy, redaction           errors and exit codes; what to do about an error, without naming
                                        a flag; hiding passwords
    log_events                          the closed list of the events that are logged
    arguments, callbacks, closing, plural, signals, _version
                                        checks of arguments, defaults of callbacks, `with` blocks,
                                        deferred signals

Packages on one line do not import each other; `make lint` checks all of this.

Five things check.  `lint/` looks at text alone, and reports; `syntax/refusal.py` refuses text that no
migration may contain; `migrate/preflight.py` a file that can't run here; `migrate/guards/` what a file
does while it runs; a check that only reports returns findings.

A hint never names a flag: `Advice("look at {status}")` names a remedy of `remedy.py`, and
`cli/words.py` has its words on the command line.  A new public name is a line in `_EXPORTS`, and
one under TYPE_CHECKING.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatdb_cli._version import __version__ as __version__

if TYPE_CHECKING:  # for type checkers: the same names as in _EXPORTS
    from chatdb_cli.catalog.diff import compare_snapshots as compare_snapshots
    from chatdb_cli.catalog.model import Comparison as Comparison
    from chatdb_cli.catalog.model import Difference as Difference
    from chatdb_cli.catalog.model import SchemaObject as SchemaObject
    from chatdb_cli.catalog.model import Snapshot as Snapshot
    from chatdb_cli.catalog.model import Unread as Unread
    from chatdb_cli.catalog.snapshot import read_snapshot as read_snapshot
    from chatdb_cli.catalog.snapshot_file import load_snapshot as load_snapshot
    from chatdb_cli.catalog.snapshot_file import save_snapshot as save_snapshot
    from chatdb_cli.catalog.snapshot_text import format_snapshot as format_snapshot
    from chatdb_cli.catalog.snapshot_text import parse_snapshot as parse_snapshot
    from chatdb_cli.counts.compare import compare_counts as compare_counts
    from chatdb_cli.counts.compare import compare_with_saved as compare_with_saved
    from chatdb_cli.counts.count import count_rows as count_rows
    from chatdb_cli.counts.differences import ComparedSequence as ComparedSequence
    from chatdb_cli.counts.differences import ComparedTable as ComparedTable
    from chatdb_cli.counts.differences import CountsComparison as CountsComparison
    from chatdb_cli.counts.differences import Place as Place
    from chatdb_cli.counts.differences import RowDifference as RowDifference
    from chatdb_cli.counts.model import Checksum as Checksum
    from chatdb_cli.counts.model import CountedColumn as CountedColumn
    from chatdb_cli.counts.model import CountProgress as CountProgress
    from chatdb_cli.counts.model import Counts as Counts
    from chatdb_cli.counts.model import LeftOut as LeftOut
    from chatdb_cli.counts.model import SequenceValue as SequenceValue
    from chatdb_cli.counts.model import Source as Source
    from chatdb_cli.counts.model import TableCount as TableCount
    from chatdb_cli.counts.saved import SavedCounts as SavedCounts
    from chatdb_cli.counts.saved import read_counts as read_counts
    from chatdb_cli.counts.saved import save_counts as save_counts
    from chatdb_cli.docs.describe import describe_schema as describe_schema
    from chatdb_cli.docs.markdown import schema_markdown as schema_markdown
    from chatdb_cli.docs.model import Column as Column
    from chatdb_cli.docs.model import Constraint as Constraint
    from chatdb_cli.docs.model import ForeignKey as ForeignKey
    from chatdb_cli.docs.model import Function as Function
    from chatdb_cli.docs.model import Index as Index
    from chatdb_cli.docs.model import Policy as Policy
    from chatdb_cli.docs.model import Relation as Relation
    from chatdb_cli.docs.model import SchemaDocs as SchemaDocs
    from chatdb_cli.docs.model import Trigger as Trigger
    from chatdb_cli.docs.model import Type as Type
    from chatdb_cli.docs.read import read_schema as read_schema
    from chatdb_cli.docs.update import FileState as FileState
    from chatdb_cli.docs.update import write_schema_docs as write_schema_docs
    from chatdb_cli.embedded.model import ServerStatus as ServerStatus
    from chatdb_cli.embedded.server import EmbeddedServer as EmbeddedServer
    from chatdb_cli.errors import ChatdbError as ChatdbError
    from chatdb_cli.errors import Code as Code
    from chatdb_cli.errors import Exit as Exit
    from chatdb_cli.errors import Location as Location
    from chatdb_cli.events.cursor_file import read_cursor as read_cursor
    from chatdb_cli.events.cursor_file import write_cursor as write_cursor
    from chatdb_cli.events.listener import Listener as Listener
    from chatdb_cli.events.listener import listen as listen
    from chatdb_cli.events.model import Batch as Batch
    from chatdb_cli.events.model import Change as Change
    from chatdb_cli.files.init import InitResult as InitResult
    from chatdb_cli.files.init import init_project as init_project
    from chatdb_cli.files.model import Directives as Directives
    from chatdb_cli.files.model import Folder as Folder
    from chatdb_cli.files.model import Migration as Migration
    from chatdb_cli.files.model import Script as Script
    from chatdb_cli.files.new import new_migration as new_migration
    from chatdb_cli.findings import Finding as Finding
    from chatdb_cli.health.check import check_health as check_health
    from chatdb_cli.health.check import is_healthy as is_healthy
    from chatdb_cli.health.model import Check as Check
    from chatdb_cli.health.model import Health as Health
    from chatdb_cli.health.serve.server import HealthServer as HealthServer
    from chatdb_cli.health.watch import HealthWatch as HealthWatch
    from chatdb_cli.history.access import HistoryAccess as HistoryAccess
    from chatdb_cli.history.model import AppliedMigration as AppliedMigration
    from chatdb_cli.history.model import History as History
    from chatdb_cli.history.model import LogEntry as LogEntry
    from chatdb_cli.history.model import Unfinished as Unfinished
    from chatdb_cli.history.model import YoyoLock as YoyoLock
    from chatdb_cli.lint.fix import write_fixes as write_fixes
    from chatdb_cli.lint.linter import lint_files as lint_files
    from chatdb_cli.lint.model import FileChange as FileChange
    from chatdb_cli.lint.model import LintOptions as LintOptions
    from chatdb_cli.lint.model import LintResult as LintResult
    from chatdb_cli.lint.model import LiveDatabase as LiveDatabase
    from chatdb_cli.lint.options import lint_options as lint_options
    from chatdb_cli.lint.rule import Rule as Rule
    from chatdb_cli.lint.rule import find_rule as find_rule
    from chatdb_cli.log import JsonLines as JsonLines
    from chatdb_cli.migrate.live import read_live_database as read_live_database
    from chatdb_cli.migrate.migrator import Migrator as Migrator
    from chatdb_cli.migrate.model import Confines as Confines
    from chatdb_cli.migrate.model import Loss as Loss
    from chatdb_cli.migrate.model import Mark as Mark
    from chatdb_cli.migrate.model import Marks as Marks
    from chatdb_cli.migrate.model import MigrationError as MigrationError
    from chatdb_cli.migrate.model import Progress as Progress
    from chatdb_cli.migrate.model import Repair as Repair
    from chatdb_cli.migrate.model import Repairs as Repairs
    from chatdb_cli.migrate.model import Run as Run
    from chatdb_cli.migrate.model import StatementWatch as StatementWatch
    from chatdb_cli.migrate.model import Status as Status
    from chatdb_cli.migrate.model import Step as Step
    from chatdb_cli.migrate.model import StepResult as StepResult
    from chatdb_cli.postgres.connect import connect as connect
    from chatdb_cli.postgres.model import Target as Target
    from chatdb_cli.postgres.pool import open_pool as open_pool
    from chatdb_cli.postgres.target import check_tunnel as check_tunnel
    from chatdb_cli.postgres.target import open_target as open_target
    from chatdb_cli.postgres.target import open_tunnel as open_tunnel
    from chatdb_cli.postgres.wait import wait_for_server as wait_for_server
    from chatdb_cli.provision.clear import clear_test_data as clear_test_data
    from chatdb_cli.provision.setup import setup as setup
    from chatdb_cli.provision.test_database import drop_test_database as drop_test_database
    from chatdb_cli.provision.test_database import setup_test_database as setup_test_database
    from chatdb_cli.provision.test_schema import drop_test_schema as drop_test_schema
    from chatdb_cli.provision.test_schema import settings_for_tests as settings_for_tests
    from chatdb_cli.provision.test_schema import setup_test_schema as setup_test_schema
    from chatdb_cli.rehearse.drift import check_drift as check_drift
    from chatdb_cli.rehearse.model import Drift as Drift
    from chatdb_cli.rehearse.model import LockReport as LockReport
    from chatdb_cli.rehearse.model import Rehearsal as Rehearsal
    from chatdb_cli.rehearse.model import RehearsalFailure as RehearsalFailure
    from chatdb_cli.rehearse.model import RehearsalProgress as RehearsalProgress
    from chatdb_cli.rehearse.model import StatementLock as StatementLock
    from chatdb_cli.rehearse.model import VersionRehearsal as VersionRehearsal
    from chatdb_cli.rehearse.rehearsal import rehearse_migrations as rehearse_migrations
    from chatdb_cli.remedy import Advice as Advice
    from chatdb_cli.remedy import Remedy as Remedy
    from chatdb_cli.seed.files import seed_files as seed_files
    from chatdb_cli.seed.model import Seeded as Seeded
    from chatdb_cli.seed.model import SeedProgress as SeedProgress
    from chatdb_cli.seed.scale import seed_at_scale as seed_at_scale
    from chatdb_cli.settings.against import settings_against as settings_against
    from chatdb_cli.settings.load import load_settings as load_settings
    from chatdb_cli.settings.model import Bastion as Bastion
    from chatdb_cli.settings.model import CountsSettings as CountsSettings
    from chatdb_cli.settings.model import Database as Database
    from chatdb_cli.settings.model import LintSettings as LintSettings
    from chatdb_cli.settings.model import OtherSide as OtherSide
    from chatdb_cli.settings.model import Settings as Settings
    from chatdb_cli.signals import signals_deferred as signals_deferred
    from chatdb_cli.ssh.model import TunnelStep as TunnelStep
    from chatdb_cli.ssh.tunnel import Tunnel as Tunnel
    from chatdb_cli.verify.model import CheckResult as CheckResult
    from chatdb_cli.verify.model import Verdict as Verdict
    from chatdb_cli.verify.verify import verify_project as verify_project

    Event = Progress
    seed_small = seed_files

# Each public name and the module that defines it (and, after a colon, its name there): the one list of
# the public API.  `Event` and `seed_small` are the former names of `Progress` and `seed_files`.
_EXPORTS = {
    "Advice": "remedy",
    "AppliedMigration": "history.model",
    "Bastion": "settings.model",
    "Batch": "events.model",
    "Change": "events.model",
    "ChatdbError": "errors",
    "Check": "health.model",
    "CheckResult": "verify.model",
    "Checksum": "counts.model",
    "Code": "errors",
    "Column": "docs.model",
    "ComparedSequence": "counts.differences",
    "ComparedTable": "counts.differences",
    "Comparison": "catalog.model",
    "Constraint": "docs.model",
    "CountProgress": "counts.model",
    "CountedColumn": "counts.model",
    "Counts": "counts.model",
    "CountsComparison": "counts.differences",
    "Confines": "migrate.model",
    "CountsSettings": "settings.model",
    "Database": "settings.model",
    "Difference": "catalog.model",
    "Directives": "files.model",
    "Drift": "rehearse.model",
    "EmbeddedServer": "embedded.server",
    "Event": "migrate.model:Progress",
    "Exit": "errors",
    "FileChange": "lint.model",
    "FileState": "docs.update",
    "Finding": "findings",
    "Folder": "files.model",
    "ForeignKey": "docs.model",
    "Function": "docs.model",
    "Health": "health.model",
    "HealthServer": "health.serve.server",
    "HealthWatch": "health.watch",
    "History": "history.model",
    "HistoryAccess": "history.access",
    "Index": "docs.model",
    "JsonLines": "log",
    "LeftOut": "counts.model",
    "LintOptions": "lint.model",
    "LintResult": "lint.model",
    "LintSettings": "settings.model",
    "Listener": "events.listener",
    "LiveDatabase": "lint.model",
    "Location": "errors",
    "LockReport": "rehearse.model",
    "LogEntry": "history.model",
    "Loss": "migrate.model",
    "Migration": "files.model",
    "MigrationError": "migrate.model",
    "Migrator": "migrate.migrator",
    "OtherSide": "settings.model",
    "Place": "counts.differences",
    "Policy": "docs.model",
    "Progress": "migrate.model",
    "Rehearsal": "rehearse.model",
    "RehearsalFailure": "rehearse.model",
    "RehearsalProgress": "rehearse.model",
    "Relation": "docs.model",
    "Remedy": "remedy",
    "Repair": "migrate.model",
    "InitResult": "files.init",
    "Mark": "migrate.model",
    "Marks": "migrate.model",
    "Repairs": "migrate.model",
    "init_project": "files.init",
    "RowDifference": "counts.differences",
    "Rule": "lint.rule",
    "Run": "migrate.model",
    "SavedCounts": "counts.saved",
    "SchemaDocs": "docs.model",
    "SchemaObject": "catalog.model",
    "Script": "files.model",
    "SeedProgress": "seed.model",
    "Seeded": "seed.model",
    "SequenceValue": "counts.model",
    "ServerStatus": "embedded.model",
    "Settings": "settings.model",
    "Snapshot": "catalog.model",
    "Source": "counts.model",
    "StatementLock": "rehearse.model",
    "StatementWatch": "migrate.model",
    "Status": "migrate.model",
    "Step": "migrate.model",
    "StepResult": "migrate.model",
    "TableCount": "counts.model",
    "Target": "postgres.model",
    "Trigger": "docs.model",
    "Tunnel": "ssh.tunnel",
    "TunnelStep": "ssh.model",
    "Type": "docs.model",
    "Unfinished": "history.model",
    "Unread": "catalog.model",
    "Verdict": "verify.model",
    "VersionRehearsal": "rehearse.model",
    "YoyoLock": "history.model",
    "check_drift": "rehearse.drift",
    "check_health": "health.check",
    "check_tunnel": "postgres.target",
    "clear_test_data": "provision.clear",
    "compare_counts": "counts.compare",
    "compare_snapshots": "catalog.diff",
    "compare_with_saved": "counts.compare",
    "connect": "postgres.connect",
    "count_rows": "counts.count",
    "describe_schema": "docs.describe",
    "drop_test_database": "provision.test_database",
    "drop_test_schema": "provision.test_schema",
    "find_rule": "lint.rule",
    "format_snapshot": "catalog.snapshot_text",
    "is_healthy": "health.check",
    "lint_files": "lint.linter",
    "lint_options": "lint.options",
    "listen": "events.listener",
    "load_settings": "settings.load",
    "load_snapshot": "catalog.snapshot_file",
    "new_migration": "files.new",
    "open_pool": "postgres.pool",
    "open_target": "postgres.target",
    "open_tunnel": "postgres.target",
    "parse_snapshot": "catalog.snapshot_text",
    "read_counts": "counts.saved",
    "read_cursor": "events.cursor_file",
    "read_live_database": "migrate.live",
    "read_schema": "docs.read",
    "read_snapshot": "catalog.snapshot",
    "rehearse_migrations": "rehearse.rehearsal",
    "save_counts": "counts.saved",
    "save_snapshot": "catalog.snapshot_file",
    "schema_markdown": "docs.markdown",
    "seed_at_scale": "seed.scale",
    "seed_files": "seed.files",
    "seed_small": "seed.files:seed_files",
    "settings_against": "settings.against",
    "settings_for_tests": "provision.test_schema",
    "setup": "provision.setup",
    "setup_test_database": "provision.test_database",
    "setup_test_schema": "provision.test_schema",
    "signals_deferred": "signals",
    "verify_project": "verify.verify",
    "wait_for_server": "postgres.wait",
    "write_cursor": "events.cursor_file",
    "write_fixes": "lint.fix",
    "write_schema_docs": "docs.update",
}
__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, original = _EXPORTS[name].partition(":")
    value = getattr(import_module(f"{__name__}.{module}"), original or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
