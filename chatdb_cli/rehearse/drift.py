"""Drift: the live schema against what its applied files build, or against the file of a snapshot.

    check_drift    reads the live schema, builds the expected one, compares

Nothing is written to the target.  The files are run as they were applied: a file that was changed since,
or that is missing, runs with the text that the history keeps.  What does not belong here: comparing
(`catalog/diff.py`), the scratch database (`scratch/`), files against history (`migrate/compare.py`).
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from psycopg import errors

from chatdb_cli.callbacks import ignore
from chatdb_cli.catalog.diff import compare_snapshots
from chatdb_cli.catalog.snapshot import read_snapshot
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.folder import choose_folder
from chatdb_cli.files.model import NO_DIRECTIVES, Script, checksum
from chatdb_cli.files.read import read_migrations
from chatdb_cli.history.read import read_texts, require_schema
from chatdb_cli.migrate import compare
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.migrate.reading import read_target_history
from chatdb_cli.plural import plural
from chatdb_cli.postgres.connect import blame_tunnel, connect
from chatdb_cli.postgres.diagnosis import explain_failures
from chatdb_cli.postgres.model import require_target
from chatdb_cli.postgres.own import fetch
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.rehearse import queries
from chatdb_cli.rehearse.model import Drift
from chatdb_cli.rehearse.roles import with_role
from chatdb_cli.remedy import Advice
from chatdb_cli.scratch.database import scratch_place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    import psycopg

    from chatdb_cli.catalog.model import Snapshot
    from chatdb_cli.files.model import Files
    from chatdb_cli.history.model import AppliedMigration, History
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.scratch.database import ScratchPlace

_COMPARE_WITH_FILE = "or compare with the file of a snapshot: {drift_against}"


def check_drift(
    target: Target,
    directory: str | Path | None = None,
    *,
    against: Snapshot | None = None,
    column_order: bool = False,
    report: Callable[[str], None] = ignore,
) -> Drift:
    """Compare the live schema with what its applied files build, at the version of its history.

    Args:
        target: the live database; nothing is written to it.
        directory: the folder with `up/` and `down/`, as for `Migrator`.
        against: the expected schema, in place of building it; then no scratch database is needed.
        column_order: another order of the columns is a difference, too.
        report: called with a line for what takes time.

    Raises:
        ChatdbError: `NO_SCRATCH`; `HISTORY`, what was applied is not known any more; `STATEMENT`, a file
            that was applied fails in the scratch database; no connection.
    """
    require_target(target)
    if against is not None:
        with _live(target, report) as conn:
            current = _current_if_readable(conn, target)
            live = _read(conn, against.schemas)
        expected, what = against, "the snapshot"
    else:
        with _live(target, report) as conn:
            past = read_target_history(conn, target)
            require_schema(past, target.schema)
            current = compare.current(past.applied)
            scripts = _applied_scripts(conn, target, directory, past)
        with scratch_place(target, report=report) as place:
            place.refuse_server_effects(script.as_file for script in scripts)
            expected = _build(place, target, scripts)
        with _live(target, report) as conn:
            live = _read(conn, expected.schemas)
            owner = Quoting(conn, target.schema).fill(queries.HISTORY_OWNER, name=target.schema)
            row = next(iter(fetch(conn, _Owner, owner)), None)
        if row is not None:
            expected = with_role(expected, place.server.target.user, row.owner)
        what = f"{plural(len(scripts), 'file')}, built on {place.server.target.where}"
    comparison = compare_snapshots(expected, live, column_order=column_order)
    versions = (expected.server_version, live.server_version)
    return Drift(target, current, what, comparison, versions)


class _Owner(NamedTuple):
    """A row of `queries.HISTORY_OWNER`."""

    owner: str


class _Schema(NamedTuple):
    """A row of `queries.SCHEMAS`."""

    name: str


class _Script(NamedTuple):
    """An up file as it was applied: its file name, its text, where that is from."""

    file_name: str
    text: str
    source: str

    @property
    def as_file(self) -> Script:
        return Script(self.source, self.text, "", NO_DIRECTIVES)


@contextmanager
def _live(target: Target, report: Callable[[str], None]) -> Iterator[psycopg.Connection[Any]]:
    with (
        blame_tunnel(target),
        connect(target, report) as conn,
        explain_failures("the live schema can't be read"),
    ):
        yield conn


def _current_if_readable(conn: psycopg.Connection[Any], target: Target) -> str | None:
    """Return the version; it is told, not needed: a role that may not read it can compare, too."""
    try:
        return compare.current(read_target_history(conn, target).applied)
    except errors.InsufficientPrivilege:
        return None
    except ChatdbError as error:
        if error.code not in (Code.LOGIN, Code.HIDDEN_HISTORY):
            raise
        return None


def _read(conn: psycopg.Connection[Any], schemas: Sequence[str]) -> Snapshot:
    """Read schemas; one that does not exist is a difference, not an error."""
    existing = {row.name for row in fetch(conn, _Schema, queries.SCHEMAS)}
    return read_snapshot(conn, [name for name in schemas if name in existing])


def _applied_scripts(
    conn: psycopg.Connection[Any], target: Target, directory: str | Path | None, past: History
) -> tuple[_Script, ...]:
    """Return the up files as they were applied.

    Raises:
        ChatdbError: `HISTORY`, the text of one is not known, or one stopped part-way.
    """
    named = str(directory) if directory is not None else target.settings.directory
    files = read_migrations(choose_folder(named))
    texts = {}
    if past.exists:
        texts = read_texts(conn, target.schema, [row.id for row in past.applied])
    return tuple(_as_applied(row, files, (t := texts.get(row.id)) and t.up) for row in past.applied)


def _as_applied(row: AppliedMigration, files: Files, kept: str | None) -> _Script:
    if row.unfinished:
        raise _unknown(row, "stopped part-way", "finish it with {up}; ")
    if row.number < 0:
        raise _unknown(row, "has no version, so its place among the others is not known", "")
    migration = next((m for m in files.migrations if m.number == row.number), None)
    is_same = migration is not None and row.up_checksum in (None, migration.up.checksum)
    if migration is not None and is_same:
        return _Script(migration.up.path.name, migration.up.text, str(migration.up.path))
    if kept is None:
        state = "was changed" if migration else "is missing"
        raise _unknown(
            row, f"{state} since it was applied, and the history does not keep its text", ""
        )
    if row.up_checksum is not None and checksum(kept) != row.up_checksum:
        why = (
            "was changed since it was applied, and the history keeps its text without the passwords"
        )
        raise _unknown(row, why, "")
    return _Script(f"{row.id}.sql", kept, f"{row.id}.sql (up, from the history)")


def _unknown(row: AppliedMigration, why: str, first: str) -> ChatdbError:
    return ChatdbError(
        Code.HISTORY,
        f"the schema that the applied files build is not known: {row.id} {why}",
        hint=Advice(f"{first}look at {{status}}; {_COMPARE_WITH_FILE}"),
    )


def _build(place: ScratchPlace, target: Target, scripts: Sequence[_Script]) -> Snapshot:
    """Build the expected schema, and return it with every schema that the files have created."""
    with place.database() as scratch, TemporaryDirectory(prefix="chatdb-") as folder:
        up = Path(folder) / "up"
        up.mkdir()
        sources = {}
        for script in scripts:
            path = up / script.file_name
            path.write_text(script.text, encoding="utf-8", newline="")
            sources[path] = script.source
        with connect(scratch) as conn, explain_failures("the scratch database can't be read"):
            before = {row.name for row in fetch(conn, _Schema, queries.SCHEMAS)}
            if scripts:
                _apply(scratch, Path(folder), sources)
            after = {row.name for row in fetch(conn, _Schema, queries.SCHEMAS)}
            return read_snapshot(conn, sorted(after - before | {target.schema}))


def _apply(scratch: Target, folder: Path, sources: dict[Path, str]) -> None:
    try:
        Migrator(scratch, folder).up(allow_non_empty=True)
    except ChatdbError as error:
        if error.code in (Code.INTERRUPTED, Code.TERMINATED):
            message = f"{error.code.slug}; nothing was changed, and the scratch database is dropped"
            raise ChatdbError(error.code, message) from None
        place = error.place
        if place is not None and place.file in sources:
            place = place._replace(file=Path(sources[place.file]))
        raise ChatdbError(
            error.code,
            error.message,
            hint=Advice(
                "the file failed in the scratch database, not in the target; what it needs from outside "
                "can be in a file that runs first: {prelude}"
            ),
            place=place,
            inner=error.inner,
            sqlstate=error.sqlstate,
            notes=error.notes,
        ) from None
